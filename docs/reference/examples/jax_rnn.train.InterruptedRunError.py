import signal
import tempfile

import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import Linear, fit
from jax_rnn.train import InterruptedRunError, Run


def stop(record):
    if record["step"] == 1:
        signal.raise_signal(signal.SIGINT)  # Ctrl-C


def loss(model, x):
    return (model(x) ** 2).mean()


with tempfile.TemporaryDirectory() as folder:
    options = {"steps": 9, "optimizer": optax.sgd(0.1), "on_record": stop, "steps_per_call": 1}
    try:
        with Run(folder, {}) as run:
            fit(Linear(3, 1, rngs=nnx.Rngs(0)), loss, jnp.ones((4, 3)), run=run, **options)
    except InterruptedRunError as error:
        assert error.step < 9  # saved; Run(folder, {}, resume=True) continues
    else:
        raise AssertionError("expected an InterruptedRunError")
