"""Newton's method and the parallel adjoint against one step after another, in float64."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LSTMCell,
    OriginalGRUCell,
    ProjectedLSTMCell,
    Recurrent,
    Residual,
    RNNCell,
    Zoneout,
)
from jax_rnn.cells import CATALOGUE, IndRNNCell, LayerNormLSTMCell, LearnedInitialState, LRUCell
from jax_rnn.scans import Newton, ParallelAdjoint, Sequential, packing, slopes, trajectory
from jax_rnn.scans.runner import run_all
from jax_rnn.testing import check_scan
from tests.cells.zoo import Counting
from tests.kit import cases, long, normal, refused, rngs

H, B, T = 4, 2, 5

pytestmark = pytest.mark.usefixtures("x64")
SCANS = {"newton": Newton(), "adjoint": ParallelAdjoint()}


def built(name, size=3):
    square = name in ("rg_lru", "selective_ssm")
    return CATALOGUE[name].build(H if square else size, H, rngs=rngs())


def given(cell, seed=0):
    """Inputs, a first state and cotangents."""
    image = (2, 3) if cell.num_feature_axes == 3 else ()
    x = jnp.asarray(normal(T, B, *image, cell.input_size, seed=seed))
    carry = cell.initialize_carry(x.shape[1:])
    leaves = (0.5 + 0.3 * jnp.asarray(normal(*leaf.shape, seed=k)) for k, leaf in enumerate(carry))
    return type(carry)(*(a.astype(b.dtype) for a, b in zip(leaves, carry, strict=True))), x


def outcome(scan, cell, options):
    """Outputs, last state, states of all steps, and gradients of all of them."""

    @jax.jit
    def run(cell, carry, x):
        def values(cell, carry, x):
            last, y, every, _ = run_all(cell, carry, x, scan=scan, states=True, **options)
            return y, last, every

        out, back = jax.vjp(values, cell, carry, x)
        weights = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), out)
        weights = jax.tree.map(lambda w, leaf: w.astype(leaf.dtype), weights, out)
        gradients = back(weights)
        return out, (nnx.to_pure_dict(nnx.state(gradients[0])), gradients[1:])

    return run(cell, *given(cell))


RAGGED = {
    "mask": jnp.arange(T)[:, None] < jnp.array([T, 3]),
    "resets": jnp.arange(T)[:, None] == jnp.array([2, 1]),
}


@pytest.mark.parametrize("scan", SCANS)
@cases("name", ["gru", *sorted(CATALOGUE.keys() - {"gru"})], short=1)
def test_states_outputs_and_gradients_are_those_of_sequential(name, scan, close):
    cell = built(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = outcome(SCANS[scan], cell, RAGGED)
    close(found, outcome(Sequential(), cell, RAGGED), 1e-9)


@long
@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_directions_masks_and_resets(ragged, reverse, scan, close):
    options = {**(RAGGED if ragged else {}), "reverse": reverse}
    cell = built("lstm")
    close(outcome(SCANS[scan], cell, options), outcome(Sequential(), cell, options), 1e-9)


WRAPPED = {
    "residual": lambda: Residual(GRUCell(H, H, rngs=rngs())),
    "zoneout": lambda: Zoneout(LSTMCell(3, H, rngs=rngs()), h=0.3, c=0.2),
    "learned state": lambda: LearnedInitialState(RNNCell(3, H, rngs=rngs())),
    "heads": lambda: LSTMCell(3, H, heads=2, rngs=rngs()),
    "mixed heads": lambda: LayerNormLSTMCell(3, H, heads=2, rngs=rngs()),
    "diagonal": lambda: GRUCell(3, H, heads=H, rngs=rngs()),
}


@long
@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_noise_and_heads(name, scan, close):
    options = RAGGED | ({"key": jax.random.key(3)} if name == "zoneout" else {})
    cell = WRAPPED[name]()
    close(outcome(SCANS[scan], cell, options), outcome(Sequential(), cell, options), 1e-9)


@long
@pytest.mark.parametrize("name", SCANS)
def test_the_exam_of_scans_is_passed(name):
    check_scan(SCANS[name])


BLOCKS = {
    "dense": (lambda: LSTMCell(3, H, rngs=rngs()), 1),
    "heads": (WRAPPED["heads"], 2),
    "diagonal": (lambda: IndRNNCell(3, H, rngs=rngs()), H),
    "linear, complex": (lambda: LRUCell(3, H, rngs=rngs()), H),
    "heads that a normalisation mixes": (WRAPPED["mixed heads"], 1),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_the_heads_unless_something_mixes_them(name):
    make, expected = BLOCKS[name]
    cell, sizes = make(), []
    carry, x = given(cell)

    def note(problem):
        sizes.append(problem.blocks)
        return trajectory.before(problem, jnp.zeros((T, *problem.packed(carry).shape))), None

    inputs = trajectory.Inputs(x)
    trajectory.run_with(note, cell, carry, inputs, trajectory.Constants(), False)
    assert sizes == [expected]
    packed = packing.pack(carry, carry, 1, expected)
    jax.tree.map(np.testing.assert_array_equal, packing.unpack(packed, carry, 1), carry)


def test_mixing_after_saturated_gates_is_seen(close):
    """At most points the Jacobian of such a step is zero in float64."""

    class Mixing(GatedCell[HiddenCarry]):
        gates = ("a",)

        def update(self, gates, carry):
            h = 0.4 * (jnp.tanh(200 * gates.a) + carry.h)[..., ::-1]
            return HiddenCarry(h), h

    cell = Mixing(3, H, heads=2, rngs=rngs())
    carry, x = given(cell)
    assert packing.blocks_of(cell, carry, x[0], None, 1) == 1
    expected = outcome(Sequential(), cell, {})
    close(outcome(ParallelAdjoint(), cell, {}), expected, 1e-9)


PARTS = {
    "lstm": lambda: LSTMCell(3, H, rngs=rngs()),
    "two heads": lambda: LSTMCell(3, H, heads=2, rngs=rngs()),
    "diagonal": lambda: LSTMCell(3, H, heads=H, rngs=rngs()),
    "another product": lambda: OriginalGRUCell(3, H, rngs=rngs()),
    "projected": lambda: ProjectedLSTMCell(3, H, 2, heads=2, rngs=rngs()),
    "complex": lambda: LRUCell(3, H, rngs=rngs()),
    "wrapped": lambda: Zoneout(GRUCell(3, H, rngs=rngs()), h=0.3),
}


@long
@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("jacobian", ["auto", "full", "block", "diagonal"])
def test_parts_of_the_jacobian_give_the_same(name, jacobian, close):
    cell, scan = PARTS[name](), Newton(jacobian, parallel=jacobian in ("full", "diagonal"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = outcome(scan, cell, RAGGED)
    close(found, outcome(Sequential(), cell, RAGGED), 1e-9)


@pytest.mark.parametrize(
    ("heads", "numbers"),
    [
        (1, {"auto": 36, "full": 36, "block": 12, "diagonal": 6}),
        (3, {"auto": 12, "full": 36, "block": 12, "diagonal": 6}),
    ],
)
def test_an_iteration_solves_with_the_part_that_is_asked_for(heads, numbers, monkeypatch):
    """Numbers of a Jacobian of h and c of 3 units; cells of few heads have blocks of heads."""
    cell, found = LSTMCell(2, 3, heads=heads, rngs=rngs()), {}
    carry, x = given(cell)

    def solve_linear(problem, a, b, initial):
        found[jacobian] = a[0, 0].size
        return trajectory.solve_linear(problem, a, b, initial)

    monkeypatch.setattr(slopes, "solve_linear", solve_linear)
    for jacobian in numbers:
        scan = Newton(jacobian, parallel=False)
        jax.eval_shape(scan, cell, carry, trajectory.Inputs(x), trajectory.Constants())
    assert found == numbers


def test_products_with_weights_are_those_of_all_steps_together():
    cell, steps, size = GRUCell(3, 32, rngs=rngs()), 64, 32
    carry = cell.initialize_carry((1, 3))
    inputs = trajectory.Inputs(cell.project(jnp.ones((steps, 1, 3))))
    problem = trajectory.Problem(cell, carry, inputs, trajectory.Constants(), 1, 1, False)
    program = jax.jit(partial(trajectory.jacobians, problem))
    analysis = program.lower(jnp.ones((steps, 1, 1, size))).compile().cost_analysis()
    assert 10 * steps * size**2 < analysis["flops"] < steps * size**3


def layer_of(scale, scan):
    layer = GRU(3, 16, scan=scan, rngs=rngs())
    layer.cells[0].weight_hh[...] *= scale
    return layer


def test_a_run_says_how_it_went(close):
    x = jnp.asarray(normal(64, B, 3))
    y, _, (run,) = layer_of(1, Newton(lyapunov=True))(x, return_extras=True)
    assert run.converged and run.residual < 1e-12
    assert 2 <= run.iterations <= 8
    assert -3 < run.lyapunov < 0
    close(y, layer_of(1, "sequential")(x)[0], 1e-9)
    _, _, (slow,) = layer_of(1, Newton(jacobian="diagonal"))(x, return_extras=True)
    assert slow.converged and slow.iterations > run.iterations
    assert slow.lyapunov is None
    _, _, (damped,) = layer_of(1, Newton(damping=0.5))(x, return_extras=True)
    assert damped.converged and damped.iterations > run.iterations


def test_what_does_not_converge_is_run_step_by_step_with_a_warning(close):
    x = jnp.asarray(normal(64, B, 3))
    expected, _ = layer_of(30, "sequential")(x)
    scan = Newton(max_iterations=5, lyapunov=True)
    with pytest.warns(RuntimeWarning, match="Newton did not converge"):
        y, _, (run,) = layer_of(30, scan)(x, return_extras=True)
        jax.effects_barrier()
    assert not run.converged and run.lyapunov > 0
    close(y, expected)


def test_iterations_that_overflow_are_not_taken_as_solved(close):
    """On a CPU, XLA's maximum of an array ignores NaN."""
    x = jnp.asarray(normal(256, B, 3), jnp.float32)

    def run(scan, **options):
        layer = LSTM(3, 16, scan=scan, dtype=jnp.float32, rngs=rngs())
        layer.cells[0].weight_hh[...] *= 8
        return layer(x, **options)

    y, _, (how,) = run(Newton(warn=False), return_extras=True)
    assert not how.converged and not np.isfinite(how.residual)
    close(y, run("sequential")[0], 1e-6)


