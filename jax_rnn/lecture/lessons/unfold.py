"""One cell reads five letters.

Slide "Unfolding to n sequences": the input is hello as (1, 5, 4), the output (1, 5, 2). One call
runs the cell five times, each step starting from the state after the previous one.
"""

from jax_rnn.lecture.lessons.cell import Model
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


def explain(model):
    out, (h, _) = model(*lesson.arguments())
    yield f"the last output is the final hidden state: {bool((out[:, -1] == h[0]).all())}"


lesson = WordLesson(facts=words.UNFOLD, model=Model, recipe=WordRecipe(), explain=explain)
