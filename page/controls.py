"""A control for each setting that a visitor may choose, made from its field of `Settings`, and
back: from what the controls hold to `Settings`."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence

from ..commands.parser import help_text
from ..settings import Settings, flag, preset

# Files of this machine, what the page does by itself, another spelling: nobody chooses these here.
WITHHELD = {
    *("masks", "style_masks", "initial", "painter", "style", "refine", "preserve_colors"),
    *("checkpoint_output", "checkpoint_iterations", "progress_write", "progress_plot"),
    *("state_minutes", "resume", "overwrite", "print_iterations"),
    *("cache", "device", "cluster", "cluster_cpus", "cluster_gpus", "quiet", "debug", "alpha"),
}
# What is seen at once, with the words of somebody who has never seen a flag.
FIRST = {
    "width": "Size",
    "strength": "How much style",
    "style_scales": "Scale of the strokes",
    "content_weight_blend": "Where the content is taken from",
    "colors": "Colours",
    "pooling": "Pooling",
}
# For a slider, ends are needed where the setting has none.
SLIDERS = {
    "width": (64, 4096, 16),
    "strength": (0, 1, 0.05),
    "style_scales": (0.25, 3, 0.05),
    "content_weight_blend": (0, 1, 0.05),
}
RADIO = ("colors", "pooling")
# What a text may be where it is a file's name on the command line.
ONLY = {
    "normalize_network": ("off", "on", "auto"),
    "warm_start": ("compact",),
}
RECIPE, WIDTH = "fast", 512  # that the page begins with: minutes, not hours

FIELDS = {f.name: f for f in dataclasses.fields(Settings) if f.name not in WITHHELD}
MORE = [name for name in FIELDS if name not in FIRST]
NAMES = [*FIRST, *MORE]  # in the order of the controls
_TYPES = typing.get_type_hints(Settings)


def optional(name: str) -> bool:
    """Whether a setting may be None."""
    return type(None) in typing.get_args(_TYPES[name])


def kind(name: str) -> type:
    """What a setting is, or for several values, what each of them is."""
    one = next(t for t in (typing.get_args(_TYPES[name]) or [_TYPES[name]]) if t)
    return typing.get_args(one)[0] if typing.get_origin(one) is tuple else one


def is_list(name: str) -> bool:
    return "tuple" in str(_TYPES[name])


def make(name: str, networks: Sequence[str]):
    """The control of a setting, with its help and the value that the page begins with."""
    import gradio as gr

    field = FIELDS[name]
    value = networks[0] if name == "network" else shown(begun())[name]
    rule, told = field.metadata, help_text(field, escape=False)
    said = dict(
        label=FIRST.get(name) or _label(name),
        info=told[:1].upper() + told[1:],
        value=value,
        elem_id=f"setting-{name}",
        interactive=True,
    )
    choices = {"network": networks}.get(name) or ONLY.get(name) or rule["choices"]
    if name in SLIDERS:
        low, high, step = SLIDERS[name]
        return gr.Slider(low, high, step=step, **said)
    if choices:
        offered = [("none", "")] * optional(name) + [(str(one), one) for one in choices]
        return (gr.Radio if name in RADIO else gr.Dropdown)(offered, **said)
    if _TYPES[name] is bool:
        return gr.Checkbox(**said)
    # A box for numbers shows, and gives, 0 where there is none.
    if is_list(name) or kind(name) is str or optional(name):
        return gr.Textbox(placeholder=rule["none"] or "", max_lines=1, **said)
    return gr.Number(precision=0 if kind(name) is int else None, **said)


def _label(name: str) -> str:
    words = {"tv": "TV", "lbfgs": "L-BFGS", "eps": "epsilon"}
    told = " ".join(words.get(word, word) for word in name.split("_"))
    return told[:1].upper() + told[1:]


def begun() -> Settings:
    """The settings that the page begins with."""
    return of_recipe(RECIPE)


def of_recipe(name: str) -> Settings:
    return preset(name, painter=None, width=WIDTH)  # which begins is not chosen here


def shown(settings: Settings) -> dict:
    """Name -> what its control shows."""
    values = {}
    for name in NAMES:
        value = getattr(settings, name)
        if name == "strength" and value is None:
            value = 0.5  # where it is the recipe's own ratio
        elif name == "style_scales":
            value = value[0] if value else 1.0
        elif name == "width" and value is None:
            value = WIDTH
        elif is_list(name):
            value = " ".join(map(str, value or ()))
        elif value is None:
            value = ""
        elif name not in SLIDERS and optional(name) and kind(name) in (int, float):
            value = f"{value:g}"
        values[name] = value
    return values


def settings_of(values: Mapping, styles: int) -> Settings:
    """The settings that controls ask for.

    Args:
        values: of controls, by the settings' names; what is not there is as by default.
        styles: how many there are, for what has a value for each.

    Raises ValueError, in one sentence, for a value out of its range, or a setting that is not to be
    chosen here.
    """
    chosen = {}
    for name, value in values.items():
        if name not in FIELDS:
            raise ValueError(f"{flag(str(name))} is not to be chosen on the page")
        if name in ONLY and value not in (*ONLY[name], "", None):
            raise ValueError(f"{flag(name)} is {' or '.join(ONLY[name])} on the page, not {value}")
        if name == "strength" and value == 0.5:
            value = None
        elif name == "style_scales" and isinstance(value, (int, float)):
            value = None if value == 1 else (float(value),) * max(1, styles)
        elif isinstance(value, str) and is_list(name):
            value = _several(name, value)
        elif value == "" or value is None:
            if not optional(name):
                continue
            value = None
        elif kind(name) in (int, float):
            value = _number(name, value)
        chosen[name] = value
    if styles == 0:
        chosen["style_blend_weights"] = None
    return Settings(**chosen)


def _number(name: str, value):
    """A whole number where that is what it is, of a number or the text of one."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(f"{flag(name)} is a number, not {value}") from None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _several(name: str, text: str) -> tuple | None:
    try:
        return tuple(kind(name)(word) for word in text.split()) or None
    except ValueError:
        raise ValueError(
            f"{flag(name)} takes numbers with spaces between them, not {text}"
        ) from None
