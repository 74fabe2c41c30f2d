"""ihello, one letter at a time.

The same network is called once per letter with the state of the previous call, and the six losses
are summed. Adam is invariant to the scale of the loss except for its epsilon, so the run equals
that of ihello, with 6 times its loss.
"""

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.layers.torch_layers import RNN
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.rnn = RNN(5, 5, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        logits = []
        for t in range(inputs.shape[1]):
            output, hidden = self.rnn(inputs[:, t : t + 1], hidden)
            logits.append(output)
        return jnp.concatenate(logits, axis=1), hidden


lesson = WordLesson.of(words.IHELLO_STEPWISE, model=Model)
