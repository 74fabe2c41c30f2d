"""The checks of cells: good cells pass, and each mistake is caught by the right check."""

import itertools
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.core import Tracer

import jax_rnn
from jax_rnn import Cell, GatedCell, HiddenCarry
from jax_rnn.lecture.lessons.gru_by_hand import GRUByHandCell
from jax_rnn.lecture.lessons.lstm_by_hand import LSTMByHandCell
from jax_rnn.lecture.lessons.rnn_by_hand import RNNByHandCell
from jax_rnn.testing import CellExamError, check_cell
from jax_rnn.testing.questions import QUESTIONS
from tests.cells.zoo import OneState, Ticks
from tests.kit import cases, refusals, rngs

I, H = 2, 5  # noqa: E741
NAMES = [question.name for question in QUESTIONS]


class NormalisedCell(OneState):
    """A tanh cell with layer normalisation, whose output is not its state."""

    output_size = 1

    def __init__(self):
        super().__init__(I, H)
        self.input_map = nnx.Linear(I, H, rngs=rngs())
        self.hidden_map = nnx.Linear(H, H, use_bias=False, rngs=rngs())
        self.norms = nnx.List([nnx.LayerNorm(H, rngs=rngs()) for _ in range(2)])
        self.out = nnx.Linear(H, 1, rngs=rngs())

    def project(self, x):
        return self.norms[0](self.input_map(x))

    def step(self, carry, x):
        h = jnp.tanh(x + self.norms[1](self.hidden_map(carry.h)))
        return HiddenCarry(h), self.out(h)


class ClockworkCell(Cell[Ticks]):
    """A cell without parameters, that updates its state at every second step."""

    input_size = hidden_size = I

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        ticks = jnp.zeros((*input_shape[:-1], 1), jnp.int32)
        return Ticks(jnp.zeros(input_shape, self.dtype), ticks)

    def step(self, carry, x):
        h = jnp.where(carry.ticks % 2 == 0, jnp.sin(carry.h + x), carry.h)
        return Ticks(h, carry.ticks + 1), h * x


def cell(kind, *sizes, **options):
    return lambda: getattr(jax_rnn, kind)(I, *(sizes or (H,)), **options, rngs=rngs())


GOOD = {
    "RNNCell": cell("RNNCell"),
    "RNNCell relu": cell("RNNCell", nonlinearity="relu"),
    "RNNCell bfloat16": cell("RNNCell", dtype=jnp.bfloat16),
    "LSTMCell": cell("LSTMCell"),
    "GRUCell": cell("GRUCell"),
    "GRUCell no bias": cell("GRUCell", bias=False),
    "OriginalGRUCell": cell("OriginalGRUCell"),
    "ProjectedLSTMCell": cell("ProjectedLSTMCell", 6, H),
    "MinGRUCell": cell("MinGRUCell"),
    "LRUCell": cell("LRUCell", H, 3),
    "LSTMCell 5 heads": cell("LSTMCell", heads=5),
    "RNNByHandCell": lambda: RNNByHandCell(5, rngs=rngs()),
    "GRUByHandCell": lambda: GRUByHandCell(5, rngs=rngs()),
    "LSTMByHandCell": lambda: LSTMByHandCell(5, rngs=rngs()),
    "NormalisedCell": NormalisedCell,
    "ClockworkCell": ClockworkCell,
}


@cases("name", GOOD, short=1)
def test_good_cells_pass_and_stay_as_they_are(name):
    cell = GOOD[name]()
    before = jax.tree.map(np.asarray, nnx.state(cell))
    assert check_cell(cell) == NAMES
    after = nnx.state(cell)
    jax.tree.map(np.testing.assert_array_equal, after, before)
    assert [a.dtype for a in jax.tree.leaves(after)] == [b.dtype for b in jax.tree.leaves(before)]


def test_every_cell_of_the_library_sits_the_exam():
    cells = {name for name in jax_rnn.__all__ if name.endswith("Cell")}
    bases = {"Cell", "AffineCell", "GatedCell", "LinearCell"}
    assert cells - {name.split()[0] for name in GOOD} == bases


class CountsItsTraces(GatedCell[HiddenCarry]):
    """An update that is a different function each time it is traced."""

    gates = ("a",)
    traces = itertools.count(1)

    def __init__(self):
        super().__init__(I, H, rngs=rngs())

    def update(self, gates, carry):
        h = jnp.tanh(gates.a / next(self.traces))
        return HiddenCarry(h), h


