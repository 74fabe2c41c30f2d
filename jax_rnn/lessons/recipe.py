"""How a lesson on real data is trained: hyperparameters, all of which a run folder records."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import optax

from jax_rnn.typing import default_float

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a model and its training.

    Attributes:
        cell: of the recurrent layers.
        embedding_size: features of a symbol.
        hidden_size: H of every layer.
        num_layers: recurrent layers.
        dropout: rate, between layers and before the last linear map.
        batch_size: B, sequences in one forward pass, over all devices.
        window: T, steps of text between two truncations of backpropagation; lessons on whole
            sequences have no use for it.
        steps: optimizer steps.
        learning_rate: of Adam, at its peak.
        warmup: steps over which the learning rate rises from 0 to its peak.
        schedule: what it does afterwards: stays, or falls to 0 along a line or half a cosine.
        weight_decay: of AdamW.
        clip: largest global norm of a gradient; None does not clip.
        accumulate: batches whose mean gradient makes one optimizer step.
        precision: of parameters and computation; bfloat16 computes in it and keeps the parameters
            in float32.
        seed: of initial weights, dropout and the order of the data.
        evaluate_every: steps between two looks at the held-out data.
        patience: looks without a better loss after which training stops; None never stops it.
    """

    cell: Literal["rnn", "lstm", "gru"] = "gru"
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    batch_size: int = 64
    window: int = 64
    steps: int = 1000
    learning_rate: float = 2e-3
    warmup: int = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    weight_decay: float = 0.0
    clip: float | None = 1.0
    accumulate: int = 1
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    seed: int = 0
    evaluate_every: int = 100
    patience: int | None = None

    def learning_rates(self) -> optax.Schedule:
        """Step (from 0) -> learning rate."""
        rest = max(self.steps - self.warmup, 1)
        after = {
            "constant": optax.constant_schedule(self.learning_rate),
            "linear": optax.linear_schedule(self.learning_rate, 0.0, rest),
            "cosine": optax.cosine_decay_schedule(self.learning_rate, rest),
        }[self.schedule]
        rise = optax.linear_schedule(0.0, self.learning_rate, max(self.warmup, 1))
        rates = optax.join_schedules([rise, after], [self.warmup]) if self.warmup else after
        # optax counts steps in int32, and int32 with a Python float is float32 in any mode
        return lambda step: rates(jnp.asarray(step, default_float()))

    def optimizer(self) -> optax.GradientTransformation:
        adam = optax.adamw(self.learning_rates(), weight_decay=self.weight_decay)
        clip = optax.identity() if self.clip is None else optax.clip_by_global_norm(self.clip)
        return optax.chain(clip, adam)
