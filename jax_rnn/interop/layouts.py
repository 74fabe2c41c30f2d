"""How packages call and arrange the weights of cells, see ``jax_rnn.interop.packages``."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from jax_rnn.base.typing import Array

__all__ = [
    "Layout",
    "Weights",
    "cifg",
    "co_rnn",
    "ind_rnn",
    "linen_conv",
    "lru",
    "minimal",
    "renamed",
    "rg_lru",
    "s5",
    "same",
    "slstm",
]

Weights = Mapping[str, Any]


class Layout(NamedTuple):
    """The functions between our weights and those of a package; JAX can differentiate both."""

    to_ours: Callable[[Any, Weights], Weights]
    to_theirs: Callable[[Any, Weights], Weights]


def same(cell: Any, weights: Weights) -> Weights:
    return weights


def renamed(**names: str) -> Layout:
    """Ours by theirs, where only names differ."""
    back = {theirs: ours for ours, theirs in names.items()}
    return Layout(
        lambda cell, w: {back.get(k, k): v for k, v in w.items()},
        lambda cell, w: {names.get(k, k): v for k, v in w.items()},
    )


def minimal(name: str, order: tuple[int, ...]) -> Layout:
    """minGRU-pytorch: one map without bias; ``order`` is that of our gates in theirs."""

    def to_ours(cell: Any, w: Weights) -> Weights:
        parts = jnp.split(w[name], len(order))
        ours = {"weight_ih": jnp.concatenate([parts[order.index(k)] for k in range(len(order))])}
        return ours if cell.bias_ih is None else ours | {"bias_ih": jnp.zeros(cell.bias_ih.shape)}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        if "bias_ih" in w and bool(jnp.any(w["bias_ih"] != 0)):
            raise ValueError(
                f"{type(cell).__name__}: expected a cell without bias, since minGRU-pytorch has "
                "none, got one whose bias is not zero"
            )
        parts = jnp.split(w["weight_ih"], len(order))
        return {name: jnp.concatenate([parts[k] for k in order])}

    return Layout(to_ours, to_theirs)


def ind_rnn() -> Layout:
    def to_ours(cell: Any, w: Weights) -> Weights:
        rest = {k: v for k, v in w.items() if k != "vector_u"}
        return rest | {"weight_hh": w["vector_u"][:, None]}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        rest = {k: v for k, v in w.items() if k != "weight_hh"}
        return rest | {"vector_u": w["weight_hh"][:, 0]}

    return Layout(to_ours, to_theirs)


def co_rnn() -> Layout:
    def to_ours(cell: Any, w: Weights) -> Weights:
        return {
            "weight_ih": w["weight_ih"],
            "weight_hh": jnp.concatenate([w["weight_hh"], w["weight_ch"]], 1),
            "bias_ih": w["bias_ih"],
            "bias_hh": w["bias_hh"] + w["bias_ch"],
        }

    def to_theirs(cell: Any, w: Weights) -> Weights:
        h, z = jnp.split(w["weight_hh"], 2, axis=1)
        zeros = jnp.zeros(cell.hidden_size, cell.dtype)
        biases = {k: w.get(k, zeros) for k in ("bias_ih", "bias_hh")}
        return {
            "weight_ih": w["weight_ih"],
            "weight_hh": h,
            "weight_ch": z,
            "bias_ch": zeros,
        } | biases

    return Layout(to_ours, to_theirs)


def cifg() -> Layout:
    """torch's LSTM has the gates i f g o, and sigma(-a) = 1 - sigma(a)."""

    def to_ours(cell: Any, w: Weights) -> Weights:
        return {k: v[cell.hidden_size :] for k, v in w.items()}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        return {k: jnp.concatenate([-v[: cell.hidden_size], v]) for k, v in w.items()}

    return Layout(to_ours, to_theirs)


def lru() -> Layout:
    def gamma(nu: Array) -> Array:
        return jnp.sqrt(-jnp.expm1(-2 * jnp.exp(nu)))

    def to_ours(cell: Any, w: Weights) -> Weights:
        b = w["B"] * (jnp.exp(w["gamma_log"]) / gamma(w["nu_log"]))[:, None]
        parts = {"b_real": b.real, "b_imag": b.imag, "c_real": w["C"].real, "c_imag": w["C"].imag}
        return {"nu": w["nu_log"], "theta": w["theta_log"], "d": w["D"]} | parts

    def to_theirs(cell: Any, w: Weights) -> Weights:
        complex_ = {"B": w["b_real"] + 1j * w["b_imag"], "C": w["c_real"] + 1j * w["c_imag"]}
        logs = {"nu_log": w["nu"], "theta_log": w["theta"], "gamma_log": jnp.log(gamma(w["nu"]))}
        return logs | complex_ | {"D": w["d"]}

    return Layout(to_ours, to_theirs)


