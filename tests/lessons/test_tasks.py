"""names, seq2seq, seq2seq_attention: padding, figures, and the end of a generated text."""

import csv
import sys
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn.data.dataset import Data
from jax_rnn.data.dates import END, START
from jax_rnn.data.names import NameRows
from jax_rnn.lecture.lessons import names, seq2seq, seq2seq_attention
from jax_rnn.lecture.teaching.parts import equal_batches
from rnn_lecture import surnames
from rnn_lecture.sampling import Sampling
from rnn_lecture.translation import vocabularies
from tests.kit import cases, refused

SIZES = {"embedding_size": 5, "hidden_size": 7, "batch_size": 4}
TRANSLATORS = [seq2seq, seq2seq_attention]
VOCABULARIES = {
    "names": {"symbols": " abcdef", "languages": ["A", "B", "C", "D"], "longest": 6},
    "dates": {"source_symbols": " 123abc", "target_symbols": "-1234"},
}
translators = pytest.mark.parametrize("module", TRANSLATORS, ids=lambda m: m.lesson.name)


@pytest.fixture(autouse=True)
def double(x64):
    pass


def ragged(rng, rows, longest, symbols, shortest=1):
    """Ids (rows, longest) from 1 on, padded with 0, and lengths; one row is of full length."""
    lengths = rng.integers(shortest, longest + 1, rows).astype(np.int32)
    lengths[rng.integers(rows)] = longest
    ids = rng.integers(1, symbols + 1, (rows, longest)).astype(np.int32)
    return np.where(np.arange(longest) < lengths[:, None], ids, 0).astype(np.int32), lengths


def labelled(rows=23, missing=2):
    """Random names of languages 0 to 3, none of the missing one."""
    rng = np.random.default_rng(rows)
    inputs, lengths = ragged(rng, rows, 6, 7)
    labels = rng.choice([k for k in range(4) if k != missing], rows).astype(np.int32)
    repeats = rng.integers(1, 9, rows).astype(np.int32)
    return {"inputs": inputs, "lengths": lengths, "labels": labels, "repeats": repeats}


def pairs(rows=11):
    rng = np.random.default_rng(rows)
    sources, lengths = ragged(rng, rows, 8, 7)
    targets, ends = ragged(rng, rows, 5, 5)
    targets = np.where(targets == START, START, targets + 1)
    targets[np.arange(rows), ends - 1] = END
    return {"sources": sources, "lengths": lengths, "targets": targets.astype(np.int32)}


def random(module, **changes):
    """A task, its recipe, data and a model with random weights, biases too."""
    task = module.lesson
    recipe = replace(task.recipe, **SIZES | {"dropout": 0.0} | changes)
    if module is names:
        rows = labelled()
        train = rows | {"weights": surnames.weights(rows["labels"])}
        data = Data(train, rows, VOCABULARIES["names"])
    else:
        data = Data(pairs(9), pairs(), VOCABULARIES["dates"])
    model = task.build(recipe, data.vocabulary, rngs=nnx.Rngs(1))
    rng = np.random.default_rng(2)
    params = nnx.state(model, nnx.Param)
    drawn = jax.tree.map(lambda leaf: jnp.asarray(0.7 * rng.normal(size=leaf.shape)), params)
    nnx.update(model, drawn)
    model.eval()
    return task, recipe, data, model


@pytest.fixture(scope="module")
def of():
    """``of(module)``: the task with its model, made once."""

    @cache
    def get(module):
        with jax.enable_x64(True):
            return random(module)

    return get


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


class TestBatches:
    @pytest.mark.parametrize(("rows", "size"), [(7, 3), (6, 3), (2, 3), (1, 1)])
    def test_equal_batches_hold_every_row_once_and_have_one_shape(self, rows, size):
        arrays = {"a": np.arange(rows), "b": np.arange(2 * rows).reshape(rows, 2)}
        batches = list(equal_batches(arrays, size))
        assert {batch["b"].shape for batch, _ in batches} == {(min(rows, size), 2)}
        seen = np.concatenate([batch["a"][counts == 1] for batch, counts in batches])
        np.testing.assert_array_equal(seen, np.arange(rows))
        assert all(set(counts) <= {0.0, 1.0} for _, counts in batches)


