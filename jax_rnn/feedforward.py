"""``nnx.Linear`` and ``nnx.Embed`` with torch.nn's words and initial values."""

from flax import nnx

from jax_rnn.initializers import Init, resolve
from jax_rnn.typing import DTypeLike, default_float

__all__ = ["Embedding", "Linear"]


class Linear(nnx.Linear):
    """``y = x W^T + b``; Flax's layer, started as ``torch.nn.Linear`` starts.

    Shapes: x (*batch, in_features), y (*batch, out_features). Parameters: ``kernel``
    (in_features, out_features), ``bias`` (out_features,).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        scheme = resolve(init)
        super().__init__(
            in_features,
            out_features,
            use_bias=bias,
            kernel_init=scheme.linear_kernel(in_features),
            bias_init=scheme.linear_bias(in_features),
            param_dtype=default_float() if dtype is None else dtype,
            rngs=rngs,
        )


class Embedding(nnx.Embed):
    """A vector for every symbol; Flax's layer, started as ``torch.nn.Embedding`` starts.

    Shapes: ids (*batch,), y (*batch, embedding_dim). Parameter: ``embedding``
    (num_embeddings, embedding_dim).
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            num_embeddings,
            embedding_dim,
            embedding_init=resolve(init).embedding(embedding_dim),
            param_dtype=default_float() if dtype is None else dtype,
            rngs=rngs,
        )
        self.dtype = None  # that of the parameter, also after a cast
