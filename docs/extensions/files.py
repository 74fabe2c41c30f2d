"""Files of the repository: where they are here, and where they are on GitHub."""

import ast
import re
import tomllib
from pathlib import Path

__all__ = ["ADDRESS", "FRAMEWORKS", "ROOT", "address_of", "path_of", "question_of"]

ROOT = Path(__file__).parents[2]
ADDRESS: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Repository"
]
FRAMEWORKS = {"jax": "JAX", "torch": "PyTorch"}
FOLDERS = {"jax": "jax_rnn/lecture/lessons", "torch": "reference_torch"}


def address_of(path: Path) -> str:
    """The page of a file or folder on GitHub."""
    kind = "tree" if path.is_dir() else "blob"
    return f"{ADDRESS}/{kind}/main/{path.relative_to(ROOT).as_posix()}"


def path_of(lesson: str, framework: str) -> Path:
    """The program of a lesson."""
    return ROOT / FOLDERS[framework] / f"{lesson}.py"


def question_of(lesson: str) -> str:
    """The first sentence of the program in JAX, without the title of the slide."""
    said = ast.get_docstring(ast.parse(path_of(lesson, "jax").read_text("utf-8"))) or ""
    text = " ".join(said.split("\n\n")[0].split())
    return re.sub(r"^Exercise [\d-]+: (.)", lambda found: found[1].upper(), text)
