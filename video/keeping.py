"""The frames of a film that are done: whole and lossless, in a folder beside it until it is
written. What a run goes on from is simply which of them are there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from .. import files, pictures


class Kept:
    """The frames that are kept in a folder, by the pass and their number."""

    def __init__(self, folder: Path):
        self.folder = folder

    def begin(self, asked: dict, chosen: dict) -> None:
        """Make the folder anew, for a film that is asked for so.

        Args:
            asked: all that the frames depend on.
            chosen: what was chosen for this machine.
        """
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        with files.replacing(self.folder / "asked.json") as file:
            file.write(json.dumps({"asked": asked, "chosen": chosen}).encode())

    def is_empty(self) -> bool:
        return not any(self.folder.glob("*.png"))

    def drop_if_empty(self) -> None:
        """Leave nothing behind of a film without a frame."""
        if self.is_empty():
            shutil.rmtree(self.folder)

    def chosen(self, asked: dict) -> dict:
        """What was chosen for the machine when these frames were begun.

        Raises OSError if the folder is damaged, and ValueError if they are of another film.
        """
        from ..runs.state import check_same  # which imports Keras

        try:
            saved = json.loads((self.folder / "asked.json").read_text())
            before, chosen = saved["asked"], saved["chosen"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OSError(f"{self.folder} is damaged ({error}): delete it to start anew") from error
        check_same(before, asked, self.folder)
        return chosen

    def has(self, which: int, number: int) -> bool:
        return self._path(which, number).exists()

    def read(self, which: int, number: int) -> np.ndarray:
        """(H, W, 3) float32 in 0..255. Raises OSError for one that is damaged."""
        return pictures.read(self._path(which, number))

    def write(self, which: int, number: int, picture: np.ndarray) -> None:
        """Keep a frame, rounded to 8 bits. Raises OSError if it cannot be written."""
        pictures.write(self._path(which, number), picture)

    def _path(self, which: int, number: int) -> Path:
        return self.folder / f"{which}-{number:06}.png"
