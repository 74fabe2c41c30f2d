"""Vanishing and exploding gradients in PyTorch. gradients_through_time.py is the same in JAX.

The gradient of the last output with respect to the state before each step, of an RNN with three
scales of its hidden weights, an LSTM with two biases of its forget gate, and a GRU.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

STEPS, BATCH, INPUT, HIDDEN = 60, 16, 8, 32
BACK = (1, 10, 20, 40, 60)


def rnn(scale, input_size, hidden_size):
    """The hidden weights are an orthogonal matrix times the scale."""
    cell = nn.RNNCell(input_size, hidden_size)
    nn.init.orthogonal_(cell.weight_hh, scale)
    return cell


def lstm(forget_bias, input_size, hidden_size):
    cell = nn.LSTMCell(input_size, hidden_size)
    forget = slice(hidden_size, 2 * hidden_size)  # gates i, f, g, o
    nn.init.constant_(cell.bias_ih[forget], forget_bias)
    nn.init.zeros_(cell.bias_hh[forget])
    return cell


def cells(input_size, hidden_size):
    sizes = input_size, hidden_size
    return {
        **{f"RNN, weights x {scale}": rnn(scale, *sizes) for scale in (0.5, 1, 2)},
        **{f"LSTM, forget bias {bias}": lstm(bias, *sizes) for bias in (0, 3)},
        "GRU": nn.GRUCell(input_size, hidden_size),
    }


def step(cell, x, state):
    """The new state as a tuple, (h,) or (h, c)."""
    return cell(x, state) if isinstance(cell, nn.LSTMCell) else (cell(x, *state),)


def norms(cell, inputs):
    """Norms for each step and sequence, (T, B)."""
    zeros = inputs.new_zeros(inputs.shape[1], cell.hidden_size)
    state = (zeros, zeros) if isinstance(cell, nn.LSTMCell) else (zeros,)
    states = []
    for x in inputs:
        states.append([part.detach().requires_grad_() for part in state])
        state = step(cell, x, states[-1])
    gradient = [torch.ones_like(zeros), *(torch.zeros_like(zeros) for _ in state[1:])]
    found = []
    for x, state in zip(reversed(inputs), reversed(states), strict=True):
        gradient = torch.autograd.grad(step(cell, x, state), state, gradient)
        found.append(torch.cat(gradient, 1).norm(dim=1))
    return torch.stack(found[::-1]).numpy()


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
    torch.manual_seed(0)
    inputs = torch.randn(STEPS, BATCH, INPUT)
    found = {name: norms(cell, inputs).mean(1) for name, cell in cells(INPUT, HIDDEN).items()}
    print("\n".join(table(found)))
    draw(found, "gradients_torch.png")
