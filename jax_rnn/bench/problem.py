"""A problem: a layer, its weights, an input and a cotangent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

__all__ = ["KINDS", "LOOP", "PASSES", "Kind", "Pass", "Precision", "Problem", "Setting", "flop"]

Kind = Literal["RNN", "LSTM", "GRU"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GATES: dict[str, int] = {"RNN": 1, "LSTM": 4, "GRU": 3}

Pass = Literal["forward", "backward", "step", "loop"]
PASSES: tuple[Pass, ...] = get_args(Pass)
"""Outputs; outputs and gradients; these and an update by Adam; ``LOOP`` such steps."""

LOOP = 4
"""Steps of the pass ``loop``: in JAX one compiled program, as in ``fit``, in torch a Python loop.
Times are those of one step."""

Precision = Literal["float32", "tf32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Setting:
    """The setting of a problem.

    Attributes:
        kind: name of the layer in torch.nn.
        B, T, I, H: batch size, time steps, input features and hidden features.
        layers, bidirectional: as in torch.nn.
        ragged: whether sequences have different lengths, of which T is the longest.
        custom: whether the cell is user-defined, with the equations of ``kind``.
        precision: data type of weights and inputs; ``"tf32"`` is float32 with products in TF32.
    """

    kind: Kind
    B: int
    T: int
    I: int  # noqa: E741
    H: int
    layers: int = 1
    bidirectional: bool = False
    ragged: bool = False
    custom: bool = False
    precision: Precision = "float32"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.B, self.T, self.I, self.H

    @property
    def plain(self) -> bool:
        """One layer, one direction, a built-in cell, full sequences."""
        return self.layers == 1 and not (self.bidirectional or self.ragged or self.custom)

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def dtype(self) -> str:
        return "float32" if self.precision == "tf32" else self.precision

    @property
    def title(self) -> str:
        words = [self.kind, str(self.shape).replace(" ", "")]
        if self.layers > 1:
            words.append(f"{self.layers} layers")
        words += ["bidirectional"] * self.bidirectional + ["ragged"] * self.ragged
        words += ["custom cell"] * self.custom
        words += [self.precision] * (self.precision != "float32")
        return " ".join(words)

    def input_size(self, layer: int) -> int:
        return self.I if layer == 0 else self.directions * self.H


@dataclass(frozen=True)
class Problem:
    """A setting with weights and data.

    Attributes:
        setting: the setting.
        weights: float32, by torch's names and in torch's layout; no bias is zero.
        x: float32 (B, T, I).
        cotangent: float32 (B, T, directions * H); the loss is ``mean(output * cotangent)``. Zero in
            the padding.
        lengths: int32 (B,), or None if all sequences are full.
    """

    setting: Setting
    weights: Mapping[str, np.ndarray]
    x: np.ndarray
    cotangent: np.ndarray
    lengths: np.ndarray | None

    @classmethod
    def draw(cls, setting: Setting, seed: int = 0) -> "Problem":
        random = np.random.default_rng(seed)
        bound = setting.H**-0.5
        weights = {
            name: random.uniform(-bound, bound, shape).astype(np.float32)
            for name, shape in weight_shapes(setting).items()
        }
        B, T, I, H = setting.shape  # noqa: E741
        x = random.normal(size=(B, T, I)).astype(np.float32)
        cotangent = random.normal(size=(B, T, setting.directions * H)).astype(np.float32)
        if not setting.ragged:
            return cls(setting, weights, x, cotangent, None)
        lengths = random.integers(1, T, B, endpoint=True).astype(np.int32)
        lengths[0] = T
        cotangent[np.arange(T) >= lengths[:, None]] = 0
        return cls(setting, weights, x, cotangent, lengths)

    def with_weights(self, weights: Mapping[str, np.ndarray]) -> "Problem":
        return replace(self, weights=weights)


def weight_shapes(setting: Setting) -> dict[str, tuple[int, ...]]:
    """The weights by torch's names, in torch's order."""
    rows, H = GATES[setting.kind] * setting.H, setting.H
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(setting.layers):
        for suffix in ("", "_reverse")[: setting.directions]:
            end = f"l{layer}{suffix}"
            shapes |= {
                f"weight_ih_{end}": (rows, setting.input_size(layer)),
                f"weight_hh_{end}": (rows, H),
                f"bias_ih_{end}": (rows,),
                f"bias_hh_{end}": (rows,),
            }
    return shapes


def flop(problem: Problem, kind: Pass) -> float:
    """Operations of the matrix products, without padding; the input needs no gradient.

    The forward pass needs ``2 T B G H (I + H)`` per layer and direction. Training adds the same
    for the gradients of weights, and the gradients of hidden states and inputs of upper layers.
    """
    setting = problem.setting
    lengths = problem.lengths
    steps = setting.B * setting.T if lengths is None else int(lengths.sum())
    total = 0
    for layer in range(setting.layers):
        size, H = setting.input_size(layer), setting.H
        multiplied = size + H
        if kind != "forward":
            multiplied = 3 * (size + H) - (size if layer == 0 else 0)
        total += 2 * steps * setting.directions * GATES[setting.kind] * H * multiplied
    return float(total)
