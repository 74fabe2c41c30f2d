"""A lesson in JAX: its model, its training with one seed or many, loss and optimizer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.core import FrozenDict

from jax_rnn.base.caches import cached
from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import Array, accumulator, default_float
from jax_rnn.data.batches import Batches
from jax_rnn.data.dataset import Data
from jax_rnn.train.loop import fit
from jax_rnn.train.results import History
from jax_rnn.train.seeds import fit_seeds
from rnn_lecture.facts import Program
from rnn_lecture.recipe import BaseRecipe
from rnn_lecture.sampling import Sampling

__all__ = ["DataSetLesson", "Lesson", "cross_entropy", "learning_rates", "optimizer"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson(Program):
    """One program of the lecture; ``reference_torch`` has the same in PyTorch.

    Attributes:
        model: class of the model, or a ``partial`` of it with arguments that JSON can hold; built
            as ``model(**options, init=init, rngs=rngs)``.
        loss: as ``jax_rnn.train.fit`` calls it: ``loss(model, batch) -> (loss, metrics)``, with a
            carry ``loss(model, batch, carry=...) -> (loss, metrics, carry)``; ``rngs=`` is given
            where the recipe has dropout.
        carry: ``carry(model, batch_size)``, the state that goes from each batch to the next; None
            if every batch starts from zeros.
        evaluate: ``evaluate(model, data)``, figures on the held-out data, a dict of floats with
            ``"loss"``; smaller is better.
        respond: ``respond(model, vocabulary, prompt, sampling)``, the answer of the model to a
            prompt, piece by piece. ValueError: a prompt with symbols not in the vocabulary.
        report: ``report(model, data, folder)``, lines that summarize a trained model; may write
            plots and tables into the folder.
    """

    carry: Callable[[Any, int], Any] = lambda model, batch_size: None

    evaluate: ClassVar[Any]
    respond: ClassVar[Any]
    report: ClassVar[Any]

    def score(self, model: Any, batch: Any, **more: Any) -> Any:
        """The loss with the metrics that ``sweep`` returns; by default those of ``loss``."""
        return self.loss(model, batch, **more)

    def steps(self, history: History, first: int = 1) -> Iterator[str]:
        """Lines about the steps of a training, printed after it; ``first`` is the first one."""
        yield from ()

    def architecture(self, recipe: Any, vocabulary: Mapping[str, Any]) -> tuple[Any, dict]:
        """The class of the model and its arguments. ValueError: an unknown variant."""
        builder, options = self.builder(recipe), self.options(recipe, vocabulary)
        if isinstance(builder, partial):
            return builder.func, {**builder.keywords, **options}
        return builder, options

    def build(
        self,
        recipe: Any = None,
        vocabulary: Mapping[str, Any] | None = None,
        *,
        init: Init = "torch",
        rngs: nnx.Rngs,
    ) -> Any:
        """A fresh model.

        Args:
            recipe: hyperparameters; None uses the lesson's.
            vocabulary: that of the data, required by lessons on data sets.
            init: initial distribution of the weights. Default ``"torch"``.
            rngs: ``nnx.Rngs``, source of the initial weights.
        """
        kind, options = self.architecture(recipe or self.recipe, vocabulary or {})
        return kind(**options, init=init, rngs=rngs)

    def initialize(
        self,
        seed: int,
        recipe: Any = None,
        vocabulary: Mapping[str, Any] | None = None,
        *,
        init: Init = "torch",
    ) -> Any:
        """The model of ``build`` with ``nnx.Rngs(seed)``, built by one compiled program.

        Weights are equal bit for bit with ``init="torch"``, and up to rounding for orthogonal ones.
        The program is cached for all seeds.
        """
        kind, options = self.architecture(recipe or self.recipe, vocabulary or {})
        return cached(_initializer, kind, FrozenDict(options), init)(np.uint32(seed))

    def fit(
        self, model: Any, recipe: Any = None, data: Data | None = None, **options: Any
    ) -> History:
        """Train ``model`` in place by a recipe; return the history of its losses.

        Args:
            model: the model.
            recipe: hyperparameters; None uses the lesson's.
            data: the data; None reads it.
            options: further arguments of ``jax_rnn.train.fit``, or others in place of the recipe's.
        """
        recipe = recipe or self.recipe
        data = self.read(recipe) if data is None else data
        planned = _planned(recipe) | {
            "carry": self.carry(model, self.batch_size(recipe)),
            "seed": recipe.seed if recipe.dropout else None,
            "description": self.name,
        }
        batches = options.pop("batches", None) or self.batches(recipe, data)
        loss = _in_dtype(self.loss, recipe)
        return fit(model, loss, batches, **(planned | options))

    def sweep(
        self,
        seeds: int,
        preset: str | None = None,
        *,
        recipe: Any = None,
        text: Path | None = None,
        init: Init = "torch",
        seeds_per_call: int | None = None,
    ) -> History:
        """Train with seeds 0 to ``seeds - 1``, weights, dropout and the order of the data included.

        Args:
            seeds: number of trainings.
            preset: name of the hyperparameters; None uses the lesson's.
            recipe: hyperparameters instead of the preset's.
            text: text to train on, if the lesson accepts one; None (default) uses its own data.
            init: initial distribution of the weights. Default ``"torch"``.
            seeds_per_call: number of simultaneous trainings; None chooses it, see ``fit_seeds``.

        Returns:
            The history with a leading axis of seeds, see ``fit_seeds``; the metrics are those of
            ``score``. With held-out data, every trained model is evaluated.
        """
        recipe = recipe or self.preset(preset)
        self.check_text(text)
        data = self.read(recipe, text)
        kind, options = self.architecture(recipe, data.vocabulary)
        batches = self.batches(recipe, data)

        def of_seed(seed: int) -> Any:
            return self.batches(replace(recipe, seed=seed), data)

        return fit_seeds(
            cached(_builder, kind, FrozenDict(options), init),
            _in_dtype(self.score, recipe),
            of_seed if isinstance(batches, Batches) else batches,
            seeds=range(seeds),
            **_planned(recipe),
            carry=cached(_carry, self.carry, self.batch_size(recipe)),
            dropout=recipe.dropout > 0,
            evaluate=(lambda model: self.evaluate(model, data)) if self.holds_out else None,
            seeds_per_call=seeds_per_call,
            description=f"{self.name}, {seeds} seeds",
        )


def answers_nothing(model: Any, vocabulary: Any, prompt: str, sampling: Sampling) -> Iterator[str]:
    raise ValueError("run: expected a lesson whose model responds to prompts, got another")


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSetLesson(Lesson):
    """A lesson on a data set; its file has the functions."""

    evaluate: Callable[[Any, Data], dict[str, float]]
    respond: Callable[[Any, Any, str, Sampling], Iterator[str]] = answers_nothing
    report: Callable[[Any, Data, Path], Iterable[str]] = lambda model, data, folder: ()


def _planned(recipe: BaseRecipe) -> dict[str, Any]:
    """The arguments of ``fit`` and ``fit_seeds`` that the recipe states."""
    return {
        "steps": recipe.steps,
        "optimizer": optimizer(recipe),
        "accumulate": recipe.accumulate,
        "compute_dtype": jnp.bfloat16 if recipe.dtype == "bfloat16" else None,
    }


def _in_dtype(loss: Callable[..., Any], recipe: BaseRecipe) -> Callable[..., Any]:
    """The loss of one-hot inputs in the dtype of the computation."""
    return cached(_in_bfloat16, loss) if recipe.dtype == "bfloat16" else loss


def _in_bfloat16(loss: Callable[..., Any]) -> Callable[..., Any]:
    def of_cast(model, batch, **more):
        if "inputs" in batch and jnp.issubdtype(batch["inputs"].dtype, jnp.floating):
            batch = batch | {"inputs": batch["inputs"].astype(jnp.bfloat16)}
        return loss(model, batch, **more)

    return of_cast


def _builder(kind: Any, options: Mapping[str, Any], init: Init) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: kind(**options, init=init, rngs=rngs)


def _initializer(kind: Any, options: Mapping[str, Any], init: Init) -> Callable[[Any], Any]:
    """A compiled function of the seed that builds a model."""
    build = _builder(kind, options, init)

    def initialized(seed):
        return build(nnx.Rngs(jax.random.key(seed)))

    return nnx.jit(initialized)


def _carry(carry: Callable[[Any, int], Any], batch_size: int) -> Callable[[Any], Any]:
    return lambda model: carry(model, batch_size)


def cross_entropy(logits: Array, labels: Array) -> Array:
    """The cross entropy (...) of labels (...) for logits (..., S), in nats, at least float32."""
    logits = logits.astype(accumulator(logits.dtype))
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def learning_rates(recipe: BaseRecipe) -> optax.Schedule:
    """Step (from 0) -> learning rate."""
    rest = max(recipe.steps - recipe.warmup, 1)
    after = {
        "constant": optax.constant_schedule(recipe.learning_rate),
        "linear": optax.linear_schedule(recipe.learning_rate, 0.0, rest),
        "cosine": optax.cosine_decay_schedule(recipe.learning_rate, rest),
    }[recipe.schedule]
    rise = optax.linear_schedule(0.0, recipe.learning_rate, max(recipe.warmup, 1))
    rates = optax.join_schedules([rise, after], [recipe.warmup]) if recipe.warmup else after
    # optax counts steps in int32, and int32 with a Python float is float32 in any mode
    return lambda step: rates(jnp.asarray(step, default_float()))


def optimizer(recipe: BaseRecipe) -> optax.GradientTransformation:
    """Clipping of the gradient by its global norm, then AdamW.

    Without clipping, weight decay and a schedule this is Adam on all parameters as one vector,
    which is faster for tiny models. The result is cached for all seeds, so that ``fit`` reuses its
    program.
    """
    return cached(_optimizer, replace(recipe, seed=0))


def _optimizer(recipe: BaseRecipe) -> optax.GradientTransformation:
    plain = recipe.clip is None and recipe.weight_decay == 0
    if plain and recipe.warmup == 0 and recipe.schedule == "constant":
        return optax.flatten(optax.adam(recipe.learning_rate))
    adam = optax.adamw(learning_rates(recipe), weight_decay=recipe.weight_decay)
    clip = optax.identity() if recipe.clip is None else optax.clip_by_global_norm(recipe.clip)
    return optax.chain(clip, adam)
