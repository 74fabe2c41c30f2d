import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTM, compiler_options

layer = LSTM(3, 4, rngs=nnx.Rngs(0))
platform = jax.default_backend()
run = jax.jit(lambda x: layer(x)[0], compiler_options=compiler_options(platform))
assert run(jnp.ones((5, 2, 3))).shape == (5, 2, 4)
assert "xla_gpu_enable_command_buffer" in compiler_options("gpu")
