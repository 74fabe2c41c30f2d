"""What is compiled for absent devices: launches are counted, missing packages and options named."""

import json
import subprocess
from pathlib import Path

import jax
import pytest

from benchmarks import compiled
from benchmarks.compiled_tables import LEGEND, compiled_tables
from benchmarks.launches import Loop, Work, count
from benchmarks.peers import builders
from benchmarks.programs import check_row, compile_row, entrants
from benchmarks.tables import as_markdown
from benchmarks.targets import TARGETS
from jax_rnn import compiler_options
from jax_rnn.base.compiler import parsed_options
from jax_rnn.bench.ours import ours
from jax_rnn.bench.problem import Setting
from tests.kit import cases, environment, long

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-aot" / "bin" / "python"

GPU = """HloModule jit_forward, is_scheduled=true

%moved (p.0: f32[9,4], p.1: s32[]) -> f32[1,4] {
  %p.0 = f32[9,4]{1,0} parameter(0)
  %p.1 = s32[] parameter(1)
  %slice = f32[1,4]{1,0} dynamic-slice(%p.0, %p.1), dynamic_slice_sizes={1,4}
  ROOT %copy.1 = f32[1,4]{1,0} copy(%slice)
}

%inner (state.2: (s32[], f32[4])) -> (s32[], f32[4]) {
  %state.2 = (s32[], f32[4]{0}) parameter(0)
  %four = f32[4]{0} fusion(%state.2), kind=kLoop, calls=%added
  ROOT %next.2 = (s32[], f32[4]{0}) tuple(%four)
}

%outer (state.1: (s32[], f32[4])) -> (s32[], f32[4]) {
  %state.1 = (s32[], /*index=1*/f32[4]{0}) parameter(0)
  %value = f32[4]{0} get-tuple-element(%state.1), index=1
  %row = f32[1,4]{1,0} fusion(%value), kind=kCustom, calls=%moved, backend_config={"name":"dynamic_slice_fusion"}
  %same = f32[4]{0} bitcast(%row)
  %gemm = (f32[4]{0}, s8[64]{0}) custom-call(%same), custom_call_target="__cublas$gemm"
  %one = s32[] copy(%value)
  %while.2 = (s32[], f32[4]{0}) while(%gemm), condition=%test, body=%inner, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %next.1 = (s32[], f32[4]{0}) tuple(%gemm)
}

%most (b.0: f32[4]) -> f32[4] {
  %b.0 = f32[4]{0} parameter(0)
  %sum = f32[4]{0} fusion(%b.0), kind=kLoop, calls=%added
  ROOT %sums = f32[4]{0} reduce(%sum), dimensions={1}, to_apply=%added
}

%least (b.1: f32[4]) -> f32[4] {
  ROOT %b.1 = f32[4]{0} parameter(0)
}

ENTRY %main (x: f32[9,4]) -> f32[4] {
  %x = f32[9,4]{1,0} parameter(0)
  %zero = s32[] constant(0)
  %start = ((f32[4]{0}), f32[4]{0}) copy-start(%x)
  %done = f32[4]{0} copy-done(%start)
  %while.1 = (s32[], f32[4]{0}) while(%done), condition=%test, body=%outer, backend_config={"known_trip_count":{"n":"9"}}
  ROOT %found = f32[4]{0} conditional(%zero, %x, %x), branch_computations={%least, %most}
}
"""  # noqa: E501

TPU = """HloModule jit_forward, is_scheduled=true

%body (state: (s32[], f32[4])) -> (s32[], f32[4]) {
  %state = (s32[]{:T(128)}, f32[4]{0:T(128)S(1)}) parameter(0)
  %index = s32[]{:T(128)S(6)} copy(%state)
  %next = s32[]{:T(128)} add(%index, %index)
  %step = (f32[4]{0:T(128)}, f32[4]{0:T(128)S(1)}) fusion(%state), kind=kOutput, calls=%added, backend_config={"window_config":{"estimated_cycles":"100"}}
  ROOT %tuple = (s32[]{:T(128)}, f32[4]{0:T(128)}) tuple(%next, %step)
}

%condition (state.1: (s32[], f32[4])) -> pred[] {
  %bound = s32[]{:T(128)} constant(35)
  ROOT %lt = pred[]{:T(512)} compare(%state.1, %bound), direction=LT, backend_config={"flags":[]}
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %memory = f32[4]{0:T(128)} custom-call(), custom_call_target="AllocateBuffer"
  %laid = f32[4]{0:T(128)} copy(%x), backend_config={"window_config":{"estimated_cycles":"7"}}
  ROOT %loop = (s32[]{:T(128)}, f32[4]{0:T(128)}) while(%laid), condition=%condition, body=%body
}
"""  # noqa: E501