def padded(ids, width, symbols):
    """Zeros after each row, and then other symbols in place of the zeros."""
    rng = np.random.default_rng(5)
    more = np.concatenate([ids, np.zeros((len(ids), width), ids.dtype)], axis=1)
    noise = rng.integers(0, symbols + 1, more.shape).astype(ids.dtype)
    return np.where(more == 0, noise, more)


class TestPadding:
    def test_padding_of_names_changes_nothing(self, of, close):
        _, _, data, model = of(names)
        inputs, lengths = data.held_out["inputs"], data.held_out["lengths"]
        call = jax.jit(lambda inputs, lengths: model(inputs, lengths))
        logits = call(inputs, lengths)
        close(call(padded(inputs, 3, 7), lengths), logits)
        row = int(lengths.argmin())
        length = lengths[row]
        assert length < inputs.shape[1]
        close(call(inputs[row : row + 1, :length], lengths[row : row + 1])[0], logits[row])

    @translators
    def test_padding_of_sources_changes_nothing(self, module, of, close):
        _, _, data, model = of(module)
        rows = data.held_out
        call = jax.jit(lambda sources: model(sources, rows["lengths"], rows["targets"]))
        close(call(padded(rows["sources"], 3, 7)), call(rows["sources"]))

    def test_a_name_is_judged_by_both_directions(self, of):
        """The forward state depends least on the first letter, the backward one on the last."""
        _, _, data, model = of(names)
        arguments = data.held_out["inputs"][:1], data.held_out["lengths"][:1]
        size, halves = model.rnn.hidden_size, []
        for half in (slice(0, size), slice(size, 2 * size)):
            deaf = nnx.clone(model)
            deaf.linear.kernel[...] = deaf.linear.kernel[...].at[half].set(0)
            halves.append(np.asarray(deaf(*arguments) - deaf.linear.bias[...]))
        whole = np.asarray(model(*arguments) - model.linear.bias[...])
        np.testing.assert_allclose(sum(halves), whole, atol=1e-12)
        assert all(np.abs(half).max() > 1e-3 for half in halves)

    def test_attention_equals_the_equations_and_ignores_padding(self, of, close):
        _, _, data, model = of(seq2seq_attention)
        rows = data.held_out
        sources, lengths = rows["sources"], rows["lengths"]
        attention = model.decoder.attention
        (outputs, inside), _ = model.encode(sources, lengths)
        queries = np.random.default_rng(3).normal(size=(len(sources), 3, 7))
        attended, shares = attention(jnp.asarray(queries), outputs, inside)
        np.testing.assert_allclose(np.asarray(shares).sum(-1), 1, atol=1e-12)
        W_a, W_c = attention.score.kernel[...].T, attention.combine.kernel[...].T
        for b, n in enumerate(lengths):
            assert not np.asarray(shares)[b, :, n:].any()
            h = np.asarray(outputs)[b, :n]
            for t, d in enumerate(queries[b]):
                score = np.array([d @ W_a @ h[s] / np.sqrt(7) for s in range(n)])
                a = np.exp(score) / np.exp(score).sum()
                close(np.asarray(shares)[b, t, :n], a)
                close(attended[b, t], np.tanh(W_c @ np.concatenate([a @ h, d])))

    @pytest.mark.long
    @pytest.mark.parametrize("module", [names, seq2seq_attention], ids=lambda m: m.lesson.name)
    def test_other_cells_depth_and_dropout_will_do(self, module):
        task, recipe, data, model = random(module, cell="lstm", num_layers=2, dropout=0.5)
        model.train()
        batch = task.batches(recipe, data)(0, slice(None))
        loss = jax.jit(lambda key: task.loss(model, batch, rngs=nnx.Rngs(dropout=key))[0])
        losses = [float(loss(jax.random.key(seed))) for seed in (0, 0, 1)]
        assert losses[0] == losses[1] != losses[2]


@cache
def forward(model):
    return jax.jit(lambda *arguments: model(*arguments))


def written_by_hand(model, source, length, longest):
    """Greedy decoding of one source; after each symbol the whole output is read again."""
    written = np.zeros((1, longest), np.int32)
    for t in range(longest):
        logits = forward(model)(source[None], np.array([length]), written)
        written[0, t] = np.asarray(logits)[0, t].argmax()
        if written[0, t] == END:
            break
    return written[0]


