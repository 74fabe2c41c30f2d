"""Compare one lesson in both frameworks, from the same weights."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.compare.comparison import Comparison
from jax_rnn.compare.frameworks import import_seconds, torch_on_one_thread
from jax_rnn.environment import environment
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.teaching.catalog import load_words
from jax_rnn.teaching.words import WordLesson
from jax_rnn.testing import climb
from jax_rnn.typing import default_float

__all__ = ["EpochPair", "compare"]


class EpochPair(NamedTuple):
    """One epoch in both frameworks."""

    epoch: int
    loss: tuple[float, float]
    prediction: tuple[str, str]


class _Side(NamedTuple):
    """The results of one framework at the initial weights, as NumPy arrays."""

    output: np.ndarray
    hidden: list[np.ndarray]
    gradients: dict[str, np.ndarray]


def compare(
    name: str,
    variant: str | None = None,
    *,
    seed: int = 0,
    dtype: Literal["float32", "float64"] = "float32",
    on_epoch: Callable[[EpochPair], None] = lambda pair: None,
) -> Comparison:
    """Run a lesson in JAX and in PyTorch from the weights that torch draws with ``seed``.

    Args:
        name, variant: names of the lesson and of its variant.
        seed: seed of torch.
        dtype: data type of weights and inputs in both frameworks.
        on_epoch: called after every epoch of torch, which trains after JAX.

    Raises:
        UnknownLessonError, ValueError: no such lesson or variant.
        ModuleNotFoundError: torch is not installed.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: expected float32 or float64, got {dtype!r}")
    lesson = load_words(name)
    seconds: dict[str, dict[str, float | None]] = {
        framework: {"import": import_seconds(framework)} for framework in ("jax", "torch")
    }
    with (
        jax.enable_x64(dtype == "float64"),
        jax.default_matmul_precision("highest"),  # with TF32 on a GPU the two would differ by 1e-3
        torch_on_one_thread(),
    ):
        model = lesson.build(replace(lesson.recipe, variant=variant or ""), rngs=nnx.Rngs(0))
        import torch

        import reference_torch
        from reference_torch import training

        theirs = reference_torch.load(name)
        torch.manual_seed(seed)
        module = (theirs.variants[variant] if variant else theirs.model)()
        module = module.to(getattr(torch, dtype))

        load_torch_state_dict(model, _arrays(module.state_dict()))
        rungs = climb(model, module, (lesson.inputs, lesson.hidden), dtype=dtype)
        ours, other = _jax_side(lesson, model), _torch_side(theirs, module)

        loss: dict[str, list[float]] = {"jax": [], "torch": []}
        predictions: dict[str, list[str]] = {"jax": [], "torch": []}
        if lesson.trained:
            history = lesson.train(model)
            loss["jax"] = history.loss.astype(float).tolist()
            predictions["jax"] = [lesson.text(ids) for ids in history.metrics["prediction"]]
            seconds["jax"] |= {"compile": history.compile_seconds, "run": history.run_seconds}

            start, reporting = time.perf_counter(), 0.0
            for epoch, value, ids in training.train(theirs, module):
                reporting -= time.perf_counter()
                loss["torch"].append(value)
                predictions["torch"].append(theirs.text(ids))
                k = epoch - 1
                pairs = zip(loss.values(), predictions.values(), strict=True)
                (a, p), (b, q) = ((losses[k], texts[k]) for losses, texts in pairs)
                on_epoch(EpochPair(epoch, (a, b), (p, q)))
                reporting += time.perf_counter()
            seconds["torch"]["run"] = time.perf_counter() - start - reporting

        return Comparison(
            lesson=name,
            variant=variant,
            dtype=dtype,
            seed=seed,
            epochs=lesson.epochs,
            target=lesson.target,
            loss=loss,
            predictions=predictions,
            max_abs_loss_difference=(
                _gap([np.array(loss["jax"])], [np.array(loss["torch"])]) if lesson.trained else None
            ),
            max_abs_gradient_difference=(
                _gap_by_name(ours.gradients, other.gradients) if lesson.trained else None
            ),
            max_abs_weight_difference=(
                _gap_by_name(torch_state_dict(model), _arrays(module.state_dict()))
                if lesson.trained
                else None
            ),
            predictions_equal=sum(
                a == b for a, b in zip(predictions["jax"], predictions["torch"], strict=True)
            ),
            shapes={
                "input": {"jax": [lesson.inputs.shape], "torch": [theirs.inputs.shape]},
                "output": {"jax": [ours.output.shape], "torch": [other.output.shape]},
                "hidden": {
                    "jax": [state.shape for state in ours.hidden],
                    "torch": [state.shape for state in other.hidden],
                },
            },
            max_abs_value_difference={
                "output": _gap([ours.output], [other.output]),
                "hidden": _gap(ours.hidden, other.hidden),
            },
            seconds=seconds,
            environment=environment(),
            rungs=rungs,
        )


def _jax_side(lesson: WordLesson, model: Any) -> _Side:
    floating = np.issubdtype(lesson.inputs.dtype, np.floating)
    inputs = jnp.asarray(lesson.inputs, default_float() if floating else jnp.int32)
    hidden = jax.tree.map(lambda x: jnp.asarray(x, default_float()), lesson.hidden)
    output, hidden = model(inputs, hidden)
    gradients = {}
    if lesson.trained:
        grad = jax.grad(lambda model: lesson.loss(model, lesson.batch())[0])(model)
        gradients = torch_state_dict(grad)
    return _Side(np.asarray(output), [np.asarray(x) for x in jax.tree.leaves(hidden)], gradients)


def _torch_side(lesson: Any, module: Any) -> _Side:
    from reference_torch.training import loss_of, tensors

    inputs, labels, hidden = tensors(lesson, module)
    output, hidden = module(inputs, hidden)
    gradients = {}
    if labels is not None:
        module.zero_grad()
        loss_of(output, labels, lesson.reduction).backward()
        gradients = _arrays({name: p.grad for name, p in module.named_parameters()})
        module.zero_grad()
    states = hidden if isinstance(hidden, tuple) else () if hidden is None else (hidden,)
    return _Side(output.detach().numpy(), [x.detach().numpy() for x in states], gradients)


def _arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _gap(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest difference; infinite for different shapes."""
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        return float("inf")
    return max((float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)), default=0.0)


def _gap_by_name(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    return _gap([ours[name] for name in sorted(ours)], [theirs[name] for name in sorted(theirs)])
