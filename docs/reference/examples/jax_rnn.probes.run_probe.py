from jax_rnn import GRUCell
from jax_rnn.probes import Budget, run_probe
from jax_rnn.probes.tasks.tagging import Parity

budget = Budget(hidden_size=4, batch=8, steps=5, length=6)
result = run_probe("mine", GRUCell, "parity", Parity(), seeds=(0, 1), budget=budget)
print(result.scores, result.parameters)
