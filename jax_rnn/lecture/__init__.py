"""The lecture: its lessons, what they share, and the comparison of two frameworks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
