"""How the tests run: on the CPU as eight devices, every shape in a signature checked.

XLA compiles without optimization, three times as fast; JAX_RNN_TEST_XLA=default compiles as users
do. Compiled programs are kept in pytest's cache folder, where the other worker, processes that
tests start, the other tier and later runs find them.
"""

import os
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

_COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.pop("JAX_ENABLE_COMPILATION_CACHE", None)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_COMPILED)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
_FAST = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
if version("jaxlib").startswith("0.10."):  # later ones do not know it, and end the process
    _FAST.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        *(_FAST if os.environ.get("JAX_RNN_TEST_XLA") != "default" else ()),
    ]
)
_DATA = Path(__file__).parents[2] / "shared" / "data"
if _DATA.is_dir():
    os.environ.setdefault("JAX_RNN_DATA", str(_DATA))

import jaxtyping  # noqa: E402

jaxtyping.install_import_hook(
    [
        f"jax_rnn.{module}"
        for module in ("base.initializers", "cells", "scans", "layers", "interop", "train")
    ],
    "beartype.beartype",
)

import hypothesis  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests import clock  # noqa: E402

hypothesis.settings.register_profile("jax_rnn", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("jax_rnn")

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)


WEEK = 7 * 24 * 60 * 60


def pytest_sessionstart(session):
    """Remove programs that no run of the last week has used."""
    if not hasattr(session.config, "workerinput"):
        for path in _COMPILED.glob("*"):
            if path.stat().st_atime < time.time() - WEEK:
                path.unlink()


def pytest_configure(config):
    clock.listen()
    config.pluginmanager.register(clock.Clock())
    if config.pluginmanager.hasplugin("dsession") or config.getoption("numprocesses", None):
        config.pluginmanager.register(clock.Controller())
    # Flax annotates nnx.State with typing.Hashable, which beartype finds old-fashioned.
    config.addinivalue_line(
        "filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning"
    )


@pytest.fixture
def x64():
    """JAX computes in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def plant(monkeypatch):
    """``plant(owner, name, wrong)``: a fault in the library until the test ends, seen by all."""

    def put(owner, name, wrong):
        monkeypatch.setattr(owner, name, wrong)
        jax.clear_caches()

    yield put
    monkeypatch.undo()
    jax.clear_caches()


@pytest.fixture
def run(capsys):
    """``run(*words)``: exit code, standard output and standard error of a command, of JAX's tree.

    ``run(*words, main=...)`` is one of another program.
    """
    from jax_rnn.app import cli

    def call(*words, main=cli.main):
        try:
            code = main([str(word) for word in words])
        except SystemExit as left:
            code = left.code
        return SimpleNamespace(code=code or 0, **capsys.readouterr()._asdict())

    return call


@pytest.fixture
def unchecked():
    """Signatures are not checked, so that the library's own checks are tested."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def close():
    """``close(actual, expected, tolerance)``: two trees of arrays agree, leaf by leaf."""

    def check(actual, expected, tolerance=1e-12):
        def leaf(path, a, b):
            where = jax.tree_util.keystr(path)
            assert np.shape(a) == np.shape(b), where
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=where)

        jax.tree_util.tree_map_with_path(leaf, actual, expected)

    return check


@pytest.fixture(scope="module")
def little_data(tmp_path_factory):
    """A short text, 18 times 14 names and 150 dates, read by the lessons of both trees."""
    from jax_rnn.data import dates, files
    from jax_rnn.data import names as names_data

    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdé \n"), 6 * 9 * 11 + 160))
    (folder / "tinyshakespeare.txt").write_text(text, encoding="utf-8")
    (folder / "names").mkdir()
    paths = {name: folder / "names" / f"{name}.txt" for name in files.NAMES}
    for path in paths.values():
        names = ["".join(rng.choice(list("Abceéz '"), rng.integers(2, 9))) for _ in range(14)]
        path.write_text("\n".join([*names, "Abe"]), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(files, "fetch", lambda name: folder / name)
        patch.setattr(names_data, "fetch_names", lambda: paths)
        patch.setattr(dates, "read_dates", partial(dates.read_dates, 150))
        yield


@pytest.fixture
def compilations():
    """The programs compiled so far, one entry each."""
    found = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)
