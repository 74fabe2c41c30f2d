"""The two cells of guide.py, PacedCell and ClockCell, in flax.nnx, Equinox, Haiku and PyTorch.

All get the same weights, and their outputs are compared in float64. The table counts the lines of
each cell, and those that run a cell over a batch of sequences.
"""

import inspect

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from guide import ClockCell, PacedCell
from jax.nn import sigmoid, softplus

from jax_rnn import Recurrent


class FlaxPaced(nnx.RNNCellBase):
    def __init__(self, input_size, hidden_size, *, rngs):
        self.hidden_size = hidden_size
        self.x = nnx.Linear(input_size, 2 * hidden_size, rngs=rngs)
        self.h = nnx.Linear(hidden_size, 2 * hidden_size, rngs=rngs)
        self.pace = nnx.Param(jnp.linspace(-3.0, 3.0, hidden_size))

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return jnp.zeros((*input_shape[:-1], self.hidden_size))

    def __call__(self, h, x):
        u, n = jnp.split(self.x(x) + self.h(h), 2, axis=-1)
        u = sigmoid(self.pace[...]) * sigmoid(u)
        h = (1 - u) * h + u * jnp.tanh(n)
        return h, h

    @property
    def num_feature_axes(self):
        return 1


class FlaxClock(nnx.RNNCellBase):
    def __init__(self, input_size, hidden_size, *, rngs):
        self.hidden_size = hidden_size
        self.x = nnx.Linear(input_size, 2 * hidden_size, rngs=rngs)
        self.scale = nnx.Param(jnp.linspace(0.0, 4.0, hidden_size))

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return jnp.zeros((*input_shape[:-1], self.hidden_size))

    def __call__(self, h, x):
        passed, n = jnp.split(self.x(x), 2, axis=-1)
        a = jnp.exp(-softplus(passed) / jnp.exp(self.scale[...]))
        h = a * h + (1 - a) * n
        return h, h

    @property
    def num_feature_axes(self):
        return 1


def flax_unroll(cell, x):
    return nnx.RNN(cell, time_major=True)(x)


class EquinoxPaced(eqx.Module):
    x: eqx.nn.Linear
    h: eqx.nn.Linear
    pace: jax.Array

    def __init__(self, input_size, hidden_size, *, key):
        first, second = jax.random.split(key)
        self.x = eqx.nn.Linear(input_size, 2 * hidden_size, key=first)
        self.h = eqx.nn.Linear(hidden_size, 2 * hidden_size, key=second)
        self.pace = jnp.linspace(-3.0, 3.0, hidden_size)

    def __call__(self, h, x):
        u, n = jnp.split(self.x(x) + self.h(h), 2)
        u = sigmoid(self.pace) * sigmoid(u)
        return (1 - u) * h + u * jnp.tanh(n)


class EquinoxClock(eqx.Module):
    x: eqx.nn.Linear
    scale: jax.Array

    def __init__(self, input_size, hidden_size, *, key):
        self.x = eqx.nn.Linear(input_size, 2 * hidden_size, key=key)
        self.scale = jnp.linspace(0.0, 4.0, hidden_size)

    def __call__(self, h, x):
        passed, n = jnp.split(self.x(x), 2)
        a = jnp.exp(-softplus(passed) / jnp.exp(self.scale))
        return a * h + (1 - a) * n


def equinox_unroll(cell, x):
    def one(x):
        def step(h, x_t):
            h = cell(h, x_t)
            return h, h

        return jax.lax.scan(step, jnp.zeros(cell.x.out_features // 2), x)[1]

    return jax.vmap(one, in_axes=1, out_axes=1)(x)


class HaikuPaced(hk.RNNCore):
    def __init__(self, hidden_size, name="cell"):
        super().__init__(name)
        self.hidden_size = hidden_size

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, self.hidden_size))

    def __call__(self, x, h):
        size = self.hidden_size
        pace = hk.get_parameter("pace", [size], init=lambda *_: jnp.linspace(-3.0, 3.0, size))
        maps = hk.Linear(2 * size, name="x")(x) + hk.Linear(2 * size, name="h")(h)
        u, n = jnp.split(maps, 2, axis=-1)
        u = sigmoid(pace) * sigmoid(u)
        h = (1 - u) * h + u * jnp.tanh(n)
        return h, h


class HaikuClock(hk.RNNCore):
    def __init__(self, hidden_size, name="cell"):
        super().__init__(name)
        self.hidden_size = hidden_size

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, self.hidden_size))

    def __call__(self, x, h):
        size = self.hidden_size
        scale = hk.get_parameter("scale", [size], init=lambda *_: jnp.linspace(0.0, 4.0, size))
        passed, n = jnp.split(hk.Linear(2 * size, name="x")(x), 2, axis=-1)
        a = jnp.exp(-softplus(passed) / jnp.exp(scale))
        h = a * h + (1 - a) * n
        return h, h


def haiku_unroll(cell, x):
    return hk.dynamic_unroll(cell, x, cell.initial_state(x.shape[1]))[0]


