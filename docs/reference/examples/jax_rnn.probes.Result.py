from jax_rnn.cells import CATALOGUE
from jax_rnn.probes import Budget, Result, run_probe
from jax_rnn.probes.tasks.tagging import Parity

budget = Budget(hidden_size=4, batch=8, steps=5, length=6)
result = run_probe("gru", CATALOGUE["gru"].build, "parity", Parity(), seeds=(0, 1), budget=budget)
assert isinstance(result, Result)
for length, scores in result.scores.items():
    assert len(scores) == 2  # one for each seed
    print(length, scores)
