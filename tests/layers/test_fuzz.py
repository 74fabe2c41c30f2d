"""Drawn cases agree with torch, the drawing leaves nothing out, and a wrong library is caught."""

import json
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import combinations
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

pytest.importorskip("torch")

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.literature.projected_lstm import ProjectedLSTMCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.layers import recurrent
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.scans import gated_tangent, runner
from tests import kit
from tools import fuzz
from tools.fuzz import CASES_PER_STRUCTURE, OPTIONS, Mismatch, draw, drawn, options, run, simplest

pytestmark = pytest.mark.filterwarnings("ignore:dropout option adds dropout")

CASES = 10_000
SEEDS_OF_A_STRUCTURE = st.lists(
    st.integers(0, CASES_PER_STRUCTURE - 1), min_size=1, max_size=12, unique=True
)


@lru_cache
def structures_of(layer: str) -> list[int]:
    """Numbers of the structures with that layer, the simplest first."""

    def complexity(number: int) -> tuple[int, ...]:
        s = draw(number * CASES_PER_STRUCTURE).structure
        switches = (s.bidirectional, s.ragged, s.hx, s.bias, s.batch_first, s.dropout > 0)
        return s.num_layers, sum(switches), s.batch * s.steps * s.hidden_size * s.input_size

    numbers = range(CASES // CASES_PER_STRUCTURE)
    chosen = [n for n in numbers if draw(n * CASES_PER_STRUCTURE).structure.layer == layer]
    return sorted(chosen, key=complexity)


@kit.cases("layer", OPTIONS["layer"], short=0)
@settings(max_examples=6, deadline=None)
@given(place=st.integers(0, 59), seeds=SEEDS_OF_A_STRUCTURE)
def test_drawn_cases_agree_with_torch(layer, place, seeds):
    number = structures_of(layer)[place]
    for seed in seeds:
        run(draw(number * CASES_PER_STRUCTURE + seed))


def test_a_seed_always_draws_the_same_case():
    assert draw(1234) == draw(1234)
    first, second = fuzz.data_of(draw(1234)), fuzz.data_of(draw(1234))
    assert jax.tree.all(jax.tree.map(partial(np.array_equal, equal_nan=True), first, second))


def test_every_value_of_every_option_and_every_pair_of_them_is_drawn():
    pairs = {pair for case in drawn(CASES) for pair in combinations(options(case).items(), 2)}
    for (a, values), (b, others) in combinations(OPTIONS.items(), 2):
        for value in values:
            for other in others:
                no_such_pair = (a, b) == ("lengths", "padding") and (
                    (value == "none") != (other == "none")
                )
                assert (((a, value), (b, other)) in pairs) != no_such_pair, (a, value, b, other)


def test_sizes_are_all_different():
    for structure in {case.structure for case in drawn(CASES)}:
        s = structure
        sizes = [s.input_size, s.hidden_size, s.batch, s.steps, s.proj_size]
        assert len({*sizes}) == 5 and 0 <= s.proj_size < s.hidden_size, structure


def test_lengths_are_what_their_name_says():
    unsorted = set()
    for case in drawn(CASES)[::7]:
        lengths, steps = fuzz.data_of(case).lengths, case.structure.steps
        assert (lengths is None) == (case.lengths == "none")
        if lengths is None:
            continue
        kept, found = lengths.clip(0, steps), {*lengths.flat}
        what_it_says = {
            "mixed": lengths.size == 1 or {1, steps} <= found,
            "equal": len(found) == 1,
            "full": (lengths == steps).all(),
            "zero": 0 in found,
            "beyond": (lengths != kept).any(),
        }
        assert what_it_says[case.lengths]
        ordinary = (lengths == kept).all() and lengths.min() >= 1
        assert ordinary or case.lengths in ("zero", "beyond")
        if lengths.size > 1 and (np.diff(lengths) > 0).any():
            unsorted.add(case.lengths)
    assert unsorted == {"mixed", "zero", "beyond"}


def test_padding_holds_what_its_name_says_and_nothing_else_does():
    for case in drawn(CASES)[::7]:
        input = fuzz.data_of(case).input
        assert case.padding == "nan" or not np.isnan(input).any()
        assert case.padding == "inf" or not np.isinf(input).any()


class Fault(NamedTuple):
    """A fault in the library, a case that detects it, and the first quantity that differs."""

    name: str
    place: tuple[Any, str]
    wrong: Callable[[Any], Any]
    case: dict[str, Any]
    quantity: str


def gates_in_order(*order: int):
    def wrong(update):
        return lambda cell, gates, carry: update(
            cell, type(gates)(*(gates[k] for k in order)), carry
        )

    return wrong


def without_reset_bias(update):
    def wrong(cell, gates, carry):
        n = gates.n._replace(h=gates.n.h - cell.bias_hh[2 * cell.hidden_size :])
        return update(cell, gates._replace(n=n), carry)

    return wrong


def biases_do_not_learn(biased):
    return lambda x, bias: x


def backward_state_of_the_last_step(scan):
    def wrong(cell, carry, xs, *, reverse=False, **keywords):
        carry, ys, *rest = scan(cell, carry, xs, reverse=reverse, **keywords)
        return (carry._replace(h=ys[-1]) if reverse else carry), ys, *rest

    return wrong


def without_mask(scan):
    return lambda *arguments, mask=None, **keywords: scan(*arguments, **keywords)


def masked_after_the_cell(scan):
    """Every value is right, but 0 * NaN reaches the gradients."""

    def wrong(cell, carry, xs, *, mask=None, reverse=False, **options):
        def body(old, inputs):
            x, keep = inputs
            new, y = cell.step(old, x)
            new = jax.tree.map(lambda a, b: jnp.where(keep[..., None], a, b), new, old)
            return new, jnp.where(keep[..., None], y, 0)

        return *jax.lax.scan(body, carry, (cell.project(xs), mask), reverse=reverse), None, None

    return wrong


def forgets_hx_of_empty_rows(scan):
    def wrong(cell, carry, xs, *, mask, **keywords):
        carry, *rest = scan(cell, carry, xs, mask=mask, **keywords)
        return jax.tree.map(lambda x: jnp.where(mask.any(0)[..., None], x, 0), carry), *rest

    return wrong


def directions_swapped(initial_carries):
    def wrong(*arguments):
        carries = initial_carries(*arguments)
        return [carries[k ^ 1] for k in range(len(carries))]

    return wrong


def states_ordered_by_direction(call):
    def wrong(layer, *arguments, **keywords):
        output, h_n = call(layer, *arguments, **keywords)
        return output, h_n[jnp.array([0, 2, 1, 3])]

    return wrong


def known_lengths_ignored(to_mask):
    def wrong(lengths, steps):
        return to_mask(
            lengths if isinstance(lengths, Tracer) else jnp.full_like(lengths, 99), steps
        )

    return wrong


LSTM, PROJECTED, GRU = ({"layer": name} for name in ("LSTM", "LSTM proj", "GRU"))
BOTH = GRU | {"bidirectional": True}
RAGGED = GRU | {"lengths": "mixed", "batched": True}
HARMLESS = {"lengths": "mixed", "batched": True, "padding": "numbers"}
POISONED = RAGGED | {"padding": "nan"}
FIRST = {"batch_first": False}  # batch first, the layer cleans its input too
SCAN, CARRIES = (recurrent, "run_all"), (recurrent, "initial_carries")
UPDATE, STEPS = (GRUCell, "update"), (Recurrent, "__call__")
SWAPPED = gates_in_order(0, 2, 1, 3)
FAULTS = [
    Fault("GRU gates", UPDATE, gates_in_order(1, 0, 2), GRU, "output"),
    Fault("LSTM gates", (LSTMCell, "update"), SWAPPED, LSTM, "output"),
    Fault("projected gates", (ProjectedLSTMCell, "update"), SWAPPED, PROJECTED, "output"),
    Fault("no reset bias", UPDATE, without_reset_bias, GRU | {"bias": True}, "output"),
    Fault(
        "biases do not learn",
        (gated_tangent, "biased"),
        biases_do_not_learn,
        GRU | {"bias": True, "scan": "gated"},
        "bias_",
    ),
    Fault("last state", SCAN, backward_state_of_the_last_step, BOTH | {"lengths": "none"}, "h_n"),
    Fault("no mask", SCAN, without_mask, POISONED, "output"),
    Fault("no mask, harmless padding", SCAN, without_mask, GRU | HARMLESS, "output"),
    Fault("masked after the cell", SCAN, masked_after_the_cell, POISONED | FIRST, "gradient: "),
    Fault(
        "empty rows forget hx",
        SCAN,
        forgets_hx_of_empty_rows,
        RAGGED | {"lengths": "zero", "hx": True},
        "h_n",
    ),
    Fault("hx swapped", CARRIES, directions_swapped, BOTH | {"hx": True}, "forward: "),
    Fault("states", STEPS, states_ordered_by_direction, BOTH | {"num_layers": 2}, "h_n"),
    Fault(
        "known lengths ignored",
        (recurrent, "lengths_to_mask"),
        known_lengths_ignored,
        HARMLESS | {"eager": True},
        "output, eager",
    ),
    Fault("another Adam", (optax, "adam"), lambda adam: partial(adam, b2=0.99), GRU, "adam: "),
]


@pytest.fixture
def spoil(plant):
    """``spoil(fault)`` puts the fault into the library until the test ends."""

    def put(fault: Fault) -> None:
        plant(*fault.place, fault.wrong(getattr(*fault.place)))

    fuzz.program.cache_clear()
    yield put
    fuzz.program.cache_clear()


@kit.cases("fault", FAULTS, ids=lambda fault: fault.name, short=0)
def test_a_wrong_library_is_caught(fault, spoil):
    case = simplest(**fault.case)
    spoil(fault)
    with pytest.raises(Mismatch) as caught:
        run(case)
    message = str(caught.value)
    assert fault.quantity in message.splitlines()[0]
    assert message.splitlines()[1].strip() == f"python -m tools.fuzz --only {case.seed}"


def test_the_scan_that_the_faults_replace_is_the_one_in_use():
    assert recurrent.run_all is runner.run_all


@pytest.mark.long
def test_an_error_inside_the_library_names_the_case_too(monkeypatch):
    fuzz.program.cache_clear()
    monkeypatch.setattr(recurrent, "run_all", None)
    case = simplest(**GRU)
    with pytest.raises(TypeError) as caught:
        run(case)
    fuzz.program.cache_clear()
    assert f"--only {case.seed}" in "".join(caught.value.__notes__)


@pytest.mark.long
def test_the_command_reports_failures_and_how_to_repeat_them(spoil, tmp_path, capsys):
    case = simplest(**GRU)
    wanted = ["--only", str(case.seed), "--json", str(tmp_path / "summary.json")]
    assert fuzz.main(wanted) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["cases"] == 1 and not summary["failures"]
    assert summary["options"]["layer"]["GRU"]["cases"] == 1
    assert summary["quantities"]["float64"]["forward: output"]["error"] < 1e-12
    assert "1 cases, 0 failures" in capsys.readouterr().out

    fuzz.program.cache_clear()
    spoil(FAULTS[0])
    assert fuzz.main(wanted) == 1
    assert [*json.loads((tmp_path / "summary.json").read_text())["failures"]] == [str(case.seed)]
    assert f"python -m tools.fuzz --only {case.seed}" in capsys.readouterr().out
