"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import platformdirs
import psutil


@contextlib.contextmanager
def replacing(path):
    """Open a binary file that takes the name `path` only once it is whole and on the disk.

    It is written beside `path` and renamed at the end; when the block raises, what was at `path`
    stays as it was and nothing is left behind.

    Raises OSError as `open` and writing do.
    """
    path = Path(path)
    for left in path.parent.glob(f".{path.name}.*.tmp"):  # by a process that was killed
        if not psutil.pid_exists(int(left.suffixes[-2][1:])):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return digest(path, "sha256")


def digest(path, algorithm: str) -> str:
    """A digest of a file's bytes, in hexadecimal, by any algorithm that hashlib knows."""
    with open(path, "rb") as file:
        digest = hashlib.new(algorithm)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where downloaded and parsed networks are kept for this user."""
    return Path(platformdirs.user_cache_dir("neural-style", appauthor=False))
