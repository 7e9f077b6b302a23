"""Where uploads and results lie: a folder that only the server's user can read, and in it one for
each visitor, whose name nobody can guess."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import psutil

PREFIX = "neural-style-page-"


class Folders:
    """The folder of a server. A visitor is told apart by a secret, which the browser keeps as a
    cookie; the name of the folder is its hash, so that an address that is passed on does not open
    it."""

    def __init__(self):
        _clear_what_killed_servers_left()
        # mkdtemp's folders are readable by their owner only.
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()

    def of(self, secret: str) -> Path:
        """A visitor's folder, which need not be there yet."""
        return self.root / hashlib.sha256(secret.encode()).hexdigest()[:32]

    def new(self, visitor: Path) -> Path:
        """A new folder in a visitor's: for an upload, or a job."""
        folder = visitor / secrets.token_hex(8)
        visitor.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        return folder

    def belongs(self, path, visitor: Path) -> bool:
        """Whether a path, links and `..` followed, is a file in the visitor's folder."""
        try:
            real = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return real.is_file() and real.is_relative_to(visitor)

    def sweep(self, minutes: float) -> None:
        """Delete the files that have not been written for so long, and the folders left empty."""
        before = time.time() - 60 * minutes
        for folder, _, names in os.walk(self.root, topdown=False):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime < before:
                        path.unlink()
            with contextlib.suppress(OSError):
                if folder != str(self.root) and os.stat(folder).st_mtime < before:
                    os.rmdir(folder)

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def _clear_what_killed_servers_left() -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        named = re.fullmatch(rf"{PREFIX}(\d{{1,7}})-\w+", left.name)
        if named and not psutil.pid_exists(int(named[1])) and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
