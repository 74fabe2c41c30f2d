"""The same cell over five letters.

Slide "Unfolding to n sequences": hello goes in as (1, 5, 4) and comes out as (1, 5, 2). One call
runs the cell five times, each step starting from the state that the last one left.
"""

from jax_rnn.lessons.cell import lesson_on

lesson = lesson_on(
    ["hello"],
    name="unfold",
    slide="Unfolding to n sequences",
    teaches="A layer runs its cell over a sequence in one call.",
)
