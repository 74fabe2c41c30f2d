"""The page of a folder of results."""

from collections.abc import Mapping, Sequence

from jax_rnn.probes.results import table
from jax_rnn.probes.run import Result
from jax_rnn.probes.task import Task

__all__ = ["page"]


def page(results: Sequence[Result], tasks: Mapping[str, Task]) -> str:
    """The protocol, the tasks and the table of scores, in Markdown."""
    budget, seeds = results[0].budget, results[0].seeds
    layers = "one layer" if budget.layers == 1 else f"{budget.layers} layers"
    lines = [
        "# Probes",
        f"An embedding, {layers} of {budget.hidden_size} features and a linear output; "
        f"{budget.steps:,} steps of Adam with a learning rate of {budget.learning_rate:g}, "
        f"{budget.batch} sequences a step, gradients clipped to a norm of {budget.clip:g}; seeds "
        f"{seeds[0]} to {seeds[-1]}. Scores are means over the seeds, with the lowest and the "
        "highest where they differ by more than 0.01: the share of right symbols, or the mean "
        "squared error of a number. The columns are tasks with the length of the sequences.",
        table(results).strip(),
        "\n".join(f"- {name}: {about(task)}" for name, task in tasks.items()),
    ]
    seconds = sum(result.seconds for result in results)
    place = results[-1].environment
    if place:
        lines.append(
            f"{seconds:,.0f} seconds without compilation; jax {place.get('jax')}, "
            f"{place.get('jax device')}, {place.get('processor')}."
        )
    return "\n\n".join(lines) + "\n"


def about(task: Task) -> str:
    """What a task is, and what a model without memory scores."""
    text = f"{task.title}, trained at length {task.length}"
    if task.baseline is not None:
        text += f"; without memory {task.baseline:.3f}"
    return f"{text}. {task.source}.".replace("..", ".") if task.source else f"{text}."
