"""Run folders: what is saved and restored, and that no failure loses it."""

import errno
import json
import math
import os
import resource
import shutil
import signal
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from jax_rnn import RNN, Embedding, Linear, NonFiniteLossError, fit
from jax_rnn.base.interrupt import Interrupt
from jax_rnn.base.meshes import make_mesh
from jax_rnn.lecture.teaching.lesson import optimizer
from jax_rnn.train import CheckpointError, Checkpoints, InterruptedRunError, Run, RunError, load
from jax_rnn.train.log import Log, read_log
from jax_rnn.train.program import Schedule
from jax_rnn.train.results import Evaluations
from rnn_lecture.recipe import Recipe
from tests.kit import cases, refused
from tests.train.kit import enter, kept, reseal
from tools.kill import Lost, compare, contents

S, E, H, B, T = 5, 3, 4, 8, 6
STEPS, EVERY, CALL = 12, 4, 2
RECIPE = Recipe(steps=STEPS, learning_rate=0.05, schedule="cosine", warmup=3)


class Model(nnx.Module):
    def __init__(self, symbols, rngs):
        self.embedding = Embedding(symbols, E, rngs=rngs)
        self.rnn = RNN(E, H, batch_first=True, rngs=rngs)
        self.dropout = nnx.Dropout(0.3)
        self.linear = Linear(H, symbols, rngs=rngs)

    def __call__(self, x, h=None, rngs=None):
        y, h = self.rnn(self.embedding(x), h)
        return self.linear(self.dropout(y, rngs=rngs)), h


class Windows(NamedTuple):
    """Symbols drawn anew for every step."""

    size: int = B
    tokens: int = B * T

    def __call__(self, step: int, rows: slice) -> Any:
        ids = np.random.default_rng(step).integers(0, S, (self.size, T + 1), np.int32)[rows]
        return {"x": ids[:, :-1], "y": ids[:, 1:]}


def loss(model, batch, carry=None, rngs=None):
    logits, h = model(batch["x"], carry, rngs)
    value = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()
    return (value, {}) if carry is None else (value, {}, h.astype(carry.dtype))


@jax.jit
def measure(model, batch):
    return loss(model, batch)[0]


def held_out(model):
    return {"loss": float(measure(model, Windows()(999, slice(0, B))))}


def config(steps=STEPS, **changes):
    hyperparameters = {"steps": steps, "hidden_size": H} | changes
    described = {"class": f"{__name__}:Model", "options": {"symbols": S}}
    return {"model": described, "hyperparameters": hyperparameters, "name": "walk"}


def train(folder, *, resume=False, stop_at=None, steps=STEPS, mesh=None, tensorboard=False, **more):
    """A run with every kind of state; ``stop_at`` sends Ctrl-C at that step."""
    said, records = [], []

    def on_record(record):
        records.append(record)
        if record["step"] + CALL == stop_at:
            signal.raise_signal(signal.SIGINT)

    options = {"optimizer": optimizer(RECIPE), "carry": jnp.zeros((1, B, H)), "seed": 3}
    options |= {"accumulate": 2, "evaluate": held_out, "evaluate_every": EVERY}
    options |= {"steps_per_call": CALL, "on_record": on_record, "mesh": make_mesh(mesh)}
    model = Model(S, nnx.Rngs(0))
    run = Run(folder, config(steps), resume=resume, tensorboard=tensorboard, say=said.append)
    with run:
        history = fit(model, loss, Windows(), steps=steps, run=run, **options | more)
    return SimpleNamespace(model=model, history=history, said=said, records=records)


class StopAtOnce(Interrupt):
    """Every run is asked to stop after its first call."""

    def __init__(self):
        super().__init__()
        self.requested = True


def stop(folder, at, **more):
    with pytest.raises(InterruptedRunError) as caught:
        train(folder, stop_at=at, **more)
    assert caught.value.step == at
    return caught.value