def test_a_nan_is_not_hidden(close):
    x = jnp.asarray(normal(T, B, 3)).at[2, 1].set(jnp.nan)
    layers = [layer_of(1, scan) for scan in ("sequential", Newton(warn=False))]
    expected, found = (layer(x)[0] for layer in layers)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    close(found[:, 0], expected[:, 0], 1e-9)


@long
def test_gradients_do_not_depend_on_the_options(close):
    x, cell = jnp.asarray(normal(T, B, 3)), built("gru")

    def gradient(scan, x):
        return jax.grad(lambda x: (Recurrent(cell, scan=scan)(x)[0] ** 2).sum())(x)

    expected = gradient("sequential", x)
    for scan in (
        Newton(jacobian="diagonal"),
        Newton(damping=0.3),
        Newton(max_iterations=1, warn=False),
    ):
        close(gradient(scan, x), expected, 1e-9)


@long
def test_second_derivatives(close):
    x, cell = jnp.asarray(normal(3, 1, 2)), RNNCell(2, 2, rngs=rngs())

    def hessian(scan):
        return jax.jit(jax.hessian(lambda x: (Recurrent(cell, scan=scan)(x)[0] ** 2).sum()))(x)

    expected = hessian("sequential")
    for scan in ("newton", "parallel_adjoint"):
        close(hessian(scan), expected, 1e-9)


