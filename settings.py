"""Every default of the program, in one place: the command line, the Python API and the README's
table all read them from here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

VERSION = "0.1.0"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

# What --help groups by: what a person wants to do.
SIZE = "choose the size"
LOOK = "choose what it looks like"
START = "choose where to start"
OPTIMISER = "choose how it is optimised"
WATCH = "watch it, and keep the steps"
MACHINE = "choose the network and the machine"
TALK = "talk to the program"


def _option(
    default,
    group,
    help,
    *,
    none=None,
    least=None,
    above=None,
    most=None,
    choices=None,
    meta=None,
    cosmetic=False,
):
    """A setting with its help, its allowed range, and whether it leaves the picture as it is.

    `none` says in words what happens where the default is None.
    """
    return field(
        default=default,
        metadata=dict(
            group=group,
            help=help,
            none=none,
            least=least,
            above=above,
            most=most,
            choices=choices,
            meta=meta,
            cosmetic=cosmetic,
        ),
    )


@dataclass(frozen=True)
class Settings:
    """All that can be chosen besides the pictures themselves.

    Raises ValueError, in one sentence that names the flag, for a value out of its range.
    """

    # the size of the content picture; None keeps its own
    width: int | None = _option(
        None,
        SIZE,
        "width of the output in pixels; the height follows",
        least=1,
        none="the content's own",
        meta="PIXELS",
    )
    # relative to the width of the content; None is 1 for each style
    style_scales: tuple[float, ...] | None = _option(
        None,
        SIZE,
        "size of each style, relative to the content's width",
        above=0,
        none="1 each",
        meta="SCALE",
    )

    content_weight: float = _option(
        5.0, LOOK, "how much the content counts", least=0, meta="WEIGHT"
    )
    # between relu4_2, for 1, and relu5_2, for 0
    content_weight_blend: float = _option(
        1.0,
        LOOK,
        "where the content is taken from: 1 is relu4_2, 0 the more abstract relu5_2",
        least=0,
        most=1,
        meta="BLEND",
    )
    style_weight: float = _option(500.0, LOOK, "how much the style counts", least=0, meta="WEIGHT")
    style_layer_weight_exp: float = _option(
        1.0,
        LOOK,
        "weight of each style layer over that of the one before: under 1 finer, over 1 coarser",
        above=0,
        meta="RATIO",
    )
    # normalised to sum to 1; None is equal shares
    style_blend_weights: tuple[float, ...] | None = _option(
        None,
        LOOK,
        "share of each style, one number each",
        least=0,
        none="equal shares",
        meta="SHARE",
    )
    tv_weight: float = _option(
        100.0, LOOK, "how much smoothness (total variation) counts", least=0, meta="WEIGHT"
    )
    pooling: str = _option(
        "max", LOOK, "the network's pooling, whatever its file says", choices=("max", "avg")
    )
    preserve_colors: bool = _option(
        False, LOOK, "keep the colours of the content: only the luma is stylised"
    )

    initial: str | None = _option(
        None, START, "picture to start from", none="noise", meta="PICTURE"
    )
    # None is 0 with an initial picture and 1 without
    initial_noiseblend: float | None = _option(
        None,
        START,
        "share of noise in the start: below 1, the rest is --initial or else the content",
        least=0,
        most=1,
        none="0 with --initial, else 1",
        meta="SHARE",
    )
    seed: int = _option(0, START, "seed of the noise", least=0, meta="N")

    iterations: int = _option(1000, OPTIMISER, "number of steps", least=1, meta="N")
    learning_rate: float = _option(10.0, OPTIMISER, "Adam's learning rate", above=0, meta="RATE")
    beta1: float = _option(0.9, OPTIMISER, "Adam's beta1, below 1", least=0, meta="BETA")
    beta2: float = _option(0.999, OPTIMISER, "Adam's beta2, below 1", least=0, meta="BETA")
    eps: float = _option(1e-8, OPTIMISER, "Adam's epsilon", above=0, meta="EPSILON")

    print_iterations: int = _option(
        10, WATCH, "print the losses every N iterations", least=1, meta="N", cosmetic=True
    )
    checkpoint_output: str | None = _option(
        None,
        WATCH,
        "where to write checkpoints, as out_{:05}.jpg or out_%05d.jpg",
        none="none",
        meta="PATTERN",
        cosmetic=True,
    )
    checkpoint_iterations: int | None = _option(
        None, WATCH, "write a checkpoint every N iterations", least=1, none="none", meta="N"
    )
    progress_write: bool = _option(
        False, WATCH, "write progress.txt, a table of the losses, beside the output", cosmetic=True
    )
    progress_plot: bool = _option(
        False, WATCH, "plot the losses to progress.png beside the output", cosmetic=True
    )
    resume: bool = _option(
        False, WATCH, "go on where an interrupted run with checkpoints stopped", cosmetic=True
    )
    overwrite: bool = _option(False, WATCH, "write over an output that exists", cosmetic=True)

    network: str = _option(
        "imagenet-vgg-verydeep-19.mat",
        MACHINE,
        "the MatConvNet file, looked for in the working folder, then in the cache folder",
        meta="FILE",
        cosmetic=True,  # a run is told apart by the file's hash, not by its name
    )
    cache: bool = _option(
        True, MACHINE, "parse the network's file anew and keep no copy of it", cosmetic=True
    )
    device: str | None = _option(
        None,
        MACHINE,
        "cpu, gpu, or one of several: gpu:1",
        none="the engine's choice",
        meta="DEVICE",
    )
    precision: str = _option(
        "float32",
        MACHINE,
        "precision of the network; losses and picture are always float32",
        choices=("float32", "bfloat16"),
    )

    quiet: bool = _option(False, TALK, "print nothing but errors", cosmetic=True)
    debug: bool = _option(False, TALK, "print the traceback of an error", cosmetic=True)

    def __post_init__(self):
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, list):
                value = tuple(value)
            for one in value if isinstance(value, tuple) else (value,):
                _check(flag(f.name), one, f.metadata)
            if "float" in f.type and value is not None:  # 1 is as good as 1.0
                value = tuple(map(float, value)) if isinstance(value, tuple) else float(value)
            object.__setattr__(self, f.name, value)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ValueError("--beta1 and --beta2 must be below 1")
        if self.content_weight == self.style_weight == self.tv_weight == 0:
            raise ValueError("all weights are 0: there is nothing to optimise")
        if self.style_blend_weights and sum(self.style_blend_weights) == 0:
            raise ValueError("--style-blend-weights are all 0: at least one must be positive")
        if (self.checkpoint_output is None) != (self.checkpoint_iterations is None):
            raise ValueError("--checkpoint-output and --checkpoint-iterations go together")
        if self.checkpoint_output is not None:
            first, second = self.checkpoint_path(1), self.checkpoint_path(2)
            if first == second:
                raise ValueError(
                    "--checkpoint-output needs a place for the iteration, as out_{:05}.jpg or "
                    f"out_%05d.jpg, not {self.checkpoint_output}"
                )
        if self.device is not None:
            kind, _, number = self.device.partition(":")
            if kind not in ("cpu", "gpu") or not (number.isdigit() or self.device == kind):
                raise ValueError(f"--device is cpu, gpu or gpu:N, not {self.device}")

    def check_styles(self, count: int) -> None:
        """Raise ValueError where what is given once per style is not given `count` times."""
        for name in ("style_blend_weights", "style_scales"):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise ValueError(
                    f"{flag(name)} has {len(values)} number{'s' * (len(values) != 1)} "
                    f"for {count} style{'s' * (count != 1)}: give one for each"
                )

    def content_layers(self) -> dict[str, float]:
        """Content layer -> its share of the content weight; a layer of weight 0 is left out."""
        blend = self.content_weight_blend
        return _positive({"relu4_2": blend, "relu5_2": 1 - blend}) if self.content_weight else {}

    def style_layers(self) -> dict[str, float]:
        """Style layer -> its share of the style weight; the shares sum to 1."""
        if not self.style_weight:
            return {}
        raw = [self.style_layer_weight_exp**i for i in range(len(STYLE_LAYERS))]
        return {layer: w / sum(raw) for layer, w in zip(STYLE_LAYERS, raw)}

    def layers(self) -> list[str]:
        """Every layer that a loss needs."""
        return list(dict.fromkeys([*self.content_layers(), *self.style_layers()]))

    def style_shares(self, count: int) -> tuple[float, ...]:
        """The share of each of `count` styles, summing to 1."""
        self.check_styles(count)
        weights = self.style_blend_weights or (1.0,) * count
        return tuple(w / sum(weights) for w in weights)

    def noiseblend(self, has_initial: bool) -> float:
        """The share of noise in the starting picture."""
        if self.initial_noiseblend is not None:
            return self.initial_noiseblend
        return 0.0 if has_initial else 1.0

    def checkpoint_path(self, iteration: int) -> str:
        """The checkpoint's path, from either form of pattern: `{:05}` or `%05d`."""
        pattern = self.checkpoint_output
        try:
            if "{" in pattern:
                return pattern.format(iteration)
            return pattern % iteration if "%" in pattern else pattern
        except (IndexError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"--checkpoint-output {pattern} is no pattern: "
                "write out_{:05}.jpg or out_%05d.jpg"
            ) from None

    def picture(self) -> dict:
        """What the picture depends on, as plain values: recorded in it, compared on --resume."""
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if not f.metadata["cosmetic"]
        }


def flag(name: str) -> str:
    """The command line's spelling of a setting: `style_weight` is `--style-weight`."""
    return "--no-cache" if name == "cache" else "--" + name.replace("_", "-")


def _positive(weights: dict[str, float]) -> dict[str, float]:
    return {layer: weight for layer, weight in weights.items() if weight > 0}


def _check(name: str, value, rule) -> None:
    if value is None or isinstance(value, bool):
        return
    if rule["choices"] and value not in rule["choices"]:
        raise ValueError(f"{name} is {' or '.join(rule['choices'])}, not {value}")
    if isinstance(value, (int, float)):
        least, above, most = rule["least"], rule["above"], rule["most"]
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value}")
        if least is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
        if above is not None and value <= above:
            raise ValueError(f"{name} must be above {above}, not {value}")
        if most is not None and value > most:
            raise ValueError(f"{name} must be at most {most}, not {value}")
