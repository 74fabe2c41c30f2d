"""One cell reads five letters.

Slide "Unfolding to n sequences": the input is hello as (1, 5, 4), the output (1, 5, 2). One call
runs the cell five times, each step starting from the state after the previous one.
"""

from collections.abc import Iterator

from jax_rnn.lecture.lessons.cell import Model, run
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words


def explain(model: Model) -> Iterator[str]:
    out, (h, _) = run(lesson, model)
    yield f"the last output is the final hidden state: {bool((out[:, -1] == h[0]).all())}"


lesson = WordLesson.of(words.UNFOLD, model=Model, explain=explain)