class Tanh(OneState):
    """A correct cell, from which the mistakes are made."""

    def __init__(self):
        super().__init__(I, H)
        self.weight_ih = nnx.Param(jax.random.normal(jax.random.key(0), (H, I)))
        self.weight_hh = nnx.Param(jax.random.normal(jax.random.key(1), (H, H)))

    def project(self, x):
        return x @ self.weight_ih[...].T

    def step(self, carry, x):
        h = jnp.tanh(x + carry.h @ self.weight_hh[...].T)
        return HiddenCarry(h), h


def after_init(change):
    """A cell to which ``change`` is applied when it is made."""

    def init(self):
        Tanh.__init__(self)
        change(self)

    return type("", (Tanh,), {"__init__": init})


def after_step(change):
    """A cell whose carry and output are ``change`` of the right ones."""
    return type("", (Tanh,), {"step": lambda self, carry, x: change(*Tanh.step(self, carry, x))})


def after_project(change):
    """A cell whose projected inputs are ``change`` of the right ones."""
    return type("", (Tanh,), {"project": lambda self, x: change(Tanh.project(self, x))})


def start(make):
    """A cell whose initial carry is made of a shape and a dtype."""

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return make((*input_shape[:-1], H), self.dtype)

    return type("", (Tanh,), {"initialize_carry": initialize_carry})


def h(make):
    return lambda *arguments: HiddenCarry(make(*arguments))


COUNT, STARTS, NOISE = itertools.count(), itertools.count(1), np.random.default_rng(0)


class HalfPrecisionDrift(Tanh):
    def __init__(self):
        super().__init__()
        for param in (self.weight_ih, self.weight_hh):
            param.set_value(param[...].astype(jnp.bfloat16))

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros((*input_shape[:-1], H)))


class GrowingCarry(Tanh):
    def step(self, carry, x):
        _, y = super().step(HiddenCarry(carry.h[..., :H]), x)
        return HiddenCarry(jnp.concatenate([carry.h, y], -1)), y


class CountsInAVariable(Tanh):
    def __init__(self):
        super().__init__()
        self.calls = nnx.Variable(jnp.zeros(()))

    def step(self, carry, x):
        self.calls[...] += 1
        return super().step(carry, x)


class CountsInAnAttribute(Tanh):
    calls = 0

    def step(self, carry, x):
        self.calls += 1
        return super().step(carry, x)


class WritesWhenTraced(CountsInAVariable):
    def step(self, carry, x):
        step = super().step if isinstance(carry.h, Tracer) else partial(Tanh.step, self)
        return step(carry, x)


def before_step(change):
    """A cell whose step reads ``change`` of the right carry and input."""
    return type("", (Tanh,), {"step": lambda self, carry, x: Tanh.step(self, *change(carry, x))})


def with_part(make, change):
    """A cell that holds a part, and whose outputs are ``change(part, y)`` of the right ones."""

    class Holding(Tanh):
        def __init__(self):
            super().__init__()
            self.part = make()

        def step(self, carry, x):
            carry, y = super().step(carry, x)
            return carry, change(self.part, y)

    return Holding


class DrawsByItself(Tanh):
    draws = itertools.count(1)

    def noise(self, key, batch):
        return jnp.full((*batch, H), next(self.draws), self.dtype)

    def step(self, carry, x, noise=None):
        return super().step(carry, x if noise is None else x + noise.step)


class DrawsInVain(Tanh):
    def noise(self, key, batch):
        return jax.random.normal(key, (*batch, H))

    def step(self, carry, x, noise=None):
        return super().step(carry, x)


@jax.custom_vjp
def _tanh_with_a_wrong_rule(x):
    return jnp.tanh(x)


_tanh_with_a_wrong_rule.defvjp(
    lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y**2) / 2,)
)


class FrozenWeight(Tanh):
    def step(self, carry, x):
        h = jnp.tanh(x + carry.h @ lax.stop_gradient(self.weight_hh[...]).T)
        return HiddenCarry(h), h


def normalised(x):
    return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-6)


class OwnSignature(Tanh):
    def initialize_carry(self, input_shape):  # pyright: ignore
        return super().initialize_carry(input_shape)


HidesAParameter = with_part(
    lambda: nnx.data((nnx.Param(jnp.ones(H)),)), lambda scales, y: y * scales[0][...]
)


def halved(y):
    return lax.while_loop(lambda z: jnp.abs(z).max() > 1, lambda z: z / 2, y)


