"""Make a virtual environment and install the project into it.

    python tools/install.py .venv torch
    python tools/install.py .venv test --torch cpu
    python tools/install.py .venv-lowest test --lowest

uv does the work: the one on the PATH, or one that pip puts into the environment first; pip itself
where neither can be had. All versions come from requirements.lock (`make lock` renews it).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SUPPORTED = (3, 11), (3, 13)
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the virtual environment")
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml: torch, test, lint, …")
    parser.add_argument(
        "--torch",
        default="default",
        metavar="BUILD",
        help="cpu: PyTorch's smaller build, from PyTorch's own index; "
        "default: what the package index holds",
    )
    parser.add_argument(
        "--lowest", action="store_true", help="the lowest versions that pyproject.toml allows"
    )
    parser.add_argument(
        "--requirement", default=[], action="append", help="a further file of requirements"
    )
    parser.add_argument(
        "--unlocked",
        action="store_true",
        help="without requirements.lock, for further requirements that its versions do not fit",
    )
    options = parser.parse_args()
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        found = "{}.{}".format(*sys.version_info)
        parser.exit(
            2, f"expected Python 3.11 to 3.13, got {found}; choose one with PYTHON=python3.12\n"
        )
    if options.torch not in ("cpu", "default"):
        parser.exit(2, f"TORCH: expected cpu or default, got {options.torch!r}\n")

    python = options.folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        print(
            f"Setting up {options.folder}: about 1 minute with uv, 3 with pip. 1.9 GB on disk; "
            "5.3 GB on Linux where\nthe package index holds PyTorch with CUDA "
            "(TORCH=cpu takes the small build from PyTorch's own index).",
            flush=True,
        )
        venv.create(options.folder, with_pip=True)
    project = f".[{','.join(options.extras)}]" if options.extras else "."
    packages = ["--editable", project]
    for file in options.requirement:
        packages += ["--requirement", file]
    if not options.lowest and not options.unlocked:
        packages += ["--constraint", str(LOCK)]
    uv = find_uv(python)
    if uv:
        command = [*uv, "pip", "install", "--python", str(python), *packages]
        command += ["--torch-backend", "cpu"] if options.torch == "cpu" else []
        command += ["--resolution", "lowest-direct"] if options.lowest else []
        if subprocess.run(command, cwd=ROOT, env=like_pip(python)).returncode == 0:
            return
        print("uv could not install the project; trying pip.", flush=True)
    if options.lowest:
        parser.exit(1, "--lowest: expected uv, which can choose the lowest versions, got none\n")
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *packages]
    command += ["--extra-index-url", CPU_WHEELS] if options.torch == "cpu" else []
    sys.exit(subprocess.run(command, cwd=ROOT).returncode)


def find_uv(python: Path) -> list[str] | None:
    """The command that starts uv, installed into the environment if need be."""
    if shutil.which("uv"):
        return ["uv"]
    module = [str(python), "-m", "uv"]
    if subprocess.run([*module, "--version"], capture_output=True).returncode == 0:
        return module
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    return module if subprocess.run(pip).returncode == 0 else None


def like_pip(python: Path) -> dict[str, str]:
    """The environment in which uv uses the package index and folders that pip is set up with."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    settings = dict(re.findall(r"^[\w:.]*?\.?([\w-]+)='(.*)'$", listed, re.M))
    names = {"index-url": "UV_DEFAULT_INDEX", "find-links": "UV_FIND_LINKS"}
    found = {names[key]: value for key, value in settings.items() if key in names}
    return {**found, **os.environ}


if __name__ == "__main__":
    main()
