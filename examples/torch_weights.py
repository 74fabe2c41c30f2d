"""Train in PyTorch, continue in JAX, and copy the weights back."""

import numpy as np
import optax
import torch
from flax import nnx

from jax_rnn import GRU, Linear, fit, load_torch_state_dict, torch_state_dict

inputs = np.eye(5, dtype=np.float32)[[[0, 1, 0, 2, 3, 3]]]  # hihell
labels = np.array([[1, 0, 2, 3, 3, 4]])  # ihello


class TorchModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(5, 6, batch_first=True)
        self.linear = torch.nn.Linear(6, 5)

    def forward(self, x):
        return self.linear(self.gru(x)[0])


class JaxModel(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.gru = GRU(5, 6, batch_first=True, rngs=rngs)
        self.linear = Linear(6, 5, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.gru(x)[0])


def torch_loss(model: TorchModel) -> torch.Tensor:
    logits = model(torch.from_numpy(inputs)).flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).flatten())


def jax_loss(model: JaxModel, batch: dict):
    logits = model(batch["inputs"])
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
    return entropy.mean(), {}


torch.manual_seed(0)
theirs = TorchModel()
optimizer = torch.optim.Adam(theirs.parameters(), lr=0.03)
for _ in range(30):
    optimizer.zero_grad()
    torch_loss(theirs).backward()
    optimizer.step()
print(f"PyTorch, after 30 steps:      {torch_loss(theirs).item():.6f}")

ours = JaxModel(nnx.Rngs(0))
load_torch_state_dict(ours, theirs.state_dict())
batch = {"inputs": inputs, "labels": labels}
history = fit(ours, jax_loss, batch, steps=70, optimizer=optax.adam(0.03))
print(f"JAX, same weights:            {history.loss[0]:.6f}")

weights = {name: torch.tensor(value) for name, value in torch_state_dict(ours).items()}
theirs.load_state_dict(weights)
print(f"JAX, after 70 more steps:     {jax_loss(ours, batch)[0]:.6f}")
print(f"PyTorch, weights from JAX:    {torch_loss(theirs).item():.6f}")