class TestFigures:
    def test_weights_are_between_a_name_and_a_language(self):
        labels = np.array([0, 0, 0, 0, 1, 3, 3], np.int32)
        weights = surnames.weights(labels)
        assert weights.dtype == np.float32 and weights.mean() == pytest.approx(1)
        for label, count in {0: 4, 1: 1, 3: 2}.items():
            each = weights[labels == label] / weights[labels == 1]
            np.testing.assert_allclose(each, count**-surnames.POWER, rtol=1e-6)

    def test_the_loss_of_names_counts_every_name_by_its_weight(self, of):
        task, recipe, data, model = of(names)
        assert surnames.SMOOTHING == 0.1
        batch = task.batches(recipe, data)(3, slice(None))
        loss, metrics = task.loss(model, batch)
        logs = log_softmax(model(batch["inputs"], batch["lengths"]))
        nats = -0.9 * logs[np.arange(4), batch["labels"]] - 0.1 * logs.mean(-1)
        assert loss == pytest.approx((batch["weights"].astype(np.float64) * nats).mean(), abs=1e-12)
        assert metrics["accuracy"] == (logs.argmax(-1) == batch["labels"]).mean()

    def test_the_figures_of_names_recomputed(self, of, monkeypatch):
        monkeypatch.setattr(names, "AT_ONCE", 5)
        task, _, data, model = of(names)
        rows = {name: array.copy() for name, array in data.held_out.items()}
        data = replace(data, held_out=rows)
        labels = rows["labels"]
        one, other = 0, int(np.flatnonzero(labels != labels[0])[0])
        for name in ("inputs", "lengths"):  # a name of two languages
            rows[name][other] = rows[name][one]
        logs = log_softmax(model(rows["inputs"], rows["lengths"]))
        right = logs.argmax(-1) == labels
        answers = dict(zip(map(bytes, rows["inputs"]), logs.argmax(-1), strict=True))
        theirs = {(bytes(name), label) for name, label in zip(rows["inputs"], labels, strict=True)}
        present = sorted(set(labels.tolist()))
        assert present == [0, 1, 3]
        figures = task.evaluate(model, data)
        assert figures == {
            "loss": pytest.approx(-logs[np.arange(len(labels)), labels].mean(), abs=1e-12),
            "accuracy": pytest.approx(np.mean([answer in theirs for answer in answers.items()])),
            "pair_accuracy": pytest.approx(right.mean()),
            "macro_recall": pytest.approx(np.mean([right[labels == k].mean() for k in present])),
            "row_accuracy": pytest.approx(np.average(right, weights=rows["repeats"])),
        }
        assert all(type(value) is float for value in figures.values())

    @translators
    def test_the_loss_of_translators_counts_no_padding(self, module, of):
        task, recipe, data, model = of(module)
        batch = task.batches(recipe, data)(1, slice(None))
        loss, metrics = task.loss(model, batch)
        targets = batch["targets"]
        logs = log_softmax(model(batch["sources"], batch["lengths"], targets))
        places = np.argwhere(targets != START)
        assert len(places) < targets.size
        nats = [-logs[b, t, targets[b, t]] for b, t in places]
        assert loss == pytest.approx(np.mean(nats), abs=1e-12)
        right = [logs[b, t].argmax() == targets[b, t] for b, t in places]
        assert metrics["accuracy"] == pytest.approx(np.mean(right))

    @translators
    def test_the_figures_of_translators_recomputed(self, module, of, monkeypatch):
        monkeypatch.setattr(seq2seq, "AT_ONCE", 4)
        task, _, data, model = of(module)
        rows = dict(data.held_out)
        sources, lengths, longest = rows["sources"], rows["lengths"], rows["targets"].shape[1]
        by_hand = np.stack(
            [
                written_by_hand(model, *source, longest)
                for source in zip(sources, lengths, strict=True)
            ]
        )
        rows["targets"] = np.where(np.arange(len(sources))[:, None] < 3, by_hand, rows["targets"])
        targets = rows["targets"]
        valid = targets != START
        logs = log_softmax(model(sources, lengths, targets))
        nats = -np.take_along_axis(logs, targets[..., None], -1)[..., 0]
        right = by_hand == targets
        figures = task.evaluate(model, replace(data, held_out=rows))
        assert figures == {
            "loss": pytest.approx(nats[valid].mean(), abs=1e-6),
            "accuracy": pytest.approx(right[valid].mean()),
            "exact": pytest.approx(right.all(1).mean()),
        }
        assert figures["exact"] >= 3 / len(sources)
        assert all(type(value) is float for value in figures.values())


