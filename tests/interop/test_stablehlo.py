"""Programs of any batch size, of training, for other platforms, and files that hold them."""

import json
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

from jax_rnn import GRU, LSTM, LSTMCell, Recurrent, save_safetensors
from jax_rnn.interop.files import check_target
from jax_rnn.interop.stablehlo import check_platforms, save_stablehlo
from jax_rnn.lecture.lessons import DATA_SETS, WORDS, load
from jax_rnn.lecture.teaching.lesson import optimizer
from jax_rnn.scans import Checkpointed, Gated, Sequential
from jax_rnn.train.step import prepare
from tests.kit import cases, refused, rngs

I, T, B = 3, 5, 2  # noqa: E741
PLATFORMS = ("cpu", "cuda", "tpu")
INPUTS = {"inputs": ("int32", 2)}
SOURCES = {"sources": ("int32", 2), "lengths": ("int32", 1), "targets": ("int32", 2)}
MODELS = {
    "char_lm": (lambda cell, H: load("char_lm").model(cell, 9, 4, H, rngs=rngs()), INPUTS),
    "names": (
        lambda cell, H: load("names").model(cell, 9, 3, 4, H, rngs=rngs()),
        INPUTS | {"lengths": ("int32", 1)},
    ),
    "seq2seq": (lambda cell, H: load("seq2seq").model(cell, 9, 9, 4, H, rngs=rngs()), SOURCES),
    "seq2seq_attention": (
        lambda cell, H: load("seq2seq_attention").model(cell, 9, 9, 4, H, rngs=rngs()),
        SOURCES,
    ),
}


def batch(wanted, rows, steps):
    """Random arguments of ``rows`` sequences with at most ``steps`` steps."""
    random = np.random.default_rng([rows, steps])

    def argument(name):
        if name == "lengths":
            return random.integers(1, steps + 1, rows)
        return random.integers(1, 9, (rows, steps + (name == "targets")))

    return [argument(name).astype(np.int32) for name in wanted]


def test_an_exported_model_takes_any_batch_and_length(tmp_path, close):
    build, wanted = MODELS["char_lm"]
    model = build("lstm", 64)
    model.eval()
    save_stablehlo(model, tmp_path / "model.stablehlo", wanted)
    program = export.deserialize(bytearray((tmp_path / "model.stablehlo").read_bytes()))
    assert program.platforms == PLATFORMS
    arguments = batch(wanted, 4, 3)
    close(
        jax.tree.leaves(program.call(*arguments)), jax.tree.leaves(jax.jit(model)(*arguments)), 1e-6
    )


READER = """
import json, sys
import numpy as np
from jax import export
for path in sys.argv[1:]:
    program = export.deserialize(bytearray(open(path, "rb").read()))
    arrays = dict(np.load(path + ".npz"))
    for batch in ("a", "b"):
        arguments = [arrays[f"{batch}{k}"] for k in range(3) if f"{batch}{k}" in arrays]
        out = program.call(*arguments)
        out = out[0] if isinstance(out, tuple) else out
        difference = float(abs(np.asarray(out) - arrays[batch + "y"]).max())
        print(json.dumps([path, list(program.platforms), difference]))
assert "jax_rnn" not in sys.modules
"""


@pytest.mark.long
@pytest.mark.parametrize("hidden_size", [8, 64, 256])
def test_every_model_is_read_in_another_process(hidden_size, tmp_path):
    """Every recipe, and the text with every cell, called with two batches of other sizes."""
    paths = []
    gru = ((name, "gru") for name in MODELS)
    for name, cell in [*gru, ("char_lm", "rnn"), ("char_lm", "lstm")]:
        build, wanted = MODELS[name]
        model = build(cell, hidden_size)
        model.eval()
        path = tmp_path / f"{name}-{cell}"
        save_stablehlo(model, path, wanted)
        arrays, forward = {}, jax.jit(model)
        for letter, arguments in (("a", batch(wanted, 1, 3)), ("b", batch(wanted, 4, 6))):
            out = forward(*arguments)
            arrays |= {f"{letter}{k}": value for k, value in enumerate(arguments)}
            arrays[f"{letter}y"] = np.asarray(out[0] if isinstance(out, tuple) else out)
        np.savez(f"{path}.npz", **arrays)
        paths.append(str(path))
    read = subprocess.run(
        [sys.executable, "-c", READER, *paths], capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in read.stdout.splitlines()]
    assert len(found) == 2 * len(paths)
    for path, platforms, difference in found:
        assert platforms == list(PLATFORMS)
        assert difference <= 1e-6, path