def weights(model):
    return jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, weights(a), weights(b)))


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """A run that was not interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "standard"
    return SimpleNamespace(folder=folder, **vars(train(folder)))


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    stop(folder, 8)
    return folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """A run of its own for each test, stopped after step 8, with checkpoints of steps 4 and 8."""
    folder = shutil.copytree(stopped_once, tmp_path / "run")
    assert kept(folder).steps() == [4, 8]
    return folder


class TestGoingOn:
    @pytest.mark.long
    def test_after_every_call_is_as_if_it_had_never_stopped(self, standard, tmp_path, monkeypatch):
        folder = tmp_path / "run"
        with monkeypatch.context() as patch:
            patch.setattr("jax_rnn.train.loop.Interrupt", StopAtOnce)
            for at in range(CALL, STEPS, CALL):
                stop(folder, at, resume=at > CALL)
        last = train(folder, resume=True)
        compare(folder, standard.folder, last_only=True)
        assert equal(last.model, standard.model)
        assert last.history.evaluations == standard.history.evaluations
        assert (last.history.loss == standard.history.loss[-CALL:]).all()

    @pytest.mark.long
    def test_the_comparison_sees_a_difference(self, standard, stopped):
        train(stopped, resume=True, seed=4)
        with pytest.raises(Lost, match=r"metrics.jsonl.*step 12: params/linear/kernel"):
            compare(stopped, standard.folder)

    def test_with_more_steps(self, standard, tmp_path):
        folder = tmp_path / "run"
        train(folder, steps=8)
        train(folder, resume=True)
        compare(folder, standard.folder)
        assert json.loads((folder / "config.json").read_text())["hyperparameters"]["steps"] == STEPS

    def test_with_fewer_steps_than_were_done_is_refused(self, stopped):
        words = "expected at least 8, the completed steps"
        refused(ValueError, words, lambda: train(stopped, resume=True, steps=6))

    def test_when_all_is_done_does_nothing(self, standard, tmp_path):
        folder = tmp_path / "run"
        shutil.copytree(standard.folder, folder)
        again = train(folder, resume=True)
        assert again.records == [] and again.history.loss.shape == (0,)
        assert equal(again.model, standard.model)
        compare(folder, standard.folder)

    @pytest.mark.long
    def test_on_another_number_of_devices(self, standard, tmp_path, close):
        folder = tmp_path / "run"
        plain = {"evaluate": None, "checkpoint_every": EVERY}
        stop(folder, 8, mesh="data=8", **plain)
        last = train(folder, mesh="data=2", resume=True, **plain)
        close(weights(last.model), weights(standard.model), 1e-5)

    @pytest.mark.long
    def test_where_nothing_is_yet_begins(self, standard, tmp_path):
        folder = tmp_path / "deep" / "run"
        train(folder, resume=True)
        compare(folder, standard.folder)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-4] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "truncated": (truncate, "it cannot be read"),
    "flipped": (flip, "its checksum is wrong"),
    "empty": (lambda path: path.write_bytes(b""), "it cannot be read"),
    "no metadata": (lambda path: save_file(load_file(path), path), "it cannot be read"),
    "a link": (lambda path: path.symlink_to(path.rename(path.with_name("x"))), "not a regular"),
}


class TestDamage:
    @cases("kind", DAMAGE, short=1)
    def test_of_the_last_checkpoint_is_said_and_the_one_before_used(self, kind, standard, stopped):
        spoil, reason = DAMAGE[kind]
        spoil(kept(stopped).path(8))
        last = train(stopped, resume=True)
        (said,) = last.said
        assert said.startswith("the checkpoint of step 8 is damaged") and reason in said
        assert last.records[0]["step"] == 4 + CALL
        compare(stopped, standard.folder)

    def test_of_all_stops_and_touches_nothing(self, stopped):
        for checkpoint in (stopped / "checkpoints").iterdir():
            flip(checkpoint)
        before = files(stopped)
        words = "all are damaged (step 4: |step 8: |another"
        refused(CheckpointError, words, lambda: train(stopped, resume=True))
        quiet = {"model": Model, "say": lambda text: None}
        refused(CheckpointError, "all are damaged", lambda: load(stopped, **quiet))
        after = files(stopped)
        assert all(after[path] == before[path] for path in before if "README" not in path.name)

    @pytest.mark.long
    def test_unfinished_checkpoints_of_a_killed_process_are_removed(self, standard, stopped):
        whole = kept(stopped).path(8).read_bytes()
        for step, size in ((12, None), (16, 100), (20, 0)):
            name = f".step-{step:08d}.safetensors.0123abcd.partial"
            (stopped / "checkpoints" / name).write_bytes(whole[:size])
        (stopped / ".config.json.partial").write_text("{")
        train(stopped, resume=True)
        (stopped / ".config.json.partial").unlink(missing_ok=True)
        compare(stopped, standard.folder)

    @pytest.mark.long
    def test_what_a_finished_run_had_not_yet_removed_is_cleared_away(self, tmp_path):
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        plain = {"evaluate": None, "checkpoint_every": EVERY}
        stop(killed, EVERY, **plain)
        name = "step-00000004.safetensors"
        old = (killed / "checkpoints" / name).read_bytes()
        train(killed, resume=True, **plain)
        shutil.copytree(killed, whole)
        for left in (name, f".{name}.0123abcd.partial"):
            (killed / "checkpoints" / left).write_bytes(old)
        assert train(killed, resume=True, **plain).records == []
        compare(killed, whole)

    def test_others_in_the_folder_are_let_alone(self, stopped):
        (stopped / "checkpoints" / "step-00000008 (copy).safetensors").touch()
        assert kept(stopped).steps() == [4, 8]

    @pytest.mark.parametrize("resume", [True, False])
    def test_checkpoints_without_configuration_are_nobodys(self, resume, stopped):
        (stopped / "config.json").unlink()
        refused(RunError, "", lambda: train(stopped, resume=resume))
        assert kept(stopped).latest() == 8


@contextmanager
def full_disk():
    """``with full_disk() as fill``: after ``fill(size)`` no file grows beyond, as on a full disk.

    The limit ends with the block, before pytest reports, since it holds for pytest's output too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFullDisk:
    @pytest.mark.long
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_loses_nothing_and_the_run_goes_on(self, standard, tmp_path, capfd):
        folder = tmp_path / "run"
        with pytest.raises(CheckpointError) as caught, full_disk() as fill:
            # metrics.jsonl fits
            train(folder, on_record=lambda record: record["step"] == 6 and fill(1500))
        message = str(caught.value)
        assert message.startswith("the checkpoint of step 8 could not be written")
        assert f"to {folder / 'checkpoints'}: File too large; that of step 4 is complete" in message
        assert "ERROR" not in capfd.readouterr().err
        assert kept(folder).latest() == 4
        train(folder, resume=True)
        assert not list((folder / "checkpoints").glob("*.partial"))
        compare(folder, standard.folder)

    @pytest.mark.long
    def test_for_records(self, standard, tmp_path):
        path = tmp_path / "run" / "metrics.jsonl"
        with (
            pytest.raises(OSError, match=r"metrics.jsonl could not be written.*Free disk space"),
            full_disk() as fill,
        ):
            size = lambda: path.stat().st_size + 30  # noqa: E731
            train(path.parent, on_record=lambda record: record["step"] == 6 and fill(size()))
        assert not path.read_text().endswith("\n")
        train(path.parent, resume=True)
        compare(path.parent, standard.folder)

    def test_for_the_configuration_keeps_the_old_one(self, stopped):
        before = (stopped / "config.json").read_text()
        full = pytest.raises(OSError, match=r"config.json could not be written: .*Free disk space")
        with full, full_disk() as fill:
            fill(20)
            enter(Run(stopped, config(steps=20), resume=True))
        assert (stopped / "config.json").read_text() == before

    def test_that_shows_only_when_the_checkpoint_is_synced(self, tmp_path, monkeypatch):
        kept(tmp_path).save(1, {"x": jnp.ones(3)}, {})
        full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        monkeypatch.setattr(os, "fsync", full)
        words = "step 2 could not |No space left on device; that of step 1 is"
        refused(CheckpointError, words, lambda: kept(tmp_path).save(2, {"x": jnp.ones(3)}, {}))
        assert list(kept(tmp_path).folder.iterdir()) == [kept(tmp_path).path(1)]

    def test_a_place_that_is_no_folder(self, tmp_path):
        (tmp_path / "file").touch()
        words = "file/run could not be written: |then resume the run"
        refused(OSError, words, lambda: enter(Run(tmp_path / "file" / "run", config())))


