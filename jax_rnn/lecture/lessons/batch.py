"""A batch of three words.

Slide "Batching input": the input is hello, eolll and lleel as (3, 5, 4), the output (3, 5, 2). The
state is (layers, batch, hidden) = (1, 3, 2) for any ``batch_first``; other slides write (batch,
layers, hidden), which only works if batch = layers.
"""

import jax.numpy as jnp

from jax_rnn.lecture.lessons.cell import Model
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


def explain(model):
    inputs, hidden = lesson.arguments()
    together, _ = model(inputs, hidden)
    words = jnp.split(inputs, len(inputs))
    states = zip(*(jnp.split(state, len(inputs), axis=1) for state in hidden), strict=True)
    alone = [model(word, state)[0] for word, state in zip(words, states, strict=True)]
    difference = jnp.abs(together - jnp.concatenate(alone)).max()
    yield f"three words in a batch or one by one: largest output difference {difference:.1e}"


lesson = WordLesson(facts=words.BATCH, model=Model, recipe=WordRecipe(), explain=explain)