def s5() -> Layout:
    def to_ours(cell: Any, w: Weights) -> Weights:
        c, own = w["C"] / 2, w["Lambda"]
        parts = {"lambda_real": own.real, "lambda_imag": own.imag, "c_real": c.real}
        b_real, b_imag = w["B"][..., 0], w["B"][..., 1]
        rest = {"c_imag": c.imag, "b_real": b_real, "b_imag": b_imag}
        return parts | rest | {"log_step": w["log_step"], "d": w["D"]}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        return {
            "Lambda": w["lambda_real"] + 1j * w["lambda_imag"],
            "B": jnp.stack([w["b_real"], w["b_imag"]], -1),
            "C": 2 * (w["c_real"] + 1j * w["c_imag"]),
            "D": w["d"],
            "log_step": w["log_step"],
        }

    return Layout(to_ours, to_theirs)


def rg_lru() -> Layout:
    """Blocks (heads, in, out) of each gate; ours are rows (heads * out, in)."""
    gates = ("a_gate", "input_gate")

    def to_ours(cell: Any, w: Weights) -> Weights:
        weights = [jnp.swapaxes(w[f"{gate}.w"], 1, 2) for gate in gates]
        size = cell.hidden_size // cell.heads
        return {
            "a_param": w["a_param"],
            "weight_ih": jnp.concatenate(weights).reshape(-1, size),
            "bias_ih": jnp.concatenate([w[f"{gate}.b"].reshape(-1) for gate in gates]),
        }

    def to_theirs(cell: Any, w: Weights) -> Weights:
        heads, size = cell.heads, cell.hidden_size // cell.heads
        weights = jnp.split(w["weight_ih"], 2)
        theirs = {"a_param": w["a_param"]}
        for gate, weight, bias in zip(gates, weights, jnp.split(w["bias_ih"], 2), strict=True):
            theirs[f"{gate}.w"] = jnp.swapaxes(weight.reshape(heads, size, size), 1, 2)
            theirs[f"{gate}.b"] = bias.reshape(heads, size)
        return theirs

    return Layout(to_ours, to_theirs)


def slstm() -> Layout:
    """A kernel (heads, in, gates, out); ours are rows (gates * heads * out, in)."""

    def to_ours(cell: Any, w: Weights) -> Weights:
        size = cell.hidden_size // cell.heads
        kernel, bias = w["recurrent_kernel"], w["bias"]
        ours = {"weight_hh": kernel.transpose(2, 0, 3, 1).reshape(-1, size)}
        if cell.bias_ih is None:
            return ours
        bias = bias.transpose(1, 0, 2).reshape(-1)
        return ours | {"bias_ih": bias, "bias_hh": jnp.zeros_like(bias)}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        heads, size = cell.heads, cell.hidden_size // cell.heads
        zeros = jnp.zeros(4 * cell.hidden_size, cell.dtype)
        bias = w.get("bias_ih", zeros) + w.get("bias_hh", zeros)
        return {
            "recurrent_kernel": w["weight_hh"].reshape(4, heads, size, size).transpose(1, 3, 0, 2),
            "bias": bias.reshape(4, heads, size).transpose(1, 0, 2),
        }

    return Layout(to_ours, to_theirs)


def linen_conv() -> Layout:
    """Gates i g f o, ours i f g o; Flax adds 1 to f."""

    def swapped(x: Array) -> Array:
        i, f, g, o = jnp.split(x, 4, axis=-1)
        return jnp.concatenate([i, g, f, o], -1)

    def one(cell: Any) -> Array:
        return jnp.zeros((4, cell.hidden_size), cell.dtype).at[1].set(1).reshape(-1)

    def to_ours(cell: Any, w: Weights) -> Weights:
        bias = swapped(w["ih.bias"] + w["hh.bias"]) + one(cell)
        kernels = {f"kernel_{k}": swapped(w[f"{k}.kernel"]) for k in ("ih", "hh")}
        return kernels | {"bias": bias}

    def to_theirs(cell: Any, w: Weights) -> Weights:
        bias = swapped(w["bias"] - one(cell))
        kernels = {f"{k}.kernel": swapped(w[f"kernel_{k}"]) for k in ("ih", "hh")}
        return kernels | {"ih.bias": bias, "hh.bias": jnp.zeros_like(bias)}

    return Layout(to_ours, to_theirs)