def send(number, times):
    """``on_record`` that sends a signal after the first call."""
    return lambda record: (
        record["step"] == CALL and [signal.raise_signal(number) for _ in range(times)]
    )


class TestSignals:
    @cases("number", [signal.SIGINT, signal.SIGTERM], short=1)
    def test_the_first_saves_and_the_second_acts_at_once(self, number, tmp_path, capfd):
        acted, stops = [], InterruptedRunError
        before = signal.signal(number, lambda *_: acted.append(number))
        try:
            words = "stopped after step 4; the run is saved"
            refused(stops, words, lambda: train(tmp_path / "one", on_record=send(number, 1)))
            assert not acted
            refused(stops, "", lambda: train(tmp_path / "two", on_record=send(number, 2)))
            assert acted == [number]
            signal.raise_signal(number)
            assert len(acted) == 2
        finally:
            signal.signal(number, before)
        assert kept(tmp_path / "one").latest() == 4
        assert "again to stop at once" in capfd.readouterr().err

    def test_the_message_says_how_to_resume(self, tmp_path):
        error = stop(tmp_path / "other", 4)
        assert str(error).endswith(f"to resume: fit with Run('{tmp_path}/other', ..., resume=True)")


class TestOneFolder:
    def test_belongs_to_one_run_at_a_time(self, tmp_path):
        """Also of other processes: see test_kill.py."""
        words = "another process is writing into this one"
        with Run(tmp_path, {}):
            refused(RunError, words, lambda: enter(Run(tmp_path, {}, resume=True)))
        enter(Run(tmp_path, {}, resume=True))

    def test_that_was_refused_is_free(self, stopped):
        for _ in range(2):
            words = "to resume it: |resume=True|use another folder"
            refused(RunError, words, lambda: enter(Run(stopped, config())))

    def test_is_not_gone_on_with_by_another(self, stopped):
        before = files(stopped)
        other = config(hidden_size=9, steps=7, dropout=0.1)
        said = refused(RunError, "", lambda: enter(Run(stopped, other, resume=True))).splitlines()
        hidden = f"  hidden_size: {H} in the run, 9 now"
        assert said[1:3] == ["  dropout: None in the run, 0.1 now", hidden]
        assert len(said) == 4 and "steps" not in "".join(said[1:3])
        other = config() | {"own": {"vocabulary": "x" * 10_000}}
        said = refused(RunError, "vocabulary", lambda: enter(Run(stopped, other, resume=True)))
        assert len(said) < 500 and files(stopped) == before

    def test_keeps_the_command_that_made_it(self, tmp_path):
        for command, mesh in (("first", 8), ("second", 1)):
            made = {"command": command, "options": {"mesh": mesh}}
            with Run(tmp_path / "run", config() | {"made": made}, resume=True):
                kept = json.loads((tmp_path / "run" / "config.json").read_text())["made"]
        assert kept == {"command": "first", "options": {"mesh": 1}}


