"""Arrays of checkpoints: bit for bit, on any devices, and refused where something is missing."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jax_rnn.base.sealed import About, examine
from jax_rnn.train import CheckpointError, Checkpoints
from tests.kit import cases, normal, refused

DTYPES = "bfloat16 complex128 float64 int32 bool complex64 float16 float32 float8_e4m3fn int4"
DTYPES = [*DTYPES.split(), "uint32", "int64"]


def bits(array):
    return np.asarray(array).tobytes(), array.dtype, array.shape


def spread(array, *axes, shape=(2, 4)):
    """An array over eight devices."""
    devices = jax.make_mesh(shape, ("a", "b"))
    return jax.device_put(array, NamedSharding(devices, P(*axes)))


@pytest.fixture
def kept(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


class TestArrays:
    @cases("dtype", DTYPES, short=3)
    def test_are_restored_bit_for_bit(self, dtype, kept, x64):
        values = 3 * normal(3, 5) + (1j if dtype.startswith("complex") else 0)
        values[0, :3] = [-0.0, np.inf, np.nan] if "float" in dtype or "complex" in dtype else 1
        array = jnp.asarray(values.astype(np.dtype(dtype)))
        tree = {"matrix": array, "scalar": array[1, 1], "none": array[:0], "host": values}
        kept.save(1, tree, {})
        restored = kept.restore(1, tree)
        assert jax.tree.map(bits, restored) == jax.tree.map(bits, tree)
        assert isinstance(restored["matrix"], jax.Array)
        assert isinstance(restored["host"], np.ndarray)

    def test_may_be_random_keys(self, kept):
        chain = optax.chain(optax.add_noise(0.1, 0.5, 7), optax.sgd(0.1))
        state = chain.init({"w": jnp.ones(2)}), jax.random.split(jax.random.key(1, impl="rbg"), 3)
        kept.save(1, state, {})
        restored = kept.restore(1, state)
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        for ours, theirs in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
            assert ours.dtype == theirs.dtype
            assert (ours == theirs).all()

    def test_of_one_name_are_refused(self, kept):
        tree = {"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)}
        words = "expected arrays with different names, got several with the name 'a/"
        refused(ValueError, words, lambda: kept.save(1, tree, {}))


PLACEMENTS = [
    (("a", "b"), (None, "b", "a")),
    (("a",), ()),
    (((), ("b", "a")), ("a", None, "b")),
    ((), ("b", "a")),
]


class TestShards:
    @cases(("saved", "wanted"), PLACEMENTS, short=1)
    @pytest.mark.parametrize("dtype", [np.float32, np.complex64])
    def test_are_restored_with_another_placement(self, saved, wanted, dtype, kept):
        values = (normal(4, 8, 8) + 1j).astype(dtype) if dtype == np.complex64 else normal(4, 8, 8)
        values = values.astype(dtype)
        kept.save(1, {"x": spread(values, *saved), "y": spread(values[0], None, "a")}, {})
        like = {"x": spread(0 * values, *wanted, shape=(4, 2)), "y": spread(0 * values[0])}
        restored = kept.restore(1, like)
        assert restored["x"].sharding == like["x"].sharding
        np.testing.assert_array_equal(restored["x"], values)
        np.testing.assert_array_equal(restored["y"], values[0])

    def test_are_written_as_one_array_of_the_same_name(self, kept):
        x = normal(4, 8).astype(np.float32)
        kept.save(1, {"params": {"x": spread(x, "a"), "y": spread(x), "z": jnp.asarray(x)}}, {})
        stored = load_file(kept.path(1))
        assert stored.keys() == {"params/x", "params/y", "params/z"}
        for array in stored.values():
            np.testing.assert_array_equal(array, x)

    def test_a_part_is_restored_on_one_device(self, kept):
        params = {"w": spread(normal(4, 8).astype(np.float32), "b")}
        kept.save(1, {"params": params, "paramsx": params, "step": jnp.zeros(())}, {})
        restored = kept.restore(1, {"w": jax.ShapeDtypeStruct((4, 8), jnp.float32)}, "params")
        assert len(restored["w"].devices()) == 1
        np.testing.assert_array_equal(restored["w"], params["w"])


def rewrite(change):
    """Change the tensors and the JSON of a file."""

    def forge(path):
        with safe_open(path, "np") as file:
            metadata = file.metadata()
        tensors, about = load_file(path), json.loads(metadata["about"])
        change(tensors, about)
        save_file(tensors, path, metadata | {"about": json.dumps(about)})

    return forge


FORGED = {
    "no file": (lambda path: path.unlink(), "No such file"),
    "text": (lambda path: path.write_text("{}"), "deserializing"),
    "no metadata": (lambda path: save_file({}, path), "NoneType"),
    "a tensor is missing": (
        rewrite(lambda tensors, about: tensors.pop("x")),
        "does not fit this model:\n  missing: x",
    ),
    "another shape": (
        rewrite(lambda tensors, about: tensors.update(x=tensors["x"][:2])),
        "x: expected int32 (4,), got int32 (2,)",
    ),
    "no dtype": (rewrite(lambda _, about: about["dtypes"].update(x="none")), "cannot be read"),
}


def test_every_changed_byte_is_found(kept):
    kept.save(1, {"x": jnp.arange(3), "y": jnp.ones(2, jnp.bfloat16)}, {"loss": 0.5}, {"a": 1})
    path = kept.path(1)
    whole = path.read_bytes()
    assert isinstance(examine(path), About)
    for place in range(len(whole)):
        changed = whole[place] ^ (1 << place % 8)
        path.write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
        assert examine(path) in ("it cannot be read", "its checksum is wrong"), place
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        assert examine(path) == "it cannot be read"
    path.write_bytes(whole + b"x")
    assert examine(path) == "it cannot be read"


@cases("kind", FORGED, short=1)
def test_files_that_are_forged_are_refused(kind, kept):
    forge, words = FORGED[kind]
    like = {"x": spread(np.arange(4, dtype=np.int32), "a")}
    kept.save(1, like, {})
    forge(kept.path(1))
    refused(CheckpointError, words, lambda: kept.restore(1, like))
