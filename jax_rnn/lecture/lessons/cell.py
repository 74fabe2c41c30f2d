"""One LSTM cell reads one letter.

Slide "One node: 4 (input_dim) in 2 (hidden_size)": the input is the letter h, one-hot over h e l o,
as (1, 1, 4), the output is (1, 1, 2). The initial state (h, c) is random.
"""

from flax import nnx

from jax_rnn.layers.torch_layers import LSTM
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nnx.Module):
    def __init__(self, **options):
        self.lstm = LSTM(4, 2, batch_first=True, **options)

    def __call__(self, inputs, hidden=None):
        return self.lstm(inputs, hidden)


def explain(model):
    _, (h, c) = model(*lesson.arguments())
    yield f"hidden size {h.shape}, cell size {c.shape}: (layers * directions, batch, hidden)"


lesson = WordLesson(facts=words.CELL, model=Model, recipe=WordRecipe(), explain=explain)
