"""The README of a run folder, which describes its files and their use."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax_rnn.console import printable

__all__ = ["explain"]

PAGE = """# {title}

Made by `{command}` with {versions}.

| file | contents |
| --- | --- |
| `config.json` | configuration of the run: model, vocabulary, data, hyperparameters |
| `metrics.jsonl`, `metrics.csv` | loss, held-out figures and speed, by step |
| `loss.png` | the losses as a plot |
| `checkpoints/` | the last two and the best: parameters, optimizer, carried state, step |

{use}

| hyperparameter | value |
| --- | --- |
{recipe}
"""

COMMANDS = """    jax-rnn sample {folder} --prompt ...
    jax-rnn eval {folder}
    jax-rnn export {folder} --to safetensors

In Python: `model = jax_rnn.train.load({name!r})`. Resume a stopped run, bit for bit, with

    {go_on}"""

CALLS = """In Python, with the class of the model, here `{kind}`:

    from jax_rnn.train import Run, fit, load

    model = load({name!r}, model={kind})  # the best checkpoint, in evaluation mode
    last = load({name!r}, "last", model={kind})

`jax_rnn.save_safetensors(model, "model.safetensors")` writes its weights for other programs. Resume
a stopped run, bit for bit, with the arguments that it was started with:

    with Run({name!r}, config, resume=True) as run:
        fit(model, loss, data, ..., run=run)"""


def explain(folder: Path, config: Mapping[str, Any], go_on: str) -> str:
    """The README of the run of this configuration; ``go_on`` is the command that resumes it."""
    made = config.get("made", {})
    command = made.get("command", "jax_rnn.fit")
    if "train" in command.split() and "lesson" in config:
        name = str(folder)
        quoted = shlex.quote(f"./{name}" if name.startswith("-") else name)
        use = COMMANDS.format(folder=quoted, name=name, go_on=go_on)
    else:
        model = config.get("model")
        kind = str(model.get("class", "")) if isinstance(model, dict) else ""
        kind = kind.rpartition(":")[2].rpartition(".")[2]
        use = CALLS.format(name=str(folder), kind=kind if kind.isidentifier() else "MyModel")
    rows = [f"| {name} | {value} |" for name, value in config.get("recipe", {}).items()]
    return PAGE.format(
        title=printable(config.get("lesson", "A run")),
        command=printable(command),
        versions=printable(made.get("versions", "jax_rnn")),
        use="\n".join(printable(line, None) for line in use.split("\n")),
        recipe="\n".join(printable(row) for row in rows),
    )
