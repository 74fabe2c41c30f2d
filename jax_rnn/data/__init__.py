"""Data: batches of arrays, texts, and the data sets of names and dates; importing it loads no JAX.

``Shuffled(arrays, batch_size, seed)`` makes batches of any arrays. ``read_text`` and
``TextBatches`` turn a text of any length into windows; ``read_names`` and ``read_dates`` read or
make data sets.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
