"""Train the same model on one device and on all devices, and compare the losses.

The model reads bits and predicts after each bit whether the number of ones so far is odd. Without
accelerators, the CPU is divided into eight devices, which is not faster than one. If there are
accelerators, all of them are used.
"""

import os

flags = os.environ.get("XLA_FLAGS", "")
if "device_count" not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8"

import jax  # noqa: E402  JAX reads the flags when it looks for devices
import numpy as np  # noqa: E402
import optax  # noqa: E402
from flax import nnx  # noqa: E402

from jax_rnn import GRU, Linear  # noqa: E402
from jax_rnn.train import fit, make_mesh  # noqa: E402

STEPS = 100


class Bits:
    """The batch depends only on the step; each process requests only its own rows."""

    size, length = 64, 16
    tokens = size * length

    def __call__(self, step, rows):
        bits = np.random.default_rng(step).integers(0, 2, (self.size, self.length))[rows]
        return {"bits": bits[..., None].astype(np.float32), "odd": bits.cumsum(1) % 2}


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.rnn = GRU(1, 32, batch_first=True, rngs=rngs)
        self.linear = Linear(32, 2, rngs=rngs)

    def __call__(self, bits):
        return self.linear(self.rnn(bits)[0])


def loss(model, batch):
    logits = model(batch["bits"])
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, batch["odd"]).mean()
    return nats, {"right": (logits.argmax(-1) == batch["odd"]).mean()}


def train(mesh):
    model = Model(nnx.Rngs(0))  # the same initial weights
    history = fit(model, loss, Bits(), steps=STEPS, optimizer=optax.adam(1e-2), mesh=mesh)
    speed = STEPS * Bits.tokens / history.run_seconds
    devices = 1 if mesh is None else mesh.size
    print(
        f"{devices} x {jax.devices()[0].device_kind}: loss {history.loss[-1]:.4f}, "
        f"right {history.metrics['right'][-1]:.1%}, {speed:,.0f} bits per second"
    )
    return history


one_device = train(None)
all_devices = train(make_mesh(f"data={jax.device_count()}"))
print(f"largest difference of the losses: {abs(one_device.loss - all_devices.loss).max():.1e}")
