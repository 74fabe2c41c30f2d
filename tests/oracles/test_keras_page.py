"""The page for users of Keras: `make test-oracles` has Keras."""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

from tests.kit import run_page

PAGE = Path(__file__).parents[2] / "docs" / "coming_from" / "keras.md"


def test_the_code_of_the_page_runs():
    run_page(PAGE)
