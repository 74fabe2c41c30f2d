"""Training as one compiled program, on one or several devices, with exact resumption."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
