"""Results as JSON."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from jax_rnn.base.storage import write_text

__all__ = ["plain", "write_json"]


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write rows as objects; floats are rounded to six digits."""
    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """Convert to dicts, lists and plain values."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
