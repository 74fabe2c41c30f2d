"""A run folder: all that a training run leaves behind, and what it needs to go on."""

import json
import reprlib
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, cast

import jax
from flax import nnx
from rich.console import Console

from jax_rnn.train.checkpoints import Checkpoints
from jax_rnn.train.mesh import is_main, main_does
from jax_rnn.train.plots import loss_plot
from jax_rnn.train.records import Records, read_records, replace, writing

__all__ = ["Run", "RunError", "load", "read_config"]

CONFIG, LOCK, README, PLOT = "config.json", ".lock", "README.md", "loss.png"

MAY_CHANGE = ("steps", "patience", "evaluate_every")
"""Hyperparameters that a run may go on with another value of."""


class RunError(ValueError):
    """A folder that is no run, is another's, or does not fit; the message says what to do."""


def speak(text: str) -> None:
    """A remark on standard error, from one process only."""
    if is_main():
        Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


class Run:
    """A folder that holds a run, locked while open; use it with ``with``.

    It comes to hold ``config.json`` (all that the run was made of), ``metrics.jsonl`` and
    ``metrics.csv``, ``loss.png``, ``checkpoints/`` and a ``README.md`` that explains them.

    Args:
        folder: made if it is not there.
        config: what JSON can hold. Under ``"model"`` stand ``{"class": "module:Name", "options":
            {...}}``, from which ``load`` builds the model; under ``"recipe"`` hyperparameters.
        resume: go on with the run that is in the folder, or begin one where there is none.
        tensorboard: whether to write events for TensorBoard too.
        say: is told in a sentence what a person should know.

    Raises:
        RunError: there is a run and ``resume`` is not given; it was made of something else; another
            process is writing into it; its configuration is missing or damaged.
        OSError: the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: str | Path,
        config: Mapping[str, Any],
        *,
        resume: bool = False,
        tensorboard: bool = False,
        say: Callable[[str], None] = speak,
    ):
        self.folder = Path(folder)
        self.config = json.loads(json.dumps(config))
        self.say = say
        self.checkpoints = Checkpoints(self.folder / "checkpoints", say=say)
        self._resume, self._tensorboard = resume, tensorboard
        self._lock: Any = None
        self.records: Records | None = None

    def __enter__(self) -> "Run":
        main_does(self._open)
        return self

    def _open(self) -> None:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        try:
            if (self.folder / CONFIG).exists() or self.checkpoints.steps():
                self._check_same()
            text = json.dumps(self.config, indent=2, ensure_ascii=False)
            replace(self.folder / CONFIG, text + "\n")
            replace(self.folder / README, self._explain())
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *error: object) -> None:
        if self.records is not None:
            self.records.close()
        if self._lock is not None:
            self._lock.release()

    def begin(self, step: int) -> list[dict[str, Any]]:
        """Go on after that step: what was recorded up to it is returned, the rest forgotten."""
        return main_does(lambda: self._begin(step))

    def _begin(self, step: int) -> list[dict[str, Any]]:
        rows = [row for row in read_records(self.folder, self.say) if row["step"] <= step]
        self.records = Records(self.folder, rows, tensorboard=self._tensorboard)
        return rows

    def record(self, row: dict[str, Any]) -> None:
        if self.records is not None:
            self.records.add(row)

    def finish(self) -> None:
        """Write the table and the plot."""
        main_does(self._finish)

    def _finish(self) -> None:
        if self.records is None:
            return
        self.records.write_table()
        try:
            with writing(self.folder / PLOT):
                loss_plot(self.records.rows, self.folder / PLOT)
        except ModuleNotFoundError as error:
            self.say(f"{PLOT} is not drawn: {error}")

    @property
    def go_on(self) -> str:
        """The command that goes on with this run."""
        words = shlex.split(self.config.get("made", {}).get("command", ""))
        if "train" not in words:
            return f"fit with Run({str(self.folder)!r}, ..., resume=True)"
        if not any(word == "--out" or word.startswith("--out=") for word in words):
            words += ["--out", str(self.folder)]
        return shlex.join([word for word in words if word != "--resume"] + ["--resume"])

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.folder / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{self.folder}: expected a folder of its own for each run, but another process is "
                "writing into this one; choose another --out, or wait until it has ended"
            ) from error

    def _check_same(self) -> None:
        if not self._resume:
            raise RunError(
                f"{self.folder}: expected a new folder, but there is a run in it; --resume goes on "
                "with it, another --out begins a new one"
            )
        before, now = read_config(self.folder), self.config
        faults = _differences(before.get("recipe", {}), now.get("recipe", {}), MAY_CHANGE)
        faults = faults or _differences(before, now, ("recipe", "made"))
        if faults:
            raise RunError(
                f"{self.folder}: expected to go on with the run as it was begun, got\n  "
                + "\n  ".join(faults)
                + f"\nonly {', '.join(MAY_CHANGE)} may change"
            )

    def _explain(self) -> str:
        config = self.config
        recipe = "\n".join(f"| {k} | {v} |" for k, v in config.get("recipe", {}).items())
        made = config.get("made", {})
        return f"""# {config.get("lesson", "A run")}

