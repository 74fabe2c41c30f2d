"""Symbols drawn from logits, and streamed from a model in a compiled loop."""

from functools import partial
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
from tests.kit import cases, refused

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
        kernel = model.linear.kernel
        kernel[...] = 3 * jax.random.normal(jax.random.key(3), kernel.shape)
        model.eval()
    return made


@pytest.fixture(scope="module")
def answer(models):
    """``answer(name, prompt, ...)``: the pieces of the answer, 20 symbols long."""

    def of(name, prompt, vocabulary=None, model=None, **sampling):
        lesson = import_module(f"jax_rnn.lecture.lessons.{name}").lesson
        given = model or models[name], vocabulary or VOCABULARIES[name]
        return lesson.respond(*given, prompt, Sampling(**{"length": 20} | sampling))

    return of


@pytest.fixture(scope="module")
def respond(answer):
    """The same as a whole."""
    return lambda *arguments, **options: "".join(answer(*arguments, **options))


def drawn(temperature, top_k, count=4000):
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(jax.vmap(lambda key: sample(key, LOGITS, temperature, top_k))(keys))


class TestDrawing:
    def test_temperature_0_takes_the_likeliest(self):
        assert (drawn(0.0, 4, 50) == [1, 0]).all()

    @cases("temperature", [0.5, 1.0, 2.0], short=1)
    def test_frequencies_are_those_of_the_softmax(self, temperature):
        found = np.stack([np.bincount(row, minlength=4) / 4000 for row in drawn(temperature, 99).T])
        expected = np.asarray(jax.nn.softmax(LOGITS / temperature, axis=-1))
        np.testing.assert_allclose(found, expected, atol=0.03)

    @cases("top_k", [1, 2, 3], short=1)
    def test_top_k_draws_among_the_likeliest_in_their_proportions(self, top_k):
        order = np.argsort(-np.asarray(LOGITS), axis=-1)
        found = drawn(1.0, top_k)
        for row in range(2):
            kept = order[row, :top_k]
            assert set(found[:, row]) == set(kept.tolist())
            share = jax.nn.softmax(LOGITS[row][kept])
            expected = [(found[:, row] == symbol).mean() for symbol in kept]
            np.testing.assert_allclose(expected, share, atol=0.03)

    def test_of_equal_logits_top_k_keeps_no_more_than_k(self):
        keys = jax.random.split(jax.random.key(0), 200)
        found = jax.vmap(lambda key: sample(key, jnp.zeros(6), 1.0, 2))(keys)
        assert len(set(np.asarray(found).tolist())) == 2

    @pytest.mark.parametrize("temperature", [1e-45, 1e-30, 1e-3, 1e30])
    def test_extreme_temperatures_draw_symbols(self, temperature):
        found = drawn(temperature, 4, 20)
        assert ((found >= 0) & (found < 4)).all()
        if temperature < 1:
            assert (found == [1, 0]).all()


def counting(model, symbols, state):
    """The next symbol is one more than this, modulo 7; the state counts the steps."""
    return 50 * jax.nn.one_hot((symbols + 1) % 7, 7), state + 1


