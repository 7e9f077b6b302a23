"""The command line that makes the same picture as the page."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from ..settings import NO_PAINTER, PRESETS, PROGRAM, Settings, flag, own_painter, preset


def command(content: str | None, styles: Sequence[str], output: str, settings: Settings) -> str:
    """A line for a shell, by the names of the pictures.

    It names the recipe from which there is least to say.
    """
    lines = [line for name in PRESETS if (line := _flags(name, settings)) is not None]
    words = [PROGRAM]
    words += ["--content", content] if content else []
    words += ["--styles", *styles] if styles else []
    return shlex.join([*words, "--output", output, *min(lines, key=len)])


def _flags(recipe: str, settings: Settings) -> list[str] | None:
    """The words that make a recipe these settings; None where no words can: a flag takes nothing
    away."""
    base, changes = preset(recipe, painter=settings.painter), {}
    for field in dataclasses.fields(Settings):
        value, before = getattr(settings, field.name), getattr(base, field.name)
        if value == before or (field.metadata["cosmetic"] and field.name != "network"):
            continue
        if value is None or (isinstance(before, bool) and value == field.default):
            return None
        changes[field.name] = value
    if settings.painter != own_painter(
        recipe, dataclasses.replace(settings, painter=None, style=None)
    ):
        changes["painter"] = settings.painter or NO_PAINTER
    words = [] if recipe == "neural-style" else ["--preset", recipe]
    for name in (f.name for f in dataclasses.fields(Settings) if f.name in changes):
        value = changes[name]
        words.append(flag(name))
        if not isinstance(value, bool):
            words += map(str, value if isinstance(value, tuple) else [value])
    return words
