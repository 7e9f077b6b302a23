"""The settings that made a picture, from what it holds of itself."""

from __future__ import annotations

import dataclasses
import json

from .. import networks, pictures
from ..settings import PROGRAM, Settings


def settings_like(path) -> dict:
    """The settings that made a picture of this program, by their names; what leaves a picture as
    it is (where checkpoints go, say) is not among them.

    Raises OSError if there is no such file, and ValueError if it holds no settings.
    """
    pictures.size(path)  # a missing file, or no picture, in the usual words
    try:
        about = json.loads(pictures.comment(path))
        if "network" not in about and "shares" in about:
            raise ValueError(
                f"{path} was made by {PROGRAM} apply: it holds what a painter takes, and not the "
                "settings of an optimised picture"
            )
        found, network = dict(about["settings"]), about["network"]["name"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no settings: it was not made by {PROGRAM}") from error
    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := set(found) - known:
        raise ValueError(
            f"{path} was made by another version of {PROGRAM}, with {', '.join(sorted(unknown))}"
        )
    named = {source.name: name for name, of in networks.SOURCES.items() for source in of}
    named[networks.COMPACT.name] = "compact"
    found["network"] = named.get(network, network)
    # Another spelling of `colors`, which must not speak against it where it is overridden.
    if found.pop("preserve_colors", False):
        found.setdefault("colors", "content")
    # These are of that content and of those styles, which are named anew.
    for name in ("masks", "style_masks", "feather", "initial"):
        found.pop(name, None)
    # Where checkpoints went is not recorded, and how often means nothing without.
    found.pop("checkpoint_iterations", None)
    return found
