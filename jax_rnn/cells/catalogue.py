"""All cells by name, built alike, for tables, probes and comparisons."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx

from jax_rnn.cells.base import Cell
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.literature.cifg_lstm import CIFGLSTMCell
from jax_rnn.cells.literature.co_rnn import CoRNNCell
from jax_rnn.cells.literature.conv_lstm import ConvLSTMCell
from jax_rnn.cells.literature.ind_rnn import IndRNNCell
from jax_rnn.cells.literature.layer_norm_lstm import LayerNormLSTMCell
from jax_rnn.cells.literature.li_gru import LiGRUCell
from jax_rnn.cells.literature.lin_oss import LinOSSCell
from jax_rnn.cells.literature.lru import LRUCell
from jax_rnn.cells.literature.mgu import MGUCell
from jax_rnn.cells.literature.min_gru import MinGRUCell
from jax_rnn.cells.literature.min_lstm import MinLSTMCell
from jax_rnn.cells.literature.mlstm import MLSTMCell
from jax_rnn.cells.literature.original_gru import OriginalGRUCell
from jax_rnn.cells.literature.peephole_lstm import PeepholeLSTMCell
from jax_rnn.cells.literature.projected_lstm import ProjectedLSTMCell
from jax_rnn.cells.literature.rg_lru import RGLRUCell
from jax_rnn.cells.literature.s5 import S5Cell
from jax_rnn.cells.literature.selective_ssm import SelectiveSSMCell
from jax_rnn.cells.literature.slstm import SLSTMCell
from jax_rnn.cells.literature.star import STARCell
from jax_rnn.cells.literature.ugrnn import UGRNNCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.rnn import RNNCell

__all__ = ["CATALOGUE", "Entry"]


class Entry(NamedTuple):
    """A cell of the catalogue."""

    kind: type[Cell]
    build: Callable[..., Cell]
    """``build(input_size, hidden_size, dtype=None, rngs=...)``."""
    source: str
    oracles: str
    """The implementations by others that it is compared with."""


def _same(kind: Any, source: str, oracles: str, **options: Any) -> Entry:
    def build(input_size: int, hidden_size: int, dtype: Any = None, *, rngs: nnx.Rngs) -> Cell:
        return kind(input_size, hidden_size, dtype=dtype, rngs=rngs, **options)

    return Entry(kind, build, source, oracles)


def _square(kind: Any, source: str, oracles: str, **options: Any) -> Entry:
    """A cell whose input and output have the features of its state."""

    def build(input_size: int, hidden_size: int, dtype: Any = None, *, rngs: nnx.Rngs) -> Cell:
        if input_size != hidden_size:
            raise ValueError(
                f"{kind.__name__}: expected input_size to equal hidden_size, {hidden_size}, got "
                f"{input_size}; map the input with a Linear before it"
            )
        return kind(hidden_size, dtype=dtype, rngs=rngs, **options)

    return Entry(kind, build, source, oracles)


def _projected(input_size: int, hidden_size: int, dtype: Any = None, *, rngs: nnx.Rngs) -> Cell:
    return ProjectedLSTMCell(
        input_size, hidden_size, max(1, hidden_size // 2), dtype=dtype, rngs=rngs
    )


CATALOGUE: dict[str, Entry] = {
    "rnn": _same(RNNCell, "Elman 1990", "torch, flax.linen"),
    "lstm": _same(LSTMCell, "Hochreiter & Schmidhuber 1997", "torch, flax.linen, ONNX"),
    "gru": _same(GRUCell, "Cho et al. 2014", "torch, flax.linen, ONNX"),
    "original_gru": _same(OriginalGRUCell, "Cho et al. 2014", "Haiku, ONNX"),
    "peephole_lstm": _same(PeepholeLSTMCell, "Gers et al. 2002", "torchrecurrent, ONNX"),
    "projected_lstm": Entry(ProjectedLSTMCell, _projected, "Sak et al. 2014", "torch"),
    "cifg_lstm": _same(CIFGLSTMCell, "Greff et al. 2015", "torch"),
    "layer_norm_lstm": _same(LayerNormLSTMCell, "Ba et al. 2016", "reference_torch"),
    "ugrnn": _same(UGRNNCell, "Collins et al. 2016", "torchrecurrent"),
    "mgu": _same(MGUCell, "Zhou et al. 2016", "torchrecurrent"),
    "li_gru": _same(LiGRUCell, "Ravanelli et al. 2018", "torchrecurrent"),
    "ind_rnn": _same(IndRNNCell, "Li et al. 2018", "torchrecurrent"),
    "star": _same(STARCell, "Turkoglu et al. 2019", "torchrecurrent"),
    "co_rnn": _same(CoRNNCell, "Rusch & Mishra 2021", "torchrecurrent"),
    "slstm": _same(SLSTMCell, "Beck et al. 2024", "xlstm, reference_torch"),
    "mlstm": _same(MLSTMCell, "Beck et al. 2024", "xlstm, reference_torch"),
    "conv_lstm": _same(ConvLSTMCell, "Shi et al. 2015", "flax.linen, Keras"),
    "min_gru": _same(MinGRUCell, "Feng et al. 2024", "minGRU-pytorch"),
    "min_lstm": _same(MinLSTMCell, "Feng et al. 2024", "minGRU-pytorch"),
    "lru": _same(LRUCell, "Orvieto et al. 2023", "lru-pytorch"),
    "s5": _same(S5Cell, "Smith et al. 2022", "s5-pytorch"),
    "rg_lru": _square(RGLRUCell, "De et al. 2024", "recurrentgemma, reference_torch"),
    "lin_oss": _same(LinOSSCell, "Rusch & Rus 2024", "reference_torch"),
    "selective_ssm": _square(SelectiveSSMCell, "Gu & Dao 2023", "reference_torch"),
}
"""Every cell of the library by the name of its file."""
