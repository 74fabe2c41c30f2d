"""Recurrent networks in JAX: torch.nn's layers on lax.scan, compiled training, proof of parity."""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("jax-rnn")
