"""Exercise 11-4: teach a long sentence.

180 characters, 25 different ones, as one sequence: an embedding, an LSTM and a linear layer read
the first 179 and predict the last 179. The trained model predicts every next letter from the true
letters, and generates the sentence from the first letter and its own predictions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.layers.torch_layers import LSTM
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.facts import encode
from rnn_lecture.recipe import WordRecipe
from rnn_lecture.words import SENTENCE

FIRST = encode([SENTENCE[0]], words.LONG_SENTENCE.symbols)[0]


class Model(nnx.Module):
    def __init__(self, **options):
        self.embedding = Embedding(25, 25, **options)
        self.lstm = LSTM(25, 25, batch_first=True, **options)
        self.linear = Linear(25, 25, **options)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.lstm(self.embedding(inputs), hidden)
        return self.linear(outputs), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


@jax.jit
def recite(model: Model) -> jax.Array:
    """The sentence generated from its first letter, (180,)."""
    first = jnp.asarray(FIRST)
    logits, hidden = model(first[None])

    def step(state, _):
        logits, hidden = state
        letter = logits[0, -1].argmax().astype(jnp.int32)
        return model(letter[None, None], hidden), letter

    _, letters = lax.scan(step, (logits, hidden), length=len(SENTENCE) - 1)
    return jnp.concatenate([first, letters])


def explain(model):
    logits, _ = model(lesson.batch()["inputs"])
    predicted = SENTENCE[0] + lesson.facts.text(np.asarray(logits.argmax(-1)))
    alone = lesson.facts.text(np.asarray(recite(model))[None])
    for inputs, text in (("the true letters", predicted), ("its own predictions", alone)):
        right = sum(a == b for a, b in zip(text, SENTENCE, strict=True))
        yield f"The model reads {inputs}: {right} of {len(SENTENCE)} letters are correct."
        yield f"  {text}"


lesson = WordLesson(
    facts=words.LONG_SENTENCE,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.03, steps=150),
    explain=explain,
)
