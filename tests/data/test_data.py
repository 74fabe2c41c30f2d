"""Data: files found or downloaded; text, names and dates as ids; batches by number."""

import functools
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jax_rnn import data
from jax_rnn.data import (
    Shuffled,
    TextBatches,
    Vocabulary,
    dates,
    files,
    names,
    read_dates,
    read_names,
    read_text,
    text,
)
from tests.kit import refusals, refused
from tests.project.test_architecture import run_python

FOLDER = Path(os.environ.get("JAX_RNN_DATA", "nowhere"))
real = pytest.mark.skipif(
    not (FOLDER / "tinyshakespeare.txt").is_file(), reason="JAX_RNN_DATA holds no data"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache folder, which does not exist yet."""
    folder = tmp_path / "cache" / "jax_rnn"
    monkeypatch.setattr("platformdirs.user_cache_path", folder.with_name)
    return folder


ZEROS, IDS = np.zeros((3, 2)), np.zeros(35, np.uint8)
WORD = Vocabulary("ehlo", first=1)
# (call, words); every one raises a ValueError
ROWS = [
    (lambda: WORD.encode("helium"), "'i' (U+0069) at character 4|ehlo"),
    (lambda: WORD.encode("hel\U0010ffff"), "(U+10FFFF) at character 4"),
    (lambda: WORD.decode([1, 5]), "0 to 4, got 5"),
    (lambda: WORD.decode([-1]), "got -1"),
    (lambda: Vocabulary(""), "symbols"),
    (lambda: Vocabulary("a", first=-1), "first"),
    (lambda: Shuffled({"x": ZEROS}, 4, 0), "1 to 3|got 4"),
    (lambda: Shuffled({"x": ZEROS}, 0, 0), "batch_size"),
    (lambda: Shuffled({"x": ZEROS, "y": ZEROS[1:]}, 1, 0), "'y': 2"),
    (lambda: Shuffled({}, 1, 0), "arrays"),
    (lambda: TextBatches(IDS, 5, 7), "36 characters|5 and window 7|got 35"),
    (lambda: TextBatches(IDS, 0, 7), "batch_size"),
    (lambda: TextBatches(IDS, 5, 0), "window"),
    (lambda: read_dates(0), "count"),
    (lambda: data.fetch("shakespeare"), "tinyshakespeare.txt|'shakespeare'"),
]
test_refused_in_words = refusals((call, ValueError, words) for call, words in ROWS)


class TestVocabulary:
    @given(st.text(st.characters(), min_size=1), st.integers(0, 3))
    def test_ids_are_places_in_the_sorted_symbols_and_decode_to_the_text(self, sentence, first):
        vocabulary = Vocabulary(sentence, first)
        assert list(vocabulary.symbols) == sorted(set(sentence))
        ids = vocabulary.encode(sentence)
        assert ids.dtype == np.int32
        assert ids.tolist() == [first + vocabulary.symbols.index(symbol) for symbol in sentence]
        assert len(vocabulary) == first + len(set(sentence)) > ids.max()
        assert vocabulary.decode(np.r_[ids, np.arange(first)]) == sentence
        assert (
            vocabulary == Vocabulary(vocabulary.symbols, first) != Vocabulary(sentence, first + 1)
        )
        assert vocabulary.encode("").shape == (0,) and vocabulary.decode([]) == ""


class TestShuffled:
    def test_every_epoch_shows_every_row_once_in_another_order(self):
        rows = np.arange(12)
        batches = Shuffled({"row": rows, "square": np.stack([rows, rows**2], 1)}, 3, seed=5)
        assert batches.size == 3 and batches.tokens == 6 and batches.per_epoch == 4
        epochs = [
            np.concatenate([batches(4 * epoch + k, slice(None))["row"] for k in range(4)])
            for epoch in range(3)
        ]
        for number, epoch in enumerate(epochs):
            assert epoch.tolist() == np.random.default_rng([5, number]).permutation(12).tolist()
        assert len({tuple(epoch) for epoch in epochs}) == 3
        batch = batches(6, slice(None))
        np.testing.assert_array_equal(
            batch["square"], np.stack([batch["row"], batch["row"] ** 2], 1)
        )

    def test_a_step_gives_the_same_batch_whenever_and_by_whomever_it_is_asked(self):
        arrays = {"x": np.random.default_rng(0).normal(size=(11, 2))}
        batches, resumed = Shuffled(arrays, 4, seed=1), Shuffled(arrays, 4, seed=1)
        for step in (7, 0, 5, 1):
            whole = batches(step, slice(None))["x"]
            assert whole.shape == (4, 2)
            np.testing.assert_array_equal(resumed(step, slice(1, 3))["x"], whole[1:3])
        seen = np.concatenate([batches(step, slice(None))["x"] for step in (2, 3)])
        assert len(np.unique(seen[:, 0])) == 8, "the incomplete last batch of an epoch is dropped"

    @pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
    def test_rows_may_be_tensors_of_torch(self, dtype):
        torch = pytest.importorskip("torch")
        tensor = torch.arange(6).reshape(3, 2).to(getattr(torch, dtype)).requires_grad_()
        found = Shuffled({"x": tensor}, 3, 0)(0, slice(None))["x"]
        assert found.dtype.name == dtype
        assert sorted(found[:, 0].tolist()) == [0, 2, 4]


@pytest.fixture
def write(tmp_path):
    def put(content, name="text.txt"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return put


@pytest.fixture
def ids_file(write, cache):
    """The text of ``SAMPLE``, and its ids in the cache."""
    path = write(SAMPLE)
    return path, cache / "texts" / f"{read_text(path).sha256}.npy"


def decoded(read):
    """The whole text again."""
    ids = np.concatenate([read.train, read.held_out])
    return Vocabulary(read.vocabulary["symbols"]).decode(ids)


SAMPLE = "Ünïcode, \r\nline\rends\n, 한국어 и \U0001f600! " * 5


def array_file(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


DAMAGES = {
    "empty": lambda whole: b"",
    "no array": lambda whole: b"not an array",
    "cut": lambda whole: whole[:-1],
    "too short": lambda whole: array_file(np.zeros(3, np.uint8)),
    "another dtype": lambda whole: array_file(np.zeros(len(SAMPLE), np.uint16)),
    "a flipped bit": lambda whole: whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:],
}


NOT_UTF8 = [
    ("", b"\xff", "abc", "0xff"),
    ("äöü-abcdef", b"\xe4", "bc", "0xe4"),
    ("한국어", b"\xed\x95", "", "0xed"),
    ("abcdefghij", b"\xf0\x9f\x98", "x", "0xf0"),
    ("abc", b"\xed\xa0\x80", "surrogate", "0xed"),
]


def pipe(write):
    path = write("").with_name("pipe")
    os.mkfifo(path)
    return path


TEXTS = [
    (lambda write: write("").with_name("no.txt"), FileNotFoundError, "no.txt|does not exist"),
    (lambda write: write("").parent, IsADirectoryError, "got a folder"),
    (lambda write: write(""), ValueError, "got an empty file"),
    (lambda write: write(b"\xef\xbb\xbf"), ValueError, "got an empty file"),
    (lambda write: write("short"), ValueError, "5 characters of which 1|longer"),
    (pipe, ValueError, "regular file|read twice"),
]


class TestText:
    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
    def test_text_comes_back_character_by_character(self, chunk, write, monkeypatch):
        monkeypatch.setattr(text, "CHUNK", chunk)
        read = read_text(write(SAMPLE))
        assert decoded(read) == SAMPLE
        assert read.vocabulary == {"symbols": "".join(sorted(set(SAMPLE)))}
        assert json.loads(json.dumps(read.vocabulary)) == read.vocabulary
        assert len(read.train) == int(len(SAMPLE) * 0.9)
        assert read.sha256 == hashlib.sha256(SAMPLE.encode()).hexdigest()

    def test_ids_lie_in_the_cache_under_the_checksum_of_the_text(self, write, cache, monkeypatch):
        first = read_text(write(SAMPLE))
        assert isinstance(first.train, np.memmap) and first.train.dtype == np.uint8
        assert [path.name for path in (cache / "texts").iterdir()] == [f"{first.sha256}.npy"]
        monkeypatch.setattr(text, "write_ids", None)
        again = read_text(write(b"\xef\xbb\xbf" + SAMPLE.encode(), "with_mark.txt"), held_out=0.5)
        assert decoded(again) == SAMPLE and again.sha256 == first.sha256
        assert len(again.held_out) == len(SAMPLE) // 2

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
    def test_damaged_ids_in_the_cache_are_written_anew(self, damage, ids_file):
        path, file = ids_file
        whole = file.read_bytes()
        file.write_bytes(damage(whole))
        assert decoded(read_text(path)) == SAMPLE
        assert file.read_bytes() == whole and len(list(file.parent.iterdir())) == 1

    def test_a_link_in_the_cache_is_not_followed(self, ids_file, tmp_path):
        path, file = ids_file
        target = file.rename(tmp_path / "target")
        target.write_text("mine")
        file.symlink_to(target)
        assert decoded(read_text(path)) == SAMPLE
        assert not file.is_symlink() and target.read_text() == "mine"

    @pytest.mark.parametrize(
        ("size", "kind"), [(256, "u1"), (257, "u2"), (1 << 16, "u2"), ((1 << 16) + 1, "u4")]
    )
    def test_ids_take_as_few_bytes_as_the_vocabulary_allows(self, size, kind, write):
        symbols = "".join(map(chr, [*range(0xD800), *range(0xE000, 0xE000 + size)]))[:size]
        read = read_text(write(symbols))
        assert read.train.dtype == np.dtype(kind) and decoded(read) == symbols

    def test_a_cache_that_cannot_be_written_is_reported_and_not_used(self, write, cache):
        cache.parent.mkdir()
        cache.write_text("a file where the folder should be")
        with pytest.warns(UserWarning, match=r"held in memory.*cannot be written"):
            read = read_text(write(SAMPLE))
        assert not isinstance(read.train, np.memmap) and decoded(read) == SAMPLE

    def test_a_disk_that_fills_up_leaves_nothing_behind(self, write, cache, monkeypatch):
        full = Mock(side_effect=OSError(28, "No space left on device"))
        monkeypatch.setattr(text.os, "fsync", full)
        with pytest.warns(UserWarning, match="No space left"):
            assert decoded(read_text(write(SAMPLE))) == SAMPLE
        assert list((cache / "texts").iterdir()) == []

    @pytest.mark.parametrize("chunk", [1, 4, 1 << 20])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("row", NOT_UTF8)
    def test_bytes_that_are_not_utf8_are_named(self, chunk, mark, row, write, monkeypatch):
        monkeypatch.setattr(text, "CHUNK", chunk)
        before, wrong, after, byte = row
        path = write(mark + before.encode() + wrong + after.encode())
        offset = len(mark) + len(before.encode())
        refused(ValueError, f"byte {byte} at byte offset {offset} |iconv", lambda: read_text(path))

    @pytest.mark.parametrize(("path", "error", "words"), TEXTS, ids=[words for *_, words in TEXTS])
    def test_files_that_are_no_text_are_refused(self, path, error, words, write):
        path = path(write)
        refused(error, words, lambda: read_text(path))

    @pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
    def test_a_share_that_leaves_nothing_is_refused(self, share, write):
        refused(ValueError, "held_out", lambda: read_text(write(SAMPLE), share))

    @pytest.mark.parametrize("then", [SAMPLE.replace("line", "nile"), SAMPLE + "z", SAMPLE[:-5]])
    def test_a_file_that_changes_while_it_is_read_is_refused(self, then, write, cache, monkeypatch):
        path, summarize = write(SAMPLE), text.summarize

        def change(path):
            summary = summarize(path)
            write(then)
            return summary

        monkeypatch.setattr(text, "summarize", change)
        refused(ValueError, "does not change while", lambda: read_text(path))
        assert list((cache / "texts").iterdir()) == []

    def test_memory_does_not_grow_with_the_text(self, write):
        def peak(megabytes):
            path = write(b"some text of which there is a lot\n" * (megabytes * 30_000))
            tracemalloc.start()
            read_text(path)
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

        small, large = peak(2), peak(12)
        assert large < small + 1e6 and large < 24e6

    def test_two_processes_may_read_a_text_at_once(self, write, tmp_path):
        path = write(SAMPLE * 5000)
        code = (
            "import sys, pathlib, platformdirs\n"
            "platformdirs.user_cache_path = lambda name: pathlib.Path(sys.argv[2])\n"
            "from jax_rnn.data import read_text\n"
            "print(read_text(sys.argv[1]).train.sum())"
        )
        command = [sys.executable, "-W", "error", "-c", code, str(path), str(tmp_path / "shared")]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        sums = [process.communicate(timeout=300)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert sums[0] == sums[1]
        assert len(list((tmp_path / "shared" / "texts").iterdir())) == 1

    @real
    def test_tinyshakespeare_is_split_where_others_split_it(self):
        read = read_text(data.fetch("tinyshakespeare.txt"))
        assert (len(read.train), len(read.held_out)) == (1_003_854, 111_540)
        assert len(read.vocabulary["symbols"]) == 65


class TestWindows:
    @pytest.mark.parametrize("length", [36, 40, 46, 47, 107])
    def test_streams_are_read_side_by_side_window_by_window(self, length):
        ids = np.arange(length).astype(np.uint8)
        batches = TextBatches(ids, batch_size=5, window=7)
        windows = (length - 1) // 5 // 7
        assert (batches.size, batches.tokens, batches.windows) == (5, 35, windows)
        steps = [batches(step, slice(None)) for step in range(2 * windows)]
        for name, kind, shape in (
            ("inputs", np.int32, (5, 7)),
            ("labels", np.int32, (5, 7)),
            ("fresh", np.bool_, (5,)),
        ):
            assert {(step[name].dtype, step[name].shape) for step in steps} == {
                (np.dtype(kind), shape)
            }
        streams = np.concatenate([step["inputs"] for step in steps[:windows]], axis=1)
        starts = np.arange(5) * ((length - 1) // 5)
        np.testing.assert_array_equal(streams, starts[:, None] + np.arange(7 * windows))
        for number, step in enumerate(steps):
            np.testing.assert_array_equal(step["labels"], step["inputs"] + 1)
            assert step["fresh"].tolist() == [number in (0, windows)] * 5
            np.testing.assert_array_equal(step["inputs"], steps[number % windows]["inputs"])

    @pytest.mark.parametrize("rows", [slice(0, 2), slice(3, 5), slice(4, 99), slice(2, 2)])
    def test_rows_are_those_of_the_whole_batch_and_no_others_are_read(self, rows):
        ids, touched = np.random.default_rng(0).integers(0, 99, 200), []

        class Watched:
            def __getitem__(self, places):
                touched.extend(np.ravel(places).tolist())
                return ids[places]

        batches = TextBatches(ids, batch_size=5, window=7)
        whole = batches(3, slice(None))
        batches.ids = Watched()
        part = batches(3, rows)
        for name, array in whole.items():
            np.testing.assert_array_equal(part[name], array[rows])
        assert len(touched) == 8 * len(range(5)[rows])


@pytest.fixture
def small_names(tmp_path, monkeypatch):
    """A few languages of made-up names, some of them under several."""
    random = np.random.default_rng(0)
    written = {}
    for language in ("Welsh", "Basque", "Ainu"):
        made = ["".join(random.choice(list("abé-"), random.integers(1, 4))) for _ in range(90)]
        written[language] = [*made, "Zoe\u0301 ", "", "  Zoé"]
        (tmp_path / f"{language}.txt").write_bytes("\r\n".join(written[language]).encode())
    paths = {language: tmp_path / f"{language}.txt" for language in written}
    monkeypatch.setattr(names, "fetch_names", lambda: paths)
    return written


def named(found, rows):
    vocabulary = Vocabulary(found.symbols, first=1)
    return [vocabulary.decode(row) for row in rows.ids]


def check_names(found):
    for rows in (found.train, found.held_out):
        count = len(rows.lengths)
        assert rows.ids.shape == (count, found.vocabulary["longest"])
        assert rows.language.shape == rows.lengths.shape == (count,)
        assert {rows.ids.dtype, rows.lengths.dtype, rows.language.dtype} == {np.dtype(np.int32)}
        steps = np.arange(rows.ids.shape[1])
        np.testing.assert_array_equal(rows.ids > 0, steps < rows.lengths[:, None])
        assert rows.lengths.min() >= 1
    assert not set(named(found, found.train)) & set(named(found, found.held_out))
    assert list(found.languages) == sorted(found.languages) == found.vocabulary["languages"]
    assert found.vocabulary["symbols"] == found.symbols == "".join(sorted(set(found.symbols)))
    assert json.loads(json.dumps(found.vocabulary)) == found.vocabulary


class TestNames:
    def test_names_are_composed_and_stripped_and_split_by_name(self, small_names):
        found = read_names()
        check_names(found)
        assert found.languages == ("Ainu", "Basque", "Welsh") and found.vocabulary["longest"] == 3
        assert set(found.symbols) == set("abé-Zo")
        together = sorted(
            (found.languages[language], name)
            for rows in (found.train, found.held_out)
            for name, language in zip(named(found, rows), rows.language, strict=True)
        )
        assert together == sorted(
            (language, name.strip().replace("e\u0301", "é"))
            for language, written in small_names.items()
            for name in written
            if name
        )

    def test_which_names_are_held_out_is_the_same_everywhere(self):
        chosen = [names.is_held_out(f"name {number}") for number in range(2000)]
        assert 0.17 < np.mean(chosen) < 0.23
        assert [n for n in range(20) if chosen[n]] == [2, 5, 8, 16]

    @real
    def test_the_names_of_the_lecture(self):
        found = read_names()
        check_names(found)
        assert len(found.languages) == 18 and len(found.symbols) == 83
        assert found.train.ids.shape == (16_148, 20) and found.held_out.ids.shape == (3_902, 20)
        language = found.held_out.language
        assert np.bincount(language).max() / len(language) == pytest.approx(0.4851, abs=1e-4)
        assert set(found.held_out.language) == set(range(18))


class TestDates:
    def test_dates_are_written_in_many_ways(self):
        written = [write(date(2021, 3, 3)) for write in dates.FORMATS]
        assert len(set(written)) == len(written) == 23
        some = {"3 March 2021", "Mar 3, 2021", "March 3rd, 2021", "Wednesday, 3rd of March 2021"}
        assert some | {"03/03/21", "3/3/21", "03.03.2021", "20210303"} <= set(written)
        days = (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30)
        ordinals = " ".join(dates.ordinal(date(2021, 1, day)) for day in days)
        assert ordinals == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 30th"

    def test_no_two_dates_are_written_the_same_and_all_can_be_encoded(self):
        every = [dates.FIRST + timedelta(number) for number in range(36525)]
        assert every[-1] == dates.LAST
        source, _, longest = dates.alphabet()
        meant = {}
        for write in dates.FORMATS:
            written = [write(day) for day in every]
            assert all(
                meant.setdefault(said, day) == day for said, day in zip(written, every, strict=True)
            )
            assert max(map(len, written)) <= longest
            source.encode("".join(written))

    def test_rows_of_dates_are_a_source_and_its_iso_form_and_an_end(self):
        found = read_dates(count=300, seed=3)
        source = Vocabulary(found.vocabulary["source_symbols"], first=1)
        target = Vocabulary(found.vocabulary["target_symbols"], first=2)
        assert json.loads(json.dumps(found.vocabulary)) == found.vocabulary
        assert target.symbols == "-0123456789"
        seen = {}
        for name, count in (("train", 300), ("held_out", 30)):
            rows = getattr(found, name)
            assert rows.sources.shape[0] == len(rows.source_lengths) == count
            assert rows.targets.shape == (count, 11)
            assert {array.dtype for array in vars(rows).values()} == {np.dtype(np.int32)}
            steps = np.arange(rows.sources.shape[1])
            np.testing.assert_array_equal(rows.sources > 0, steps < rows.source_lengths[:, None])
            assert (rows.targets[:, 10] == dates.END).all() and (rows.targets[:, :10] > 1).all()
            days = [date.fromisoformat(target.decode(row)) for row in rows.targets]
            sources = [source.decode(row) for row in rows.sources]
            for said, day in zip(sources, days, strict=True):
                assert said in {write(day) for write in dates.FORMATS}
            seen[name] = set(days), set(sources)
        assert not seen["train"][0] & seen["held_out"][0]
        assert not seen["train"][1] & seen["held_out"][1]

    def test_dates_follow_from_the_seed_and_are_the_same_everywhere(self):
        def digest(found):
            arrays = [
                array for rows in (found.train, found.held_out) for array in vars(rows).values()
            ]
            return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in arrays)).hexdigest()[
                :16
            ]

        first = read_dates(50, seed=1)
        assert digest(first) == digest(read_dates(50, seed=1)) == "141ee79fed40710f"
        assert digest(read_dates(50, seed=2)) != digest(first)
        longer = read_dates(60, seed=1).train.sources[:50]
        np.testing.assert_array_equal(longer, first.train.sources)


CONTENT, NAME = b"some data\n", "names/data.txt"
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """``data.txt`` on a local server; yields its folder and the requested paths."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()
    (folder / "data.txt").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/data.txt"
        monkeypatch.delenv("JAX_RNN_DATA", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(files, "SUMS", {NAME: SUM})
        monkeypatch.setattr(files, "URLS", {NAME: url})
        yield folder, asked
        server.shutdown()
        thread.join()


def refused_file(error, *words):
    refused(error, "|".join(words), lambda: data.fetch(NAME))


class TestFiles:
    def test_a_file_is_downloaded_once(self, served, cache):
        path = data.fetch(NAME)
        assert path == cache / NAME and path.read_bytes() == CONTENT
        assert data.fetch(NAME) == path and len(served[1]) == 1
        path.write_bytes(b"damaged")
        assert data.fetch(NAME).read_bytes() == CONTENT and len(served[1]) == 2

    def test_progress_is_reported_to_the_end(self, served, monkeypatch):
        reported = []

        class Bar(files.Bar):
            def close(self):
                reported.append((self.progress.tasks[0].completed, self.total))
                super().close()

        monkeypatch.setattr(files, "Bar", Bar)
        data.fetch(NAME)
        assert set(reported) == {(len(CONTENT), len(CONTENT))}

    def test_other_contents_a_missing_file_and_no_network_are_refused(
        self, served, monkeypatch, cache
    ):
        (served[0] / "data.txt").write_bytes(b"something else")
        refused_file(ValueError, f"SHA-256 {SUM}", "http://127.0.0.1", "set JAX_RNN_DATA")
        (served[0] / "data.txt").unlink()
        refused_file(ConnectionError, "404", "set JAX_RNN_DATA")
        monkeypatch.setattr(files, "URLS", {NAME: "http://127.0.0.1:9/data.txt"})
        refused_file(
            ConnectionError, "connect to the network", "http://127.0.0.1:9/data.txt", f"as {NAME}"
        )
        assert [path for path in cache.rglob("*") if path.is_file()] == []

    def test_a_cache_that_cannot_be_written_is_refused(self, served, cache):
        cache.parent.mkdir()
        cache.write_text("a file where the folder should be")
        refused_file(OSError, str(cache), "XDG_CACHE_HOME", "JAX_RNN_DATA")
        assert served[1] == []

    def test_a_folder_of_the_users_comes_first_and_is_checked(self, served, tmp_path, monkeypatch):
        path = tmp_path / "mine" / NAME
        monkeypatch.setenv("JAX_RNN_DATA", str(tmp_path / "mine"))
        refused_file(FileNotFoundError, str(path), "http://127.0.0.1", "unset JAX_RNN_DATA")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"damaged")
        found = hashlib.sha256(b"damaged").hexdigest()
        refused_file(ValueError, str(path), SUM, found, "replace")
        path.write_bytes(CONTENT)
        assert data.fetch(NAME) == path
        assert served[1] == []
        monkeypatch.setenv("JAX_RNN_DATA", "")
        assert data.fetch(NAME) != path

    def test_every_file_has_a_source_and_a_checksum(self):
        assert list(files.SUMS) == list(files.URLS) and len(files.SUMS) == 19
        for name, url in files.URLS.items():
            assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w/.-]+\.txt", url)
            assert re.fullmatch(r"[0-9a-f]{64}", files.SUMS[name])

    @real
    def test_the_files_of_the_lecture_are_all_there(self):
        listed = (line.split() for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
        assert {name: checksum for checksum, name in listed} == files.SUMS
        found = data.fetch_names()
        assert list(found) == sorted(files.NAMES)
        assert all(path.is_file() and path.stem == language for language, path in found.items())

    def test_nothing_slow_is_imported_along(self):
        slow = "[m for m in ('pooch', 'requests', 'rich', 'jax') if m in sys.modules]"
        assert run_python(f"import sys, json, jax_rnn.data\nprint(json.dumps({slow}))") == []
