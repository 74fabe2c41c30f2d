"""``jax-rnn sample``, ``eval`` and ``export``: use a run."""

import io
import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.table import Table

from jax_rnn.app.common import File, check_outputs, check_run, check_seed, console, say_written
from jax_rnn.app.failures import UsageError
from jax_rnn.base.console import printable
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.storage import write_text

__all__ = ["evaluate", "export", "sample"]

Folder = Annotated[Path, "RUN"]
Which = Literal["best", "last"]


def sample(
    run: Folder,
    *,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: Annotated[int | None, "K"] = None,
    length: int = 500,
    seed: int = 0,
    checkpoint: Which = "best",
) -> None:
    """Generate text with the model of a run, from a prompt.

    $ jax-rnn sample runs/char_lm --prompt "ROMEO:" --temperature 0.8
    $ jax-rnn sample runs/names_generate --prompt Russian
    $ jax-rnn sample runs/seq2seq_attention --prompt "3 March 2021"

    Args:
        run: Folder of the run, made by `jax-rnn train LESSON --out RUN`.
        prompt: Text that the model continues or answers.
        temperature: Number by which the logits are divided; 0 always takes the likeliest symbol.
        top_k: Draw only from the K likeliest symbols; by default from all.
        length: Maximum number of generated symbols.
        seed: Seed of the random numbers, from 0 to 2^32 - 1.
        checkpoint: The checkpoint with the lowest held-out loss, or the last one.
    """
    check_seed(seed)
    from jax_rnn.lecture.teaching.training import precision
    from rnn_lecture.sampling import Sampling, check_sampling

    sampling = Sampling(temperature, top_k, length, seed)
    check_sampling(sampling)
    for name, value in (("top_k", top_k or 1), ("length", length)):
        if value >= 2**31:
            raise ArgumentError(name, f"expected at most {2**31 - 1:,}, got a larger number")
    opened = _open(run)
    with precision(opened.recipe):
        model = opened.model(checkpoint)
        pieces = opened.lesson.respond(model, opened.vocabulary, prompt, sampling)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        if opened.lesson.takes_text:
            sys.stdout.write(printable(prompt, None))
        last = prompt
        for last in pieces:
            sys.stdout.write(printable(last, None))
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
    """Evaluate the model of a run on the held-out data.

    $ jax-rnn eval runs/char_lm
    $ jax-rnn eval runs/char_lm --checkpoint last --json figures.json

    Args:
        run: Folder of the run, made by `jax-rnn train LESSON --out RUN`.
        text: UTF-8 text file with the same symbols; its last tenth is evaluated (char_lm only).
        checkpoint: The checkpoint with the lowest held-out loss, or the last one.
        json: Write the figures to this JSON file.
    """
    from jax_rnn.lecture.teaching.training import precision

    check_outputs(json=json)
    opened = _open(run)
    with precision(opened.recipe):
        data = opened.data(text)
        if data.vocabulary != opened.vocabulary:
            raise ArgumentError(
                "text",
                f"expected a text with the symbols of the run, got {text or opened.text}, "
                "which has others; use another text",
            )
        model = opened.model(checkpoint)
        try:
            figures = opened.lesson.evaluate(model, data)
        except ArithmeticError as error:
            raise ValueError(
                f"{run}: expected a model with finite figures, got a loss that is too large "
                f"({error}); the training of this run has diverged"
            ) from error
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    if json:
        write_text(json, json_format.dumps(figures, indent=2) + "\n")
        say_written(json)


def export(
    run: Folder,
    *,
    to: Literal["safetensors", "torch", "stablehlo"],
    file: File = None,
    platforms: Annotated[str | None, "cpu,cuda,tpu"] = None,
    checkpoint: Which = "best",
) -> None:
    """Export the model of a run for other programs.

    $ jax-rnn export runs/char_lm --to safetensors
    $ jax-rnn export runs/char_lm --to torch --file model.pt
    $ jax-rnn export runs/names --to stablehlo --platforms cpu,cuda

    Args:
        run: Folder of the run, made by `jax-rnn train LESSON --out RUN`.
        to: Format. safetensors and torch: the parameters under torch's names, as a safetensors file
            or as a state dict for torch.load(weights_only=True); stablehlo: the forward pass with
            its parameters, for any batch size and length, for jax.export.deserialize.
        file: File to write; by default model.safetensors, model.pt or model.stablehlo in the folder
            of the run.
        platforms: Platforms of a stablehlo program, separated by commas; by default cpu, cuda and
            tpu.
        checkpoint: The checkpoint with the lowest held-out loss, or the last one.
    """
    if platforms is not None and to != "stablehlo":
        raise UsageError(f"--platforms: expected --to stablehlo, got --to {to}; remove --platforms")
    suffix = {"safetensors": "safetensors", "torch": "pt", "stablehlo": "stablehlo"}[to]
    target = file or run / f"model.{suffix}"
    check_run("run", run)
    check_outputs(file=target)
    from jax_rnn.interop.files import save_safetensors, save_torch
    from jax_rnn.interop.stablehlo import PLATFORMS, check_platforms, save_stablehlo
    from jax_rnn.lecture.teaching.training import precision

    lowered_for = check_platforms(PLATFORMS if platforms is None else platforms.split(","))
    opened = _open(run)
    with precision(opened.recipe):
        model = opened.model(checkpoint)
        if to == "safetensors":
            save_safetensors(model, target)
        elif to == "torch":
            save_torch(model, target)
        else:
            save_stablehlo(model, target, opened.arguments, lowered_for)
    say_written(target)
    if to == "stablehlo":
        console.print(f"platforms: {', '.join(lowered_for)}", highlight=False)


def _open(run: Path) -> Any:
    """The run of a lesson in a folder."""
    check_run("run", run)
    from jax_rnn.lecture.teaching.training import open_run

    return open_run(run)
