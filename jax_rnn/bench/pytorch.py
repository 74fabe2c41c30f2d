"""torch.nn as a contender: MKL and oneDNN on a CPU, cuDNN on a GPU."""

from typing import Any

import numpy as np

from jax_rnn.bench.contender import LEARNING_RATE, NotOfferedError, Weights, same
from jax_rnn.bench.problem import LOOP, Pass, Problem

__all__ = ["TorchContender", "pytorch", "torch_device"]


def torch_device(platform: str) -> str:
    """Torch's name of a platform of JAX; CPU instead of TPU, which torch does not support."""
    return "cuda" if platform in ("gpu", "cuda", "rocm") else "cpu"


def pytorch(problem: Problem, device: str = "cpu") -> "TorchContender":
    """RNN, LSTM or GRU of torch.nn. ModuleNotFoundError: torch is not installed."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise NotOfferedError("expected a GPU, but this torch was built without CUDA or finds none")
    setting = problem.setting
    module = getattr(torch.nn, setting.kind)(
        setting.I, setting.H, setting.layers, bidirectional=setting.bidirectional
    )
    return TorchContender(problem, module, device)


class TorchContender:
    """A module called as ``module(input)[0]``, time-major; a packed sequence where ragged."""

    note = ""

    def __init__(self, problem: Problem, module: Any, device: str = "cpu"):
        import torch

        self.torch, self.problem = torch, problem
        self.given = same
        self.cuda = device != "cpu"
        if self.cuda:
            tf32 = problem.setting.precision == "tf32"
            self.flags = [(torch.backends.cudnn, tf32), (torch.backends.cuda.matmul, tf32)]
        dtype = getattr(torch, problem.setting.dtype)
        weights = {name: torch.tensor(value) for name, value in problem.weights.items()}
        module.load_state_dict(weights)
        self.module = module.to(device, dtype)
        self.x = torch.tensor(np.swapaxes(problem.x, 0, 1)).contiguous().to(device, dtype)
        cotangent = torch.tensor(np.swapaxes(problem.cotangent, 0, 1)).contiguous()
        self.cotangent = cotangent.to(device, dtype)
        self.lengths = None if problem.lengths is None else torch.tensor(problem.lengths).long()
        self.optimizer: Any = None

    def run(self, kind: Pass) -> Any:
        if self.cuda:
            for backend, allowed in self.flags:
                backend.allow_tf32 = allowed
        result = getattr(self, f"_{kind}")()
        if self.cuda:
            self.torch.cuda.synchronize()
        return result

    def output(self, result: Any) -> np.ndarray:
        return np.swapaxes(result.float().cpu().numpy(), 0, 1)

    def gradients(self, result: Any) -> dict[str, np.ndarray]:
        return {name: grad.float().cpu().numpy() for name, grad in result[1].items()}

    def _call(self) -> Any:
        if self.lengths is None:
            return self.module(self.x)[0]
        rnn = self.torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(self.x, self.lengths, enforce_sorted=False)
        return rnn.pad_packed_sequence(self.module(packed)[0], total_length=len(self.x))[0]

    def _forward(self) -> Any:
        with self.torch.no_grad():
            return self._call()

    def _loss(self) -> Any:
        self.module.zero_grad(set_to_none=True)
        loss = (self._call() * self.cotangent).float().mean()
        loss.backward()
        return loss

    def _backward(self) -> tuple[Any, Weights]:
        loss = self._loss()
        return loss, {name: weight.grad for name, weight in self.module.named_parameters()}

    def _step(self) -> Any:
        if self.optimizer is None:
            self.optimizer = self.torch.optim.Adam(self.module.parameters(), lr=LEARNING_RATE)
        loss = self._loss()
        self.optimizer.step()
        return loss.detach()

    def _loop(self) -> Any:
        for _ in range(LOOP - 1):
            self._step()
        return self._step()
