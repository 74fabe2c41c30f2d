"""Vanishing and exploding gradients in JAX. gradients_through_time_torch.py is the same in PyTorch.

The gradient of the last output with respect to the state before each step, of an RNN with three
scales of its hidden weights, an LSTM with two biases of its forget gate, and a GRU.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx

from jax_rnn import GRUCell, LSTMCell, RNNCell
from jax_rnn.analysis import gradient_norms

STEPS, BATCH, INPUT, HIDDEN = 60, 16, 8, 32
BACK = (1, 10, 20, 40, 60)


def rnn(scale, input_size, hidden_size, rngs):
    """The hidden weights are an orthogonal matrix times the scale."""
    cell = RNNCell(input_size, hidden_size, rngs=rngs)
    orthogonal = jax.nn.initializers.orthogonal(scale)
    cell.weight_hh[...] = orthogonal(rngs.params(), cell.weight_hh.shape, cell.dtype)
    return cell


def lstm(forget_bias, input_size, hidden_size, rngs):
    cell = LSTMCell(input_size, hidden_size, rngs=rngs)
    forget = slice(hidden_size, 2 * hidden_size)  # gates i, f, g, o
    for name, value in (("bias_ih", forget_bias), ("bias_hh", 0)):
        bias = getattr(cell, name)
        bias[...] = bias[...].at[forget].set(value)
    return cell


def cells(input_size, hidden_size, rngs):
    sizes = input_size, hidden_size, rngs
    return {
        **{f"RNN, weights x {scale}": rnn(scale, *sizes) for scale in (0.5, 1, 2)},
        **{f"LSTM, forget bias {bias}": lstm(bias, *sizes) for bias in (0, 3)},
        "GRU": GRUCell(input_size, hidden_size, rngs=rngs),
    }


def norms(cell, inputs):
    """Norms for each step and sequence, (T, B)."""
    return np.asarray(gradient_norms(cell, inputs))


def table(found):
    yield f"{'steps back':22}" + "".join(f"{back:9}" for back in BACK) + " per step"
    for name, means in found.items():
        factor = (means[0] / means[-1]) ** (1 / (len(means) - 1))
        row = "".join(f"{means[-back]:9.1e}" for back in BACK)
        yield f"{name:22}{row}{factor:9.2f}"


def draw(found, path):
    """One panel for each kind of cell; norms to the left are further back in time."""
    figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
    for panel, kind in zip(panels, ("RNN", "LSTM", "GRU"), strict=True):
        for name, means in found.items():
            if name.startswith(kind):
                panel.plot(range(-len(means), 0), means, label=name.partition(", ")[2] or None)
        panel.set(title=kind, yscale="log", xlabel="step, counted from the end")
        panel.grid(axis="y", color="0.9")
        if panel.get_legend_handles_labels()[1]:
            panel.legend(frameon=False)
    panels[0].set_ylabel("norm of the gradient")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    inputs = jax.random.normal(jax.random.key(1), (STEPS, BATCH, INPUT))
    found = {
        name: norms(cell, inputs).mean(1)
        for name, cell in cells(INPUT, HIDDEN, nnx.Rngs(0)).items()
    }
    print("\n".join(table(found)))
    draw(found, "gradients.png")
