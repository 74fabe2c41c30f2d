"""A linear cell whose time axis is divided among eight devices, and the same on one device.

Each device holds one block of the sequence and computes its states as if it began at zero. The
devices then exchange the last states of their blocks, a few numbers, and add what came before. The
backward pass is the same recurrence in the other direction. Without accelerators, the CPU is
divided into eight devices, which is not faster than one.
"""

import os

flags = os.environ.get("XLA_FLAGS", "")
if "device_count" not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8"

import jax  # noqa: E402  JAX reads the flags when it looks for devices
import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402
from jax.sharding import AxisType, NamedSharding, PartitionSpec  # noqa: E402

from jax_rnn import MinGRUCell, Recurrent  # noqa: E402
from jax_rnn.scans import Associative  # noqa: E402

STEPS, BATCH, FEATURES, HIDDEN = 8192, 2, 16, 32
DEVICES = jax.device_count()


def build(scan):
    return Recurrent(MinGRUCell(FEATURES, HIDDEN, rngs=nnx.Rngs(0)), scan=scan)


@jax.jit
def run(layer, x):
    """Outputs and the last state, and the gradients of the weights and of the input."""

    def loss(layer, x):
        output, h_n = layer(x)
        return (output**2).mean() + h_n.sum(), (output, h_n)

    return jax.grad(loss, argnums=(0, 1), has_aux=True, allow_int=True)(layer, x)


def memory(layer, x):
    """What each device needs for the run, beside its part of the input."""
    planned = run.lower(layer, x).compile().memory_analysis()
    return 0.0 if planned is None else planned.temp_size_in_bytes / 2**20


def difference(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(jnp.abs(jax.device_get(a) - jax.device_get(b)).max()) for a, b in pairs)


mesh = jax.make_mesh((DEVICES,), ("time",), axis_types=(AxisType.Auto,))
x = jax.random.normal(jax.random.key(0), (STEPS, BATCH, FEATURES))
divided = jax.device_put(x, NamedSharding(mesh, PartitionSpec("time")))
one, many = build("associative"), build(Associative(blocks=DEVICES))
many = jax.device_put(many, NamedSharding(mesh, PartitionSpec()))  # weights on every device

(weights, of_x), (output, h_n) = run(one, x)
(their_weights, of_divided), (their_output, their_h_n) = run(many, divided)
part = their_output.addressable_shards[0].data.shape
print(f"{DEVICES} x {jax.devices()[0].device_kind}: output {output.shape}, on each device {part}")
print(f"memory: one device {memory(one, x):.2f} MiB, each of {DEVICES} ", end="")
print(f"{memory(many, divided):.2f} MiB")
assert of_divided.sharding == divided.sharding
for name, a, b in (
    ("outputs", output, their_output),
    ("last state", h_n, their_h_n),
    ("gradient of the weights", weights, their_weights),
    ("gradient of the input", of_x, of_divided),
):
    print(f"largest difference, {name}: {difference(a, b):.1e}")
    assert difference(a, b) < 1e-5
