"""Networks by name: the one in the package, and the published ones, fetched once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .. import files

COMPACT = Path(__file__).with_name("compact.mat")
PUBLISHED = "imagenet-vgg-verydeep-19.mat"
ABOUT = {
    "compact": "in the package: VGG-19's own layers at an eighth of the arithmetic",
    "vgg19": "the published VGG-19",
    "vgg16": "the published VGG-16",
}
NAMES = ("auto", *ABOUT)


@dataclass(frozen=True)
class Source:
    """A file as it is published, and what tells that it is that file."""

    name: str
    url: str
    digest: str  # `algorithm:hexadecimal`


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"

# The smaller file first: the convolutional part as Keras publishes it, with the digests that are
# in keras.applications. The other one's host has had an expired certificate for years: the digest
# is what counts.
SOURCES = {
    "vgg19": (
        Source(
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:253f8cb515780f3b799900260a226db6",
        ),
        Source(
            PUBLISHED,
            f"http://www.vlfeat.org/matconvnet/models/{PUBLISHED}",
            "sha256:abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695",
        ),
    ),
    "vgg16": (
        Source(
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:6d6bbae143d832006294945121d1f1fc",
        ),
    ),
}


def find(name: str, quiet: bool = False) -> Path:
    """The file of a network; a published one is fetched if it is not there yet.

    Args:
        name: one of `NAMES`, or a path, which is looked for in the cache folder as well.
        quiet: show no progress bar.

    Raises OSError, in a sentence that says what to do, if there is no such file or it cannot be
    fetched.
    """
    cache = files.cache_folder()
    if name == "compact":
        return COMPACT
    if name == "auto":
        return there("vgg19") or COMPACT
    if name in SOURCES:
        return there(name) or _fetch_any(SOURCES[name], cache, quiet)
    named = Path(name)
    cached = cache / named.name
    for path in (named, cached):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"there is no network at {named}, nor at {cached}: name one that is there, or "
        f"--network {' or '.join(NAMES[1:])}"
    )


def load(name: str = "auto", cache: bool = True):
    """The parameters of a network, by its name or its file; see `find` and `vgg.load`."""
    from ..vgg import load as load_file  # which imports Keras

    return load_file(find(name), cache)


def there(name: str) -> Path | None:
    """The file of a network by name in the package, the working folder, the cache folder or that of
    Keras; None if it has not been fetched."""
    if name == "compact":
        return COMPACT
    # Keras itself keeps what keras.applications has fetched, and checked, in the last of these.
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    places = [
        folder / source.name for folder in (files.cache_folder(), keras) for source in SOURCES[name]
    ]
    if name == "vgg19":
        places = [Path(PUBLISHED), files.cache_folder() / PUBLISHED, *places]
    return next((path for path in places if path.is_file()), None)


def _fetch_any(sources, folder: Path, quiet: bool) -> Path:
    from .download import fetch  # which takes a quarter of a second, and is seldom needed

    reasons = []
    for source in sources:
        try:
            return fetch(source, folder, quiet)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise OSError(
        f"{'; '.join(reasons)}: use --network compact, or fetch {sources[-1].url} by hand and name "
        "it with --network"
    )