class TestEnds:
    @translators
    def test_each_row_ends_where_it_says_so_and_stays_silent(self, module, of):
        _, _, data, model = of(module)
        model = nnx.clone(model)
        bias = model.decoder.linear.bias
        bias[...] = bias[...].at[START].set(-1e3).at[END].add(1.5)
        sources, lengths = data.held_out["sources"], data.held_out["lengths"]
        written, stops = np.asarray(seq2seq.translate(model, sources, lengths, 9)), set()
        for source, length, row in zip(sources, lengths, written, strict=True):
            np.testing.assert_array_equal(row, written_by_hand(model, source, length, 9))
            places = np.flatnonzero(row == END)
            assert len(places) <= 1
            end = places[0] if len(places) else 9
            assert (row[:end] > END).all() and not row[end + 1 :].any()
            stops.add(end)
        assert len(stops) > 1

    @translators
    @pytest.mark.parametrize(("bias", "steps"), [(1e3, 1), (-1e3, 6)])
    def test_the_loop_runs_until_all_have_ended_and_no_longer(
        self, module, bias, steps, of, monkeypatch
    ):
        _, _, data, model = of(module)
        model, taken = nnx.clone(model), []
        model.decoder.linear.bias[...] = model.decoder.linear.bias[...].at[END].set(bias)
        decoder = type(model.decoder)
        step = decoder.__call__

        def counted(*arguments, **options):
            jax.debug.callback(lambda: taken.append(1))
            return step(*arguments, **options)

        monkeypatch.setattr(decoder, "__call__", counted)
        translate = seq2seq.translate.__wrapped__
        fresh = jax.jit(lambda model, *source: translate(model, *source, 6))
        written = fresh(model, data.held_out["sources"], data.held_out["lengths"])
        jax.effects_barrier()
        assert len(taken) == steps
        assert (np.asarray(written) == END).any(1).all() == (steps == 1)


class TestPrompts:
    def test_three_likeliest_languages_of_a_name(self, of):
        task, _, data, model = of(names)
        lines = [line.split() for line in task.respond(model, data.vocabulary, " bad ", Sampling())]
        shares = np.exp(log_softmax(model(np.array([[3, 2, 5]]), np.array([3]))))[0]
        likeliest = np.argsort(-shares)[:3]
        assert [line[0] for line in lines] == [data.vocabulary["languages"][k] for k in likeliest]
        printed = [float(line[1].rstrip("%")) for line in lines]
        np.testing.assert_allclose(printed, 100 * shares[likeliest], atol=0.051)
        assert len(list(task.respond(model, data.vocabulary, "abcdefabc", Sampling()))) == 3

    @translators
    def test_a_prompt_is_translated_up_to_its_end(self, module, of):
        task, _, data, model = of(module)
        answer = "".join(task.respond(model, data.vocabulary, "12 abc", Sampling(length=7)))
        source, target = vocabularies(data.vocabulary)
        ids = source.encode("12 abc")
        assert answer == target.decode(written_by_hand(model, ids, len(ids), 7))
        assert len(answer) <= 7

    @pytest.mark.parametrize("module", [names, *TRANSLATORS], ids=lambda m: m.lesson.name)
    @pytest.mark.parametrize("prompt", ["ab§c", "", "  "])
    def test_prompts_that_cannot_be_read(self, module, prompt, of):
        task, _, data, model = of(module)
        words = "got '§' | at character 3" if prompt.strip() else "got none; try"
        refused(ValueError, words, lambda: task.respond(model, data.vocabulary, prompt, Sampling()))


