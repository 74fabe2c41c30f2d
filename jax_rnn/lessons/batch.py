"""Three words at once.

Slide "Batching input": hello, eolll and lleel go in as (3, 5, 4) and come out as (3, 5, 2). The
state is (layers, batch, hidden) = (1, 3, 2), whatever ``batch_first`` says; the slides elsewhere
write (batch, layers, hidden), which only fits while batch = layers.
"""

from jax_rnn.lessons.cell import lesson_on

lesson = lesson_on(
    ["hello", "eolll", "lleel"],
    name="batch",
    slide="Batching input",
    teaches="Sequences of one length run side by side; the state has a row for each.",
)
