"""The reference: a page for every public name, and links between them."""

import pytest

from docs.extensions.public import NAMESPACES, names_of, public
from tests.site.kit import SITE

API = SITE / "reference" / "api"


def text_of(name):
    return (API / f"{name}.html").read_text("utf-8")


@pytest.mark.parametrize("path", [found.path for found in public().values()])
def test_every_public_name_has_a_page_with_its_signature(address, path):
    text = text_of(path)
    assert f'id="{path}"' in text


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_namespace_links_to_the_page_of_each_of_its_names(address, namespace):
    text = text_of(f"{namespace}-")
    for name in names_of(namespace):
        path = public()[name].path
        assert f"{path}.html#{path}" in text


def test_a_page_links_to_what_it_mentions_to_the_guides_and_to_the_source(address):
    text = text_of("jax_rnn.GRU")
    for link in ("jax_rnn.GRUCell.html", "jax_rnn.OriginalGRUCell.html", "torch_layers.py#L"):
        assert link in text
    assert "coming_from" in text_of("jax_rnn.LSTM")


def test_sections_of_a_docstring_are_headings(address):
    text = text_of("jax_rnn.LSTMCell")
    for word in ("<strong>Shapes:</strong>", "<strong>Source:</strong>", "Raises"):
        assert word in text
    assert r"\*batch" not in text and "(*batch" in text


def test_the_command_line_shows_the_help_of_every_command(address):
    text = (SITE / "reference" / "command_line.html").read_text("utf-8")
    for words in ("jax-rnn train", "--steps", "jax-rnn probe", "--tasks", "jax-rnn export"):
        assert words in text
