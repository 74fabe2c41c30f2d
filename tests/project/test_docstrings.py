"""The documentation is correct: shapes, order of the gates, equations, code blocks."""

import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_rnn
from jax_rnn import (
    AffineCell,
    GRUCell,
    HiddenCarry,
    LSTMCell,
    OriginalGRUCell,
    ProjectedLSTMCell,
    Recurrent,
    RNNCell,
    Wrapper,
)

PUBLIC = {name: getattr(jax_rnn, name) for name in jax_rnn.__all__}
I, H, P = 3, 5, 2  # noqa: E741

CELLS = {
    kind: lambda kind=kind: kind(I, H, rngs=nnx.Rngs(0))
    for kind in (RNNCell, GRUCell, OriginalGRUCell, LSTMCell)
} | {ProjectedLSTMCell: lambda: ProjectedLSTMCell(I, H, P, rngs=nnx.Rngs(0))}
every_cell = pytest.mark.parametrize("cell_type", CELLS, ids=lambda cell: cell.__name__)


def test_every_cell_with_equations_is_in_the_table():
    concrete = {
        value
        for value in PUBLIC.values()
        if inspect.isclass(value)
        and issubclass(value, AffineCell)
        and not inspect.isabstract(value)
    }
    assert concrete - {jax_rnn.GatedCell, AffineCell} == set(CELLS)


STATED = (
    [(kind.__name__, ".. math::|Shapes: x (|Parameters|Args:|Raises:|Source: ") for kind in CELLS]
    + [(name, "Shapes: |Parameter") for name in ("Linear", "Embedding")]
    + [
        (
            name,
            f"``torch.nn.{name}``: layers of ``{name}Cell``|More on shapes and errors: see "
            "``Recurrent``|Equations, parameters and their shapes: those of ",
        )
        for name in ("RNN", "LSTM", "GRU")
    ]
    + [("Recurrent", "Call: |shapes as in|lengths: |Args:|Raises:|ValueError|TypeErr")]
)


CLASSES = {
    name: value
    for name, value in PUBLIC.items()
    if inspect.isclass(value)
    and issubclass(value, nnx.Module)
    and name not in ("Cell", "LinearCell")
}


class TestWords:
    @pytest.mark.parametrize("name", PUBLIC)
    def test_every_public_name_is_documented(self, name):
        value = PUBLIC[name]
        documentation = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        assert documentation, name
        assert not documentation.startswith(f"{name}("), "made by NamedTuple or dataclass"
        first = documentation.strip().split("\n\n")[0]
        assert first.rstrip().endswith((".", ":", "``")), first
        raises = inspect.isfunction(value) and "raise " in inspect.getsource(value)
        assert "Raises:" in documentation or not raises

    @pytest.mark.parametrize(("name", "words"), STATED)
    def test_cells_and_layers_state_equations_shapes_parameters_errors_and_source(
        self, name, words
    ):
        documentation = " ".join(PUBLIC[name].__doc__.split())
        assert [word for word in words.split("|") if word not in documentation] == []

    @pytest.mark.parametrize("name", PUBLIC)
    def test_every_argument_documented_by_name_exists(self, name):
        """Of ``Args:`` sections: a docstring must not describe a parameter that is gone."""
        value = PUBLIC[name]
        section = re.search(
            r"^Args:\n((?: {4,}.*\n?)+)", inspect.cleandoc(value.__doc__ or ""), re.M
        )
        if section:
            described = re.findall(r"^ {4}([\w, ]+): ", section[1], re.M)
            known = inspect.signature(
                value.__init__ if inspect.isclass(value) else value
            ).parameters
            assert {word for group in described for word in group.split(", ")} <= set(known)

    @pytest.mark.parametrize("name", CLASSES)
    def test_every_argument_of_a_public_class_is_described_on_the_class(self, name):
        """What ``help(LSTM)`` shows: the real signature, and each argument with its default."""
        value = CLASSES[name]
        parameters = inspect.signature(value).parameters
        if value is Recurrent or issubclass(value, Recurrent):
            parameters = parameters | inspect.signature(value.__call__).parameters
        names = [parameter for parameter in parameters if parameter != "self"]
        assert ("rngs" in names or issubclass(value, Wrapper)) and "args" not in names
        described = re.findall(r"^ {4}(\w+): ", inspect.cleandoc(value.__doc__), re.M)
        assert set(names) <= set(described), set(names) - set(described)


