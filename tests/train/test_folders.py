"""Run folders of any name and origin: what is refused, and that no other file is changed."""

import importlib
import json
import os
import shutil
import stat
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import msgspec
import pytest
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jax_rnn.base.sealed import About, examine
from jax_rnn.base.storage import FileError, check_folder, replacing, write_text
from jax_rnn.lecture.lessons import char_lm
from jax_rnn.lecture.teaching.training import open_run
from jax_rnn.train import CheckpointError, Run, RunConfig, RunError, load
from jax_rnn.train.config import as_config, read_config, seal
from jax_rnn.train.log import Log, read_log
from tests.kit import cases, refused, rewrite_checkpoint
from tests.train.kit import Weight, enter, kept, reseal

NAMES = ["[x]", "back\\slash", "a b", "ünïcode 名", "new\nline", "q'uo\"te", "-dash", "[/foo]"]
NAMES += ["**", "gs:", "50%", "\udcff"]


CONFIG: dict[str, Any] = {
    "name": "weight",
    "hyperparameters": {"steps": 3, "size": 2},
    "model": {"class": "evil_module:Weight", "options": {"size": 2}},
    "own": {"symbols": "ab"},
}


def trained(folder, config=CONFIG, steps=(1, 2)):
    """A run folder as ``fit`` leaves it, without any training."""
    with Run(folder, config) as run:
        run.begin(0)
        for step in steps:
            run.record({"step": step, "loss": 1.0 / step})
            model = Weight()
            model.weight[...] *= step
            state = {"params": nnx.state(model, nnx.Param)}
            run.save(step, state, {"loss": 1.0 / step}, {"monitor": ["loss", "min"]})
    return folder


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(once, tmp_path):
    """A copy of a run for each test."""
    return Path(shutil.copytree(once, tmp_path / "run"))


@pytest.fixture
def last(folder):
    """The checkpoint of step 2, the last one."""
    return kept(folder).path(2)


