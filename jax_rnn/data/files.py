"""Data files: from a folder of the user, from the cache, or downloaded and verified."""

import hashlib
import os
from pathlib import Path
from typing import Any

from jax_rnn.base.storage import cache_folder

__all__ = ["fetch", "fetch_names"]

GITHUB = "https://raw.githubusercontent.com"
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
SUMS = {
    "tinyshakespeare.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    **{f"names/{language}.txt": checksum for language, checksum in NAMES.items()},
}
"""File -> SHA-256."""
URLS = {
    "tinyshakespeare.txt": f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    **{
        f"names/{language}.txt": f"{GITHUB}/spro/practical-pytorch/master/data/names/{language}.txt"
        for language in NAMES
    },
}


class Bar:
    """Progress of one download, in the form that pooch expects."""

    def __init__(self, name: str):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task(name, total=None)
        self.progress.start()

    @property
    def total(self) -> float | None:
        return self.progress.tasks[0].total

    @total.setter
    def total(self, value: float) -> None:
        self.progress.update(self.task, total=value)

    def update(self, amount: float) -> None:
        self.progress.advance(self.task, amount)

    def reset(self) -> None:
        self.progress.update(self.task, completed=0)

    def close(self) -> None:
        self.progress.stop()


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name: str) -> Path:
    """The path of a data file: in ``$JAX_RNN_DATA``, in the cache, or downloaded into the cache.

    Every file is checked against a known SHA-256. If ``JAX_RNN_DATA`` is set, the file must be in
    that folder; nothing is downloaded.

    Args:
        name: ``tinyshakespeare.txt`` or ``names/LANGUAGE.txt``.

    Raises:
        ValueError: an unknown name; a file with another checksum.
        FileNotFoundError: ``JAX_RNN_DATA`` is set, and the file is missing.
        ConnectionError: the file cannot be downloaded.
        OSError: the file cannot be written into the cache.
    """
    if name not in SUMS:
        raise ValueError(f"name: expected one of {', '.join(SUMS)}, got {name!r}")
    folder = os.environ.get("JAX_RNN_DATA")
    if folder:
        path = Path(folder) / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: expected a file, since JAX_RNN_DATA is {folder}, but it does not exist; "
                f"save {URLS[name]} as this file, or unset JAX_RNN_DATA to download it"
            )
        if checksum(path) != SUMS[name]:
            raise ValueError(
                f"{path}: expected SHA-256 {SUMS[name]}, got {checksum(path)}; "
                f"replace it with {URLS[name]}"
            )
        return path
    path = cache_folder() / name
    if path.is_file() and checksum(path) == SUMS[name]:
        return path
    return download(name)


def download(name: str) -> Path:
    """Download one file into the cache folder; it is complete and verified, or absent."""
    import pooch
    import requests

    folder, url = cache_folder(), URLS[name]
    by_hand = f"save {url} in a folder as {name} and set JAX_RNN_DATA to that folder"
    bar: Any = Bar(name)
    downloader: Any = pooch.HTTPDownloader(progressbar=bar)
    try:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        store = pooch.create(folder, "", registry={name: SUMS[name]}, urls={name: url})
        return Path(store.fetch(name, downloader=downloader))
    except requests.RequestException as error:
        raise ConnectionError(
            f"{url}: expected a download, got an error ({error}); connect to the network and try "
            f"again, or {by_hand}"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{url}: expected SHA-256 {SUMS[name]}, got another file ({error}); try again later, "
            f"or get the file from another source and {by_hand}"
        ) from error
    except OSError as error:
        raise type(error)(
            f"expected a writable cache folder, got {folder} ({error}); free disk space, or (on "
            f"Linux) set XDG_CACHE_HOME to another folder, or {by_hand}"
        ) from error
    finally:
        bar.close()


def fetch_names() -> dict[str, Path]:
    """Language -> file of its names, sorted; see ``fetch``."""
    return {language: fetch(f"names/{language}.txt") for language in sorted(NAMES)}
