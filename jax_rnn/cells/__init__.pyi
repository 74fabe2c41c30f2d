from .affine import AffineCell
from .base import Cell, HiddenCarry, Noise
from .catalogue import CATALOGUE
from .dropout import RecurrentDropout, VariationalDropout
from .gated import GatedCell
from .gru import GRUCell
from .learned_initial_state import LearnedInitialState
from .linear import Blocks, LinearCell
from .literature.cifg_lstm import CIFGLSTMCell
from .literature.co_rnn import CoRNNCarry, CoRNNCell
from .literature.conv_lstm import ConvLSTMCell
from .literature.ind_rnn import IndRNNCell
from .literature.layer_norm_lstm import LayerNormLSTMCell
from .literature.li_gru import LiGRUCell
from .literature.lin_oss import LinOSSCarry, LinOSSCell
from .literature.lru import LRUCarry, LRUCell
from .literature.mgu import MGUCell
from .literature.min_gru import MinGRUCell
from .literature.min_lstm import MinLSTMCell
from .literature.mlstm import MLSTMCarry, MLSTMCell
from .literature.original_gru import OriginalGRUCell
from .literature.peephole_lstm import PeepholeLSTMCell
from .literature.projected_lstm import ProjectedLSTMCell
from .literature.rg_lru import RGLRUCell
from .literature.s5 import S5Carry, S5Cell
from .literature.selective_ssm import SelectiveSSMCarry, SelectiveSSMCell
from .literature.slstm import SLSTMCarry, SLSTMCell
from .literature.star import STARCell
from .literature.ugrnn import UGRNNCell
from .lstm import LSTMCarry, LSTMCell
from .residual import Residual
from .rnn import RNNCell
from .wrapper import Wrapper
from .zoneout import Zoneout

__all__ = [
    "CATALOGUE",
    "AffineCell",
    "Blocks",
    "CIFGLSTMCell",
    "Cell",
    "CoRNNCarry",
    "CoRNNCell",
    "ConvLSTMCell",
    "GRUCell",
    "GatedCell",
    "HiddenCarry",
    "IndRNNCell",
    "LRUCarry",
    "LRUCell",
    "LSTMCarry",
    "LSTMCell",
    "LayerNormLSTMCell",
    "LearnedInitialState",
    "LiGRUCell",
    "LinOSSCarry",
    "LinOSSCell",
    "LinearCell",
    "MGUCell",
    "MLSTMCarry",
    "MLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "Noise",
    "OriginalGRUCell",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RGLRUCell",
    "RNNCell",
    "RecurrentDropout",
    "Residual",
    "S5Carry",
    "S5Cell",
    "SLSTMCarry",
    "SLSTMCell",
    "STARCell",
    "SelectiveSSMCarry",
    "SelectiveSSMCell",
    "UGRNNCell",
    "VariationalDropout",
    "Wrapper",
    "Zoneout",
]