def gru(**options):
    return GRU(I, 4, **options, rngs=rngs())


LAYERS = {
    "two directions": lambda: LSTM(I, 4, 2, bidirectional=True, rngs=rngs()),
    "batch first, not tiny": lambda: GRU(I, 64, batch_first=True, rngs=rngs()),
    "in chunks, unrolled": lambda: Recurrent(
        LSTMCell(I, 4, rngs=rngs()), scan=Checkpointed(2, Sequential(unroll=3))
    ),
    "reset before": lambda: gru(reset_after=False),
    "gated, in chunks": lambda: gru(scan=Checkpointed(2, "gated")),
}


@cases("name", LAYERS, short=1)
@cases("of", ["value", "gradient"], short=1)
@cases("dtype", ["int32", "uint32"], short=1)
def test_a_layer_of_symbolic_batch_and_length_is_exported(name, of, dtype, close):
    layer = LAYERS[name]()

    def forward(x, lengths):
        return jax.tree.leaves(layer(x, lengths=lengths))

    def gradient(x, lengths):
        return jax.grad(lambda x: sum((leaf**2).sum() for leaf in forward(x, lengths)))(x)

    steps, rows = export.symbolic_shape("T, B")
    order = (rows, steps) if layer.batch_first else (steps, rows)
    shapes = [
        jax.ShapeDtypeStruct((*order, I), jnp.float32),
        jax.ShapeDtypeStruct((rows,), jnp.dtype(dtype)),
    ]
    function = jax.jit(forward if of == "value" else gradient)
    program = export.export(function, platforms=PLATFORMS)(*shapes)
    x = np.random.default_rng(0).normal(size=(T, T, I)).astype(np.float32)
    x = x[:B] if layer.batch_first else x[:, :B]
    lengths = np.array([T, 2], dtype)
    close(program.call(x, lengths), function(x, lengths), 1e-6)


def test_the_place_of_the_projection_is_that_of_the_platform_lowered_for():
    """A CPU projects large inputs in the loop, other platforms before it, also when exported."""
    layer = nnx.eval_shape(lambda: GRU(512, 512, scan=Gated(unroll=1), rngs=rngs()))
    graphdef, state = nnx.split(layer)
    x = jax.ShapeDtypeStruct((256, 64, 512), jnp.float32)
    run = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x)[0])
    traced = run.trace(state, x)
    products = {
        platform: traced.lower(lowering_platforms=(platform,)).as_text().count("dot_general")
        for platform in PLATFORMS
    }
    assert products == {"cpu": 2, "cuda": 4, "tpu": 4}


NOT_MODELS = [
    (nnx.state, "got State; pass the model that nnx.merge"),
    (nnx.graphdef, "got GraphDef; pass the model that nnx.merge"),
    (nnx.split, "got tuple; pass the model that nnx.merge"),
    (type, "got the class GRU; pass an instance"),
    (lambda model: model.__call__, "got method; pass the model itself"),
]


TRAINED = [name for name in WORDS if load(name).trained]
FORWARD = [name for name in WORDS if not load(name).trained]


def exported(function, *arguments):
    """One program for all platforms, which takes and returns leaves, and the leaves to give it."""
    leaves, tree = jax.tree.flatten(arguments)

    def flat(*leaves):
        return jax.tree.leaves(function(*jax.tree.unflatten(tree, leaves)))

    program = export.export(jax.jit(flat), platforms=PLATFORMS)(*leaves)
    assert sorted(program.platforms) == sorted(PLATFORMS)
    return program, leaves


