"""What happens inside a cell, against plain loops and known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import sigmoid

from jax_rnn import GatedCell, GRUCell, HiddenCarry, LinearCell, LSTMCell, Residual, RNNCell
from jax_rnn.analysis import (
    gate_activations,
    gradient_norms,
    hidden_radii,
    lyapunov_exponents,
    step_jacobians,
)
from jax_rnn.cells import CoRNNCell, LRUCell, PeepholeLSTMCell
from tests.kit import normal, refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def x():
    return jnp.asarray(normal(T, B, I))


def first(cell):
    fields = cell.initialize_carry((B, I))
    return type(fields)(
        *(jnp.asarray(normal(*leaf.shape, seed=3 + k)) for k, leaf in enumerate(fields))
    )


def states(cell, carry):
    """The states before all steps, and the last outputs, by a plain loop."""
    found = []
    for x_t in x():
        found.append(carry)
        carry, y = cell(carry, x_t)
    return found, y


def test_gates_of_an_lstm(close):
    cell = LSTMCell(I, H, rngs=rngs())
    found = gate_activations(cell, x(), first(cell))
    assert list(found) == ["i", "f", "g", "o"]
    for t, carry in enumerate(states(cell, first(cell))[0]):
        sums = x()[t] @ cell.weight_ih[...].T + carry.h @ cell.weight_hh[...].T
        sums = sums + cell.bias_ih[...] + cell.bias_hh[...]
        functions = (sigmoid, sigmoid, jnp.tanh, sigmoid)
        for name, part, function in zip(found, jnp.split(sums, 4, -1), functions, strict=True):
            close(found[name][t], function(part))


def test_gates_of_a_gru_whose_candidate_is_in_two_parts(close):
    cell = GRUCell(I, H, rngs=rngs())
    found = gate_activations(cell, x())
    h = jnp.zeros((B, H))
    for t in range(T):
        new = (1 - found["z"][t]) * found["n"][t] + found["z"][t] * h
        h = cell((h,), x()[t])[0].h
        close(new, h)
        h = new


class Odd(GatedCell[HiddenCarry]):
    """A gate of relu, one that two gates share, and one that is used as it is."""

    gates = ("a", "b", "c", "d")

    def update(self, gates, carry):
        h = jax.nn.relu(gates.a) + jnp.tanh(gates.b * gates.c) + gates.d
        return HiddenCarry(h), h


def test_gates_of_a_cell_of_ones_own():
    found = gate_activations(Odd(I, H, rngs=rngs()), x())
    assert list(found) == ["a"]
    assert (found["a"] >= 0).all() and (found["a"] == 0).any()


def test_the_peepholes_belong_to_their_gates():
    assert list(gate_activations(PeepholeLSTMCell(I, H, rngs=rngs()), x())) == ["i", "f", "g", "o"]


CELLS = {
    "rnn": lambda: RNNCell(I, H, rngs=rngs()),
    "lstm": lambda: LSTMCell(I, H, rngs=rngs()),
    "gru in a wrapper": lambda: Residual(GRUCell(H, H, rngs=rngs())),
    "coRNN": lambda: CoRNNCell(I, H, rngs=rngs()),
}


@pytest.mark.parametrize("name", ["rnn", "lstm", "coRNN"])
def test_gradients_are_those_of_a_plain_loop(name, close):
    cell = CELLS[name]()
    norms = gradient_norms(cell, x(), first(cell))
    assert norms.shape == (T, B)
    found, _ = states(cell, first(cell))

    def rest(carry, t):
        for x_t in x()[t:]:
            carry, y = cell(carry, x_t)
        return y.sum()

    for t in range(T):
        gradient = jax.grad(rest)(found[t], t)
        close(norms[t], jnp.sqrt(sum((leaf**2).sum(-1) for leaf in gradient)))


@pytest.mark.parametrize("name", ["rnn", "lstm", "coRNN"])
def test_jacobians_are_those_of_a_step(name, close):
    cell = CELLS[name]()
    found = step_jacobians(cell, x(), first(cell))
    size = H * len(first(cell))
    assert found.shape == (T, B, size, size)
    carry = jax.tree.map(lambda leaf: leaf[1], states(cell, first(cell))[0][2])
    whole = jax.jacobian(lambda carry: cell(carry, x()[2, 1])[0])(carry)
    rows = [jnp.concatenate([*of], -1) for of in whole]
    close(found[2, 1], jnp.concatenate(rows))


def test_a_linear_map_has_the_logarithms_of_its_singular_directions_as_exponents(close):
    class Decay(LinearCell[HiddenCarry]):
        input_size = hidden_size = 3

        def coefficients(self, x):
            return HiddenCarry(jnp.array([0.5, 2.0, 0.9])), HiddenCarry(x)

        def output(self, carry, x):
            return carry.h

    long = jnp.zeros((400, 1, 3))
    exponents = lyapunov_exponents(Decay(), long, count=3)
    close(exponents[0], np.log([2.0, 0.9, 0.5]), 0.02)
    assert lyapunov_exponents(Decay(), long).shape == (1, 1)


def test_the_radius_of_the_hidden_map():
    cell = GRUCell(I, H, heads=2, rngs=rngs())
    found = hidden_radii(cell)
    weight = np.asarray(cell.weight_hh).reshape(3, 2, 2, 2)
    for k, name in enumerate("rzn"):
        expected = max(abs(np.linalg.eigvals(block)).max() for block in weight[k])
        assert found[name] == pytest.approx(expected)


# (call, error, words)
ROWS = [
    (lambda: gate_activations(LRUCell(I, H, rngs=rngs()), x()), TypeError, "GatedCell|got LRU"),
    (lambda: gradient_norms(jnp.tanh, x()), TypeError, "expected a cell|layer.cells[0]"),
    (lambda: step_jacobians(LRUCell(I, H, rngs=rngs()), x()), TypeError, "real|complex128"),
    (lambda: hidden_radii(LRUCell(I, H, rngs=rngs())), TypeError, "AffineCell"),
    (lambda: hidden_radii(CoRNNCell(I, H, rngs=rngs())), ValueError, "square"),
    (lambda: lyapunov_exponents(CELLS["rnn"](), x(), count=9), ValueError, "count: |at most 4"),
    (lambda: lyapunov_exponents(CELLS["rnn"](), x(), count=0), ValueError, "count: "),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_what_cannot_be_looked_at_is_refused(row, unchecked):
    call, error, words = row
    refused(error, words, call)
