"""Classify sequences of different lengths with both final states of a bidirectional layer.

Each sequence holds numbers between -1 and 1; the label is whether the first number is larger than
the last one. The forward direction reads the last number last, the backward direction the first
number, so both final states together determine the label for any length of the sequence. With
``lengths=``, padding affects neither state.
"""

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn import GRU, Linear, fit
from jax_rnn.data import Shuffled

HIDDEN, LONGEST = 16, 12


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.rnn = GRU(1, HIDDEN, batch_first=True, bidirectional=True, rngs=rngs)
        self.linear = Linear(2 * HIDDEN, 2, rngs=rngs)

    def __call__(self, x, lengths):
        _, hidden = self.rnn(x, lengths=lengths)  # (2, B, H): forward, backward
        return self.linear(jnp.concatenate([hidden[0], hidden[1]], axis=-1))


def sequences(count, seed):
    """Padded sequences (N, T, 1), their lengths (N,) and labels (N,)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, LONGEST + 1, count)
    x = rng.uniform(-1, 1, (count, LONGEST, 1))
    x[np.arange(LONGEST) >= lengths[:, None]] = np.nan  # padding is never read
    labels = x[:, 0, 0] > x[np.arange(count), lengths - 1, 0]
    return {"x": x, "lengths": lengths, "labels": labels.astype(int)}


def loss(model, batch):
    logits = model(batch["x"], batch["lengths"])
    value = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"]).mean()
    return value, {"accuracy": (logits.argmax(-1) == batch["labels"]).mean()}


model = Classifier(nnx.Rngs(0))
data = Shuffled(sequences(2000, seed=0), batch_size=50, seed=0)
history = fit(model, loss, data, epochs=5, optimizer=optax.adam(1e-2))
for epoch in (1, 3, 5):
    of_epoch = slice((epoch - 1) * data.per_epoch, epoch * data.per_epoch)
    print(f"epoch {epoch}  accuracy {history.metrics['accuracy'][of_epoch].mean():.3f}")

model.eval()
held_out = {name: jnp.asarray(array) for name, array in sequences(500, seed=1).items()}
print(f"held out  accuracy {float(loss(model, held_out)[1]['accuracy']):.3f}")
