"""Layers, which run cells over sequences, with the interface of torch.nn; and linear layers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
