"""The optimizer of a recipe."""

import jax.numpy as jnp
import optax

from jax_rnn.train.cache import cached
from jax_rnn.typing import default_float
from rnn_lecture.recipe import BaseRecipe

__all__ = ["learning_rates", "optimizer"]


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
    which is faster for tiny models. The result is cached, so that ``fit`` reuses its program.
    """
    return cached(_optimizer, recipe)


def _optimizer(recipe: BaseRecipe) -> optax.GradientTransformation:
    plain = recipe.clip is None and recipe.weight_decay == 0
    if plain and recipe.warmup == 0 and recipe.schedule == "constant":
        return optax.flatten(optax.adam(recipe.learning_rate))
    adam = optax.adamw(learning_rates(recipe), weight_decay=recipe.weight_decay)
    clip = optax.identity() if recipe.clip is None else optax.clip_by_global_norm(recipe.clip)
    return optax.chain(clip, adam)
