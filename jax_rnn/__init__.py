"""Recurrent networks in JAX: torch.nn's layers on lax.scan, compiled training, proof of parity."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