@long
def test_under_vmap_and_in_half_precision():
    x = jnp.asarray(normal(2, T, B, 3))
    layer = layer_of(1, "newton")
    np.testing.assert_allclose(
        jax.vmap(lambda x: layer(x)[0])(x), [layer(each)[0] for each in x], atol=1e-9
    )
    half = [
        GRU(3, H, scan=scan, dtype=jnp.bfloat16, rngs=rngs())(x[0].astype(jnp.bfloat16))[0]
        for scan in ("sequential", "newton", "parallel_adjoint")
    ]
    np.testing.assert_allclose(half[1].astype(float), half[0].astype(float), atol=0.02)
    np.testing.assert_array_equal(half[2], half[0])


def test_half_precision_converges_in_as_many_iterations_as_float32():
    def iterations(dtype):
        layer = GRU(3, 16, scan="newton", dtype=dtype, rngs=rngs())
        (run,) = layer(jnp.asarray(normal(64, B, 3), dtype), return_extras=True)[2]
        return int(run.iterations)

    assert iterations(jnp.bfloat16) <= iterations(jnp.float32) + 1 <= 6


def test_masked_steps_do_not_count_in_the_exponent():
    x, layer = jnp.asarray(normal(40, B, 3)), layer_of(1, Newton(lyapunov=True))
    (whole,) = layer(x[:20], return_extras=True)[2]
    (padded,) = layer(x, lengths=jnp.array([20, 20]), return_extras=True)[2]
    np.testing.assert_allclose(padded.lyapunov, whole.lyapunov, atol=1e-9)


def test_auto_never_chooses_them():
    for cell in (built("gru"), built("lru"), built("mgu")):
        chosen = Recurrent(cell).chosen_scans((1000, 64, cell.input_size))[0]
        assert not isinstance(chosen, Newton | ParallelAdjoint)


def use(scan):
    return lambda: Recurrent(Counting(3, H, rngs=rngs()), scan=scan)(jnp.zeros((T, B, 3)))


# (call, error, words)
ROWS = [
    (use("newton"), ValueError, "ticks of int32"),
    (use(ParallelAdjoint()), ValueError, "ticks of int32"),
    (partial(Newton, jacobian="blocks"), ValueError, "Newton.jacobian: |'full'"),
    (partial(Newton, damping=2), ValueError, "Newton.damping: |from 0 to 1"),
    (partial(Newton, tolerance=0), ValueError, "Newton.tolerance: |above 0"),
    (partial(Newton, max_iterations=0), ValueError, "Newton.max_iterations: |at least 1"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_bad_options_are_refused(row, unchecked):
    call, error, words = row
    refused(error, words, call)
