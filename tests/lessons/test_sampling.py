"""Symbols drawn from logits, and streamed from a model in a compiled loop."""

from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import sample
from jax_rnn.lecture.lessons import char_lm, names_generate
from jax_rnn.lecture.teaching import sampling
from jax_rnn.lecture.teaching.sampling import stream
from rnn_lecture.sampling import Sampling, check_sampling
from tests.kit import cases

SYMBOLS = "\n abcdefgh"
LANGUAGES = ["Czech", "Greek", "Russian"]
VOCABULARIES = {
    "char_lm": {"symbols": SYMBOLS},
    "names_generate": {"symbols": "abcdefgh", "languages": LANGUAGES, "longest": 7},
}
LOGITS = jnp.array([[0.0, 3.0, 1.0, 2.0], [5.0, 4.0, -1.0, 4.5]])


@pytest.fixture(scope="module")
def models():
    made = {
        "char_lm": char_lm.Model("lstm", 10, 5, 7, num_layers=2, dropout=0.5, rngs=nnx.Rngs(1)),
        "names_generate": names_generate.Model("gru", 9, 3, 5, 7, rngs=nnx.Rngs(2)),
    }
    for model in made.values():
        model.linear.kernel[...] = 3 * jax.random.normal(
            jax.random.key(3), model.linear.kernel.shape
        )
        model.eval()
    return made


@pytest.fixture(scope="module")
def respond(models):
    """``respond(name, prompt, ...)``: the whole answer."""

    def answer(name, prompt, **sampling):
        lesson = import_module(f"jax_rnn.lecture.lessons.{name}").lesson
        options = {"length": 20, **sampling}
        return "".join(
            lesson.respond(models[name], VOCABULARIES[name], prompt, Sampling(**options))
        )

    return answer


def drawn(temperature, top_k, count=4000):
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.vmap(lambda key: sample(key, LOGITS, temperature, top_k))(keys))


# Drawing


def test_temperature_0_takes_the_likeliest():
    assert (drawn(0.0, 4, 50) == [1, 0]).all()


@cases("temperature", [0.5, 1.0, 2.0], short=1)
def test_frequencies_are_those_of_the_softmax(temperature):
    found = np.stack([np.bincount(row, minlength=4) / 4000 for row in drawn(temperature, 99).T])
    expected = np.asarray(jax.nn.softmax(LOGITS / temperature, axis=-1))
    np.testing.assert_allclose(found, expected, atol=0.03)


@cases("top_k", [1, 2, 3], short=1)
def test_top_k_draws_among_the_likeliest_in_their_proportions(top_k):
    order = np.argsort(-np.asarray(LOGITS), axis=-1)
    found = drawn(1.0, top_k)
    for row in range(2):
        kept = order[row, :top_k]
        assert set(found[:, row]) == set(kept.tolist())
        share = jax.nn.softmax(LOGITS[row][kept])
        expected = [(found[:, row] == symbol).mean() for symbol in kept]
        np.testing.assert_allclose(expected, share, atol=0.03)


def test_of_equal_logits_top_k_keeps_no_more_than_k():
    keys = jax.random.split(jax.random.key(0), 200)
    found = jax.vmap(lambda key: sample(key, jnp.zeros(6), 1.0, 2))(keys)
    assert len(set(np.asarray(found).tolist())) == 2


@pytest.mark.parametrize("temperature", [1e-45, 1e-30, 1e-3, 1e30])
def test_extreme_temperatures_draw_symbols(temperature):
    found = drawn(temperature, 4, 20)
    assert ((found >= 0) & (found < 4)).all()
    if temperature < 1:
        assert (found == [1, 0]).all()


# Streaming


def counting(model, symbols, state):
    """The next symbol is one more than this, modulo 7; the state counts the steps."""
    return 50 * jax.nn.one_hot((symbols + 1) % 7, 7), state + 1


@cases("slice_length", [1, 3, 8], short=2)
@pytest.mark.parametrize("prompt", [[2], [2, 5, 5, 3, 0, 6]])
def test_a_stream_goes_on_from_the_prompt_with_so_many_symbols(prompt, slice_length):
    pieces = list(
        stream(
            counting,
            None,
            jnp.zeros(()),
            np.array(prompt),
            Sampling(length=11),
            rows=2,
            slice_length=slice_length,
        )
    )
    assert all(piece.shape[0] == 2 and 1 <= piece.shape[1] <= slice_length for piece in pieces)
    expected = (prompt[-1] + 1 + np.arange(11)) % 7
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), [expected, expected])


def test_one_program_serves_every_prompt_and_sampling(respond):
    respond("char_lm", "ab")
    before = sampling._run._cache_size()
    respond("char_lm", "abc def" * 20, temperature=0.3, top_k=2, seed=5, length=77)
    respond("char_lm", "", temperature=0, length=1)
    assert sampling._run._cache_size() == before


