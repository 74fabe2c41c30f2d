import jax
import jax.numpy as jnp

from jax_rnn import initializers

init = initializers.per_gate(jax.nn.initializers.orthogonal())
weight = init(jax.random.key(0), 3, 4, 4, jnp.float32)  # gates, hidden_size, fan_in
assert weight.shape == (3 * 4, 4)
assert jnp.allclose(weight[:4] @ weight[:4].T, jnp.eye(4), atol=1e-5)  # each gate by itself
