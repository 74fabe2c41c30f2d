"""One cell reads five letters.

Slide "Unfolding to n sequences": the input is hello as (1, 5, 4), the output (1, 5, 2). One call
runs the cell five times, each step starting from the state after the previous one.
"""

from collections.abc import Iterator

from jax_rnn.lessons.cell import Model, lesson_on, run


def explain(model: Model) -> Iterator[str]:
    out, (h, _) = run(lesson, model)
    yield f"the last output is the final hidden state: {bool((out[:, -1] == h[0]).all())}"


lesson = lesson_on(
    ["hello"],
    name="unfold",
    slide="Unfolding to n sequences",
    teaches="A layer runs its cell over a sequence in one call.",
    explain=explain,
)
