"""The packages of two modules are in an environment of their own; see `make test-oracles`."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("xlstm") else ["test_heavy.py", "test_keras_page.py"]
