"""Accelerators to compile for on a machine that has none.

The compiler of a TPU is the package libtpu, that of a GPU the CUDA plugin of JAX with ptxas; both
compile from a description of the device. The programs cannot be run here.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["TARGETS", "MissingError", "Target"]

REMEDY = "use `make bench-compiled`, which installs benchmarks/requirements-compiled.txt"


class MissingError(RuntimeError):
    """A package of the compiler is not installed; the message states the fix."""


@dataclass(frozen=True)
class Target:
    """A device to compile for.

    Attributes:
        title: name of the device.
        kind: ``"gpu"`` or ``"tpu"``.
        topology: name of the topology, of which one device is used.
        package: the package of the compiler, and the module that it installs.
        variables: environment variables that the compiler reads.
    """

    title: str
    kind: str
    topology: str
    package: tuple[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def scalars(self) -> bool:
        """Whether an instruction on a single number is a launch."""
        return self.kind == "gpu"

    def prepare(self) -> None:
        """Check the packages and set the variables, before JAX starts a backend.

        Raises:
            MissingError: a package is not installed.
        """
        package, module = self.package
        if not _exists(module):
            raise MissingError(f"expected {package} to be installed, but it is not; {REMEDY}")
        if self.kind == "gpu":
            flag = f"--xla_gpu_cuda_data_dir={_cuda()}"
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        os.environ |= {"JAX_PLATFORMS": "cpu", **self.variables}

    def device(self) -> Any:
        """A device that can be compiled for, after ``prepare``."""
        from jax.experimental.topologies import get_topology_desc

        if self.kind == "tpu":
            return get_topology_desc(self.topology, platform="tpu").devices[0]
        description = Path(__file__).with_name(f"{self.topology}.txtpb").read_text("utf-8")
        found = get_topology_desc(
            self.topology, platform="cuda", target_config=description, topology="1x1x1"
        )
        return found.devices[0]


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def _cuda() -> Path:
    """The folder with ``bin/ptxas``: of the package nvidia-cuda-nvcc, or that of the system."""
    spec = find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        for found in Path(folder).glob("cu*/bin/ptxas"):
            return found.parents[1]
    if ptxas := shutil.which("ptxas"):
        return Path(ptxas).resolve().parents[1]
    raise MissingError(f"expected ptxas of the package nvidia-cuda-nvcc or on the PATH; {REMEDY}")


CUDA = ("jax-cuda13-plugin", "jax_plugins.xla_cuda13")
LIBTPU = ("libtpu", "libtpu")
ALONE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # without a TPU there is nothing to lock
    "TPU_SKIP_MDS_QUERY": "1",  # otherwise libtpu asks the metadata server of Google's cloud
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}

TARGETS = {
    "h100": Target("NVIDIA H100", "gpu", "h100", CUDA),
    "v5e": Target(
        "TPU v5e", "tpu", "v5e:2x2", LIBTPU, ALONE | {"TPU_ACCELERATOR_TYPE": "v5litepod-4"}
    ),
    "v6e": Target("TPU v6e", "tpu", "v6e:2x2", LIBTPU, ALONE | {"TPU_ACCELERATOR_TYPE": "v6e-4"}),
}
"""By the name on the command line."""