class TorchPaced(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.x = torch.nn.Linear(input_size, 2 * hidden_size)
        self.h = torch.nn.Linear(hidden_size, 2 * hidden_size)
        self.pace = torch.nn.Parameter(torch.linspace(-3, 3, hidden_size))

    def forward(self, h, x):
        u, n = (self.x(x) + self.h(h)).chunk(2, -1)
        u = torch.sigmoid(self.pace) * torch.sigmoid(u)
        return (1 - u) * h + u * torch.tanh(n)


class TorchClock(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.x = torch.nn.Linear(input_size, 2 * hidden_size)
        self.scale = torch.nn.Parameter(torch.linspace(0, 4, hidden_size))

    def forward(self, h, x):
        passed, n = self.x(x).chunk(2, -1)
        a = torch.exp(-torch.nn.functional.softplus(passed) / torch.exp(self.scale))
        return a * h + (1 - a) * n


def torch_unroll(cell, x):
    h, outputs = x.new_zeros(x.shape[1], cell.hidden_size), []
    for x_t in x:
        h = cell(h, x_t)
        outputs.append(h)
    return torch.stack(outputs)


PACED = {"guide": PacedCell, "nnx": FlaxPaced, "eqx": EquinoxPaced, "hk": HaikuPaced}
CLOCK = {"guide": ClockCell, "nnx": FlaxClock, "eqx": EquinoxClock, "hk": HaikuClock}
PACED["torch"], CLOCK["torch"] = TorchPaced, TorchClock
NAMES = {"guide": "jax_rnn", "nnx": "flax.nnx", "eqx": "Equinox", "hk": "Haiku", "torch": "torch"}
UNROLL = {"nnx": flax_unroll, "eqx": equinox_unroll, "hk": haiku_unroll, "torch": torch_unroll}


def outputs(version, kinds, cell, x):
    """The outputs of a version with the weights of ``cell``, (T, B, H)."""
    maps = parameters(cell)
    sizes = cell.input_size, cell.hidden_size
    own = {name: maps[name] for name in ("pace", "scale") if name in maps}
    pairs = {"x": (maps["weight_ih"], maps["bias_ih"])}
    if "weight_hh" in maps:
        pairs["h"] = maps["weight_hh"], maps["bias_hh"]
    kind = kinds[version]
    if version == "guide":
        return Recurrent(cell)(jnp.asarray(x))[0]
    if version == "hk":
        run = hk.without_apply_rng(hk.transform(lambda x: haiku_unroll(kind(sizes[1]), x)))
        weights = {f"cell/{name}": {"w": w.T, "b": b} for name, (w, b) in pairs.items()}
        return run.apply({"cell": own, **weights}, jnp.asarray(x))
    if version == "torch":
        there = kind(*sizes).double()
        state = {f"{name}.weight": w for name, (w, _) in pairs.items()}
        state |= {f"{name}.bias": b for name, (_, b) in pairs.items()} | own
        there.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        return torch_unroll(there, torch.tensor(x)).detach().numpy()
    if version == "eqx":
        there = kind(*sizes, key=jax.random.key(0))
        leaves = [array for pair in pairs.values() for array in pair] + list(own.values())
        there = jax.tree.unflatten(jax.tree.structure(there), map(jnp.asarray, leaves))
        return equinox_unroll(there, jnp.asarray(x))
    there = kind(*sizes, rngs=nnx.Rngs(0))
    for name, (w, b) in pairs.items():
        linear = getattr(there, name)
        linear.kernel, linear.bias = nnx.Param(jnp.asarray(w.T)), nnx.Param(jnp.asarray(b))
    for name, value in own.items():
        setattr(there, name, nnx.Param(jnp.asarray(value)))
    return flax_unroll(there, jnp.asarray(x))


def parameters(cell):
    """The parameters of a cell of guide.py as NumPy arrays, the maps under the names of torch."""
    flat = nnx.to_flat_state(nnx.state(cell, nnx.Param))
    found = {path[-1]: np.asarray(leaf[...]) for path, leaf in flat}
    if "kernel" in found:
        found["weight_ih"], found["bias_ih"] = found.pop("kernel").T, found.pop("bias")
    return found


def lines(thing):
    """The number of lines of a class or a function that are not empty."""
    return sum(bool(line.strip()) for line in inspect.getsource(thing).splitlines())


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    x = np.random.default_rng(0).normal(size=(50, 2, 3))
    print("version    PacedCell  ClockCell  to run it  largest difference")
    for version, name in NAMES.items():
        largest = 0.0
        for kinds in (PACED, CLOCK):
            cell = kinds["guide"](3, 4, rngs=nnx.Rngs(1))
            expected = outputs("guide", kinds, cell, x)
            there = np.asarray(outputs(version, kinds, cell, x))
            assert there.dtype == np.float64
            largest = max(largest, float(abs(there - expected).max()))
        counts = lines(PACED[version]), lines(CLOCK[version])
        run = lines(UNROLL[version]) if version in UNROLL else 1
        print(f"{name:10} {counts[0]:9}  {counts[1]:9}  {run:9}  {largest:18.1e}")
        assert largest < 1e-12
