"""``jax-rnn lessons`` and ``doctor``."""

from jax_rnn.app.common import console

__all__ = ["doctor", "lessons"]


def lessons() -> None:
    """List the lessons, with the slide and the purpose of each.

    $ jax-rnn lessons
    """
    from rich.table import Table
    from rich.text import Text

    from jax_rnn.lecture.lessons import lesson_names, load

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("lesson", no_wrap=True)
    table.add_column("what it teaches, its slide, its presets")
    for lesson in map(load, lesson_names()):
        presets = ", ".join(lesson.recipes)
        details = f"slide: {lesson.slide}" + (f"; presets: {presets}" if presets else "")
        table.add_row(lesson.name, Text(lesson.teaches))
        table.add_row("", Text(details, style="dim"))
    console.print(table)


def doctor() -> None:
    """Report versions, devices, precision, cached programs and missing packages.

    $ jax-rnn doctor
    """
    from jax_rnn.app.doctor import examine

    for line in examine():
        console.print(line, highlight=False, soft_wrap=True)
