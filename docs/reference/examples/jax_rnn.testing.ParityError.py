import jax.numpy as jnp
import torch

from jax_rnn import from_torch
from jax_rnn.testing import ParityError, check_parity

theirs = torch.nn.Linear(3, 4)
ours = from_torch(torch.nn.Linear(3, 5))
try:
    check_parity(ours, theirs, jnp.ones((2, 3)))
except ParityError as error:
    assert not error.rungs[-1].passed  # the sizes differ
    print(error)
else:
    raise AssertionError("expected a ParityError")