MISTAKES = {
    "WithoutSizes": after_init(lambda cell: delattr(cell, "input_size")),
    "FractionalSize": after_init(lambda cell: setattr(cell, "hidden_size", float(H))),
    "MisstatedInput": after_init(lambda cell: setattr(cell, "input_size", I + 1)),
    "MisstatedOutput": type("", (Tanh,), {"output_size": H + 1}),
    "ListAttribute": after_init(lambda cell: setattr(cell, "widths", nnx.static([1, 2]))),
    "PlainArrayCarry": start(jnp.zeros),
    "NumPyCarry": start(h(np.zeros)),
    "CarryWithoutBatch": start(h(lambda shape, dtype: jnp.zeros(H, dtype))),
    "WeaklyTyped": start(h(lambda shape, dtype: jnp.full(shape, 0.1))),
    "StartsElsewhere": start(h(lambda shape, dtype: jnp.full(shape, next(STARTS), dtype))),
    "TupleAfterStep": after_step(lambda carry, y: ((y,), y)),
    "SinglePrecision": after_step(lambda carry, y: (HiddenCarry(y.astype(jnp.float32)), y)),
    "SinglePrecisionOutput": after_step(lambda carry, y: (carry, y.astype(jnp.float32))),
    "Logarithm": after_step(lambda carry, y: (carry, jnp.log(y))),
    "CountsOutside": after_step(lambda carry, y: (carry, y + next(COUNT))),
    "Branches": after_step(lambda carry, y: (carry, y if carry.h.sum() > 0 else -y)),
    "PeeksAtOtherRows": after_step(lambda carry, y: (carry, y - y.mean(0) if y.ndim > 1 else y)),
    "OneBatchSize": after_step(lambda carry, y: (carry, y.reshape(3, H))),
    "HalfTheGradient": after_step(lambda carry, y: (carry, _tanh_with_a_wrong_rule(y))),
    "While": after_step(lambda carry, y: (carry, halved(y))),
    "DrawsNoise": after_project(lambda x: x + NOISE.normal()),
    "ProjectsOverTime": after_project(lambda x: jnp.cumsum(x, 0) if x.ndim == 3 else x),
    "DropsOut": with_part(lambda: nnx.Dropout(0.5, rngs=rngs()), lambda dropout, y: dropout(y)),
    "HidesAParameter": HidesAParameter,
    "ReadsANumber": before_step(lambda carry, x: (carry, x * float(jnp.linalg.norm(x)))),
    "NormalisesTheState": before_step(lambda carry, x: (HiddenCarry(normalised(carry.h)), x)),
    "ComparesSizes": after_project(lambda x: x * (2 if x.shape[0] > 1 else 1)),
    "DividesByANorm": after_project(normalised),
}
for name, kind in MISTAKES.items():
    kind.__name__ = name
CLASSES = [kind for kind in Tanh.__subclasses__() if kind not in MISTAKES.values()]
CLASSES += [WritesWhenTraced, CountsItsTraces]
MISTAKES |= {kind.__name__: kind for kind in CLASSES}

BAD = [
    ("WithoutSizes", "contract", "input_size"),
    ("FractionalSize", "contract", r"got hidden_size = 5\.0; make hidden_size an int above 0"),
    ("MisstatedInput", "contract", "got TypeError.*set input_size and hidden_size to the sizes"),
    ("MisstatedOutput", "contract", r"y of shape \(3, 6\).*got a .* \(3, 5\); set output_size"),
    ("PlainArrayCarry", "contract", "got a ArrayImpl from initialize_carry; return a NamedTuple"),
    ("NumPyCarry", "contract", "got a ndarray for h of the initial carry; make every field"),
    ("CarryWithoutBatch", "contract", r"got h of shape \(5,\).*batch of shape \(3,\); give it"),
    ("TupleAfterStep", "contract", "step to return a HiddenCarry and y.*got .*a tuple of 1"),
    ("GrowingCarry", "contract", r"step to return h of the carry .*\(3, 5\), got \(3, 10\)"),
    ("SinglePrecision", "contract", "return h of the carry .* float64, got float32; .*h.astype"),
    ("SinglePrecisionOutput", "contract", "got y of dtype float32 from a cell of dtype float64"),
    ("Logarithm", "contract", "got y that is not finite for random inputs"),
    ("CountsInAVariable", "purity", "got a call that changed calls; do not write to the cell"),
    ("CountsInAnAttribute", "purity", "got a call that changed an attribute"),
    ("CountsOutside", "purity", "got another result from a second call"),
    ("DrawsNoise", "purity", "got another result from a second call.*pass random numbers"),
    ("DropsOut", "purity", r"got a call that changed part\.rngs"),
    ("WritesWhenTraced", "trace", "got a traced call that changed calls; do not write to the"),
    ("Branches", "trace", "got TracerBoolConversionError.*use jnp.where or lax.cond"),
    ("ReadsANumber", "trace", "got ConcretizationTypeError.*no float"),
    ("ListAttribute", "trace", "unhashable type.*use numbers, strings, tuples"),
    ("HalfPrecisionDrift", "dtypes", "got y of dtype float32 from a cell of dtype bfloat16"),
    ("ProjectsOverTime", "project", "instead of .* from project on all steps at once"),
    ("PeeksAtOtherRows", "rows", r"got y\[.* in row 0 when other rows change .*\(axis=-1\)"),
    ("OneBatchSize", "rows", "got TypeError: .*reshape.*any number of batch axes"),
    (
        "WeaklyTyped",
        "compile",
        "got 1 more compilation; create every field of the initial carry with",
    ),
    ("HalfTheGradient", "gradients", "from jax.grad and .* finite differences.*custom_vjp"),
    ("FrozenWeight", "gradients", "respect to weight_hh in a random direction.*stop_gradient"),
    ("While", "gradients", "got ValueError: Reverse-mode.*no while_loop"),
    (
        "NormalisesTheState",
        "gradients",
        "got gradient of .* not finite, from the initial carry; .*mostly zeros: guard norms",
    ),
    (
        "DividesByANorm",
        "padding",
        "got gradient of weight_ih that is not finite.*input of zeros.*guard norms",
    ),
    ("OwnSignature", "nnx_rnn", "got TypeError.*keep Flax's signature"),
    ("HidesAParameter", "saving", r"got TypeError: .*several of them in nnx.List"),
]


