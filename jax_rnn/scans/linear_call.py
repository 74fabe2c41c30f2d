"""A linear function with a backward pass of its own, which all transformations of JAX accept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from jax_rnn.base.typing import Array

__all__ = ["linear_call"]

Flat = Callable[..., list[Any]]
"""A function of arrays that returns a list of arrays: first the residuals, then the rest."""


def linear_call(
    function: Callable[[Any, Any], Any],
    transpose: Callable[[Any, Any], Any],
    residuals: Any,
    linear: Any,
) -> Any:
    """``function(residuals, linear)``, with a given transpose.

    Derivatives in ``linear`` of any order and direction use the two functions, those in the
    residuals are JAX's own.

    Args:
        function: linear in its second argument.
        transpose: its transpose: from the residuals and the cotangents of its result to the
            cotangents of ``linear``.
        residuals: tree of arrays that the function depends on in any way.
        linear: tree of arrays. A ``SymbolicZero`` in it reaches ``function`` as it is, and what
            ``transpose`` returns for it is dropped.
    """
    fixed, of_fixed = jax.tree.flatten(residuals)
    leaves, of_linear = jax.tree.flatten(linear, is_leaf=_is_zero)
    given = [k for k, leaf in enumerate(leaves) if not _is_zero(leaf)]
    zeros = [leaf if _is_zero(leaf) else None for leaf in leaves]
    of_out: list[Any] = []

    def forth(*arrays: Array) -> list[Array]:
        filled = list(zeros)
        for k, array in zip(given, arrays[len(fixed) :], strict=True):
            filled[k] = array
        out = function(of_fixed.unflatten(arrays[: len(fixed)]), of_linear.unflatten(filled))
        found, structure = jax.tree.flatten(out)
        of_out[:] = [structure]
        return found

    def back(*arrays: Array) -> list[Array]:
        given_, cotangents = arrays[: len(fixed)], arrays[len(fixed) :]
        out = transpose(of_fixed.unflatten(given_), of_out[0].unflatten(cotangents))
        found = of_linear.flatten_up_to(out)
        return [found[k] for k in given]

    out = _bind(forth, back, len(fixed), [*fixed, *(leaves[k] for k in given)])
    return of_out[0].unflatten(out)


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, SymbolicZero)


def _bind(function: Flat, transpose: Flat, fixed: int, arrays: list[Any]) -> list[Any]:
    traced = jax.make_jaxpr(function)(*arrays)
    return _linear.bind(*arrays, function=traced, transpose=transpose, fixed=fixed)


def _call(*arrays: Any, function: ClosedJaxpr, transpose: Flat, fixed: int) -> list[Any]:
    return jaxpr_as_fun(function)(*arrays)


def _shapes(*_: Any, function: ClosedJaxpr, transpose: Flat, fixed: int) -> list[Any]:
    return function.out_avals


def _jvp(
    primals: Any, tangents: Any, function: ClosedJaxpr, transpose: Flat, fixed: int
) -> tuple[Any, Any]:
    call = jaxpr_as_fun(function)
    out = _linear.bind(*primals, function=function, transpose=transpose, fixed=fixed)
    total = [ad.Zero(jax.typeof(leaf).to_tangent_aval()) for leaf in out]
    if any(type(t) is not ad.Zero for t in tangents[fixed:]):
        given = [*primals[:fixed], *map(ad.instantiate_zeros, tangents[fixed:])]
        total = _linear.bind(*given, function=function, transpose=transpose, fixed=fixed)
    moving = [k for k, t in enumerate(tangents[:fixed]) if type(t) is not ad.Zero]
    if moving:

        def of_residuals(*some: Array) -> list[Array]:
            arrays = list(primals)
            for k, array in zip(moving, some, strict=True):
                arrays[k] = array
            return call(*arrays)

        some = [primals[k] for k in moving], [tangents[k] for k in moving]
        more = jax.jvp(of_residuals, *some)[1]
        total = list(map(ad.add_tangents, total, more))
    return out, total


def _transpose(
    cotangents: Any, *arrays: Any, function: ClosedJaxpr, transpose: Flat, fixed: int
) -> list[Any]:
    call, linear = jaxpr_as_fun(function), arrays[fixed:]
    wanted = [k for k, leaf in enumerate(linear) if ad.is_undefined_primal(leaf)]
    zeros = [None if k in wanted else jnp.zeros_like(leaf) for k, leaf in enumerate(linear)]

    def back(*arrays: Array) -> list[Array]:
        found = transpose(*arrays)
        return [found[k] for k in wanted]

    def forth(*arrays: Array) -> list[Array]:
        some = iter(arrays[fixed:])
        filled = [next(some) if k in wanted else zero for k, zero in enumerate(zeros)]
        return call(*arrays[:fixed], *filled)

    given = [*arrays[:fixed], *map(ad.instantiate_zeros, cotangents)]
    found = dict(zip(wanted, _bind(back, forth, fixed, given), strict=True))
    return [None] * fixed + [found.get(k) for k in range(len(linear))]


def _batch(
    arrays: Any, axes: Any, function: ClosedJaxpr, transpose: Flat, fixed: int
) -> tuple[list[Any], list[int]]:
    call = jax.vmap(jaxpr_as_fun(function), in_axes=tuple(axes))
    linear = axes[fixed:]

    def back(*given: Array) -> list[Array]:
        """The transpose of every example; JAX's own if they share an argument.

        It sums the cotangents of a shared weight in one product, and does not store them.
        """
        if None in linear:
            some = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays[fixed:]]
            pull = jax.linear_transpose(lambda *rest: call(*given[:fixed], *rest), *some)
            return list(pull(list(given[fixed:])))
        each = (*axes[:fixed], *(0 for _ in given[fixed:]))
        return jax.vmap(transpose, in_axes=each, out_axes=list(linear))(*given)

    out = _bind(call, back, fixed, list(arrays))
    return out, [0] * len(out)


_linear = Primitive("jax_rnn_linear")
_linear.multiple_results = True
_linear.def_impl(_call)
_linear.def_abstract_eval(_shapes)
ad.primitive_jvps[_linear] = _jvp
ad.primitive_transposes[_linear] = _transpose
batching.primitive_batchers[_linear] = _batch
mlir.register_lowering(_linear, mlir.lower_fun(_call, multiple_results=True))
