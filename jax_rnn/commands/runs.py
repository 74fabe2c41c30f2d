"""``jax-rnn sample``, ``eval`` and ``export``: what one does with a run."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from jax_rnn.commands.common import console

__all__ = ["evaluate", "export", "sample"]

Folder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Which = Literal["best", "last"]


def sample(
    run: Folder,
    *,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: Annotated[int | None, tyro.conf.arg(metavar="K")] = None,
    length: int = 500,
    seed: int = 0,
    checkpoint: Which = "best",
) -> None:
    """Let the model of a run answer a prompt; text appears as it is made.

    $ jax-rnn sample runs/char_lm --prompt "ROMEO:" --temperature 0.8
    $ jax-rnn sample runs/names_generate --prompt Russian
    $ jax-rnn sample runs/seq2seq_attention --prompt "3 March 2021"

    Args:
        run: Folder that `jax-rnn train LESSON --out RUN` made.
        prompt: What the model is to go on from, or to answer.
        temperature: Logits are divided by it; 0 always takes the likeliest symbol.
        top_k: Draw among so many of the likeliest; among all by default.
        length: Symbols at most.
        seed: Of the drawing.
        checkpoint: The one of least held-out loss, or the last.
    """
    from jax_rnn.lessons.task import Sampling
    from jax_rnn.lessons.training import open_run, precision

    opened = open_run(run)
    sampling = Sampling(temperature, top_k, length, seed)
    with precision(opened.recipe):
        model = opened.model(checkpoint)
        pieces = opened.task.respond(model, opened.vocabulary, prompt, sampling)
        if opened.task.takes_text:
            sys.stdout.write(prompt)
        last = prompt
        for last in pieces:
            sys.stdout.write(last)
            sys.stdout.flush()
        if not last.endswith("\n"):
            sys.stdout.write("\n")


def evaluate(
    run: Folder,
    *,
    text: File = None,
    checkpoint: Which = "best",
    json: File = None,
) -> None:
    """Measure the model of a run on the held-out data.

    $ jax-rnn eval runs/char_lm
    $ jax-rnn eval runs/char_lm --checkpoint last --json figures.json

    Args:
        run: Folder that `jax-rnn train LESSON --out RUN` made.
        text: Another text with the same symbols, the last tenth of which is read.
        checkpoint: The one of least held-out loss, or the last.
        json: Write the figures there.
    """
    from jax_rnn.lessons.training import open_run, precision

    opened = open_run(run)
    with precision(opened.recipe):
        data = opened.data(text)
        if data.vocabulary != opened.vocabulary:
            raise ValueError(
                f"--text: expected the symbols that the run knows, got others in {text}"
            )
        figures = opened.task.evaluate(opened.model(checkpoint), data)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    if json:
        json.write_text(json_format.dumps(figures, indent=2) + "\n")
        console.print(f"written: {json}", highlight=False, markup=False, soft_wrap=True)


def export(
    run: Folder,
    *,
    to: Literal["safetensors", "torch", "stablehlo"],
    file: File = None,
    checkpoint: Which = "best",
) -> None:
    """Write the model of a run for other programs.

    $ jax-rnn export runs/char_lm --to safetensors
    $ jax-rnn export runs/char_lm --to torch --file model.pt
    $ jax-rnn export runs/names --to stablehlo

    Args:
        run: Folder that `jax-rnn train LESSON --out RUN` made.
        to: safetensors, and torch's state dict (read it with torch.load(weights_only=True)), hold
            the parameters under torch's names; stablehlo is the forward pass with its parameters,
            for CPU, CUDA and TPU, any batch size and length (read it with jax.export.deserialize).
        file: Where to; model.safetensors, model.pt or model.stablehlo in the run by default.
        checkpoint: The one of least held-out loss, or the last.
    """
    from jax_rnn.interop.files import save_safetensors, save_torch
    from jax_rnn.interop.stablehlo import save_stablehlo
    from jax_rnn.lessons.training import open_run, precision

    opened = open_run(run)
    suffix = {"safetensors": "safetensors", "torch": "pt", "stablehlo": "stablehlo"}[to]
    file = file or run / f"model.{suffix}"
    with precision(opened.recipe):
        model = opened.model(checkpoint)
        if to == "safetensors":
            save_safetensors(model, file)
        elif to == "torch":
            save_torch(model, file)
        else:
            save_stablehlo(model, file, opened.arguments)
    console.print(f"written: {file}", highlight=False, markup=False, soft_wrap=True)
