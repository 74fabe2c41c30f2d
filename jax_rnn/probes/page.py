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
        f"{budget.batch} sequences per step, gradients clipped to a norm of {budget.clip:g}; "
        f"{_seeds(seeds)}. A column is a task and the length of its sequences. A score is a share "
        "of correct symbols (higher is better) or a mean squared error (lower is better): the mean "
        "over the seeds, with the lowest and the highest in brackets if they differ by more than "
        "0.01.",
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


def _seeds(seeds: Sequence[int]) -> str:
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def about(task: Task) -> str:
    """What a task is, and what a model without memory scores."""
    text = f"{task.title}, trained at length {task.length}"
    if task.baseline is not None:
        text += f"; a model without memory scores {task.baseline:.3f}"
    return f"{text}. {task.source}.".replace("..", ".") if task.source else f"{text}."
