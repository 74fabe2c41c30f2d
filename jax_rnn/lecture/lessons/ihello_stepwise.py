"""ihello, one letter at a time.

The same network is called once per letter with the state of the previous call, and the six losses
are summed. Adam is invariant to the scale of the loss except for its epsilon, so the run equals
that of ihello, with 6 times its loss.
"""

import jax.numpy as jnp
from flax import nnx

from jax_rnn.layers.torch_layers import RNN
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nnx.Module):
    def __init__(self, **options):
        self.rnn = RNN(5, 5, batch_first=True, **options)

    def __call__(self, inputs, hidden=None):
        logits = []
        for t in range(inputs.shape[1]):
            output, hidden = self.rnn(inputs[:, t : t + 1], hidden)
            logits.append(output)
        return jnp.concatenate(logits, axis=1), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).sum(), {"prediction": logits.argmax(-1)}


lesson = WordLesson(
    facts=words.IHELLO_STEPWISE,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
)
