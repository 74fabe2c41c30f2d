import jax.numpy as jnp
import numpy as np
import torch

from jax_rnn import from_torch

theirs = torch.nn.GRU(3, 4, num_layers=2, bidirectional=True)
ours = from_torch(theirs)
x = np.ones((5, 2, 3), np.float32)
output, h_n = ours(jnp.asarray(x))
np.testing.assert_allclose(output, theirs(torch.tensor(x))[0].detach(), atol=1e-5)