class TestNotFinite:
    @cases(("spoilt", "named"), [(9, 10), (12, 13)], ids=["loss", "weights"], short=1)
    def test_keeps_the_last_good_checkpoint(self, spoilt, named, standard, tmp_path):
        folder = tmp_path / "run"
        spoil = optax.scale_by_schedule(lambda k: jnp.where(k == spoilt - 1, jnp.nan, 1.0))
        with pytest.raises(NonFiniteLossError) as caught:
            train(folder, optimizer=optax.chain(optimizer(RECIPE), spoil))
        assert caught.value.step == named
        assert f"the last checkpoint is in {folder}" in str(caught.value)
        assert kept(folder).latest() == 8
        model = load(folder, "last", model=Model)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights(model)))
        before = caught.value.history.loss[:spoilt]
        assert (before == standard.history.loss[:spoilt]).all()
        text = (folder / "metrics.jsonl").read_text()
        assert "NaN" not in text and ("null" in text) == (spoilt == STEPS)


class TestPatience:
    @pytest.mark.long
    def test_ends_a_run_that_was_stopped_in_between_too(self, tmp_path):
        folder, losses = tmp_path / "run", iter((3.0, 1.0, math.nan, 2.0, 1.0, 0.5))
        options = {"evaluate": lambda model: {"loss": next(losses)}}
        options |= {"evaluate_every": 2, "patience": 3}
        stop(folder, 6, **options)
        last = train(folder, resume=True, **options)
        assert [row["step"] for row in last.history.evaluations] == [2, 4, 6, 8, 10]
        assert math.isnan(last.history.evaluations[2]["loss"])
        assert kept(folder).steps() == [4, 8, 10] and kept(folder).best() == 4
        rest = train(folder, resume=True, **options)
        assert rest.records == [] and equal(rest.model, last.model)
        assert next(losses) == 0.5

    def test_counts_evaluations_without_a_better_loss(self):
        for patience, looks in ((1, 2), (2, 5), (3, 6)):
            evaluations = Evaluations(patience)
            for step, value in enumerate((3.0, 3.0, 2.0, math.nan, 2.0, 2.0, 1.0)):
                if evaluations.exhausted:
                    break
                evaluations.add(step, {"loss": value})
            assert len(evaluations.rows) == looks

    def test_a_loss_that_is_not_finite_is_never_the_best(self, tmp_path):
        saved = Checkpoints(tmp_path, keep=9)
        for step, value in enumerate((math.nan, 2.0, math.inf, 1.0, -math.inf, math.nan), 1):
            saved.save(step, {"x": jnp.ones(2)}, {"loss": value})
        assert saved.best() == 4 and saved.about(1).figures == {"loss": None}
        assert Checkpoints(tmp_path).best() == 4


