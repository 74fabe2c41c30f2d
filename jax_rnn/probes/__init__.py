"""Small tasks that tell recurrent cells apart, and the training of many cells on them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