class TestLaunches:
    def test_on_a_gpu_loops_multiply_and_slices_are_copies(self):
        program = count(GPU)
        assert program.outside == Work(kernels=2, copies=1)
        assert program.loops == [
            Loop(kernels=1, copies=2, iterations=9),
            Loop(kernels=1, iterations=27),
        ]
        assert program.launches == 3 + 9 * 3 + 27 and program.launches_in_loops == 54
        assert program.cycles == 0

    def test_on_a_tpu_the_condition_has_the_bound_and_scalars_are_free(self):
        program = count(TPU, scalars=False)
        assert program.outside == Work(copies=1, cycles=7)
        assert program.loops == [Loop(kernels=1, cycles=100, iterations=35)]
        assert program.cycles == 7 + 35 * 100
        assert count(TPU).loops == [Loop(kernels=2, copies=1, cycles=100, iterations=35)]

    def test_a_kernel_of_our_own_has_no_estimate(self):
        kernel = '%own = f32[4]{0:T(128)} custom-call(%x), custom_call_target="tpu_custom_call"'
        program = count(TPU.replace("  %laid =", f"  {kernel}\n  %laid ="), scalars=False)
        assert program.outside == Work(kernels=1, copies=1, cycles=7, own_kernels=1)
        assert program.cycles is None

    def test_what_cannot_be_counted_is_refused(self):
        with pytest.raises(ValueError, match="a known number of iterations, got condition"):
            count(TPU.replace("direction=LT", "direction=NE"))
        with pytest.raises(ValueError, match="got no ENTRY computation"):
            count("ENTRY")


def test_values_of_options():
    words = ["a=true", "b=12", "c=x=y"]
    assert parsed_options(words) == {"a": True, "b": 12, "c": "x=y"}


@long
def test_a_row_is_checked_and_compiled_for_another_device():
    setting = Setting("LSTM", 2, 7, 3, 5)
    builds = entrants(setting, ["flax.nnx"], ["auto", "sequential"], [2])
    builds["other"] = lambda problem: ours(
        problem.with_weights({name: -weight for name, weight in problem.weights.items()})
    )
    device = jax.devices("cpu")[1]
    contenders, rows = check_row(setting, builds, ["one", "two"])
    row, untouched = rows["one"], rows["two"]
    compile_row(row, contenders, ("forward", "step"), device, {}, scalars=True)
    assert untouched.entries == {}
    same = ["jax_rnn", "jax_rnn sequential", "jax_rnn gated unroll=2", "flax.nnx"]
    assert "differ from those of jax_rnn" in row.refused["other"] and len(row.refused) == 1
    assert [list(entries) for entries in row.entries.values()] == [same, same]
    for entries in row.entries.values():
        for entry in entries.values():
            assert entry.ratio == entry.launches / entries["jax_rnn"].launches > 0
            assert entry.cycles is None and entry.temporaries > 0 < entry.seconds
    (loop,) = row.entries["forward"]["jax_rnn gated unroll=2"].loops
    assert loop.iterations == 3


@long
def test_a_program_that_the_compiler_refuses_is_named():
    setting = Setting("RNN", 2, 3, 4, 5)
    device, option = jax.devices("cpu")[0], {"no_such_option": True}
    contenders, rows = check_row(setting, builders(setting, []), ["one"])
    row = rows["one"]
    compile_row(row, contenders, ("forward",), device, option, scalars=True)
    assert (
        "forward: it is not compiled: INVALID_ARGUMENT: No such compile option"
        in row.refused["jax_rnn"]
    )


