"""Jacobians of a step, the hidden map, and Lyapunov exponents."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jax_rnn.analysis.trajectory import trajectory
from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell

__all__ = ["hidden_radii", "lyapunov_exponents", "step_jacobians"]


def step_jacobians(cell: Cell, x: Any, carry: Any = None) -> Array:
    """The Jacobian of each step: the derivative of the new state with respect to the old one.

    Args:
        cell: the cell, with or without wrappers, of one feature axis and a real state.
        x: inputs, time-major, (T, B, I).
        carry: the first state; None (default) is ``initialize_carry``.

    Returns:
        (T, B, S, S), for a state of S numbers, the fields one after another.

    Raises:
        TypeError: not a cell; a complex or integer state.
    """
    carries, _ = trajectory(cell, x, carry)
    _check_real("step_jacobians", carries)

    def jacobian(carry: Any, x: Any) -> Array:
        flat, back = ravel_pytree(carry)
        return jax.jacobian(lambda state: ravel_pytree(cell(back(state), x)[0])[0])(flat)

    return jax.jit(jax.vmap(jax.vmap(jacobian)))(carries, x)


def hidden_radii(cell: AffineCell) -> dict[str, float]:
    """The spectral radius of the hidden map of each gate: the largest absolute eigenvalue.

    Args:
        cell: a cell whose hidden map is square, of any number of heads.

    Raises:
        TypeError: not an ``AffineCell``. ValueError: a hidden map that is not square.
    """
    if not isinstance(cell, AffineCell):
        raise TypeError(f"hidden_radii: expected an AffineCell, got {describe(cell)}")
    weight = np.asarray(cell.weight_hh[...], float)
    size = cell.hidden_size // cell.heads
    if weight.shape[1] != size:
        raise ValueError(
            f"hidden_radii: expected a square hidden map, ({size}, {size}) for each head, got "
            f"({size}, {weight.shape[1]})"
        )
    blocks = weight.reshape(len(cell.gates), cell.heads, size, size)
    radii = np.abs(np.linalg.eigvals(blocks)).max((1, 2))
    return dict(zip(cell.gates, map(float, radii), strict=True))


def lyapunov_exponents(cell: Cell, x: Any, carry: Any = None, *, count: int = 1) -> Array:
    r"""The largest Lyapunov exponents along a sequence: mean rates at which perturbations grow.

    .. math::
        Q_t R_t = J_t Q_{t-1}, \qquad \lambda_k = \frac{1}{T} \sum_t \log |R_t^{kk}|

    A negative largest exponent means that the cell forgets its state, and that its steps can be
    computed in parallel by Newton's method; a positive one that small errors grow.

    Args:
        cell, x, carry: as for ``step_jacobians``.
        count: number of exponents, the largest first.

    Returns:
        (B, count), in natural logarithms per step.

    Raises:
        TypeError: as ``step_jacobians``. ValueError: a count below 1 or above the size of the
            state.
    """
    check_count("count", count)
    carries, _ = trajectory(cell, x, carry)
    _check_real("lyapunov_exponents", carries)
    size = sum(math.prod(leaf.shape[2:]) for leaf in carries)
    if count > size:
        raise ValueError(f"count: expected at most {size}, the size of the state, got {count}")

    def push(carry: Any, x: Any, q: Array) -> Array:
        """The Jacobian of a step times the columns of q, without the Jacobian itself."""
        flat, back = ravel_pytree(carry)
        _, product = jax.linearize(lambda state: ravel_pytree(cell(back(state), x)[0])[0], flat)
        return jax.vmap(product, -1, -1)(q)

    def step(q: Array, inputs: Any) -> tuple[Array, Array]:
        carry, x = inputs
        q, r = jnp.linalg.qr(jax.vmap(push)(carry, x, q))
        return q, jnp.log(jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)))

    leaf = carries[0]
    start = jax.random.normal(jax.random.key(0), (leaf.shape[1], size, count), leaf.dtype)
    start, _ = jnp.linalg.qr(start)
    _, logs = jax.jit(lambda q, inputs: jax.lax.scan(step, q, inputs))(start, (carries, x))
    return logs.mean(0)


def _check_real(function: str, carries: Any) -> None:
    """Check the fields of a state. TypeError: one of complex numbers or integers."""
    for name, leaf in carries._asdict().items():
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"{function}: expected a state of real numbers, got {name} of {leaf.dtype}"
            )
