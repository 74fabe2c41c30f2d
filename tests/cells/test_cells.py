"""One time step: torch's values, the equations of the docstrings, and refused input."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import TypeCheckError

from jax_rnn import GRUCell, HiddenCarry, LSTMCarry, LSTMCell, RNNCell
from tests.kit import normal

torch = pytest.importorskip("torch")

I, H, B, T = 3, 4, 2, 5  # noqa: E741

CELLS = {
    "tanh": (RNNCell, torch.nn.RNNCell),
    "relu": tuple(partial(kind, nonlinearity="relu") for kind in (RNNCell, torch.nn.RNNCell)),
    "lstm": (LSTMCell, torch.nn.LSTMCell),
    "gru": (GRUCell, torch.nn.GRUCell),
}
every_cell = pytest.mark.parametrize("kind", CELLS)


def twins(kind, bias=True):
    """A cell in float64, and torch's with the same weights."""
    ours, theirs = CELLS[kind]
    torch.manual_seed(0)
    reference = theirs(I, H, bias=bias).double()
    cell = ours(I, H, bias=bias, rngs=nnx.Rngs(1))
    for name, value in reference.named_parameters():
        getattr(cell, name)[...] = jnp.asarray(value.detach().numpy())
    return cell, reference


def carry_of(cell, *batch):
    fields = range(1, 1 + len(cell.carry_type._fields))
    return cell.carry_type(*(jnp.asarray(normal(*batch, H, seed=k)) for k in fields))


@pytest.mark.parametrize("bias", [True, False])
@every_cell
def test_step_gradients_and_names_of_parameters_are_torchs(kind, bias, x64, close):
    cell, reference = twins(kind, bias)
    x, carry = normal(B, I), carry_of(cell, B)
    cotangents = [normal(B, H, seed=7 + k) for k in range(1 + len(carry))]

    @jax.jit
    def ours(cell, carry, x):
        out, vjp = jax.vjp(lambda cell, carry, x: cell(carry, x), cell, carry, x)
        return out, vjp((type(carry)(*cotangents[1:]), cotangents[0]))

    (new, y), (dcell, dcarry, dx) = ours(cell, carry, x)

    inputs = [torch.tensor(np.asarray(a), requires_grad=True) for a in (x, *carry)]
    state = reference(inputs[0], tuple(inputs[1:]) if len(carry) > 1 else inputs[1])
    state = state if isinstance(state, tuple) else (state,)
    outputs = (state[0].clone(), *state)
    torch.autograd.backward(outputs, [torch.tensor(cotangent) for cotangent in cotangents])

    close((y, *new), tuple(a.detach().numpy() for a in outputs))
    close((dx, *dcarry), tuple(a.grad.numpy() for a in inputs))
    close(
        nnx.to_pure_dict(nnx.state(dcell)),
        {name: value.grad.numpy() for name, value in reference.named_parameters()},
    )
    ours = [name for name, value in vars(cell).items() if isinstance(value, nnx.Param)]
    assert ours == [name for name, _ in reference.named_parameters()], "in this order"


@every_cell
def test_options_have_torchs_order_and_defaults(kind):
    def options(cell):
        cell = getattr(cell, "func", cell)
        return [
            (p.name, p.default)
            for p in inspect.signature(cell.__init__).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ("self", "device", "dtype")
        ]

    ours, theirs = CELLS[kind]
    assert options(ours) == options(theirs)
    assert len(options(ours)) >= 3


@pytest.mark.parametrize(
    ("kind", "carry_type"), [(RNNCell, HiddenCarry), (GRUCell, HiddenCarry), (LSTMCell, LSTMCarry)]
)
def test_sizes_are_known_and_the_carry_is_named_and_starts_at_zero_in_float32(kind, carry_type):
    cell = kind(I, H, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    carry = cell.initialize_carry((7, B, I))
    assert type(carry) is carry_type
    for leaf in carry:
        assert (leaf.shape, leaf.dtype) == ((7, B, H), jnp.float32) and not leaf.any()
    assert cell.num_feature_axes == 1
    assert (cell.input_size, cell.hidden_size, cell.output_size) == (I, H, H)


def test_shapes_in_signatures_are_checked_while_testing():
    cell = GRUCell(I, H, rngs=nnx.Rngs(0))
    with pytest.raises(TypeCheckError):
        cell.project(jnp.zeros((B, I), int))
