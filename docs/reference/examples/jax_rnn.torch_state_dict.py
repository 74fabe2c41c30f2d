from flax import nnx

from jax_rnn import GRU, torch_state_dict

state = torch_state_dict(GRU(3, 4, bidirectional=True, rngs=nnx.Rngs(0)))
assert state["weight_hh_l0"].shape == (3 * 4, 4)  # gates r z n, stacked
assert state["bias_ih_l0_reverse"].shape == (3 * 4,)
