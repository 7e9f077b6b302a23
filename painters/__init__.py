"""Painters: networks that paint any photograph in one pass, once they are trained.

By name or by file, as `networks/` has those that judge.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files
from ..settings import PROGRAM

if TYPE_CHECKING:
    from .architecture import Painter

NAMES = {"paintbox": Path(__file__).with_name("paintbox.keras")}
_CLASS = "neural_style_keras>Painter"


def find(name: str) -> Path:
    """The file of a painter, by the name of one in the package or by a path.

    Raises OSError, in a sentence that says what to do, if there is none.
    """
    path = NAMES.get(str(name)) or files.local(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no painter at {path}: name a .keras file that {PROGRAM} train has written, "
            f"or {' or '.join(NAMES)}"
        )
    return path


def read_config(name: str) -> dict:
    """What a painter is and what made it, read without Keras: the arguments of `Painter`.

    Raises:
        OSError: if there is no such file, or it is damaged.
        ValueError: if it is a model of something else.
    """
    path = find(name)
    try:
        with zipfile.ZipFile(path) as archive:
            model = json.loads(archive.read("config.json"))
            if damaged := archive.testzip():
                raise OSError(f"its part {damaged} is not what was written")
            registered, config = model["registered_name"], model["config"]
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise OSError(f"{path} is not a painter, or it is damaged: {error}") from error
    if registered != _CLASS:
        raise ValueError(f"{path} is a Keras model, but not a painter of {PROGRAM}")
    return config


def load(name: str) -> Painter:
    """A painter that is ready to paint.

    Only the numbers and the names in the file are used, whatever else a .keras file may hold: it
    runs no code.

    Raises OSError and ValueError as `read_config` does.
    """
    from .architecture import Painter  # which imports Keras

    config = read_config(name)
    try:
        painter = Painter(**{k: config[k] for k in (*Painter.ARGUMENTS, "about")}, trainable=False)
        painter.load_weights(find(name))
    except Exception as error:  # h5py and Keras fail in many ways
        raise OSError(f"{find(name)} is not a painter, or it is damaged: {error}") from error
    return painter


def save(painter: Painter, path) -> None:
    """Write a painter to a .keras file, whole or not at all. Raises OSError where it cannot."""
    with files.replacing(path) as file:
        painter.save(file.name)


def styles(config: dict) -> list[str]:
    """The names of a painter's styles, from its configuration."""
    return [style["name"] for style in config["about"]["styles"]]
