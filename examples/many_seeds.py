"""Train ihello with a thousand seeds in one compiled program."""

import optax
from flax import nnx

from jax_rnn import GRU, LSTM, RNN
from jax_rnn.lecture.lessons import load
from jax_rnn.train.seeds import fit_seeds

lesson = load("ihello")
for layer in (RNN, LSTM, GRU):

    def build(rngs: nnx.Rngs, layer=layer) -> nnx.Module:
        return layer(5, 5, batch_first=True, rngs=rngs)

    history = fit_seeds(
        build,
        lesson.score,
        lesson.batch(),
        seeds=range(1000),
        steps=100,
        optimizer=optax.adam(0.1),
    )
    exact = history.metrics["exact"]
    print(
        f"{layer.__name__:5} ever {exact.any(1).sum():4}   at epoch 100 {exact[:, -1].sum():4}   "
        f"{history.run_seconds:.2f} s for 1000 runs"
    )