class TestFolder:
    def test_holds_what_its_readme_says(self, standard):
        names = {path.name for path in standard.folder.iterdir()} - {".lock"}
        text = (standard.folder / "README.md").read_text()
        listed = {"config.json", "metrics.jsonl", "metrics.csv", "loss.png", "checkpoints"}
        assert names == {*listed, "README.md"}
        assert all(f"`{name}" in text for name in listed)
        assert f"| hidden_size | {H} |" in text and "resume=True" in text
        assert (standard.folder / "loss.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    def test_keeps_the_last_two_checkpoints_and_the_best(self, tmp_path):
        saved = Checkpoints(tmp_path)
        for step, value in ((1, 2.0), (2, 1.0), (3, 5.0), (4, 4.0), (5, 3.0)):
            saved.save(step, {"x": jnp.full(2, step)}, {"loss": value})
        assert saved.steps() == [2, 4, 5] and saved.best() == 2 and saved.latest() == 5
        assert (saved.restore(2, {"x": jnp.zeros(2, jnp.int32)})["x"] == 2).all()

    def test_gets_events_for_tensorboard_when_asked(self, standard, tmp_path):
        pytest.importorskip("tensorboardX")
        folder = tmp_path / "run"
        stop(folder, 8, tensorboard=True)
        train(folder, resume=True, tensorboard=True)
        events = list((folder / "tensorboard").glob("events.out.tfevents.*"))
        assert len(events) == 1 and all(path.stat().st_size > 100 for path in events)
        assert not (standard.folder / "tensorboard").exists()


LINES = [b"\xff\xfe", b"{", b"7", b'{"loss": 1}', b"", b'{"step": Infinity}', b'{"step": "x"}']
LINES.append(b"[" * 100_000)


class TestRecords:
    def test_equal_the_records_of_the_loop(self, standard):
        rows = read_log(standard.folder)
        assert rows == standard.records
        assert [row["step"] for row in rows] == [*range(CALL, STEPS + 1, CALL)]
        means = standard.history.loss.reshape(-1, CALL).mean(1)
        np.testing.assert_allclose([row["loss"] for row in rows], means, rtol=1e-6)
        looked = [row["step"] for row in rows if "held_out_loss" in row]
        assert looked == [*range(EVERY, STEPS + 1, EVERY)]
        table = (standard.folder / "metrics.csv").read_text().splitlines()
        assert table[0] == "step,loss,tokens_per_second,seconds,held_out_loss"
        assert len(table) == 1 + len(rows) and table[1].endswith(",")

    def test_write_null_where_a_number_is_not_finite(self, tmp_path):
        records = Log(tmp_path, [])
        records.add({"step": 1, "loss": math.nan, "up": math.inf})
        records.write_table()
        assert read_log(tmp_path) == records.rows == [{"step": 1, "loss": None, "up": None}]
        assert (tmp_path / "metrics.csv").read_text() == "step,loss,up\n1,,\n"

    def test_survive_a_last_line_that_was_cut_off(self, stopped, standard):
        with (stopped / "metrics.jsonl").open("a") as file:
            file.write('{"step": 10, "lo')
        train(stopped, resume=True)
        compare(stopped, standard.folder)

    @pytest.mark.parametrize("line", LINES, ids=lambda line: str(line[:15]))
    def test_survive_a_damaged_line_and_say_so(self, line, tmp_path):
        path, said = tmp_path / "metrics.jsonl", []
        path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
        assert [row["step"] for row in read_log(tmp_path, said.append)] == [1, 3]
        assert said == [f"{path}: line 2 is damaged and skipped"]


OURS = f"{__name__}:Model"
MODELS = [
    ({"class": "builtins:dict", "options": {}}, RunError, "expected a subclass of nnx.Module"),
    ({"class": "os:system", "options": {}}, RunError, "expected a subclass of nnx.Module"),
    (
        {"class": "no.such.module:Model", "options": {}},
        RunError,
        "expected a class that can be imported",
    ),
    (
        {"class": f"{__name__}:Nothing", "options": {}},
        RunError,
        "expected a class that can be imported",
    ),
    ({"class": OURS}, RunError, "expected the options of the model"),
    ({"class": OURS, "options": {"width": 1}}, RunError, "accepts the options"),
    (None, RunError, "expected a class that can be imported"),
    (
        {"class": OURS, "options": {"symbols": S + 1}},
        CheckpointError,
        "embedding|expected float32 (6, 3), got",
    ),
]


class TestLoad:
    def test_gives_the_best_or_the_last(self, standard):
        last, best = load(standard.folder, "last", model=Model), load(standard.folder, trust=True)
        assert equal(last, standard.model) and last.dropout.deterministic
        saved = kept(standard.folder)
        for model, step in ((last, 12), (best, saved.best())):
            assert held_out(model)["loss"] == saved.about(step).figures["loss"]

    def test_passes_over_a_folder_with_the_name_of_a_checkpoint(self, stopped):
        kept(stopped).path(12).mkdir()
        said = []
        model = load(stopped, "last", model=Model, say=said.append)
        assert held_out(model)["loss"] == kept(stopped).about(8).figures["loss"]
        reason = "it is not a regular file"
        assert said == [f"the checkpoint of step 12 is damaged ({reason}) and skipped"]

    @pytest.mark.parametrize(("described", "error", "words"), MODELS)
    def test_refuses_another_model(self, described, error, words, stopped):
        reseal(stopped, config() | {"model": described})
        refused(error, words, lambda: load(stopped, trust=True))

    def test_refuses_what_is_no_run(self, tmp_path):
        refused(RunError, "expected the folder of a run", lambda: load(tmp_path))
        with Run(tmp_path, config()):
            refused(RunError, "got none; train longer", lambda: load(tmp_path))


class TestHowItComputes:
    @pytest.mark.long
    def test_accumulation_is_one_large_batch(self, x64, close):
        class Large(NamedTuple):
            size: int = 2 * B
            tokens: int = 2 * B * T

            def __call__(self, step, rows):
                parts = [Windows()(2 * step + k, slice(0, B)) for k in range(2)]
                return jax.tree.map(lambda *leaves: np.concatenate(leaves)[rows], *parts)

        def go(batches, accumulate):
            model = Model(S, nnx.Rngs(0))
            model.eval()
            options = {"optimizer": optimizer(RECIPE), "accumulate": accumulate}
            return fit(model, loss, batches, steps=4, **options).loss, weights(model)

        close(go(Windows(), 2), go(Large(), 1))

    def test_bfloat16_keeps_its_weights_in_float32(self, standard):
        seen = set()

        def noting(model, batch, carry=None, rngs=None):
            seen.update((model.linear.kernel.dtype.name, carry.dtype.name))
            return loss(model, batch, carry, rngs)

        model = Model(S, nnx.Rngs(0))
        options = {"optimizer": optimizer(RECIPE), "carry": jnp.zeros((1, B, H)), "seed": 3}
        options |= {"accumulate": 2, "compute_dtype": jnp.bfloat16}
        history = fit(model, noting, Windows(), steps=STEPS, **options)
        assert seen == {"bfloat16"}
        assert {leaf.dtype.name for leaf in jax.tree.leaves(weights(model))} == {"float32"}
        difference = abs(history.loss.astype(np.float32) - standard.history.loss).max()
        assert 0 < difference < 0.03

    def test_rows_that_do_not_divide_over_the_devices_are_refused(self, tmp_path):
        words = "expected a multiple of 3, the number of devices, got 8"
        refused(ValueError, words, lambda: train(tmp_path, mesh="data=3"))

    def test_calls_are_cut_by_the_step_alone(self):
        schedule = Schedule(23, 4, 10, 10)
        whole = schedule.spans(0)
        assert [span.stop for span in whole] == [4, 8, 10, 12, 16, 20, 23]
        for number, span in enumerate(whole):
            assert schedule.spans(span.start) == whole[number:]
        assert schedule.spans(23) == []


def test_what_is_compared_is_all_there(standard):
    found = contents(standard.folder)
    assert found["unfinished"] == []
    kinds = {name.split(": ")[1].split("/")[0] for name in found if ": " in name}
    assert kinds == {"params", "opt_state", "carry", "step"}
