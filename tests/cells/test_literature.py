"""The catalogue of cells: the exam of each, initial values, and the table of the documentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import cells
from jax_rnn.cells import CATALOGUE, Cell
from jax_rnn.interop import load_package_weights, package_weights
from jax_rnn.testing import check_cell
from tests.kit import cases, long, refused, rngs
from tools import cells as tool

I, H = 3, 4  # noqa: E741
SQUARE = {"rg_lru", "selective_ssm"}


def built(name):
    return CATALOGUE[name].build(H if name in SQUARE else I, H, rngs=rngs())


@cases("name", ["cifg_lstm", *sorted(CATALOGUE.keys() - {"cifg_lstm"})], short=1, ids=str)
def test_every_cell_passes_the_exam(name):
    check_cell(built(name))


def test_the_catalogue_has_every_cell_of_the_library():
    public = (getattr(cells, name) for name in cells.__all__ if name.endswith("Cell"))
    abstract = {Cell, cells.AffineCell, cells.GatedCell, cells.LinearCell}
    assert {entry.kind for entry in CATALOGUE.values()} == set(public) - abstract


@long
def test_the_table_of_the_documentation_is_current():
    page = tool.PAGE.read_text("utf-8")
    found = page.split(tool.BEGIN)[1].split(tool.END)[0].splitlines()
    assert found == tool.table().splitlines()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_cell_can_be_built_in_a_compiled_program(name):
    """As ``fit_seeds`` does."""
    shapes = jax.eval_shape(lambda: nnx.state(built(name), nnx.Param))
    assert jax.tree.leaves(shapes)


def bias(gate, *names):
    """The bias of the input's map of one gate, and whether all others are zero."""

    def read(cell):
        values = np.asarray(cell.bias_ih).reshape(len(names), H)
        others = np.delete(values, names.index(gate), 0).any() or np.asarray(cell.bias_hh).any()
        return values[names.index(gate)].tolist(), not others

    return read


def absolute(cell):
    a = np.exp(-np.exp(np.asarray(cell.nu)))
    return bool(((a >= 0) & (a <= 0.99)).all())


def decay(cell):
    a = np.exp(-8 * np.log1p(np.exp(np.asarray(cell.a_param, float))))
    return bool(((a > 0.899) & (a < 0.9991)).all())


def orthogonal(cell):
    blocks = np.asarray(cell.weight_hh, float).reshape(-1, H, H)
    return bool(np.allclose(blocks @ blocks.swapaxes(1, 2), np.eye(H), atol=1e-6))


def values(name, reduce=lambda x: x):
    return lambda cell: np.round(reduce(np.asarray(getattr(cell, name), float)), 3).tolist()


INITIAL = {
    "cifg_lstm": (bias("f", "f", "g", "o"), ([1] * H, True)),
    "peephole_lstm": (bias("f", "i", "f", "g", "o"), ([1] * H, True)),
    "ugrnn": (bias("g", "n", "g"), ([1] * H, True)),
    "mgu": (bias("f", "f", "n"), ([1] * H, True)),
    "li_gru": (orthogonal, True),
    "star": (orthogonal, True),
    "ind_rnn": (values("weight_hh", lambda u: np.minimum(u, 0)), [[0]] * H),
    "slstm": (values("bias_ih", lambda b: b[[H, 2 * H - 1]]), [5, -7]),
    "layer_norm_lstm": (values("bias_gates", lambda b: b.reshape(4, H).sum(1)), [0, H, 0, 0]),
    "mlstm": (values("bias_gates"), [0, 3]),
    "lru": (absolute, True),
    "rg_lru": (decay, True),
    "s5": (values("lambda_real"), [-0.5] * H),
    "selective_ssm": (values("a_log", lambda a: np.exp(a)[0]), [*range(1, 17)]),
}


@pytest.mark.parametrize("name", INITIAL)
def test_initial_values_are_those_of_the_docstring(name):
    read, expected = INITIAL[name]
    assert read(built(name)) == expected


def test_init_replaces_what_a_paper_uses():
    cell = cells.CIFGLSTMCell(I, H, init="flax", rngs=rngs())
    assert not np.asarray(cell.bias_ih).any()


def test_positive_cells_start_at_one_half():
    """minGRU-pytorch starts at zero."""
    for kind in (cells.MinGRUCell, cells.MinLSTMCell):
        carry = kind(I, H, positive=True, rngs=rngs()).initialize_carry((2, I))
        assert carry.h.tolist() == [[0.5] * H] * 2


def test_the_eigenvalues_of_s5_are_those_of_hippo():
    from jax_rnn.cells.literature.s5 import hippo_n

    values, vectors = hippo_n(6)
    n = np.arange(6)
    root = np.sqrt(2 * n + 1)
    low_rank = np.sqrt(n + 0.5)
    normal = -np.tril(np.outer(root, root)) + np.diag(n) + np.outer(low_rank, low_rank)
    np.testing.assert_allclose(normal @ vectors, vectors * values, atol=1e-12)
    assert (values.imag > 0).all()


def make(name, *sizes, **options):
    return lambda: getattr(cells, name)(*sizes, **options, rngs=rngs())


# (call, error, words)
ROWS = [
    (make("CIFGLSTMCell", 0, H), ValueError, "input_size"),
    (make("CoRNNCell", I, H, dt=0), ValueError, "dt: |above 0"),
    (make("CoRNNCell", I, H, gamma="2"), TypeError, "gamma: |above 0"),
    (make("CoRNNCell", I, 2.5), TypeError, "hidden_size"),
    (make("SLSTMCell", I, H, heads=3), ValueError, "heads: "),
    (make("SLSTMCell", I, H, depth=2), ValueError, "depth: |from 0 to 1"),
    (make("IndRNNCell", I, H, nonlinearity="gelu"), ValueError, "nonlinearity: "),
    (make("STARCell", I, H, dtype=int), ValueError, "dtype: "),
    (make("MLSTMCell", I, H, heads=3), ValueError, "heads: |divisor"),
    (make("S5Cell", I, H, steps=(0.1, 0.1)), ValueError, "steps: "),
    (make("RGLRUCell", H, heads=3), ValueError, "heads: |divisor"),
    (make("RGLRUCell", H, radius=(0.9, 1)), ValueError, "radius: "),
    (make("SelectiveSSMCell", H, state_size=0), ValueError, "state_size"),
    (make("ConvLSTMCell", I, H, kernel_size=0), ValueError, "kernel_size"),
    (lambda: CATALOGUE["rg_lru"].build(I, H, rngs=rngs()), ValueError, "input_size"),
    (lambda: package_weights(built("gru"), "torchrecurrent"), ValueError, "GRUCell|torchrecurrent"),
    (lambda: package_weights(built("min_gru"), "minGRU-pytorch"), ValueError, "without bias"),
    (
        lambda: load_package_weights(built("mgu"), "torchrecurrent", {"weight_ih": jnp.ones(3)}),
        ValueError,
        "missing: bias_hh|wrong shape: weight_ih",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_bad_arguments_are_refused(row, unchecked):
    call, error, words = row
    refused(error, words, call)