class TestStreaming:
    @cases("slice_length", [1, 3, 8], short=2)
    @pytest.mark.parametrize("prompt", [[2], [2, 5, 5, 3, 0, 6]])
    def test_a_stream_goes_on_from_the_prompt_with_so_many_symbols(self, prompt, slice_length):
        given = None, jnp.zeros(()), np.array(prompt), Sampling(length=11)
        pieces = list(stream(counting, *given, rows=2, slice_length=slice_length))
        assert all(piece.shape[0] == 2 and 1 <= piece.shape[1] <= slice_length for piece in pieces)
        expected = (prompt[-1] + 1 + np.arange(11)) % 7
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), [expected, expected])

    def test_one_program_serves_every_prompt_and_sampling(self, respond):
        respond("char_lm", "ab")
        before = sampling._run._cache_size()
        respond("char_lm", "abc def" * 20, temperature=0.3, top_k=2, seed=5, length=77)
        respond("char_lm", "", temperature=0, length=1)
        assert sampling._run._cache_size() == before

    def test_text_comes_in_pieces_while_it_is_made(self, answer):
        assert [len(piece) for piece in answer("char_lm", "a", length=150)] == [64, 64, 22]

    @pytest.mark.parametrize(("name", "prompt"), [("char_lm", "abc"), ("names_generate", "Greek")])
    def test_the_seed_decides_and_how_it_is_cut_changes_nothing(self, name, prompt, respond):
        first, again, other = (respond(name, prompt, seed=seed) for seed in (1, 1, 2))
        assert first == again != other
        if name == "char_lm":
            assert respond(name, prompt, length=90, seed=1).startswith(first)

    def test_greedy_text_is_what_the_whole_model_predicts(self, models, respond):
        prompt = "bad cafe"
        text = respond("char_lm", prompt, temperature=0, length=25)
        ids = np.array([[SYMBOLS.index(letter) for letter in prompt + text]])
        logits, _ = models["char_lm"](jnp.asarray(ids[:, :-1]))
        expected = np.asarray(logits.argmax(-1))[0, len(prompt) - 1 :]
        assert text == "".join(SYMBOLS[i] for i in expected)

    def test_an_empty_prompt_is_the_start_of_a_line(self, respond):
        assert respond("char_lm", "", seed=3) == respond("char_lm", "\n", seed=3)
        vocabulary = {"symbols": "abcdefghij"}
        assert respond("char_lm", "", vocabulary) == respond("char_lm", "a", vocabulary)


class TestNames:
    def test_names_are_on_lines_and_start_with_the_prompt(self, respond):
        for beginning in ("", "ha"):
            lines = respond("names_generate", f"Russian:{beginning}", length=12).split("\n")
            assert len(lines) == 11 and lines.pop() == ""
            assert all(line.startswith(beginning) for line in lines)
            assert all(len(line) <= len(beginning) + 12 for line in lines)
            assert len(set(lines)) > 1
        assert respond("names_generate", "Russian") == respond("names_generate", "Russian:")
        assert respond("names_generate", "Russian") != respond("names_generate", "Greek")

    def test_names_end_where_the_model_says_so(self, models, answer):
        model = nnx.clone(models["names_generate"])
        model.linear.bias[0] = 1e3
        assert list(answer("names_generate", "Czech:abc", model=model)) == ["abc\n"] * 10


WRONG = [
    ({"temperature": -0.1}, "temperature: expected a number of at least 0, got -0.1"),
    ({"temperature": float("nan")}, "temperature: expected |got nan"),
    ({"temperature": float("inf")}, "temperature: expected |got inf"),
    ({"top_k": 0}, "top_k: expected at least 1, got 0"),
    ({"length": 0}, "length: expected at least 1 symbol, got 0"),
]


PROMPTS = [
    ("char_lm", "abcxd", "got 'x' | at character 4"),
    ("names_generate", "Greek:abZ", "got 'Z' | at character 3"),
    ("names_generate", "greek", "did you mean 'Greek'"),
    ("names_generate", "Elvish", "languages are Czech, Greek, Russian"),
    ("names_generate", "", "expected a language"),
]


class TestRefusals:
    @pytest.mark.parametrize(("options", "words"), WRONG)
    def test_what_cannot_be_drawn_with_is_refused_before_anything_runs(
        self, options, words, answer
    ):
        refused(ValueError, words, lambda: check_sampling(Sampling(**options)))
        for given in (("char_lm", "a"), ("names_generate", "Greek")):
            refused(ValueError, words, partial(answer, *given, **options))  # nothing is iterated

    @pytest.mark.parametrize(("name", "prompt", "words"), PROMPTS)
    def test_prompts_that_the_model_cannot_read_are_refused(self, name, prompt, words, respond):
        refused(ValueError, words, lambda: respond(name, prompt))

    def test_a_stream_needs_a_prompt(self):
        given = None, jnp.zeros(()), np.zeros(0, int), Sampling()
        refused(
            ValueError, "prompt: expected at least one symbol", lambda: stream(counting, *given)
        )
