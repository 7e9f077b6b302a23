"""Paint a photograph in the style of one or more paintings.

from neural_style_keras import preset, read_picture, transfer_style, write_picture

content, painting = read_picture("photo.jpg"), read_picture("painting.jpg")
for progress in transfer_style(content, [painting], preset("fast", width=512)):
    print(progress.iteration, progress.losses.total)
write_picture("out.png", progress.image)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# By its full name, since pytest imports this file as a part of the tests.
from neural_style_keras.settings import VERSION as __version__
from neural_style_keras.settings import Settings, preset

if TYPE_CHECKING:
    from .cluster.run import transfer_each
    from .networks import load as load_network
    from .objective import Losses
    from .painters import load as load_painter
    from .painters.painting import embed_styles, paint
    from .pictures import mask as read_mask
    from .pictures import read as read_picture
    from .pictures import write as write_picture
    from .runs.transfer import transfer_style
    from .stylize import Progress, State

__all__ = [
    "Losses",
    "Progress",
    "Settings",
    "State",
    "__version__",
    "embed_styles",
    "load_network",
    "load_painter",
    "paint",
    "preset",
    "read_alpha",
    "read_mask",
    "read_picture",
    "transfer_each",
    "transfer_style",
    "write_picture",
]

# Imported when they are first asked for: TensorFlow takes seconds.
_LAZY = {
    "Losses": (".objective", "Losses"),
    "Progress": (".stylize", "Progress"),
    "State": (".stylize", "State"),
    "embed_styles": (".painters.painting", "embed_styles"),
    "load_network": (".networks", "load"),
    "load_painter": (".painters", "load"),
    "paint": (".painters.painting", "paint"),
    "read_alpha": (".pictures", "alpha"),
    "read_mask": (".pictures", "mask"),
    "read_picture": (".pictures", "read"),
    "transfer_each": (".cluster.run", "transfer_each"),
    "transfer_style": (".runs.transfer", "transfer_style"),
    "write_picture": (".pictures", "write"),
}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .runs.console import silenced

    module, attribute = _LAZY[name]
    with silenced():
        if name in ("load_network", "load_painter"):
            importlib.import_module(".vgg", __name__)  # Keras, which it imports when it is called
        value = getattr(importlib.import_module(module, __name__), attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
