import jax
import jax.numpy as jnp

from jax_rnn import sample

logits = jnp.array([[0.0, 1.0, 3.0, 2.0], [5.0, 0.0, 0.0, 4.0]])
symbols = sample(jax.random.key(0), logits, temperature=0.8, top_k=2)
assert symbols.shape == (2,)  # one for each row
assert symbols[0] in (2, 3) and symbols[1] in (0, 3)
