"""The gallery of cells: cards, drawings and their order."""

import pytest
from flax import nnx

from docs.extensions.dataflow import dataflow
from jax_rnn import GRUCell, LSTMCell
from jax_rnn.cells import CATALOGUE, LayerNormLSTMCell, MGUCell

ORDER = """return [...document.querySelectorAll('.cell-card')].map(card => card.dataset.{key})"""
CHOOSE = """const choice = document.getElementById('gallery-sort');
    choice.value = '{key}';
    choice.dispatchEvent(new Event('change'))"""


def labels(cell):
    return sorted(node.label for node in dataflow(cell).nodes.values())


def test_the_data_flow_of_an_lstm_is_its_equations():
    flow = dataflow(LSTMCell(3, 4, rngs=nnx.Rngs(0)))
    expected = ["+", "c(t)", "c(t−1)", "f", "g", "h(t), y(t)", "i", "o", "tanh", "tanh"]
    assert labels(LSTMCell(3, 4, rngs=nnx.Rngs(0))) == sorted(
        expected + ["×"] * 3 + ["σ"] * 3, key=str
    )
    by_label = {node.label: node for node in flow.nodes.values()}
    (last,) = by_label["h(t), y(t)"].sources
    assert flow.nodes[last].label == "×"
    assert sorted(flow.nodes[k].label for k in flow.nodes[last].sources) == ["tanh", "σ"]


def test_the_reset_gate_of_a_gru_acts_on_the_hidden_map():
    flow = dataflow(GRUCell(3, 4, rngs=nnx.Rngs(0)))
    products = [n for n in flow.nodes.values() if n.label == "×"]
    sources = [{flow.nodes[k].label for k in node.sources} for node in products]
    assert {"σ", "n.h"} in sources


def test_layer_norms_and_maps_are_one_operation_each():
    assert labels(LayerNormLSTMCell(3, 4, rngs=nnx.Rngs(0))).count("norm") == 3
    assert labels(MGUCell(3, 4, rngs=nnx.Rngs(0))).count("affine") == 2


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_drawing_has_an_output_and_nothing_without_a_source(name):
    flow = dataflow(CATALOGUE[name].build(4, 4, rngs=nnx.Rngs(0)))
    kinds = [node.kind for node in flow.nodes.values()]
    assert "output" in kinds and len(kinds) <= 45
    for node in flow.nodes.values():
        assert (not node.sources) == (node.kind in ("input", "gate"))


def test_the_gallery_has_a_card_for_every_cell(browser):
    browser.open("cells/gallery.html")
    assert browser.run("return document.querySelectorAll('.cell-card').length") == len(CATALOGUE)
    assert browser.run("return document.querySelectorAll('.cell-card svg').length") == len(
        CATALOGUE
    )


@pytest.mark.parametrize("key", ["operations", "parameters", "year"])
def test_cards_are_sorted_by_cost(browser, key):
    browser.open("cells/gallery.html")
    browser.run(CHOOSE.format(key=key))
    values = [int(value) for value in browser.run(ORDER.format(key=key))]
    assert values == sorted(values) and values[0] < values[-1]


def test_cards_are_sorted_by_kind(browser):
    browser.open("cells/gallery.html")
    browser.run(CHOOSE.format(key="kind"))
    kinds = browser.run(ORDER.format(key="kind"))
    assert kinds == sorted(kinds) and len({*kinds}) == 4
