"""Programs of the checks are compiled with options for one program, as far as XLA knows them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn.testing import compiled as module
from jax_rnn.testing.compiled import compiled


@pytest.fixture
def forgetful():
    module._known.cache_clear()
    yield
    module._known.cache_clear()


def test_a_program_is_that_of_jit():
    def f(x, n):
        return jnp.tanh(x) * n

    x = np.arange(3.0, dtype=np.float32)
    got = compiled(f, static_argnums=1)(x, 2)
    np.testing.assert_allclose(got, jax.jit(f, static_argnums=1)(x, 2), rtol=1e-6)


def test_options_that_xla_does_not_know_are_left_out(monkeypatch, forgetful):
    known = {"xla_backend_optimization_level": 0}
    monkeypatch.setattr(module, "QUICK", known | {"xla_no_such_option": 1})
    assert module._known("cpu") == known
    assert compiled(lambda x: x + 1)(1) == 2


def test_other_backends_compile_as_usual():
    assert module._known("gpu") == {}
