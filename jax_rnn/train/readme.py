"""The README of a run folder, which describes its files and their use."""

from pathlib import Path
from typing import NamedTuple

from jax_rnn.base.console import printable
from jax_rnn.train.config import ModelConfig, RunConfig

__all__ = ["Guide", "explain", "python_guide"]

PAGE = """# {title}

Made by `{command}` with {versions}.

| file | contents |
| --- | --- |
| `config.json` | configuration of the run: model, vocabulary, data, hyperparameters |
| `metrics.jsonl`, `metrics.csv` | loss, held-out figures and speed, by step |
| `loss.png` | the losses as a plot |
| `checkpoints/` | the last two and the best, as safetensors files with parameters and optimizer |

{use}

| hyperparameter | value |
| --- | --- |
{recipe}
"""

CALLS = """In Python, with the class of the model, here `{kind}`:

    from jax_rnn.train import Run, fit, load

    model = load({name!r}, model={kind})  # the best checkpoint, in evaluation mode
    last = load({name!r}, "last", model={kind})

`jax_rnn.save_safetensors(model, "model.safetensors")` writes its weights for other programs. Resume
a stopped run, bit for bit, with the arguments that it was started with:

    with Run({name!r}, config, resume=True) as run:
        fit(model, loss, data, ..., run=run)"""


class Guide(NamedTuple):
    """How a run is used.

    Attributes:
        use: Markdown, how to use its model and how to resume it.
        resume: what resumes it, in one line.
    """

    use: str
    resume: str


def python_guide(folder: Path, config: RunConfig) -> Guide:
    """How to use a run from Python."""
    kind = (config.model or ModelConfig()).class_.rpartition(":")[2].rpartition(".")[2]
    return Guide(
        CALLS.format(name=str(folder), kind=kind if kind.isidentifier() else "MyModel"),
        f"fit with Run({str(folder)!r}, ..., resume=True)",
    )


def explain(config: RunConfig, use: str) -> str:
    """The README of the run of this configuration, with ``Guide.use``."""
    rows = [f"| {name} | {value} |" for name, value in config.recipe.items()]
    return PAGE.format(
        title=printable(config.lesson or "A run"),
        command=printable(config.made.command or "jax_rnn.fit"),
        versions=printable(config.made.versions or "jax_rnn"),
        use="\n".join(printable(line, None) for line in use.split("\n")),
        recipe="\n".join(printable(row) for row in rows),
    )
