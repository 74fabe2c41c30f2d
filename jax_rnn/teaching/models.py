"""Parts that the models of several lessons share."""

from typing import Any

from jax_rnn.layers import GRU, LSTM, RNN
from jax_rnn.recurrent import Recurrent
from rnn_lecture.recipe import Recipe

__all__ = ["LAYERS", "recurrent", "sizes"]

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def recurrent(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    **options: Any,
) -> Recurrent:
    """Recurrent layers of a kind, batch first, with dropout between them.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        input_size, hidden_size, num_layers: as for ``jax_rnn.GRU``.
        dropout: rate between layers; a single layer has none.
        options: further arguments of the layer, ``init``, ``dtype`` and ``rngs`` among them.
    """
    return LAYERS[cell](
        input_size,
        hidden_size,
        num_layers,
        batch_first=True,
        dropout=dropout if num_layers > 1 else 0.0,
        **options,
    )


def sizes(recipe: Recipe) -> dict[str, Any]:
    """The arguments of a model that a recipe sets."""
    names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout")
    return {name: getattr(recipe, name) for name in names}
