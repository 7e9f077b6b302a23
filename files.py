"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import platformdirs
import psutil


def local(path) -> Path:
    """The path of a file on this machine.

    Raises ValueError for an address of the web, which a path would lose a slash of.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(path)):
        raise ValueError(
            f"{path} is an address, not a file on this machine: download it, and name the file"
        )
    return Path(path)


@contextlib.contextmanager
def replacing(path):
    """Open a binary file that takes the name `path` only once it is whole and on the disk.

    It is written in a folder of its own beside `path` and renamed at the end; when the block
    raises, what was at `path` stays as it was and nothing is left behind.

    Raises OSError as `open` and writing do.
    """
    path = Path(path)
    _clear_what_killed_processes_left(path)
    # A folder, since a temporary file of `tempfile` itself could be read by its owner only.
    own = tempfile.TemporaryDirectory(
        prefix=f".{path.name}.{os.getpid()}.", suffix=".tmp", dir=path.parent
    )
    with own as folder:
        temporary = Path(folder) / path.name
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def _clear_what_killed_processes_left(path: Path) -> None:
    """Only what `replacing` itself has named: `.NAME.PID.RANDOM.tmp`, once `.NAME.PID.tmp`."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        named = re.fullmatch(r"\.(\d{1,7})(\.\w{8})?\.tmp", left.name[1 + len(path.name) :])
        if named is None or psutil.pid_exists(int(named[1])):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def sha256(path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return digest(path, "sha256")


def named(path) -> dict[str, str]:
    """What tells a file apart, wherever it lies: its name, and the SHA-256 of its bytes."""
    return {"name": Path(path).name, "sha256": sha256(path)}


def digest_of(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


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
