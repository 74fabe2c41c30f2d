import tempfile

from jax_rnn.train import RunError, load

with tempfile.TemporaryDirectory() as folder:
    try:
        load(folder)
    except RunError as error:
        print(error)  # the folder has no run, and what to do
    else:
        raise AssertionError("expected a RunError")
