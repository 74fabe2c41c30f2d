"""ihello, one letter at a time.

The same network is called once per letter with the state of the previous call, and the six losses
are summed. Adam is invariant to the scale of the loss except for its epsilon, so the run equals
that of ihello, with 6 times its loss.
"""

import jax.numpy as jnp
from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.layers import RNN
from jax_rnn.lessons import ihello
from jax_rnn.lessons.lesson import Lesson


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.rnn = RNN(5, 5, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        logits = []
        for t in range(inputs.shape[1]):
            output, hidden = self.rnn(inputs[:, t : t + 1], hidden)
            logits.append(output)
        return jnp.concatenate(logits, axis=1), hidden


lesson = Lesson(
    name="ihello_stepwise",
    slide="Unfolding one to n sequences",
    teaches="Calling the network once per letter and passing the state is the same as one call.",
    symbols=ihello.SYMBOLS,
    inputs=ihello.lesson.inputs,
    labels=ihello.LABELS,
    model=Model,
    reduction="sum",
)