Made by `{made.get("command", "jax_rnn.train.fit")}` with {made.get("versions", "jax_rnn")}.

| file | what it is |
| --- | --- |
| `config.json` | all that the run was made of: model, vocabulary, data, hyperparameters |
| `metrics.jsonl`, `metrics.csv` | loss, held-out figures and speed, by step |
| `{PLOT}` | the losses, drawn |
| `checkpoints/` | the last two and the best: parameters, optimizer, carried state, step |

    jax-rnn sample {self.folder} --prompt ...
    jax-rnn eval {self.folder}
    jax-rnn export {self.folder} --to safetensors

In Python: `model = jax_rnn.train.load("{self.folder}")`. A run that was stopped goes on, bit for
bit, with

    {self.go_on}

| hyperparameter | value |
| --- | --- |
{recipe}
"""


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], ignored: tuple[str, ...]
) -> list[str]:
    return [
        f"{name}: {reprlib.repr(then.get(name))} then, {reprlib.repr(now.get(name))} now"
        for name in sorted({*then, *now} - set(ignored))
        if then.get(name) != now.get(name)
    ]


def made_by() -> dict[str, str]:
    """The command line and the versions, for ``config["made"]``."""
    packages = ("jax-rnn", "jax", "flax", "optax", "orbax-checkpoint")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    program = Path(sys.argv[0]).name
    words = ["python", "-m", "jax_rnn"] if program == "__main__.py" else [program]
    command = shlex.join([*words, *sys.argv[1:]])
    return {"command": command, "versions": versions, "device": jax.devices()[0].device_kind}


def read_config(folder: str | Path) -> dict[str, Any]:
    """What a run was made of.

    Raises:
        RunError: there is no run in the folder, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder}: expected the folder of a run, got none with a {CONFIG}; "
            "`jax-rnn train LESSON --out FOLDER` makes one"
        ) from error
    except ValueError as error:
        raise RunError(_damaged(path, str(error))) from error
    if not isinstance(config, dict):
        raise RunError(_damaged(path, f"it holds {reprlib.repr(config)}"))
    return config


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: expected the configuration of a run, got a damaged file ({reason}); put back a "
        "copy. A run with the same options in another folder writes the same file"
    )


def load(
    folder: str | Path,
    checkpoint: Literal["best", "last"] = "best",
    *,
    say: Callable[[str], None] = speak,
) -> Any:
    """The trained model of a run, in evaluation mode.

    Args:
        folder: of the run.
        checkpoint: that of the least held-out loss, or the last.
        say: is told where a damaged checkpoint is passed over.

    Raises:
        RunError: no run, no checkpoint, or a model that is no ``nnx.Module``.
        CheckpointError: the checkpoint does not fit the model.
    """
    if checkpoint not in ("best", "last"):
        raise ValueError(f"checkpoint: expected best or last, got {checkpoint!r}")
    config = read_config(folder)
    kept = Checkpoints(Path(folder) / "checkpoints", say=say)
    step = kept.best() if checkpoint == "best" else kept.latest()
    kept.resume_at()
    if step is None:
        raise RunError(f"{folder}: expected a checkpoint, got none; train it longer")
    model = _build(config)
    nnx.update(model, kept.restore_part(step, "params", nnx.state(model, nnx.Param)))
    model.eval()
    return model


def _build(config: Mapping[str, Any]) -> Any:
    """The model that a configuration names, with weights that are to be replaced."""
    try:
        described = config["model"]
        kind, options = resolve_name(described["class"]), described["options"]
    except (KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise RunError(
            f"the configuration of this run names no model that can be imported: {error}"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, nnx.Module)):
        raise RunError(f"expected a model that is an nnx.Module, got {described['class']!r}")
    try:
        return cast(Any, kind)(**options, rngs=nnx.Rngs(0))
    except TypeError as error:
        raise RunError(
            f"expected a model that takes the options in the configuration of this run: {error}"
        ) from error
