"""``jax-rnn lessons`` and ``doctor``: what there is."""

from jax_rnn.commands.common import console

__all__ = ["doctor", "lessons"]


def lessons() -> None:
    """List the lecture's programs: name, slide, what each teaches.

    $ jax-rnn lessons
    """
    from rich.table import Table

    from jax_rnn.lessons import NAMES, TASKS, load, load_task

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("lesson", no_wrap=True)
    table.add_column("slide", ratio=3)
    table.add_column("it teaches", ratio=5)
    table.add_column("variants", ratio=2)
    for name in NAMES:
        lesson = load(name)
        table.add_row(name, lesson.slide, lesson.teaches, ", ".join(lesson.variants) or "-")
    for name in TASKS:
        task = load_task(name)
        table.add_row(name, task.slide, task.teaches, "-")
    console.print(table)


def doctor() -> None:
    """Say what is installed, where it runs, how precisely, and what is missing.

    $ jax-rnn doctor
    """
    from jax_rnn.doctor import examine

    for line in examine():
        console.print(line, highlight=False, soft_wrap=True)