class TestReports:
    def test_the_report_of_names_has_recalls_and_writes_the_confusion(self, of, tmp_path):
        pytest.importorskip("matplotlib")
        task, _, data, model = of(names)
        lines = list(task.report(model, data, tmp_path))
        labels = data.held_out["labels"]
        majority = np.bincount(labels).max() / len(labels)
        assert (
            f"{majority:.1%} if the answer were always {'ABCD'[np.bincount(labels).argmax()]}"
            in lines[2]
        )
        assert f" of {data.held_out['repeats'].sum()} rows" in lines[3]
        recalls = dict(line.split()[:3:2] for line in lines[6:10])
        guesses = np.asarray(model(data.held_out["inputs"], data.held_out["lengths"])).argmax(-1)
        for k, language in enumerate("ABCD"):
            mine = labels == k
            assert recalls[language] == (
                f"{(guesses[mine] == k).mean():.1%}" if mine.any() else "-"
            )
        table = list(csv.reader((tmp_path / "confusion.csv").open()))
        assert table[0] == ["true language \\ predicted", *"ABCD"]
        counted = np.array([row[1:] for row in table[1:]], int)
        for k, guess in zip(labels, guesses, strict=True):
            counted[k, guess] -= 1
        assert not counted.any()
        assert (tmp_path / "confusion.png").stat().st_size > 1000

    @translators
    def test_the_report_of_translators_shows_answers(self, module, of, tmp_path):
        pytest.importorskip("matplotlib")
        task, _, data, model = of(module)
        lines = list(task.report(model, data, tmp_path))
        source, _ = vocabularies(data.vocabulary)
        asked = [source.decode(ids).strip() for ids in data.held_out["sources"][: seq2seq.SHOWN]]
        assert all(text in line for text, line in zip(asked, lines[1:], strict=False))
        assert (tmp_path / "attention.png").exists() == (module is seq2seq_attention)

    @pytest.mark.parametrize("module", [names, seq2seq_attention], ids=lambda m: m.lesson.name)
    def test_without_matplotlib_the_report_says_what_is_missing(
        self, module, of, tmp_path, monkeypatch
    ):
        task, _, data, model = of(module)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        *_, last = task.report(model, data, tmp_path)
        assert "is not written: expected matplotlib to be installed, but it is not; use pip" in last
        assert not list(tmp_path.glob("*.png"))


class TestData:
    def test_a_name_counts_once_for_each_of_its_languages(self):
        ids = np.array([[2, 1], [3, 0], [2, 1], [3, 0], [2, 1], [1, 0]], np.int32)
        language = np.array([0, 0, 0, 1, 0, 1], np.int32)
        rows = surnames.distinct(NameRows(ids, (ids > 0).sum(1).astype(np.int32), language))
        assert {name: array.tolist() for name, array in rows.items()} == {
            "inputs": [[2, 1], [3, 0], [3, 0], [1, 0]],
            "lengths": [2, 1, 1, 1],
            "labels": [0, 0, 1, 1],
            "repeats": [3, 1, 1, 1],
        }
        assert all(array.dtype == np.int32 for array in rows.values())

    def test_names_fit_the_model(self):
        task = names.lesson
        try:
            data = task.read(task.recipe)
        except OSError as error:
            pytest.skip(f"the names are not here: {error}")
        options = task.options(task.recipe, data.vocabulary)
        train, held_out = (
            {tuple(row) for row in part["inputs"]} for part in (data.train, data.held_out)
        )
        assert not train & held_out
        assert data.train["inputs"].max() < options["symbols"]
        assert data.train["labels"].max() < options["languages"] == 18
        batch = task.batches(task.recipe, data)(0, slice(0, 2))
        assert set(batch) == {"inputs", "lengths", "labels", "weights"}

    @cases("module", TRANSLATORS, ids=lambda m: m.lesson.name, short=1)
    def test_dates_fit_the_model(self, module):
        task = module.lesson
        data = task.read(task.recipe)
        options = task.options(task.recipe, data.vocabulary)
        for part in (data.train, data.held_out):
            assert part["sources"].max() < options["source_symbols"]
            assert part["targets"].max() < options["target_symbols"]
            assert (part["targets"] == END).sum(1).tolist() == [1] * len(part["targets"])
        assert set(task.batches(task.recipe, data)(0, slice(0, 2))) == set(data.train)
