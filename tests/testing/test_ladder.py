"""The ladder passes for equal models, and names what differs in others."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from jax import lax  # noqa: E402

from jax_rnn import GRU, Linear  # noqa: E402
from jax_rnn.cells.gru import GRUCell  # noqa: E402
from jax_rnn.testing import ParityError, check_parity, climb  # noqa: E402
from tests.kit import refused, rngs  # noqa: E402

RUNGS = ["parameter names", "parameter count", "parameter shapes", "forward", "final carry"]
RUNGS += ["input gradients", "weight gradients", "3 steps of Adam"]
INPUTS = np.random.default_rng(0).standard_normal((5, 2, 3))
HX = np.random.default_rng(1).standard_normal((2, 2, 4))


def ours(**options):
    return GRU(3, 4, 2, **options, rngs=rngs())


def theirs(**options):
    torch.manual_seed(0)
    return torch.nn.GRU(3, 4, 2, **options)


def failure(jax_module, torch_module, inputs=(INPUTS, HX)):
    with pytest.raises(ParityError) as caught:
        check_parity(jax_module, torch_module, inputs, steps=3)
    return caught.value


def test_equal_models_climb_every_rung_and_neither_is_changed():
    jax_module, torch_module = ours(), theirs()
    before = [p.detach().numpy().copy() for p in torch_module.parameters()]
    kept = np.array(jax_module.cells[0].weight_ih[...])
    rungs = check_parity(jax_module, torch_module, (INPUTS, HX), steps=3)
    assert [rung.name for rung in rungs] == RUNGS
    assert all(rung.passed for rung in rungs)
    assert max(rung.difference or 0 for rung in rungs) < 1e-12
    after = list(torch_module.parameters())
    assert all((a == b.detach().numpy()).all() for a, b in zip(before, after, strict=True))
    assert (kept == jax_module.cells[0].weight_ih[...]).all()


ROWS = [
    (ours(bias=False), theirs(), "parameter names", "missing in JAX: bias_hh_l0"),
    (ours(), theirs(bias=False), "parameter names", "missing in torch: bias_hh_l0"),
    (ours(), torch.nn.GRU(3, 5, 2), "parameter count", "JAX has 228 parameters, torch 330"),
    (Linear(4, 6, rngs=rngs()), torch.nn.Linear(9, 3), "parameter shapes", "(6, 4), torch (3, 9)"),
    (ours(), theirs(batch_first=True), "forward", "differs first at time step 0"),
]


@pytest.mark.parametrize(("jax_module", "torch_module", "rung", "words"), ROWS)
def test_the_first_rung_that_fails_says_what_is_wrong(jax_module, torch_module, rung, words):
    error = failure(jax_module, torch_module, INPUTS)
    assert error.rungs[-1].name == rung
    assert [passed.name for passed in error.rungs] == RUNGS[: len(error.rungs)]
    assert words in str(error)


def changing(change):
    """A GRU whose output and state are ``change`` of the right ones."""

    class Changing(GRU):
        def __call__(self, input, hx=None, **options):
            return change(*super().__call__(input, hx, **options))

    return Changing(3, 4, 2, rngs=rngs())


def test_the_earliest_time_step_that_parts_is_named():
    error = failure(changing(lambda y, h: (y.at[3:, 1, 2].add(0.5), h)), theirs())
    assert error.rungs[-1].name == "forward"
    assert "first at time step 3, with the largest difference at index (3, 1, 2)" in str(error)
    assert "difference 5.0e-01" in str(error) and "2 of 40 numbers" in str(error)


def test_a_wrong_state_fails_final_carry_alone():
    error = failure(changing(lambda y, h: (y, h[::-1])), theirs())
    assert error.rungs[-1].name == "final carry"


def test_swapped_gates_fail_forward_and_a_stopped_gradient_the_gradients(plant):
    right = GRUCell.update

    def swapped(self, gates, carry):
        return right(self, gates._replace(r=gates.z, z=gates.r), carry)

    def stopped(self, gates, carry):
        n = gates.n._replace(h=lax.stop_gradient(gates.n.h))
        return right(self, gates._replace(n=n), carry)

    plant(GRUCell, "update", swapped)
    assert failure(ours(), theirs()).rungs[-1].name == "forward"
    plant(GRUCell, "update", stopped)
    rung = failure(ours(), theirs(), INPUTS).rungs[-1].name
    assert rung in ("input gradients", "weight gradients")


def test_float32_is_allowed_its_rounding_and_no_more():
    rungs = climb(ours(), theirs(), (INPUTS, HX), steps=3, dtype="float32")
    assert rungs[-1].passed
    assert 1e-12 < max(rung.difference or 0 for rung in rungs) < 1e-4


def test_an_unknown_dtype_is_refused():
    words = "expected one of |float64|, got 'float16'"
    refused(ValueError, words, lambda: climb(ours(), theirs(), INPUTS, dtype="float16"))
