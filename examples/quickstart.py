import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import GRU, fit

x = jnp.eye(5)[jnp.array([[0, 1, 0, 2, 3, 3]])]  # hihell over "hielo", one-hot (B, T, I)
y = jnp.array([[1, 0, 2, 3, 3, 4]])  # ihello (B, T)


def loss(model, batch):
    logits = 5 * model(batch["x"])[0]
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
    return entropy.mean(), logits.argmax(-1)


model = GRU(5, 5, batch_first=True, rngs=nnx.Rngs(0))
history = fit(model, loss, {"x": x, "y": y}, steps=100, optimizer=optax.adam(0.1))
for epoch in (1, 5, 10, 100):
    text = "".join("hielo"[i] for i in history.metrics[epoch - 1, 0])
    print(f"epoch {epoch:3}  loss {history.loss[epoch - 1]:.3f}  {text}")
