"""Painters: networks that paint any photograph in one pass, once they are trained.

By name or by file, as `networks/` has those that judge.
"""

from __future__ import annotations

import difflib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files
from ..settings import PROGRAM, Settings, Training

if TYPE_CHECKING:
    from .architecture import Painter

NAMES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.keras"))}
# What a painter is made of, as its file has it; the names are those of `settings.Training`.
ARGUMENTS = (
    "architecture",
    "styles",
    "width_factor",
    "normalization",
    "upsampling",
    "edge_kernel",
    "of_photographs",
    "any_style",
)
# What a painter for any style paints by. In place of a share of each style: 1, which is what all
# have in common; mean and spread of each colour of a painting; and what is learnt. Then mean and
# spread of each feature of these layers of the compact network.
COLOURS, LEARNT = 6, 64
SHARES = 1 + COLOURS + LEARNT
ADAPTED = {"relu2_1": 32, "relu3_1": 64, "relu4_1": 128}
STATISTICS = 2 * sum(ADAPTED.values())
EMBEDDING = SHARES + STATISTICS
# How a file that is no painter's comes to light: zipfile, zlib and JSON fail in many ways.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RecursionError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
)
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
        if registered == _CLASS:
            config.setdefault("any_style", False)  # as it was when there were no others
            if config["any_style"]:  # the first ones were written as residual
                config["architecture"] = "decoder"
            _check_config(config)
    except _DAMAGE as error:
        raise OSError(f"{path} is not a painter, or it is damaged: {error}") from error
    if registered != _CLASS:
        raise ValueError(f"{path} is a Keras model, but not a painter of {PROGRAM}")
    return config


def _check_config(config: dict) -> None:
    """Raise one of `_DAMAGE` for what cannot be a painter's configuration, whoever wrote it."""
    chosen = {name: config[name] for name in ARGUMENTS if name in Training.__dataclass_fields__}
    Training(**chosen)  # each within its range: lest a few bytes ask for all memory
    names = styles(config)
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("its styles have no names of their own")
    count = EMBEDDING if config["any_style"] else len(names)
    kinds = {type(config[name]) for name in ("of_photographs", "any_style")}
    if config["styles"] != count or kinds != {bool} or (config["any_style"] and names):
        raise ValueError("its configuration contradicts itself")


def load(name: str) -> Painter:
    """A painter that is ready to paint.

    Only the numbers and the names in the file are used, whatever else a .keras file may hold: it
    runs no code.

    Raises OSError and ValueError as `read_config` does.
    """
    from .architecture import Painter  # which imports Keras

    config = read_config(name)
    if config["architecture"] == "decoder":
        from .predictor import eyes

        eyes().check(config["about"])  # and what is wrong with them is not wrong with the painter
    try:
        painter = Painter(**{k: config[k] for k in (*ARGUMENTS, "about")}, trainable=False)
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


def check_styles(
    name: str,
    config: dict,
    style: Sequence[str] | None,
    drawn: Sequence,
) -> None:
    """Raise ValueError for styles of another kind than a painter's.

    Args:
        name, config: of the painter.
        style: names of its styles, that were asked for.
        drawn: the pictures of styles that were given, for a painter for any style.
    """
    if config["any_style"] and style:
        raise ValueError(f"{name} has no styles to name with --style: it takes --styles PICTURE")
    if config["any_style"] and not drawn:
        raise ValueError(f"{name} paints in the style of a picture: name one with --styles")
    if drawn and not config["any_style"]:
        raise ValueError(
            f"{name} takes no pictures of styles, but --style and one that it has learnt: "
            f"{', '.join(styles(config))}"
        )


def check_how(
    name: str, config: dict, strength: float | None = None, refine: int | None = None
) -> None:
    """Raise ValueError for a strength, or steps to refine by, that a painter does not take.

    Args:
        name, config: of the painter.
        strength, refine: as in `Settings`; None for what was not asked for.
    """
    if strength is not None and not config["any_style"]:
        raise ValueError(
            f"--strength is of painters for any style, as any is, and {name} is none: leave it out"
        )
    if refine and config["architecture"] != "decoder":
        raise ValueError(
            f"--refine is of decoders, as the painters in the package are, and {name} is none: "
            "leave it out"
        )


def shares_asked(names: Sequence[str], style: Sequence[str] | None, settings: Settings) -> dict:
    """How much of each style of a painter a command line asks for.

    Args:
        names: of the painter's styles.
        style: those that are asked for; None for the only one.
        settings: with the shares, as many as are asked for.

    Raises ValueError for a name that is not among them, or is there twice.
    """
    style = style or (names if len(names) == 1 else None)
    if style is None:
        raise ValueError(f"name a style with --style: {', '.join(names)}")
    shares = settings.style_blend_weights
    if shares is None or len(shares) != len(style):
        shares = (1.0,) * len(style)
    if len(set(style)) < len(style):
        raise ValueError("--style names a style twice")
    asked = dict(zip(style, shares))
    shares_of(names, asked)
    return asked


def shares_of(names: Sequence[str], style: Mapping[str, float]) -> list[float]:
    """The share of each style of a painter, summing to 1.

    Args:
        names: of the painter's styles.
        style: the name of each that is wanted, and how much of it.

    Raises ValueError for a name that is not among them, or shares that sum to 0.
    """
    shares = [0.0] * len(names)
    for name, share in style.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            meant = f": did you mean {close[0]}?" if close else ""
            raise ValueError(f"the painter has no style {name}; it has {', '.join(names)}{meant}")
        shares[names.index(name)] += share
    if not sum(shares):
        raise ValueError("the shares of the styles sum to 0: at least one must be positive")
    return [share / sum(shares) for share in shares]