class TestFiles:
    @pytest.mark.parametrize(("take", "words"), NOT_MODELS)
    def test_what_is_no_model_is_refused(self, take, words, tmp_path, unchecked):
        given, path = take(gru()), tmp_path / "model"
        words = f"module: expected an nnx.Module |{words}"
        refused(TypeError, words, lambda: save_stablehlo(given, path, {"x": ("float32", 3)}))
        assert not any(tmp_path.iterdir())

    def test_an_unknown_platform_is_refused(self):
        assert check_platforms(["tpu", "cpu", "tpu"]) == ("tpu", "cpu")
        for given, got in ((["cpu", "gpu"], "got 'gpu'"), ([], "got none"), ([""], "got ''")):
            words = f"platforms: expected some of cpu, cuda, tpu|{got}"
            refused(ValueError, words, lambda given=given: check_platforms(given))

    def test_a_path_that_cannot_be_a_file_is_refused(self, tmp_path):
        for path, error, words in (
            ("", ValueError, "file: expected the name of a file, got ''"),
            (tmp_path, IsADirectoryError, "expected a file, got a folder; add the file's"),
            (
                tmp_path / "none" / "model.pt",
                FileNotFoundError,
                "the folder |none to exist; create it",
            ),
        ):
            refused(error, words, lambda path=path: check_target(path))
            refused(error, words, lambda path=path: save_safetensors(gru(), path))

    def test_an_exported_file_has_ordinary_permissions(self, tmp_path):
        plain = tmp_path / "plain"
        plain.write_text("")
        save_safetensors(gru(), tmp_path / "model.safetensors")
        assert (tmp_path / "model.safetensors").stat().st_mode == plain.stat().st_mode

    def test_a_link_is_not_written_through(self, tmp_path):
        (tmp_path / "target").write_text("mine")
        (tmp_path / "model").symlink_to(tmp_path / "target")
        save_safetensors(gru(), tmp_path / "model")
        assert (tmp_path / "target").read_text() == "mine"
        assert not (tmp_path / "model").is_symlink()


class TestLessons:
    @cases("name", [TRAINED[0], DATA_SETS[0], *TRAINED[1:], *DATA_SETS[1:]], short=2)
    def test_a_training_step_lowers_for_every_platform_and_runs_on_this_one(
        self, name, close, little_data
    ):
        lesson, carry = load(name), None
        recipe = lesson.recipe
        if name in DATA_SETS:
            sizes = {"embedding_size": 5, "hidden_size": 7, "batch_size": 6, "window": 9}
            recipe = replace(recipe, **sizes, dropout=0.0)
            data = lesson.read(recipe)
            model = lesson.build(recipe, data.vocabulary, rngs=nnx.Rngs(1))
            carry, batch = lesson.carry(model, 6), lesson.batches(recipe, data)(0, slice(None))
        else:
            model, batch = lesson.build(rngs=nnx.Rngs(1)), lesson.batch()
            loss, _ = lesson.loss(model, batch)
        state, step, _ = prepare(model, lesson.loss, optimizer(recipe), carry=carry)
        program, leaves = exported(step, state, batch)
        new_state, report = jax.jit(step)(state, batch)
        close(program.call(*leaves), jax.tree.leaves((new_state, report)), 1e-5)
        assert name in DATA_SETS or report.loss == pytest.approx(float(loss), rel=1e-6)

    @cases("name", FORWARD, short=1)
    def test_a_forward_pass_lowers_for_every_platform_and_runs_on_this_one(self, name, close):
        lesson = load(name)
        graphdef, state = nnx.split(lesson.build(rngs=nnx.Rngs(1)))

        def forward(state, inputs, hidden):
            return nnx.merge(graphdef, state)(inputs, hidden)

        arguments = state, jnp.asarray(lesson.facts.inputs), lesson.facts.hidden
        program, leaves = exported(forward, *arguments)
        close(program.call(*leaves), jax.tree.leaves(forward(*arguments)), 1e-6)
