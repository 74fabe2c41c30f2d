"""Invalid hyperparameters are refused when the recipe is made."""

import math
from dataclasses import replace
from functools import partial

import pytest
from flax import nnx

from jax_rnn.base.memory import available_memory, check_memory
from jax_rnn.lecture.lessons import load
from rnn_lecture.recipe import Recipe
from tests.kit import refused

WRONG = [  # (name, values, words)
    ("learning_rate", (-1e-3, 0.0, math.nan, math.inf), "above 0"),
    ("clip", (0.0, -1.0), "above 0"),
    ("dropout", (1.5, -0.1), "from 0 to 1"),
    ("weight_decay", (-0.1,), "at least 0"),
    ("warmup", (-1, 1001), "0 to 1000, the steps of the run"),
    ("seed", (-1,), "0 to 4294967295"),
    ("seed", (2**63,), "a larger number"),
    *((name, (0,), "at least 1") for name in ("steps", "accumulate", "patience", "evaluate_every")),
    ("num_layers", (10**9,), "at most 1,000"),
    ("hidden_size", (10**30,), "at most 2,147,483,647"),
    ("cell", ("cnn",), "one of rnn, lstm, gru"),
    ("schedule", ("",), "one of constant"),
]


@pytest.mark.parametrize(("name", "values", "words"), WRONG)
def test_a_value_out_of_range_is_refused(name, values, words):
    for value in values:
        said = refused(ValueError, words, partial(replace, Recipe(), **{name: value}))
        assert said.startswith(f"{name}: expected ") and len(said) < 200


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1.5), ("steps", True), ("dropout", "x"), ("clip", "x")]
)
def test_a_value_of_another_type_is_refused(name, value):
    recipe = object.__new__(Recipe)  # without the type checks of the tests
    vars(recipe).update({**vars(Recipe()), name: value})
    refused(TypeError, f"{name}: expected", recipe.__post_init__)


def test_a_model_that_needs_more_memory_than_there_is_is_refused_before_it_is_built():
    task = load("char_lm")

    def check(recipe):
        check_memory(lambda: task.build(recipe, {"symbols": "ab"}, rngs=nnx.Rngs(0)))

    words = "expected to fit into | GB|at least 600,000,|30,000,0"
    refused(ValueError, words, lambda: check(replace(task.recipe, hidden_size=10**8)))
    check(task.recipe)
    assert (available_memory() or 0) > 1e8
