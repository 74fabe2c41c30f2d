"""The data of the lessons: files, arrays and batches.

A file is searched in the folder named by the environment variable JAX_RNN_DATA, then in the user's
cache. Otherwise it is downloaded once and its checksum is verified.
"""

import hashlib
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import urlretrieve

import numpy as np

from reference_torch.dates import FORMATS, days, number, spellings

GITHUB = "https://raw.githubusercontent.com"
TEXT = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
NAMES = {
    "Arabic": "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc",
    "Chinese": "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465",
    "Czech": "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7",
    "Dutch": "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3",
    "English": "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2",
    "French": "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95",
    "German": "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db",
    "Greek": "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6",
    "Irish": "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058",
    "Italian": "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4",
    "Japanese": "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f",
    "Korean": "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136",
    "Polish": "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826",
    "Portuguese": "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53",
    "Russian": "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c",
    "Scottish": "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd",
    "Spanish": "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7",
    "Vietnamese": "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d",
}
FILES = {
    "tinyshakespeare.txt": (
        f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        TEXT,
    ),
    **{
        f"names/{language}.txt": (
            f"{GITHUB}/spro/practical-pytorch/master/data/names/{language}.txt",
            checksum,
        )
        for language, checksum in NAMES.items()
    },
}
"""File name -> URL and SHA-256."""


def fetch(name: str) -> Path:
    """The path of a data file whose checksum is correct."""
    url, checksum = FILES[name]
    given = os.environ.get("JAX_RNN_DATA")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(given or caches / "jax_rnn") / name
    if not given and not path.exists():
        print(f"downloading {url} into {path.parent}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        arriving = path.with_suffix(f".{os.getpid()}")
        urlretrieve(url, arriving)
        arriving.replace(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        raise ValueError(f"{path}: expected the file of {url}, got another; remove or replace it")
    return path


@dataclass(frozen=True, eq=False)
class Data:
    """Training data, held-out data, and the vocabulary that a model needs.

    Each part is a text, ids (N,), or a dict of arrays with one row per example.
    """

    train: Any
    held_out: Any
    vocabulary: dict[str, Any]


def read_text(path: str | Path, held_out: float = 0.1) -> Data:
    """A UTF-8 text as ids; the last part is held out."""
    text = Path(path).read_bytes().decode("utf-8-sig")
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    symbols, ids = np.unique(codes, return_inverse=True)
    split = int(len(ids) * (1 - held_out))
    if min(split, len(ids) - split) < 2:
        raise ValueError(f"{path}: expected a longer text, got {len(ids)} characters")
    ids = ids.astype(np.int32)
    return Data(ids[:split], ids[split:], {"symbols": "".join(map(chr, symbols))})


def text_window(ids: np.ndarray, batch_size: int, window: int, step: int) -> dict[str, np.ndarray]:
    """Window number `step` of a text split into `batch_size` streams, cyclically.

    Every label is the character after its input. `fresh` is true at the start of the streams, where
    the state of the model does not belong to the preceding text.
    """
    stream = (len(ids) - 1) // batch_size
    if stream < window:
        raise ValueError(f"expected {batch_size * window + 1} characters or more, got {len(ids)}")
    number = step % (stream // window)
    begins = np.arange(batch_size)[:, None] * stream + number * window
    places = begins + np.arange(window + 1)
    return {
        "inputs": ids[places[:, :-1]],
        "labels": ids[places[:, 1:]],
        "fresh": np.full(batch_size, number == 0),
    }


def read_names() -> Data:
    """Surnames and the number of their language; a fifth of the *names* is held out.

    All rows of a name with several languages are in one part, so that no held-out name is trained
    on. Symbol i has the id i + 1, since 0 is the padding.
    """
    languages = sorted(NAMES)
    rows = [
        (name, number)
        for number, language in enumerate(languages)
        for line in fetch(f"names/{language}.txt").read_text("utf-8").split("\n")
        if (name := unicodedata.normalize("NFC", line.strip()))
    ]
    symbols = "".join(sorted(set("".join(name for name, _ in rows))))
    longest = max(len(name) for name, _ in rows)

    def part(held_out: bool) -> dict[str, np.ndarray]:
        chosen = [row for row in rows if is_held_out(row[0]) == held_out]
        ids = np.zeros((len(chosen), longest), np.int32)
        for row, (name, _) in zip(ids, chosen, strict=True):
            row[: len(name)] = [symbols.index(letter) + 1 for letter in name]
        lengths = np.array([len(name) for name, _ in chosen], np.int32)
        return {
            "ids": ids,
            "lengths": lengths,
            "language": np.array([number for _, number in chosen], np.int32),
        }

    vocabulary = {"symbols": symbols, "languages": languages, "longest": longest}
    return Data(part(False), part(True), vocabulary)


def is_held_out(name: str) -> bool:
    """A fifth of all names, chosen by their letters, so it is the same on every machine."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") < 0.2 * 2**64


def read_dates(count: int = 20_000, seed: int = 0) -> Data:
    """Dates in many formats, `count` for training and a tenth as many held out, with no common day.

    Rows of a part: `sources` (N, S), symbol i having the id i + 1, and `source_lengths` (N,);
    `targets` (N, 11), symbol i having the id i + 2, followed by the id 1, the end.
    """
    written = spellings()
    source_symbols, target_symbols = "".join(sorted(set("".join(written)))), "-0123456789"
    longest = max(map(len, written))

    def part(name: str, days: Sequence[date], rows: int) -> dict[str, np.ndarray]:
        sources = np.zeros((rows, longest), np.int32)
        lengths = np.zeros(rows, np.int32)
        targets = np.ones((rows, 11), np.int32)
        for row in range(rows):
            day = days[number(name, seed, row, "day") % len(days)]
            text = FORMATS[number(name, seed, row, "format") % len(FORMATS)](day)
            lengths[row] = len(text)
            sources[row, : len(text)] = [source_symbols.index(letter) + 1 for letter in text]
            targets[row, :-1] = [target_symbols.index(figure) + 2 for figure in day.isoformat()]
        return {"sources": sources, "source_lengths": lengths, "targets": targets}

    train, held_out = days()
    vocabulary = {"source_symbols": source_symbols, "target_symbols": target_symbols}
    return Data(
        part("train", train, count), part("held_out", held_out, max(1, count // 10)), vocabulary
    )


def shuffled_rows(
    arrays: dict[str, np.ndarray], batch_size: int, seed: int, step: int
) -> dict[str, np.ndarray]:
    """Batch number `step` of the rows, shuffled separately for every epoch.

    Rows that do not fill a whole batch are left out of the epoch.
    """
    rows = len(next(iter(arrays.values())))
    if not 1 <= batch_size <= rows:
        raise ValueError(f"expected a batch of 1 to {rows} rows, got {batch_size}")
    epoch, number = divmod(step, rows // batch_size)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    chosen = order[number * batch_size :][:batch_size]
    return {name: array[chosen] for name, array in arrays.items()}
