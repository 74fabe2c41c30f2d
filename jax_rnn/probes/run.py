"""Train one cell on one task with several seeds, under a stated budget."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from jax_rnn.base.arguments import check_count, check_positive
from jax_rnn.base.errors import ArgumentError
from jax_rnn.probes.model import ProbeModel, loss, score
from jax_rnn.probes.task import Task
from jax_rnn.train.seeds import fit_seeds

__all__ = ["Budget", "Result", "run_probe"]

POINTS = 50
"""Points of a curve."""

EVALUATED = 128
"""Sequences of each length that a model is scored on."""


@dataclass(frozen=True)
class Budget:
    """What every cell gets.

    Attributes:
        hidden_size: Features of the embedding and of the state.
        layers: Number of recurrent layers.
        batch: Sequences in a step.
        steps: Number of steps of Adam.
        learning_rate: Learning rate of Adam, constant.
        clip: Largest norm of the gradient.
        length: Length of the sequences in training; None is that of the task.
    """

    hidden_size: int = 32
    layers: int = 1
    batch: int = 32
    steps: int = 1000
    learning_rate: float = 3e-3
    clip: float = 1.0
    length: int | None = None

    def __post_init__(self):
        for name in ("hidden_size", "layers", "batch", "steps"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        check_positive("clip", self.clip)
        if self.length is not None:
            check_count("length", self.length)


@dataclass(frozen=True)
class Result:
    """How a cell does on a task.

    Attributes:
        cell, task: their names.
        budget: of the training.
        seeds: of the trainings.
        parameters: number of trained parameters.
        loss: for each seed, means of the loss over equal parts of the training.
        scores: length of the sequences -> score of each seed; NaN for a diverged one.
        seconds: of the training and evaluation of all seeds, without compilation.
        sources: "cell" and "task" -> SHA-256 of the user's file; empty for those of the library.
        environment: versions and machine.
    """

    cell: str
    task: str
    budget: Budget
    seeds: tuple[int, ...]
    parameters: int
    loss: list[list[float]]
    scores: dict[int, list[float]]
    seconds: float
    sources: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


def run_probe(
    cell: str,
    build: Callable[..., Any],
    task_name: str,
    task: Task,
    *,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    budget: Budget | None = None,
) -> Result:
    """Train a cell on a task with all seeds at once, and score the trained models.

    Seed k draws the initial weights and the training data of run k. All cells are scored on the
    same sequences.

    Args:
        cell: name of the cell in the result.
        build: ``build(input_size, hidden_size, rngs=...)``, the cell.
        task_name: name of the task in the result.
        task: the task.
        seeds: seeds of the runs, from 0 to 2^32 - 1.
        budget: what the training may cost; None is the default ``Budget()``.

    Raises:
        ValueError: no seeds.
    """
    if not seeds:
        raise ArgumentError("seeds", "expected at least one seed, got none")
    budget = budget or Budget()
    length = budget.length or task.length
    optimizer = optax.chain(
        optax.clip_by_global_norm(budget.clip), optax.adam(budget.learning_rate)
    )

    def model(rngs: nnx.Rngs) -> ProbeModel:
        return ProbeModel(task, build, budget.hidden_size, budget.layers, rngs=rngs)

    def batch_loss(model: Any, batch: Any) -> Any:
        example = task.sample(_key(batch), budget.batch, length)
        return loss(task, model, example)

    lengths = task.lengths if budget.length is None else (budget.length,)
    history = fit_seeds(
        model,
        batch_loss,
        lambda seed: Keys(seed),
        seeds=seeds,
        steps=budget.steps,
        optimizer=optimizer,
        evaluate=partial(_scores, task, lengths),
        description=f"{cell}, {task_name}",
    )
    parts = np.array_split(np.asarray(history.loss, float), min(POINTS, budget.steps), axis=1)
    shapes = jax.eval_shape(lambda: nnx.state(model(nnx.Rngs(0)), nnx.Param))
    return Result(
        cell,
        task_name,
        budget,
        tuple(seeds),
        sum(leaf.size for leaf in jax.tree.leaves(shapes)),
        np.stack([part.mean(1) for part in parts], 1).tolist(),
        {n: [found.get(str(n), np.nan) for found in history.evaluations] for n in lengths},
        history.run_seconds,
    )


class Keys:
    """Batches that are keys: step k of a seed has the key of both, and the program the data."""

    size = tokens = 1

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, step: int, rows: slice) -> Any:
        return np.array([[self.seed, step]], np.uint32)


def _key(batch: Any) -> Any:
    seed, step = batch[0]
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(1), seed), step)


def _scores(task: Task, lengths: tuple[int, ...], model: Any) -> dict[str, float]:
    graph, state = nnx.split(model)
    return {str(n): float(_score(task, graph, n, state)) for n in lengths}


@partial(jax.jit, static_argnums=(0, 1, 2))
def _score(task: Task, graph: Any, length: int, state: Any) -> Any:
    example = task.sample_held_out(jax.random.key(2), EVALUATED, length)
    return score(task, nnx.merge(graph, state), example)
