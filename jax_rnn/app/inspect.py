"""``jax-rnn inspect``: look inside the model of a run while it reads a text."""

from pathlib import Path
from typing import Annotated, Literal

from jax_rnn.app.common import File, check_output_folder, check_outputs, check_run, say_written
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.extras import check_installed

__all__ = ["inspect"]

MAX_CELLS = 32


def inspect(
    run: Annotated[Path, "RUN"],
    *,
    prompt: str | None = None,
    layer: int = 0,
    cells: int = 8,
    html: File = None,
    out: Annotated[Path | None, "FOLDER"] = None,
    checkpoint: Literal["best", "last"] = "best",
) -> None:
    """Look inside the recurrent layer of a run while it reads a text.

    One HTML page shows which cells respond to which letters, the activations of the gates and how
    often they are saturated, the norm of the gradient through time, the spectral radii of the
    hidden maps, and the largest Lyapunov exponents. The run must be one of char_lm or of a lesson
    on a word or a sentence, such as ihello or long_sentence.

    $ jax-rnn inspect runs/char_lm --prompt "ROMEO: to be or not to be"
    $ jax-rnn inspect runs/char_lm --cells 20 --html inside.html --out figures

    Args:
        run: Folder of the run, made by `jax-rnn train LESSON --out RUN`.
        prompt: Text of at most 500 letters that the model reads; by default a text of the lesson.
        layer: Index of the recurrent layer; 0 is the lowest.
        cells: Number of cells whose activations are shown behind the text, at most 32.
        html: Write the page to this file; without --html and --out, it is inspect.html in the
            folder of the run.
        out: Write the figures as PNG files to this folder, which is created if needed.
        checkpoint: The checkpoint with the lowest held-out loss, or the last one.
    """
    if not 1 <= cells <= MAX_CELLS:
        raise ArgumentError("cells", f"expected 1 to {MAX_CELLS}, got {cells}")
    check_run("run", run)
    page = run / "inspect.html" if html is None and out is None else html
    check_outputs(html=page)
    if out is not None:
        check_output_folder("out", out)
        check_installed("matplotlib")
    from jax_rnn.lecture.inspect.inside import look_inside
    from jax_rnn.lecture.inspect.page import write_figures, write_html
    from jax_rnn.lecture.inspect.reading import check_lesson, check_prompt, own_text, read
    from jax_rnn.lecture.teaching.training import open_run, precision

    opened = open_run(run)
    check_lesson(opened)
    text = own_text(opened) if prompt is None else prompt
    check_prompt(text, opened.vocabulary["symbols"])
    with precision(opened.recipe):
        reading = read(opened, opened.model(checkpoint), text, layer)
        inside = look_inside(reading, text)
    if page:
        title = opened.lesson.name
        title += f", layer {layer} of {reading.layers}" if reading.layers > 1 else ""
        write_html(page, inside, title=f"Inside {title}", cells=cells)
        say_written(page)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        say_written(*write_figures(out, inside, cells=cells))
