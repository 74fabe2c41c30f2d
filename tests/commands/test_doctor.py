"""What the doctor says of machines that are not this one."""

from jax_rnn import doctor


def examined(monkeypatch, *, kinds, missing=(), gpu_driver=False):
    """The lines, on a machine with one device of each kind and without the missing packages."""

    class Device:
        device_kind = "a device"

    monkeypatch.setattr(doctor, "available", lambda: {kind: [Device()] for kind in kinds})
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in missing else "1.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name if gpu_driver else None)
    return [" ".join(line.replace("\\", "").split()) for line in doctor.examine()]


def test_an_accelerator_that_is_not_there_is_named_with_what_it_takes(monkeypatch):
    lines = examined(monkeypatch, kinds=["cpu"])
    assert "cpu 1 x a device" in lines
    assert 'gpu none; where there is one: pip install "jax[cuda13]"' in lines
    assert 'tpu none; where there is one: pip install "jax[tpu]"' in lines
    assert lines[-1] == "nothing"


def test_an_accelerator_that_is_there_needs_nothing(monkeypatch):
    lines = examined(monkeypatch, kinds=["gpu", "cpu"], gpu_driver=True)
    assert "gpu 1 x a device" in lines
    assert not [line for line in lines if "cuda13" in line]


def test_what_is_missing_is_told_with_its_use_and_its_remedy(monkeypatch):
    lines = examined(monkeypatch, kinds=["cpu"], missing=["torch"], gpu_driver=True)
    assert lines[lines.index("[bold]missing[/]") + 1 :] == [
        'torch, for `jax-rnn compare` and `sweep --framework torch`: pip install "jax-rnn[torch]"',
        'JAX for the NVIDIA GPU of this machine: pip install "jax[cuda13]"',
    ]