class TestNames:
    @cases("name", NAMES, short=1)
    def test_any_name_trains_resumes_and_loads(self, name, tmp_path):
        folder = trained(tmp_path / name / "run")
        assert all(isinstance(examine(kept(folder).path(step)), About) for step in (1, 2))
        with Run(folder, CONFIG, resume=True) as run:
            step, notes = run.resume_at()
            run.begin(step)
            assert step == 2 and notes["monitor"] == ["loss", "min"]
            assert len(read_log(folder)) == 2
        assert load(folder, "last", model=Weight).weight[...].tolist() == [2, 2]
        assert os.listdir(tmp_path) == [name.split("/")[0]]

    def test_a_run_that_is_moved_loads(self, folder):
        moved = folder.rename(folder.with_name("mo[ved]\\"))
        assert load(moved, model=Weight).weight[...].tolist() == [2, 2]

    @pytest.mark.parametrize("name", ["", " "])
    def test_an_empty_one_is_refused(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        refused(ValueError, "expected the name of a run folder", lambda: Run(name, {}))
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("made", [True, False])
    def test_a_run_that_fails_before_it_begins_leaves_nothing(self, made, tmp_path):
        target = tmp_path / "deep" / "run"
        if made:
            target.mkdir(parents=True)
        with pytest.raises(KeyError), Run(target, CONFIG):
            raise KeyError
        assert os.listdir(target if made else tmp_path) == []


class TestForeignCode:
    def test_is_not_imported(self, folder, monkeypatch):
        (folder / "evil_module.py").write_text("open('evil', 'w')")
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        words = "since importing 'evil_module:Weight'|load(folder, model="
        refused(RunError, words, lambda: load(folder))
        refused(RunError, "expected a run of a lesson", lambda: open_run(folder))
        assert not (folder / "evil").exists()

    @pytest.mark.parametrize("name", ["os:system", "jax_rnn.lecture.lessons.char_lm:score"])
    def test_of_a_lesson_is_its_model_alone(self, name, folder):
        reseal(folder, CONFIG | {"name": "char_lm", "model": {"class": name, "options": {}}})
        refused(RunError, "", lambda: open_run(folder))

    @pytest.mark.parametrize("options", [{"hidden_size": 10**9}, {"num_layers": 10**9}, {"x": 1}])
    def test_sizes_are_compared_before_anything_is_allocated(self, options, folder):
        plain = {"cell": "gru", "symbols": 2, "embedding_size": 2, "hidden_size": 2}
        reseal(folder, CONFIG | {"model": {"class": "", "options": plain | options}})
        refused((RunError, CheckpointError), "", lambda: load(folder, model=char_lm.Model))


@pytest.fixture
def target(tmp_path):
    """A file of the user's, to which links lead; it stays as it is."""
    path = tmp_path / "target"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"


FILES = ["config.json", "README.md", "metrics.jsonl", "loss.png", ".lock", "checkpoints"]


@pytest.mark.parametrize("name", FILES)
def test_links_are_refused_and_not_written_through(name, tmp_path, target):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(target)
    refused((FileError, RunError), "got a symbolic link", lambda: trained(folder))


def test_a_partial_file_of_another_is_not_written_through(tmp_path, target):
    (tmp_path / ".config.json.partial").symlink_to(target)
    write_text(tmp_path / "config.json", "new")


class TestStorage:
    def test_files_have_ordinary_permissions(self, tmp_path):
        before = os.umask(0o022)
        try:
            write_text(tmp_path / "file", "x")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644

    def test_a_failed_write_keeps_the_old_contents(self, tmp_path):
        write_text(tmp_path / "file", "old")
        with pytest.raises(KeyError), replacing(tmp_path / "file") as file:
            file.write(b"new")
            raise KeyError
        assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"

    def test_a_folder_is_checked_once(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "large").write_bytes(b"x" * 9)
        (tmp_path / "link").symlink_to("/dev/zero")
        for given, words in (
            (({"fifo": 8},), "expected a regular file, got something else"),
            (({"link": 8},), "got a symbolic link"),
            (({"large": 8},), "at most 8 bytes, got 9"),
            (({}, ("fifo",)), "expected a folder, got something else"),
        ):
            refused(FileError, words, partial(check_folder, tmp_path, *given))
        check_folder(tmp_path, {"large": 9, "absent": 0}, ("nothing",))


DEEP = '{"a":' * 100_000


DAMAGED = [DEEP, "[" * 100_000, "[1]", "7", '"a"', "nul", "\0", "", "{", "[]"]
DAMAGED += ['{"hyperparameters": 3}', '{"made": []}', '{"model": "gru"}', '{"lesson": "x"}']
DAMAGED += ['{"model": {"class": ["x"], "options": {}}}']
ENTRIES = [
    {},
    CONFIG | {"made": {"command": "x", "text": None, "by": "me"}},
    {"own": {"vocabulary": ["a"], "deep": {"a": [1.5, None]}}},
    {"model": {"options": {"size": [1, {"a": None}]}}},
]
OTHER_TYPES = [
    ({"name": 5}, RunError, "fields of RunConfig|`str`, got `int` - at `$.name`"),
    ({"mine": 5}, RunError, "entries of your own into `own`|unknown field `mine`"),
    (RunConfig(own={"a": 1j}), TypeError, "expected JSON-serializable values"),
]


class TestConfiguration:
    @pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:9])
    def test_damaged_is_refused(self, text, folder):
        (folder / "config.json").write_text(text)
        words = "config.json: |damaged file |; restore a copy"
        resume = lambda folder: enter(Run(folder, {}, resume=True))  # noqa: E731
        for use in (read_config, load, open_run, resume):
            refused(RunError, words, partial(use, folder))

    @pytest.mark.parametrize("entries", ENTRIES, ids=str)
    def test_of_any_user_is_kept_to_the_letter(self, entries, tmp_path):
        config = as_config(entries)
        assert msgspec.to_builtins(config) == entries and as_config(config) == config
        with Run(tmp_path / "run", config):
            assert json.loads((tmp_path / "run" / "config.json").read_text()) == entries
            assert read_config(tmp_path / "run") == config

    def test_is_sealed_but_for_what_may_change(self):
        sealed = seal(as_config(CONFIG))
        for more in ({"made": {"command": "x"}}, {"hyperparameters": {"steps": 9, "size": 2}}):
            assert seal(as_config(CONFIG | more)) == sealed
        for more in ({"own": {}}, {"hyperparameters": {"size": 3}}, {"name": "x"}, {"model": None}):
            assert seal(as_config(CONFIG | more)) != sealed

    @pytest.mark.parametrize(("config", "error", "words"), OTHER_TYPES)
    def test_of_other_types_is_refused_before_anything_is_written(
        self, config, error, words, tmp_path
    ):
        refused(error, words, lambda: Run(tmp_path / "run", config))
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
    def test_of_another_kind_is_refused(self, kind, folder):
        path = folder / "config.json"
        path.unlink()
        make = {"fifo": os.mkfifo, "link": lambda path: path.symlink_to("/dev/zero")}
        make.get(kind, Path.mkdir)(path)
        got = "a symbolic link" if kind == "link" else "something else"
        refused(RunError, f"got {got}", lambda: read_config(folder))

    @pytest.mark.parametrize(
        "change", [{"own": {"symbols": "ba"}}, {"name": "names"}, {"hyperparameters": {"size": 3}}]
    )
    def test_edited_after_a_checkpoint_is_refused(self, change, folder):
        changed = CONFIG | change
        (folder / "config.json").write_text(json.dumps(changed))
        words = "it was changed after the checkpoint of step 2"
        refused(RunError, words, lambda: load(folder, model=Weight))
        refused(RunError, "it was changed", lambda: enter(Run(folder, changed, resume=True)))

    @pytest.mark.parametrize("name", ["steps", "patience", "evaluate_every"])
    def test_may_change_in_what_a_run_may_go_on_with(self, name, folder):
        changed = CONFIG["hyperparameters"] | {name: 9}
        enter(Run(folder, CONFIG | {"hyperparameters": changed}, resume=True))

    def test_another_name_is_reported_first(self, folder):
        other = CONFIG | {"name": "names", "hyperparameters": {"size": 4}}
        words = "\n  name: 'weight' in the run, 'names' now\n"
        said = refused(RunError, words, lambda: enter(Run(folder, other, resume=True)))
        assert "size" not in said


