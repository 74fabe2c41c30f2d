"""``nnx.Linear`` and ``nnx.Embed`` with torch.nn's options and initial values."""

from typing import Any

from flax import nnx

from jax_rnn.base.arguments import ConstructorSignature, check_count, check_rngs, parameter_dtype
from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import Array, DTypeLike

__all__ = ["Embedding", "Linear"]


class Linear(nnx.Linear):
    """``y = x W^T + b``; Flax's layer with the initial distribution of ``torch.nn.Linear``.

    Shapes: x (*batch, in_features), y (*batch, out_features). Parameters: ``kernel``
    (in_features, out_features), ``bias`` (out_features,).

    Args:
        in_features: int, features of the input.
        out_features: int, features of the output.
        bias: bool, whether b is added; True by default.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.
    """

    __signature__ = ConstructorSignature()

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
        check_count("in_features", in_features)
        check_count("out_features", out_features)
        check_rngs(rngs)
        scheme = resolve(init)
        super().__init__(
            in_features,
            out_features,
            use_bias=bias,
            kernel_init=scheme.linear_kernel(in_features),
            bias_init=scheme.linear_bias(in_features),
            param_dtype=parameter_dtype(dtype),
            rngs=rngs,
        )

    def __call__(self, inputs: Any, out_sharding: Any = None) -> Array:
        if isinstance(inputs, tuple) or isinstance(out_sharding, tuple | Array):
            raise TypeError(
                "Linear: expected one array, got the (output, h_n) of a recurrent layer; use "
                "output, _ = layer(x), or in nnx.Sequential add "
                "lambda output, h_n: output between the two layers"
            )
        return super().__call__(inputs, out_sharding)


class Embedding(nnx.Embed):
    """A vector per symbol; Flax's layer with the initial distribution of ``torch.nn.Embedding``.

    Shapes: ids (*batch,), y (*batch, embedding_dim). Parameter: ``embedding``
    (num_embeddings, embedding_dim).

    Args:
        num_embeddings: int, number of symbols.
        embedding_dim: int, features of a symbol.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises: as ``Linear``.
    """

    __signature__ = ConstructorSignature()

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("num_embeddings", num_embeddings)
        check_count("embedding_dim", embedding_dim)
        check_rngs(rngs)
        super().__init__(
            num_embeddings,
            embedding_dim,
            embedding_init=resolve(init).embedding(embedding_dim),
            param_dtype=parameter_dtype(dtype),
            rngs=rngs,
        )
        self.dtype = None  # the dtype of the parameter, also after a cast
