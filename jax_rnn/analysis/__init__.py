"""What happens inside a cell: gates, gradients through time, Jacobians and Lyapunov exponents."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