class TestCommand:
    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("h100", "expected jax-cuda13-plugin to be installed, but it is not"),
            ("v5e", "expected libtpu to be installed, but it is not"),
        ],
    )
    def test_without_the_packages_it_says_what_to_do(self, target, words, run, monkeypatch):
        monkeypatch.setattr("benchmarks.targets._exists", lambda module: False)
        found = run("--for", target, main=compiled.main)
        assert found.code == 1 and found.out == "" and found.err.count("\n") == 1
        assert words in found.err and "make bench-compiled" in found.err

    def test_without_ptxas_it_says_what_to_do(self, run, monkeypatch):
        monkeypatch.setattr("benchmarks.targets._exists", lambda module: True)
        monkeypatch.setattr("benchmarks.targets.find_spec", lambda module: None)
        monkeypatch.setattr("shutil.which", lambda name: None)
        found = run("--for", "h100", main=compiled.main)
        assert found.code == 1 and "expected ptxas of the package nvidia-cuda-nvcc" in found.err

    @cases(
        ("words", "said"),
        [
            ("--for h200", "invalid choice: 'h200'"),
            ("", "the following arguments are required: --for"),
            ("--for v5e --rows 1,2", "--rows: expected names among"),
            ("--for v5e --scan fast", "scan: expected 'auto', 'associative'"),
            ("--for v5e --unroll 0", "--unroll: expected at least 1, got 0"),
            ("--for v5e --compiler-option fast", "expected NAME=VALUE, got 'fast'"),
        ],
        short=4,
    )
    def test_bad_options_are_refused(self, words, said, run, monkeypatch):
        monkeypatch.setattr("benchmarks.targets.Target.prepare", lambda target: None)
        found = run(*words.split(), main=compiled.main)
        assert found.code == 2 and said in " ".join(found.err.split())

    def test_help_has_examples_and_all_options(self, run):
        found = run("--help", main=compiled.main)
        assert found.code == 0 and "--scan sequential gated --unroll 1 8 16" in found.out
        options = "--for --rows --kinds --passes --peers --scan --unroll --compiler-option --out"
        assert all(option in found.out for option in options.split())

    @long
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.skipif(not PYTHON.exists(), reason="`make bench-compiled` makes .venv-aot")
    def test_a_small_row_is_compiled_and_written(self, target, tmp_path):
        file = tmp_path / f"compiled-{target}.json"
        words = f"-m benchmarks.compiled --for {target} --rows 1,6,5,5 --kinds RNN --peers haiku"
        if target == "h100":
            given = (f"{name}={value}" for name, value in compiler_options("gpu").items())
            words += f" --compiler-option {' '.join(given)}"
        done = subprocess.run(
            [PYTHON, *words.split(), "--out", tmp_path],
            cwd=ROOT,
            env=environment(XLA_FLAGS="", PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(file.read_text())["rows"]
        for entries in row["entries"].values():
            assert entries.keys() == {"jax_rnn", "haiku"}
            assert all(entry["launches"] > 0 for entry in entries.values())
            assert all(
                (entry["cycles"] is None) == (target == "h100") for entry in entries.values()
            )
        assert "haiku" in file.with_suffix(".md").read_text()


RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize(
    "file", sorted(RESULTS.rglob("compiled-*.json")), ids=lambda path: path.parent.name + path.stem
)
def test_the_tables_are_those_of_the_results(file):
    tables = compiled_tables(json.loads(file.read_text("utf-8")))
    assert file.with_suffix(".md").read_text("utf-8") == as_markdown(tables, LEGEND) + "\n"


@pytest.mark.parametrize(
    ("target", "titles"),
    [
        ("tpu-kernel/v5e", ("Kernels and copies per step, ",)),
        ("h100", ("Kernels and copies per step, ", "Kernels and copies divided")),
        ("v5e", ("Cycles per step", "Cycles divided")),
        ("v6e", ("Cycles divided",)),
    ],
)
def test_the_page_has_the_tables_of_the_results(target, titles):
    page = (ROOT / "docs" / "explanation" / "accelerators.md").read_text("utf-8")
    folder, _, name = target.rpartition("/")
    file = RESULTS / folder / f"compiled-{name}.json"
    tables = compiled_tables(json.loads(file.read_text("utf-8")))
    for title in titles:
        (cells,) = [cells for name, cells in tables.items() if name.startswith(title)]
        lines = as_markdown({title: cells}, "").splitlines()
        assert "\n".join(line for line in lines if line.startswith("|")) in page


def test_the_readme_has_the_numbers_of_the_results():
    rows = json.loads((RESULTS / "compiled-h100.json").read_text("utf-8"))["rows"]
    wanted = {"kind": "LSTM", "B": 64, "T": 256, "I": 256, "H": 256}
    (row,) = [row for row in rows if wanted.items() <= row["setting"].items()]
    found = {name: entry["launches"] / 256 for name, entry in row["entries"]["backward"].items()}
    ours = found.pop("jax_rnn")
    said = f"starts {ours:.1f} kernels and copies a time step, and {min(found.values()):.0f} to "
    assert said + f"{max(found.values()):.0f}" in (ROOT / "README.md").read_text("utf-8")