def sizes(text, known):
    """``"3H, I"`` as numbers."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(
        int(re.match(r"\d*", word)[0] or 1) * known[word.lstrip("0123456789")] for word in words
    )


def documented_shapes(documentation, known):
    named = re.findall(r"``(\w+)``\s\(([\w, ]+)\)", " ".join(documentation.split()))
    return {name: sizes(shape, known) for name, shape in named}


KNOWN = {"I": I, "H": H, "P": P}
SHAPED = [(build, KNOWN) for build in CELLS.values()] + [
    (lambda kind=kind, known=known: kind(**known, rngs=nnx.Rngs(0)), known)
    for kind, known in [
        (jax_rnn.Linear, {"in_features": 3, "out_features": 5}),
        (jax_rnn.Embedding, {"num_embeddings": 3, "embedding_dim": 5}),
    ]
]


class TestShapes:
    @pytest.mark.parametrize(("build", "known"), SHAPED)
    def test_documented_parameters_have_the_documented_shapes(self, build, known):
        module = build()
        actual = {name: value.shape for name, value in nnx.state(module, nnx.Param).items()}
        assert documented_shapes(type(module).__doc__, known) == actual

    @every_cell
    def test_documented_shapes_of_a_step_are_those_of_a_step(self, cell_type):
        cell = CELLS[cell_type]()
        line = re.search(r"Shapes: (.*?)\. Parameters", " ".join(cell_type.__doc__.split()))[1]
        documented = {}
        for names, shape in re.findall(r"(\w(?: and \w)*) \(\*batch, (\w)\)", line):
            documented |= dict.fromkeys(names.split(" and "), (7, KNOWN[shape]))
        carry = cell.initialize_carry((7, I))
        new_carry, y = jax.eval_shape(cell, carry, jnp.zeros(documented.pop("x")))
        assert documented == {name: leaf.shape for name, leaf in new_carry._asdict().items()}
        assert y.shape == new_carry.h.shape and "y = h_t" in line


FUNCTIONS = {r"\sigma": lambda x: 1 / (1 + np.exp(-x)), r"\tanh": np.tanh}


class Reader:
    r"""Reads the LaTeX of the docstrings literally: vectors, matrices, +, -, products, functions.

    Things side by side are multiplied from the right: a matrix with the vector after it, vectors
    element by element.
    """

    token = re.compile(r"\\?[A-Za-z]+(?:_\{[^}]*\}|_t)?|\d+|[()+-]")

    def __init__(self, values):
        self.values = values

    def read(self, text):
        self.tokens = self.token.findall(text)
        assert "".join(self.tokens) == re.sub(r"\s", "", text), "not understood: " + text
        value = self.sum()
        assert not self.tokens, text
        return value

    def peek(self):
        return self.tokens[0] if self.tokens else None

    def sum(self):
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.tokens.pop(0) == "+" else -1
            value = value + sign * self.product()
        return value

    def product(self):
        left = self.factor()
        if self.peek() in (None, "+", "-", ")"):
            return left
        right = self.product()
        return left @ right if np.ndim(left) == 2 else left * right

    def factor(self):
        token = self.tokens.pop(0)
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.factor())
        if token == "(":
            value = self.sum()
            assert self.tokens.pop(0) == ")"
            return value
        return float(token) if token.isdigit() else self.values(token)


def equations(cell_type):
    """``[(left, right), ...]``, without LaTeX's alignment."""
    block = re.search(r"\.\. math::\n(.*?)\n\n", cell_type.__doc__, re.S)[1]
    lines = (line.replace(r"\\", "").replace("&", "").split("=") for line in block.splitlines())
    return [(left.strip(), right.strip()) for left, right in lines]


