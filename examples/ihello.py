"""An RNN reads hihell and predicts ihello, in JAX. ihello_torch.py is the same in PyTorch."""

import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import RNN, fit

letters = "hielo"
hihell, ihello = (jnp.array([[letters.index(c) for c in w]]) for w in ("hihell", "ihello"))
batch = {"inputs": jnp.eye(5)[hihell], "labels": ihello}  # (B, T, I) and (B, T)


class Model(nnx.Module):
    def __init__(self, rngs):
        self.rnn = RNN(5, 5, batch_first=True, rngs=rngs)

    def __call__(self, inputs):
        logits, _ = self.rnn(inputs)  # (B, T, H), the outputs of tanh
        return logits


def loss(model, batch):
    logits = model(batch["inputs"])
    entropies = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
    return entropies.mean(), logits.argmax(-1)


def train(model):
    history = fit(model, loss, batch, steps=100, optimizer=optax.adam(0.1))
    return zip(history.loss, history.metrics, strict=True)


if __name__ == "__main__":
    model = Model(nnx.Rngs(0))
    for epoch, (value, prediction) in enumerate(train(model), start=1):
        text = "".join(letters[k] for k in prediction[0])
        print(f"epoch: {epoch}, loss: {value:.3f}, predicted string: {text}")