FIELDS = [("step", "2"), ("figures", {"loss": "x"}), ("notes", []), ("notes", {"monitor": 3})]
FIELDS.append(("dtypes", {"a": 1}))


class TestCheckpointFolders:
    def test_swapped_are_damaged(self, folder, last):
        one, other = kept(folder).path(1), folder / "other"
        one.rename(other)
        last.rename(one)
        other.rename(last)
        assert [examine(one), examine(last)] == [
            "it is the checkpoint of step 2",
            "it is the checkpoint of step 1",
        ]
        refused(CheckpointError, "all are damaged", lambda: load(folder, model=Weight))

    @pytest.mark.parametrize("kind", ["fifo", "link"])
    def test_that_are_pipes_or_links_are_damaged(self, kind, folder, last):
        moved = last.rename(folder / "moved")
        os.mkfifo(last) if kind == "fifo" else last.symlink_to(moved)
        reason = "it is not a regular file"
        assert examine(last) == reason
        refused(CheckpointError, reason, lambda: kept(folder).restore(2, {}))

    @pytest.mark.parametrize("text", [DEEP, "[]", "{}", '{"step": 3}', '"model"'])
    def test_of_crafted_metadata_are_damaged(self, text, folder, last):
        with safe_open(last, "np") as file:
            metadata = file.metadata()
        save_file(load_file(last), last, metadata | {"about": text})
        assert examine(last) == "it cannot be read"
        said = []
        model = load(folder, "last", model=Weight, say=said.append)
        assert model.weight[...].tolist() == [1, 1] and "step 2 is damaged" in said[0]

    @pytest.mark.parametrize(("name", "value"), FIELDS)
    def test_with_fields_of_other_types_are_damaged(self, name, value, last):
        rewrite_checkpoint(last, **{name: value})
        assert examine(last) == "it cannot be read"

    def test_whose_arrays_make_no_sense_are_refused(self, folder, last):
        dtypes = dict.fromkeys(kept(folder).about(2).dtypes, "uint8")
        rewrite_checkpoint(last, dtypes=dtypes)
        assert isinstance(examine(last), About)
        refused(CheckpointError, "does not fit", lambda: load(folder, "last", model=Weight))
        rewrite_checkpoint(last, dtypes=dict.fromkeys(dtypes, "nothing"))
        assert examine(last) == "it cannot be read"


class TestLog:
    def test_a_removed_folder_ends_the_run(self, tmp_path):
        with Run(tmp_path / "run", CONFIG) as run:
            run.begin(0)
            shutil.rmtree(tmp_path / "run")
            run.record({"step": 1})
            save = partial(run.save, 1, {"x": jnp.ones(1)}, {}, {})
            refused(CheckpointError, "No such file", save)
        assert not (tmp_path / "run").exists()

    def test_tensorboard_keeps_the_steps_before_a_resumption(self, tmp_path):
        pytest.importorskip("tensorboardX")
        events_of: Any = importlib.import_module("tensorboardX.proto.event_pb2")
        rows = [{"step": k, "loss": 1.0, "seconds": 2.0 * k} for k in (1, 2)]
        Log(tmp_path, rows, tensorboard=True).close()
        again = Log(tmp_path, rows, tensorboard=True)
        again.add({"step": 3, "loss": 0.5})
        again.close()
        (events,) = (tmp_path / "tensorboard").iterdir()
        data, steps = events.read_bytes(), []
        while data:
            size = int.from_bytes(data[:8], "little")
            event = events_of.Event.FromString(data[12 : 12 + size])
            steps += [(event.step, v.tag) for v in event.summary.value]
            data = data[16 + size :]
        assert [step for step, tag in steps if tag == "loss"] == [1, 2, 3]


def test_the_readme_of_a_model_of_ones_own_names_calls_that_work(folder):
    text = (folder / "README.md").read_text()
    assert "jax-rnn sample" not in text and "jax-rnn eval" not in text
    assert "load(" in text and "model=Weight" in text and "resume=True" in text
