"""Invalid hyperparameters are refused when the recipe is made."""

import math
from dataclasses import replace

import pytest
from flax import nnx

from jax_rnn.base.memory import available_memory, check_memory
from jax_rnn.lecture.lessons import load
from rnn_lecture.recipe import Recipe

WRONG = [
    ("learning_rate", -1e-3, "above 0"),
    ("learning_rate", 0.0, "above 0"),
    ("learning_rate", math.nan, "above 0"),
    ("learning_rate", math.inf, "above 0"),
    ("clip", 0.0, "above 0"),
    ("clip", -1.0, "above 0"),
    ("dropout", 1.5, "from 0 to 1"),
    ("dropout", -0.1, "from 0 to 1"),
    ("weight_decay", -0.1, "at least 0"),
    ("warmup", -1, "0 to 1000, the steps of the run"),
    ("warmup", 1001, "0 to 1000, the steps of the run"),
    ("seed", -1, "0 to 4294967295"),
    ("seed", 2**63, "a larger number"),
    ("steps", 0, "at least 1"),
    ("accumulate", 0, "at least 1"),
    ("patience", 0, "at least 1"),
    ("evaluate_every", 0, "at least 1"),
    ("num_layers", 10**9, "at most 1,000"),
    ("hidden_size", 10**30, "at most 2,147,483,647"),
    ("cell", "cnn", "one of rnn, lstm, gru"),
    ("schedule", "", "one of constant"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_value_out_of_range_is_refused(name, value, message):
    with pytest.raises(ValueError, match=f"^{name}: expected .*{message}") as caught:
        replace(Recipe(), **{name: value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1.5), ("steps", True), ("dropout", "x"), ("clip", "x")]
)
def test_a_value_of_another_type_is_refused(name, value):
    recipe = object.__new__(Recipe)  # without the type checks of the tests
    vars(recipe).update({**vars(Recipe()), name: value})
    with pytest.raises(TypeError, match=f"^{name}: expected"):
        recipe.__post_init__()


def test_a_model_that_needs_more_memory_than_there_is_is_refused_before_it_is_built():
    task = load("char_lm")
    recipe = replace(task.recipe, hidden_size=10**8)
    with pytest.raises(
        ValueError, match=r"expected to fit into [\d,.]+ GB.*at least 600,000,"
    ) as e:
        check_memory(lambda: task.build(recipe, {"symbols": "ab"}, rngs=nnx.Rngs(0)))
    assert "30,000,0" in str(e.value)
    check_memory(lambda: task.build(task.recipe, {"symbols": "ab"}, rngs=nnx.Rngs(0)))
    assert (available_memory() or 0) > 1e8
