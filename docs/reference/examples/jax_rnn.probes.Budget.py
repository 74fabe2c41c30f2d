from jax_rnn.cells import CATALOGUE
from jax_rnn.probes import Budget, run_probe
from jax_rnn.probes.tasks.tagging import Parity

budget = Budget(hidden_size=4, batch=8, steps=5, length=6)  # the same for all cells
for name in ("gru", "rnn"):
    result = run_probe(name, CATALOGUE[name].build, "parity", Parity(), seeds=(0,), budget=budget)
    print(name, result.parameters)
