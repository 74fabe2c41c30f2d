"""The environment of a measurement, including the other libraries and the load.

python -m benchmarks.environment gpu      as JSON; an error if there is no such device
"""

import argparse
import json
import os
import sys
from typing import Any

from jax_rnn.base.environment import environment as of_package
from jax_rnn.base.environment import installed

__all__ = ["environment"]

PEERS = ("dm-haiku", "equinox", "keras")


def environment(threads: int) -> dict[str, Any]:
    """Versions, device, processor, threads, and the mean load of the last minutes."""
    versions = {package: installed(package) or "not installed" for package in PEERS}
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        **of_package(),
        **versions,
        "threads": str(threads),
        "load before": f"{load} (1, 5, 15 minutes)",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }


def of_device(device: Any) -> dict[str, str]:
    """The name of a device, and the versions of its runtime and of torch's."""
    found = {
        "device": device.device_kind,
        "runtime": " ".join(device.client.platform_version.split()),
        "torch's device": "none",
    }
    if installed("torch"):
        import torch

        if torch.cuda.is_available():
            name = torch.cuda.get_device_name()
            cudnn = torch.backends.cudnn.version()
            found["torch's device"] = f"{name}, CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.environment",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("device", choices=("cpu", "gpu", "tpu"))
    options = parser.parse_args()

    from rich.console import Console

    from jax_rnn.base.console import say
    from jax_rnn.base.devices import DeviceError, choose

    try:
        device = choose(options.device)
    except DeviceError as error:
        say(Console(stderr=True), error, "error:")
        return 1
    print(json.dumps(environment(os.cpu_count() or 1) | of_device(device), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
