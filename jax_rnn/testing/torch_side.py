"""A model in PyTorch, as a side of a comparison."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jax_rnn.testing.side import Pass, Side

if TYPE_CHECKING:
    import torch

__all__ = ["TorchSide", "gradient_of"]


class TorchSide(Side):
    """A torch module on the CPU.

    Args:
        module: the model, which ``load`` changes.
        arguments: what it is called with, each an array, a tuple of arrays or None; floats are cast
            to the dtype of its parameters.
    """

    framework, title = "torch", "torch"

    def __init__(self, module: "torch.nn.Module", arguments: tuple[Any, ...]):
        self.module = module
        self.arguments = arguments

    def weights(self) -> dict[str, np.ndarray]:
        return {k: v.detach().cpu().numpy().copy() for k, v in self.module.state_dict().items()}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        import torch

        self.module.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})

    def shapes(self) -> list[tuple[int, ...]]:
        tensors, _ = self._tensors()
        return [tuple(leaf.shape) for leaf in _leaves(self.module(*tensors))]

    def run(self, cotangents: Sequence[np.ndarray]) -> Pass:
        tensors, floating = self._tensors()
        found = _leaves(self.module(*tensors))
        self.module.zero_grad()
        if [w.shape for w in cotangents] == [tuple(leaf.shape) for leaf in found]:
            _scalar(cotangents, found).backward()
        by_weight = {name: gradient_of(p) for name, p in self.module.named_parameters()}
        self.module.zero_grad()
        results = [leaf.detach().numpy() for leaf in found]
        return Pass(results, [gradient_of(x) for x in floating], by_weight)

    def adam(self, cotangents: Sequence[np.ndarray], steps: int) -> dict[str, np.ndarray]:
        import torch

        other = TorchSide(deepcopy(self.module), self.arguments)
        optimizer = torch.optim.Adam(other.module.parameters(), lr=1e-2)
        tensors, _ = self._tensors()
        for _ in range(steps):
            optimizer.zero_grad()
            _scalar(cotangents, _leaves(other.module(*tensors))).backward()
            optimizer.step()
        return other.weights()

    def _tensors(self) -> tuple[Any, list[Any]]:
        """The arguments as tensors, and those with gradients."""
        import torch

        dtype = next((p.dtype for p in self.module.parameters()), torch.get_default_dtype())
        floating = []

        def tensor(x: Any) -> Any:
            x = np.asarray(x)
            if np.issubdtype(x.dtype, np.floating):
                floating.append(torch.tensor(x, dtype=dtype).requires_grad_())
                return floating[-1]
            return torch.tensor(x, dtype=torch.long if np.issubdtype(x.dtype, np.integer) else None)

        return jax.tree.map(tensor, self.arguments), floating


def _scalar(cotangents: Sequence[np.ndarray], leaves: Sequence[Any]) -> Any:
    import torch

    pairs = zip(cotangents, leaves, strict=True)
    return sum((torch.tensor(w, dtype=leaf.dtype) * leaf).sum() for w, leaf in pairs)


def _leaves(results: Any) -> list[Any]:
    """Tensors of nested tuples, in order."""
    if isinstance(results, tuple | list):
        return [leaf for part in results for leaf in _leaves(part)]
    return [] if results is None else [results]


def gradient_of(tensor: Any) -> np.ndarray:
    """The gradient of a tensor; zeros if there is none."""
    gradient = tensor.grad
    return np.zeros(tuple(tensor.shape)) if gradient is None else gradient.numpy().copy()