def test_text_comes_in_pieces_while_it_is_made(models):
    lesson = char_lm.lesson
    pieces = list(
        lesson.respond(models["char_lm"], VOCABULARIES["char_lm"], "a", Sampling(length=150))
    )
    assert [len(piece) for piece in pieces] == [64, 64, 22]


@pytest.mark.parametrize("name", ["char_lm", "names_generate"])
def test_the_seed_decides(name, respond):
    prompt = {"char_lm": "abc", "names_generate": "Greek"}[name]
    first, again, other = (respond(name, prompt, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_how_it_is_cut_changes_nothing(respond):
    assert respond("char_lm", "ab", length=90).startswith(respond("char_lm", "ab", length=30))


def test_greedy_text_is_what_the_whole_model_predicts(models):
    model, vocabulary = models["char_lm"], VOCABULARIES["char_lm"]
    prompt = "bad cafe"
    sampling = Sampling(temperature=0, length=25)
    text = "".join(char_lm.lesson.respond(model, vocabulary, prompt, sampling))
    ids = np.array([[SYMBOLS.index(letter) for letter in prompt + text]])
    logits, _ = model(jnp.asarray(ids[:, :-1]))
    expected = np.asarray(logits.argmax(-1))[0, len(prompt) - 1 :]
    assert text == "".join(SYMBOLS[i] for i in expected)


def test_an_empty_prompt_is_the_start_of_a_line(models, respond):
    assert respond("char_lm", "", seed=3) == respond("char_lm", "\n", seed=3)
    vocabulary = {"symbols": "abcdefghij"}
    texts = [
        "".join(char_lm.lesson.respond(models["char_lm"], vocabulary, prompt, Sampling(length=9)))
        for prompt in ("", "a")
    ]
    assert texts[0] == texts[1]


# Names


def test_names_are_on_lines_and_start_with_the_prompt(respond):
    for beginning in ("", "ha"):
        lines = respond("names_generate", f"Russian:{beginning}", length=12).split("\n")
        assert len(lines) == 11
        assert lines.pop() == ""
        assert all(line.startswith(beginning) for line in lines)
        assert all(len(line) <= len(beginning) + 12 for line in lines)
        assert len(set(lines)) > 1
    assert respond("names_generate", "Russian") == respond("names_generate", "Russian:")
    assert respond("names_generate", "Russian") != respond("names_generate", "Greek")


def test_names_end_where_the_model_says_so(models):
    model = nnx.clone(models["names_generate"])
    model.linear.bias[0] = 1e3
    names = names_generate.lesson.respond(
        model, VOCABULARIES["names_generate"], "Czech:abc", Sampling()
    )
    assert list(names) == ["abc\n"] * 10


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature: expected a number of at least 0, got -0.1"),
        ({"temperature": float("nan")}, "temperature: expected .*got nan"),
        ({"temperature": float("inf")}, "temperature: expected .*got inf"),
        ({"top_k": 0}, "top_k: expected at least 1, got 0"),
        ({"length": 0}, "length: expected at least 1 symbol, got 0"),
    ],
)
def test_what_cannot_be_drawn_with_is_refused_before_anything_runs(options, message, models):
    with pytest.raises(ValueError, match=message):
        check_sampling(Sampling(**options))
    for name, prompt in (("char_lm", "a"), ("names_generate", "Greek")):
        lesson = import_module(f"jax_rnn.lecture.lessons.{name}").lesson
        with pytest.raises(ValueError, match=message):  # though nothing has been iterated
            lesson.respond(models[name], VOCABULARIES[name], prompt, Sampling(**options))


@pytest.mark.parametrize(
    ("name", "prompt", "message"),
    [
        ("char_lm", "abcxd", "got 'x' .* at character 4"),
        ("names_generate", "Greek:abZ", "got 'Z' .* at character 3"),
        ("names_generate", "greek", "did you mean 'Greek'"),
        ("names_generate", "Elvish", "languages are Czech, Greek, Russian"),
        ("names_generate", "", "expected a language"),
    ],
)
def test_prompts_that_the_model_cannot_read_are_refused(name, prompt, message, models):
    lesson = import_module(f"jax_rnn.lecture.lessons.{name}").lesson
    with pytest.raises(ValueError, match=message):
        lesson.respond(models[name], VOCABULARIES[name], prompt, Sampling())


def test_a_stream_needs_a_prompt():
    with pytest.raises(ValueError, match="prompt: expected at least one symbol"):
        stream(counting, None, jnp.zeros(()), np.zeros(0, int), Sampling())
