"""The pictures in a folder."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def found(folder) -> list[Path]:
    """The pictures in a folder and in the folders in it, told by their names' endings, in order.

    Raises OSError if there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OSError(f"{folder} is not a folder: name one with pictures in it")
    endings = {
        ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN
    }
    endings |= {".heic", ".heif"}
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())
    if not paths:
        raise OSError(f"there are no pictures in {folder}")
    return paths