@pytest.mark.usefixtures("unchecked")
@cases(("name", "question", "words"), BAD, ids=[row[0] for row in BAD], short=12)
def test_each_mistake_is_caught_by_its_question(name, question, words):
    pattern = rf"(?s)^{name}, {question}: expected .*{words}"
    with pytest.raises(CellExamError, match=pattern) as caught:
        check_cell(MISTAKES[name]())
    assert caught.value.failed == (question,)


LATER = [
    ("ProjectsOverTime", "scan"),
    ("ProjectsOverTime", "resume"),
    ("ProjectsOverTime", "reverse"),
    ("PeeksAtOtherRows", "transforms"),
    ("CountsOutside", "checkpoint"),
    ("CountsItsTraces", "scans"),
    ("StartsElsewhere", "resets"),
    ("ProjectsOverTime", "streaming"),
    ("DrawsByItself", "noise"),
    ("DrawsInVain", "noise"),
    ("ComparesSizes", "symbolic"),
]


@pytest.mark.usefixtures("unchecked")
@cases(("name", "question"), LATER, short=1)
def test_later_questions_see_what_earlier_ones_see(name, question):
    with pytest.raises(CellExamError, match=f"{name}, {question}: expected"):
        check_cell(MISTAKES[name](), skip=set(NAMES) - {question})


def test_every_question_can_be_failed():
    assert {question for _, question, *_ in [*BAD, *LATER]} == set(NAMES)


def test_without_stop_every_fault_is_reported_unless_the_contract_is_broken():
    class TwoFaults(HidesAParameter):
        def project(self, x):
            return jnp.cumsum(super().project(x), 0)

    others = set(NAMES) - {"contract", "project", "dtypes", "saving"}
    with pytest.raises(CellExamError, match=r"project: .*\n.*saving: ") as found:
        check_cell(TwoFaults(), skip=others, stop=False)
    assert found.value.failed == ("project", "saving")
    with pytest.raises(CellExamError) as found:
        check_cell(MISTAKES["PlainArrayCarry"](), stop=False)
    assert found.value.failed == ("contract",)


def test_skipped_questions_are_not_asked():
    names = ["contract", "scan", "nnx_rnn"]
    assert check_cell(Tanh(), skip=set(NAMES) - set(names)) == names


@cases(("batch", "steps"), [(1, 2), (2, 5)], short=1)
def test_sizes_of_the_inputs_may_be_chosen(batch, steps):
    names = ["resume", "rows", "padding"]
    assert check_cell(Tanh(), batch=batch, steps=steps, skip=set(NAMES) - set(names)) == names


def test_the_docstring_lists_the_questions_in_their_order():
    rows = re.findall(r"^ *\| *(\w+) *\|", check_cell.__doc__ or "", re.M)
    assert rows[1:] == NAMES


ARGUMENTS = [
    (lambda: check_cell(Tanh), TypeError, "expected an instance of jax_rnn.Cell, got <class"),
    (lambda: check_cell(Tanh(), skip=["x"]), ValueError, "skip to be a list of names|got ['x']"),
    (lambda: check_cell(Tanh(), skip="saving"), ValueError, "expected skip to be a list"),
    (lambda: check_cell(Tanh(), batch=0), ValueError, "expected batch to be at least 1, got 0"),
    (lambda: check_cell(Tanh(), steps=1), ValueError, "expected steps to be at least 2, got 1"),
]


test_wrong_arguments_are_refused = refusals(ARGUMENTS)
