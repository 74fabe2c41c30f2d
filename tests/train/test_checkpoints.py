"""Arrays of checkpoints: bit for bit, on any devices, and refused where something is missing."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jax_rnn.train import CheckpointError, Checkpoints, mesh, shards
from jax_rnn.train.mesh import all_do
from tests.kit import cases, normal

DTYPES = (
    "bfloat16",
    "complex128",
    "float64",
    "int32",
    "bool",
    "complex64",
    "float16",
    "float32",
    "float8_e4m3fn",
    "int4",
    "uint32",
    "int64",
)


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

    def test_of_one_device_are_tensors_of_the_same_names(self, kept):
        tree = {"params": {"x": jnp.ones((2, 3)), "y": jnp.ones(4, jnp.bfloat16)}}
        kept.save(1, tree, {})
        (path,) = kept.path(1).glob("*.safetensors")
        stored = load_file(path)
        assert {name: array.shape for name, array in stored.items()} == {
            "params/x": (2, 3),
            "params/y": (4,),
        }

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
        with pytest.raises(ValueError, match="expected arrays of different names, got several 'a/"):
            kept.save(1, {"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)}, {})


class TestShards:
    @cases(
        ("saved", "wanted"),
        [
            (("a", "b"), (None, "b", "a")),
            (("a",), ()),
            (((), ("b", "a")), ("a", None, "b")),
            ((), ("b", "a")),
        ],
        short=1,
    )
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

    def test_are_written_once(self, kept):
        kept.save(1, {"x": spread(normal(4, 8).astype(np.float32), "a")}, {})
        (path,) = kept.path(1).glob("*.safetensors")
        assert {k: v.shape for k, v in load_file(path).items()} == {
            "x@0,0": (2, 8),
            "x@2,0": (2, 8),
        }

    def test_a_part_is_restored_on_one_device(self, kept):
        params = {"w": spread(normal(4, 8).astype(np.float32), "b")}
        kept.save(1, {"params": params, "paramsx": params, "step": jnp.zeros(())}, {})
        assert kept.count(1, "params") == 1
        restored = kept.restore_part(1, "params", {"w": jax.ShapeDtypeStruct((4, 8), jnp.float32)})
        assert len(restored["w"].devices()) == 1
        np.testing.assert_array_equal(restored["w"], params["w"])

    def test_of_several_processes_are_put_together(self, kept, monkeypatch):
        """Two processes in turn, each with four of the devices."""
        x = normal(8, 4).astype(np.float32)
        arrays = {"one": spread(x, ("a", "b")), "two": spread(x, "b"), "three": spread(x)}
        kept.start(1, 0)
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(jax, "Array", SimpleNamespace)
        for process in range(2):
            monkeypatch.setattr(jax, "process_index", lambda process=process: process)
            seen = {
                name: SimpleNamespace(
                    shape=array.shape,
                    addressable_shards=[
                        shard
                        for shard in array.addressable_shards
                        if shard.device.id // 4 == process
                    ],
                )
                for name, array in arrays.items()
            }
            shards.write_shards(kept.partial(1), {**seen, "host": x})
            refused = pytest.raises(ValueError, match="got 1 of 2 files of arrays")
            with refused if process == 0 else nullcontext(), shards.saved_arrays(kept.partial(1)):
                pass
        with shards.saved_arrays(kept.partial(1)) as saved:
            assert saved.keys() == {*arrays, "host"}
            for array in saved.values():
                np.testing.assert_array_equal(array.read(), x)


def rewrite(path, change):
    """Change the tensors and the index of a file."""
    with safe_open(path, "np") as file:
        index = json.loads(file.metadata()["index"])
    tensors = load_file(path)
    change(tensors, index)
    save_file(tensors, path, {"index": json.dumps(index)})


FORGED = {
    "no file": (lambda path: path.unlink(), "got 0 of 1 files of arrays"),
    "text": (lambda path: path.write_text("{}"), "deserializing"),
    "no index": (lambda path: save_file({}, path), "NoneType"),
    "a shard is missing": (
        lambda path: rewrite(path, lambda tensors, index: index.pop("x@0")),
        "x: expected 4 numbers, got shards with 2",
    ),
    "another dtype": (
        lambda path: rewrite(path, lambda tensors, index: index["x@0"].update(dtype="O")),
        "does not fit this model:\n  x: expected int32 .4,., got object",
    ),
    "a tensor is missing": (
        lambda path: rewrite(path, lambda tensors, index: tensors.pop("x@0")),
        "x@0",
    ),
    "huge": (
        lambda path: rewrite(path, lambda tensors, index: index["x@0"].update(shape=[1 << 60])),
        "expected 1152921504606846976 numbers",
    ),
    "too long": (
        lambda path: rewrite(path, lambda tensors, index: index["x@0"].update(box=[[0, 1e99]])),
        "cannot be",
    ),
}


@cases("kind", FORGED, short=1)
def test_files_that_are_forged_are_refused(kind, kept):
    forge, message = FORGED[kind]
    like = {"x": spread(np.arange(4, dtype=np.int32), "a")}
    kept.save(1, like, {})
    (path,) = kept.path(1).glob("*.safetensors")
    forge(path)
    with pytest.raises(CheckpointError, match=message):
        kept.restore(1, like)


class TestAllDo:
    """What every process does fails in all, if it fails in one."""

    def test_an_error_of_this_process_is_raised(self):
        def fail():
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            all_do(fail)

    def test_an_error_of_another_is_one_here(self, monkeypatch):
        done = []
        monkeypatch.setattr(mesh, "any_process", lambda flag: True)
        with pytest.raises(OSError, match="another process failed"):
            all_do(lambda: done.append(1))
        assert done

    def test_no_error_is_none(self):
        all_do(lambda: None)