def symbol(cell, name):
    r"""``W_{ir}``: the rows of gate r of weight_ih. ``b_{hn}``: those of gate n of bias_hh."""
    letter, place = re.fullmatch(r"([Wb])_\{(\w+)\}", name).groups()
    kind = {"W": "weight", "b": "bias"}[letter]
    parameter = getattr(cell, f"{kind}_{place}", None)
    if parameter is not None:  # all gates
        return np.asarray(parameter[...])
    rows = np.asarray(getattr(cell, f"{kind}_{place[0]}h")[...])
    return np.split(rows, len(cell.gates))[cell.gates.index(place[1:])]


def follow(equations, cell, carry, x):
    """The values of all left sides, one equation after the other."""
    known = {"x_t": x} | {f"{name}_{{t-1}}": value for name, value in carry.items()}
    reader = Reader(lambda name: known[name] if name in known else symbol(cell, name))
    for left, right in equations:
        known[left] = reader.read(right)
    return known


class TestEquations:
    @every_cell
    def test_equations_are_what_the_cell_computes(self, cell_type, x64):
        random, cell = np.random.default_rng(0).normal, CELLS[cell_type]()
        fields, x = cell.initialize_carry((I,)), random(size=I)
        carry = type(fields)(*(random(size=leaf.shape) for leaf in fields))
        new_carry, y = jax.jit(cell)(jax.tree.map(jnp.asarray, carry), jnp.asarray(x))
        values = follow(equations(cell_type), cell, carry._asdict(), x)
        for name, value in (new_carry._asdict() | {"h": y}).items():
            np.testing.assert_allclose(values[f"{name}_t"], value, rtol=0, atol=1e-13, err_msg=name)
        np.testing.assert_array_equal(y, new_carry.h)

    @every_cell
    def test_equations_name_the_gates_in_the_order_of_the_parameters(self, cell_type):
        gates = cell_type.gates
        if gates == ("hidden",):
            return
        text = " ".join(right for _, right in equations(cell_type))
        for letters in ("W_{i", "b_{i", "b_{h"):
            named = re.findall(re.escape(letters) + r"(\w)\}", text)
            assert tuple(named) == gates, letters
        assert tuple(left[0] for left, _ in equations(cell_type))[: len(gates)] == gates
        in_words = re.search(r"gates in the order ([a-z ]+):", " ".join(cell_type.__doc__.split()))[
            1
        ]
        assert tuple(in_words.split()) == gates


GUIDE = Path(__file__).parents[2] / "docs" / "coming_from" / "torch.md"


class TestCode:
    def test_the_cell_in_the_docstring_of_gated_cell_is_the_gru_cell(self, close):
        text = inspect.cleandoc(
            jax_rnn.GatedCell.__doc__
        )  # Python 3.13 has removed the indentation
        block = re.search(r"::\n\n((?: {4}.*\n|\n)+)", text)[1]
        namespace = {"jnp": jnp, "sigmoid": jax.nn.sigmoid} | {
            name: PUBLIC[name] for name in ("GatedCell", "HiddenCarry")
        }
        exec(inspect.cleandoc("x\n" + block).removeprefix("x\n"), namespace)
        shown, ours = (cell(I, H, rngs=nnx.Rngs(0)) for cell in (namespace["GRUCell"], GRUCell))
        carry, x = HiddenCarry(jnp.ones((4, H))), jnp.ones((4, I))
        close(shown(carry, x), ours(carry, x), 0)

    def test_the_guide_mentions_only_names_that_exist(self):
        text = GUIDE.read_text()
        names = set(re.findall(r"jax_rnn\.(\w+)", text))
        assert len(names) >= 10
        assert names <= set(PUBLIC)
