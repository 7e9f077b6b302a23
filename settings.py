"""Every setting of the program with its default, its range and its help, and the recipes: the
command line, the Python API and the README's tables all read them from here."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import math
import numbers
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

PROGRAM = "neural-style"  # the command
DISTRIBUTION = "neural-style-keras"  # what pip installs: the shorter names belong to others
VERSION = "0.1.0"
TEXTURE_SIDE = 512  # pixels, of a painter's texture without --width
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONV_STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")  # before the ReLU
# What --strength multiplies the ratio of style to content by at 0 and at 1: by eye, where nothing
# but the colours is painted yet, and where nothing but the largest forms is left of the photograph.
WEAKEST, STRONGEST = 0.01, 20.0
# Pixels of 512x384, the size of the paper's figures: what the weights of a loss that grows with
# the picture are for.
USUAL_PIXELS = 512 * 384

# In a path that many pictures are written by: where the names of its content and its style go.
PLACES = ("{name}", "{style}")
LOCAL_CLUSTER = "local"  # of --cluster: this machine's own processes
PASSWORD = "NEURAL_STYLE_PASSWORD"  # the variable that the page's --user's is in

NO_PAINTER = "none"  # of --painter: not the preset's either
NEXT_STYLE = "/"  # in --style-layers, between the layers of a style and of the next

# What --help groups by: what a person wants to do.
SIZE = "choose the size"
LOOK = "choose what it looks like"
START = "choose where to start"
OPTIMISER = "choose how it is optimised"
WATCH = "watch it, and keep the steps"
MACHINE = "choose the network and the machine"
CLUSTER = "choose many machines"
TALK = "talk to the program"
PAINTER = "choose the painter"
TRAINING = "choose how it learns"
LISTEN = "choose where the page listens"
LIMITS = "choose what visitors may ask for"
FILM = "choose the film"
# What --temporal-weight is where it is not given, of an optimised and of a painted film.
OPTIMISED_HOLD, PAINTED_HOLD = 2000.0, 0.7


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
    bare=None,
    cosmetic=False,
):
    """A setting with its help, its allowed range, and whether it leaves the picture as it is.

    `none` says in words what happens where the default is None, and `bare` is the value of the
    flag where none is given with it.
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
            bare=bare,
            cosmetic=cosmetic,
        ),
    )


@dataclass(frozen=True)
class Settings:
    """All that can be chosen besides the pictures themselves.

    Raises ValueError, in one sentence that names the flag, for a value out of its range.
    """

    width: int | None = _option(
        None,
        SIZE,
        "width of the output in pixels; the height follows",
        least=1,
        none="the content's own",
        meta="PIXELS",
    )
    height: int | None = _option(
        None,
        SIZE,
        "height of a picture without --content, in pixels",
        least=1,
        none="its width",
        meta="PIXELS",
    )
    # relative to the width of the content; None is 1 for each style
    style_scales: tuple[float, ...] | None = _option(
        None,
        SIZE,
        "size of each style, relative to the content's width or, without one, the output's",
        above=0,
        none="1 each",
        meta="SCALE",
    )

    # None is the recipe's own ratio
    strength: float | None = _option(
        None,
        LOOK,
        "from the photograph, 0, to the painting, 1: the recipe's own ratio of style to content "
        f"at 0.5, {STRONGEST:g} times it at 1 and {WEAKEST:g} times it at 0, at any size",
        least=0,
        most=1,
        none="the recipe's own",
        meta="STRENGTH",
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
    # `layer` or `layer:weight`; None follows the blend
    content_layers: tuple[str, ...] | None = _option(
        None,
        LOOK,
        "layers the content is taken from, each with its weight",
        meta="LAYER[:WEIGHT]",
        none="those of the blend",
    )
    content_loss: str = _option(
        "mean",
        LOOK,
        "the sum of squared differences of a layer's N channels at M positions, divided by MN "
        "(mean) or 2MN (half-mean), halved (half-sum), or as it is (sum)",
        choices=("mean", "half-mean", "half-sum", "sum"),
    )
    style_weight: float = _option(500.0, LOOK, "how much the style counts", least=0, meta="WEIGHT")
    style_layer_weight_exp: float = _option(
        1.0,
        LOOK,
        "weight of each style layer over that of the one before: under 1 finer, over 1 coarser",
        above=0,
        meta="RATIO",
    )
    # `layer` or `layer:weight`; None is relu1_1 to relu5_1 with the weights of the ratio; with "/"
    # between them, those of the first style, of the second, ...
    style_layers: tuple[str, ...] | None = _option(
        None,
        LOOK,
        "layers the style is taken from, each with its weight, which is 1 if it is not given; with "
        "a / between the layers of one style and those of the next, those of each, which then have "
        "equal weights that sum to 1",
        meta="LAYER[:WEIGHT]",
        none="relu1_1 to relu5_1, weighted by the ratio",
    )
    style_loss: str = _option(
        "mean",
        LOOK,
        "the sum of squared differences of Gram matrices (over MN) of N channels, divided by N^2 "
        "(mean) or by 4 (quarter-sum, the paper's); or the Wasserstein-2 distance of Gaussians "
        "with the activations' means and covariances, over N (wasserstein)",
        choices=("mean", "quarter-sum", "wasserstein"),
    )
    activation_scale: float = _option(
        1.0, LOOK, "factor on all activations before the losses", above=0, meta="FACTOR"
    )
    gram_divisor: str = _option(
        "activations",
        LOOK,
        "what a layer's Gram matrix, a sum over M positions of N channels, is divided by: MN "
        "(activations), M (positions), or 3 times the number of the picture's pixels (pixels)",
        choices=("activations", "positions", "pixels"),
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
    # paths; arrays are given to `transfer_style` itself
    masks: tuple[str, ...] | None = _option(
        None,
        LOOK,
        "where each style goes on the content, a picture for each: white there, grey in part; "
        "where all are black, the photograph stays as it is",
        none="everywhere",
        meta="PICTURE",
    )
    style_masks: tuple[str, ...] | None = _option(
        None,
        LOOK,
        "what of each style is taken, a picture for each: white there, grey in part",
        none="all of it that is not transparent",
        meta="PICTURE",
    )
    feather: float | None = _option(
        None,
        LOOK,
        "with --masks, width of the soft edge between painting and photograph, inside the masks",
        least=0,
        none="a hundredth of the shorter side",
        meta="PIXELS",
    )
    tv_weight: float = _option(
        100.0, LOOK, "how much smoothness (total variation) counts", least=0, meta="WEIGHT"
    )
    tv_loss: str = _option(
        "mean",
        LOOK,
        "the total variation: the differences of vertical and of horizontal neighbours to a "
        "power, the mean of each (mean) or their sum (sum); the sum over the pixels of the "
        "length of both together, to that power (isotropic-sum); or 2/3 of each mean and 1/6 of "
        "that of each diagonal (nine-point)",
        choices=("mean", "sum", "isotropic-sum", "nine-point"),
    )
    tv_exponent: float = _option(
        2.0,
        LOOK,
        "power of the differences in the total variation: 2 for their squares, 1 for their "
        "absolute values, which spare edges",
        least=1,
        meta="POWER",
    )
    pooling: str = _option(
        "max", LOOK, "the network's pooling, whatever its file says", choices=("max", "avg")
    )
    padding: str = _option(
        "zeros",
        LOOK,
        "what the first convolution sees beyond the edge: zeros (the mean pixel), which can paint "
        "a frame; the pixels at the edge (replicate); or the picture mirrored (reflect)",
        choices=("zeros", "replicate", "reflect"),
    )
    # off, on, auto, or a folder
    normalize_network: str = _option(
        "off",
        LOOK,
        "scale the network's filters to a mean activation of 1, as the papers do, by the package's "
        "table for VGG-19, or the compact network's conv layers (on, which the flag alone means), "
        "where there is one (auto), or as measured on the photographs of a folder",
        meta="FOLDER",
        bare="on",
    )
    colors: str = _option(
        "style",
        LOOK,
        "whose colours: the style's; the content's, of which only the luma is stylised; or match, "
        "the styles recoloured to the content's mean and covariance before anything else",
        choices=("style", "content", "match"),
    )
    # another spelling, which leaves its mark on `colors` alone
    preserve_colors: bool = _option(False, LOOK, "the same as --colors content")
    color_space: str = _option(
        "ycbcr",
        LOOK,
        "where --colors content parts luma and chroma: YCbCr, or CIE's Luv or Lab, with the "
        "lightness as the eye sees it (these need scikit-image)",
        choices=("ycbcr", "luv", "lab"),
    )
    alpha: str = _option(
        "keep",
        LOOK,
        "the content's transparency: keep it, in a .png, .webp or .tif, or put it on white",
        choices=("keep", "white"),
    )
    depth: int = _option(
        8, LOOK, "bits of each channel of the output; 16 in a .png or .tif", choices=(8, 16)
    )

    initial: str | None = _option(
        None, START, "picture to start from", none="noise", meta="PICTURE"
    )
    painter: str | None = _option(
        None,
        START,
        "painter whose picture to start from: paintbox, any, which paints in the style of "
        "--styles, a .keras file, or none",
        none="none, but for some presets",
        meta="PAINTER",
    )
    style: tuple[str, ...] | None = _option(
        None,
        START,
        "which of the painter's styles, mixed as --style-blend-weights says",
        none="its only one",
        meta="NAME",
    )
    refine: int = _option(
        0,
        START,
        "how many steps of L-BFGS, by the compact network, follow on the painter's picture",
        least=0,
        meta="STEPS",
    )
    # None is 0 with an initial picture and 1 without
    initial_noiseblend: float | None = _option(
        None,
        START,
        "share of noise in the start: below 1, the rest is --initial or else the content",
        least=0,
        most=1,
        none="0 with --initial or --painter, else 1",
        meta="SHARE",
    )
    noise: str = _option(
        "normal",
        START,
        "the noise: normal around the mean pixel with a deviation of 0.256, uniform in 0..255, or "
        "uniform from 128 below the mean pixel to 127 above it",
        choices=("normal", "uniform", "uniform-around-mean"),
    )
    seed: int = _option(0, START, "seed of the noise", least=0, meta="N")

    iterations: int = _option(
        1000,
        OPTIMISER,
        "number of steps; with lbfgs, of evaluations of the gradient",
        least=1,
        meta="N",
    )
    optimizer: str = _option(
        "adam",
        OPTIMISER,
        "the optimiser; sgd is plain gradient descent",
        choices=("adam", "sgd", "lbfgs"),
    )
    learning_rate: float = _option(
        10.0, OPTIMISER, "the learning rate of adam and sgd", above=0, meta="RATE"
    )
    learning_rate_decay: float = _option(
        1.0,
        OPTIMISER,
        "factor by which the learning rate falls in 100 steps, little by little",
        above=0,
        most=1,
        meta="FACTOR",
    )
    clip: bool = _option(
        False,
        OPTIMISER,
        "with adam and sgd, hold the pixels within 0..255 after each step, as lbfgs always does",
    )
    beta1: float = _option(0.9, OPTIMISER, "Adam's beta1, below 1", least=0, meta="BETA")
    beta2: float = _option(0.999, OPTIMISER, "Adam's beta2, below 1", least=0, meta="BETA")
    eps: float = _option(1e-8, OPTIMISER, "Adam's epsilon", above=0, meta="EPSILON")
    average: float = _option(
        0.0,
        OPTIMISER,
        "with adam and sgd, give the mean of all steps' pictures, each weighing this much of the "
        "one after it, below 1; 0 is the last step's alone",
        least=0,
        meta="DECAY",
    )

    lbfgs_memory: int = _option(
        10,
        OPTIMISER,
        "pairs of steps that L-BFGS keeps of the curvature, fewer where they do not fit",
        least=1,
        meta="N",
    )
    lbfgs_round: int | None = _option(
        None,
        OPTIMISER,
        "evaluations after which L-BFGS forgets the curvature",
        least=1,
        meta="N",
        none="never",
    )
    # 0 is L-BFGS on the pixels themselves, within 0..255
    lbfgs_frequency: float = _option(
        0.0,
        OPTIMISER,
        "let L-BFGS work on spatial frequencies, each scaled by 1/frequency to this power",
        least=0,
        most=2,
        meta="POWER",
    )
    scales: str = _option(
        "off",
        OPTIMISER,
        "coarse to fine: off, auto, or the factor from one size to the next (auto is 2)",
        meta="SCALES",
    )
    scales_from: int = _option(
        64,
        OPTIMISER,
        "the longer side of the picture at the coarsest size, at least",
        least=64,
        meta="PIXELS",
    )

    scale_ratio: float = _option(
        0.7,
        OPTIMISER,
        "iterations at each size, over those at the size before",
        above=0,
        meta="RATIO",
    )
    scale_first: float | None = _option(
        None,
        OPTIMISER,
        "give each size --iterations, and the coarsest this many times as many",
        above=0,
        meta="FACTOR",
        none="all sizes share them",
    )

    warm_start: str | None = _option(
        None,
        OPTIMISER,
        "a network, as compact, that does the first part of the work, if it has the layers",
        meta="NAME",
        none="none",
    )

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
    # 0 is at every report
    state_minutes: float = _option(
        2.0,
        WATCH,
        "minutes after which the state that --resume needs is kept anew, beside the output",
        least=0,
        meta="MINUTES",
        cosmetic=True,
    )
    resume: bool = _option(False, WATCH, "go on where an interrupted run stopped", cosmetic=True)
    overwrite: bool = _option(False, WATCH, "write over an output that exists", cosmetic=True)

    network: str = _option(
        "auto",
        MACHINE,
        "compact (in the package), vgg19 or vgg16 (fetched once), or a file; auto is "
        "imagenet-vgg-verydeep-19.mat here or in the cache folder, else compact",
        meta="NAME",
        cosmetic=True,  # a run is told apart by the file's hash, not by its name
    )
    cache: bool = _option(
        True, MACHINE, "parse the network's file anew and keep no copy of it", cosmetic=True
    )
    device: str | None = _option(
        None,
        MACHINE,
        "cpu, gpu, or one of several: gpu:1; Apple's GPU is mps, or gpu",
        none="the backend's choice",
        meta="DEVICE",
    )
    precision: str = _option(
        "float32",
        MACHINE,
        "precision of the network; tf32, of NVIDIA's GPUs, is float32 multiplied in fewer digits; "
        "losses and picture are always float32; auto is the fastest",
        choices=("float32", "tf32", "bfloat16", "auto"),
    )
    tile: str = _option(
        "auto",
        MACHINE,
        "compute in tiles of this many pixels, exactly; 0 never, auto where memory demands it",
        meta="PIXELS",
    )

    # None is this process
    cluster: str | None = _option(
        None,
        CLUSTER,
        "let a Ray cluster do it: local, which is processes of this machine, or the address of its "
        "head, as 10.0.0.1:6379; many pictures go to it one by one, a single one by its tiles",
        none="none",
        meta="local|ADDRESS",
        cosmetic=True,
    )
    cluster_cpus: float = _option(
        1.0,
        CLUSTER,
        "CPUs for each picture, or each share of one",
        above=0,
        meta="N",
        cosmetic=True,
    )
    cluster_gpus: float | None = _option(
        None,
        CLUSTER,
        "GPUs likewise; 0.5 has two share one",
        least=0,
        none="1 where the cluster has any",
        meta="N",
        cosmetic=True,
    )

    quiet: bool = _option(False, TALK, "print nothing but errors", cosmetic=True)
    debug: bool = _option(False, TALK, "print the traceback of an error", cosmetic=True)

    def __post_init__(self):
        _check_fields(self)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ValueError("--beta1 and --beta2 must be below 1")
        if self.average >= 1:
            raise ValueError(f"--average must be below 1, not {self.average}")
        if self.average and self.optimizer == "lbfgs":
            raise ValueError(
                "--average is of the steps of adam or sgd: with --optimizer lbfgs, --average 0"
            )
        if self.style_blend_weights and sum(self.style_blend_weights) == 0:
            raise ValueError("--style-blend-weights are all 0: at least one must be positive")
        if self.preserve_colors:  # one setting from here on, that `replace` can change
            if self.colors == "match":
                raise ValueError("--preserve-colors is --colors content, and not --colors match")
            object.__setattr__(self, "colors", "content")
            object.__setattr__(self, "preserve_colors", False)
        if self.painter == NO_PAINTER:
            object.__setattr__(self, "painter", None)
        if self.style and not self.painter:
            raise ValueError("--style names a style of --painter; pictures of styles are --styles")
        if self.painter and self.initial:
            raise ValueError("--initial and --painter are both where to start: give one of them")
        if (self.checkpoint_output is None) != (self.checkpoint_iterations is None):
            raise ValueError("--checkpoint-output and --checkpoint-iterations go together")
        if self.checkpoint_output is not None:
            first, second = self.checkpoint_path(1), self.checkpoint_path(2)
            if first == second:
                raise ValueError(
                    "--checkpoint-output needs a place for the iteration, as out_{:05}.jpg or "
                    f"out_%05d.jpg, not {self.checkpoint_output}"
                )
        for name in ("content_layers", "style_layers"):
            for text in getattr(self, name) or ():
                is_mark = name == "style_layers" and text == NEXT_STYLE
                if not is_mark and _layer_weight(text) is None:
                    raise ValueError(f"{flag(name)} takes LAYER or LAYER:WEIGHT, not {text}")
        if self.tile != "auto" and not self.tile.isdigit():
            raise ValueError(f"--tile is auto or a number of pixels, 0 for never, not {self.tile}")
        if self.scales not in ("off", "auto") and not self.scale_factor():
            raise ValueError(f"--scales is off, auto or a factor above 1, not {self.scales}")
        if self.device is not None:
            kind, _, number = self.device.partition(":")
            numbered = kind in ("cpu", "gpu") and number.isdigit()
            if not numbered and self.device not in ("cpu", "gpu", "mps"):
                raise ValueError(f"--device is cpu, gpu or gpu:N, or mps, not {self.device}")

        if self.cluster not in (None, LOCAL_CLUSTER) and not _is_address(self.cluster):
            raise ValueError(
                f"--cluster is {LOCAL_CLUSTER}, or an address as 10.0.0.1:6379, not {self.cluster}"
            )
        if not all(self._style_layers()):
            raise ValueError("--style-layers has a style without layers before or after a /")
        if not (self.content_weights() or self.style_weights() or self.tv_weight):
            raise ValueError("all weights are 0: there is nothing to optimise")
        is_between = self.content_weights() and self.style_weights()
        if self.strength not in (None, 0.5) and not is_between:
            raise ValueError(
                "--strength is between content and style, and the weight of one of them is 0: "
                "leave it out, or at 0.5"
            )

    def check_given(self, names: Container[str]) -> None:
        """Raise ValueError where one of these settings, that somebody asked for, changes nothing
        without another one."""
        without = {
            "color_space": (self.colors == "content", "--colors content"),
            # In `apply`, a painter is no setting.
            "refine": (self.painter or "paints" in names, "--painter"),
        }
        for name in ("scales_from", "scale_ratio", "scale_first"):
            without[name] = (self.scale_factor(), "--scales")
        for name, (is_used, other) in without.items():
            if name in names and not is_used:
                raise ValueError(f"{flag(name)} changes nothing without {other}")

    def recipe_is_slow(self) -> bool:
        """Whether `--preset fast` has the same losses and is faster."""
        ways = (self.optimizer, self.scales, self.warm_start)
        layers = (self.content_layers, self.style_layers)
        is_plain = not self.average and self.normalize_network == "off"
        return is_plain and ways == ("adam", "off", None) and layers == (None, None)

    def check_styles(self, count: int) -> None:
        """Raise ValueError where what is given once per style is not given `count` times; without
        styles, none of it matters."""
        if not count:
            return
        for name in ("style_blend_weights", "style_scales", "masks", "style_masks"):
            check_each(name, getattr(self, name), count)
        if (groups := len(self._style_layers())) not in (1, count):
            raise ValueError(
                f"--style-layers has the layers of {groups} styles, for "
                f"{count} style{'s' * (count != 1)}: give those of each, or the same for all"
            )

    def edge(self, width: int, height: int) -> float:
        """The width of the soft edge of what is painted, in pixels, of a content of this size."""
        return min(width, height) / 100 if self.feather is None else self.feather

    def check_pictures(self, has_content: bool, styles: int) -> None:
        """Raise ValueError where a picture is missing that the settings need: the content, or as
        many styles as they speak of."""
        self.check_styles(styles)
        if self.style_weights() and not styles:
            raise ValueError("there are no styles: name one, or --style-weight 0 for none")
        if self.masks and not (styles and has_content):
            raise ValueError("--masks say where on a content styles go: name it, and them")
        if has_content:
            if self.height is not None:
                raise ValueError("--height is for want of a --content: with one, --width is enough")
            return
        if self.content_weights():
            raise ValueError("there is no content: name one, or --content-weight 0 for none")
        if self.width is None:
            raise ValueError("without --content, --width says how large the picture is to be")
        if self.colors != "style":
            raise ValueError(f"--colors {self.colors} takes the colours of a content: name one")
        if self.painter:
            raise ValueError("--painter starts from what it paints of a content: name one")

    def sizes(self, shapes: Sequence[tuple[int, int] | None]) -> list[tuple[int, int]]:
        """Width and height as they are worked on, of the content and of each style.

        Args:
            shapes: width and height of the content's picture, None if there is none, then of each
                style's.
        """
        content, *styles = shapes
        self.check_styles(len(styles))
        width, height = content or (self.width, self.height or self.width)
        if content and self.width is not None:
            width, height = self.width, max(1, math.floor(height / width * self.width))
        sizes = [(width, height)]
        for (w, h), scale in zip(styles, self.style_scales or (1.0,) * len(styles)):
            factor = scale * width / w
            sizes.append((max(1, int(w * factor)), max(1, int(h * factor))))
        return sizes

    def scale_factor(self) -> float | None:
        """How much larger each size is than the one before; None for one size only."""
        if self.scales in ("off", "auto"):
            return {"off": None, "auto": 2.0}[self.scales]
        try:
            factor = float(self.scales)
        except ValueError:
            return None
        return factor if 1 < factor < math.inf else None

    def normalization_folder(self) -> str | None:
        """The folder of the photographs that the network is normalised on; None for no such."""
        named = self.normalize_network in ("off", "on", "auto")
        return None if named else self.normalize_network

    def content_weights(self) -> dict[str, float]:
        """Content layer -> its share of the content weight; a layer of weight 0 is left out."""
        if not self.content_weight:
            return {}
        blend = self.content_weight_blend
        weights = {"relu4_2": blend, "relu5_2": 1 - blend}
        if self.content_layers is not None:
            weights = dict(map(_layer_weight, self.content_layers))
        return _positive(weights)

    def style_weights(self) -> dict[str, float]:
        """Style layer -> its share of the style weight. By the ratio, they sum to 1."""
        if not self.style_weight:
            return {}
        each = self._style_layers()
        names = dict.fromkeys(layer for weights in each for layer in weights)
        shares = self._shares(len(each)) if len(each) > 1 else (1.0,)
        return _positive(
            {
                layer: sum(share * of.get(layer, 0.0) for share, of in zip(shares, each))
                for layer in names
            }
        )

    def _style_layers(self) -> list[dict[str, float]]:
        """Layer -> weight, of each style; once, where it is the same of all."""
        if self.style_layers is None:
            raw = [self.style_layer_weight_exp**i for i in range(len(STYLE_LAYERS))]
            return [{layer: w / sum(raw) for layer, w in zip(STYLE_LAYERS, raw)}]
        each = [[]]
        for text in self.style_layers:
            if text == NEXT_STYLE:
                each.append([])
            else:
                each[-1].append(text)
        # Of one style among several the layers sum to 1, as they do by the ratio.
        default = [1 / max(1, len(texts)) if len(each) > 1 else 1.0 for texts in each]
        return [
            dict(_layer_weight(text, weight) for text in texts)
            for texts, weight in zip(each, default)
        ]

    def layers(self) -> list[str]:
        """Every layer that a loss needs."""
        return list(dict.fromkeys([*self.content_weights(), *self.style_weights()]))

    def style_shares(self, count: int) -> tuple[float, ...]:
        """The share of each of `count` styles, summing to 1."""
        self.check_styles(count)
        return self._shares(count)

    def _shares(self, count: int) -> tuple[float, ...]:
        check_each("style_blend_weights", self.style_blend_weights, count)
        weights = self.style_blend_weights or (1.0,) * count
        return tuple(w / sum(weights) for w in weights)

    def layer_shares(self, count: int) -> dict[str, tuple[float, ...]]:
        """Style layer -> the share of each of `count` styles in it, summing to 1."""
        shares, each = self.style_shares(count), self._style_layers()
        each = each * count if len(each) == 1 else each
        return {
            layer: tuple(share * of.get(layer, 0.0) / total for share, of in zip(shares, each))
            for layer, total in self.style_weights().items()
        }

    def strengths(self, pixels: int) -> tuple[float, float, float]:
        """What the weights of the content, of the style and of the smoothness are multiplied by,
        for a picture of so many pixels.

        With a strength s, the ratio of style to content is the recipe's own times
        `STRONGEST`^(2s - 1) from 0.5 up, where the content counts less, and `WEAKEST`^(1 - 2s)
        from there down, where the style does: what counts most counts as ever against the
        smoothness and the learning rate. A loss that is a sum over positions grows with the
        picture, and a style's does not; it is brought to `USUAL_PIXELS`.
        """
        if self.strength is None:
            return 1.0, 1.0, 1.0
        share, usual = 2 * self.strength - 1, USUAL_PIXELS / pixels
        of_content, of_tv = (
            usual if "sum" in kind else 1.0 for kind in (self.content_loss, self.tv_loss)
        )
        return of_content * STRONGEST ** -max(0.0, share), WEAKEST ** max(0.0, -share), of_tv

    def noiseblend(self, has_initial: bool) -> float:
        """The share of noise in the starting picture."""
        if self.initial_noiseblend is not None:
            return self.initial_noiseblend
        return 0.0 if has_initial else 1.0

    def checkpoint_path(self, iteration: int) -> str:
        """The checkpoint's path, from either form of pattern: `{:05}` or `%05d`; the `PLACES` in
        it stay."""
        pattern, rest = self.checkpoint_output, self.checkpoint_output
        for place in PLACES:
            rest = rest.replace(place, "")
        try:
            if "{" in rest:
                for place in PLACES:
                    pattern = pattern.replace(place, f"{{{place}}}")
                return pattern.format(iteration)
            return pattern % iteration if "%" in rest else pattern
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


@dataclass(frozen=True)
class Training:
    """How a painter is made and trained, besides its losses, which `Settings` has.

    Raises ValueError as `Settings` does.
    """

    architecture: str = _option(
        "residual",
        PAINTER,
        "residual (arXiv 1603.08155), pyramid (arXiv 1603.03417), which takes noise as well, or "
        "decoder, of what the compact network sees, as --any has (arXiv 1703.06868)",
        choices=("residual", "pyramid", "decoder"),
    )
    width_factor: float = _option(
        0.6,
        PAINTER,
        "channels over those of the published architecture, or of our decoder",
        above=0,
        most=4,
        meta="FACTOR",
    )
    normalization: str = _option(
        "instance",
        PAINTER,
        "by the mean and variance of each picture, or of the batch",
        choices=("instance", "batch"),
    )
    upsampling: str = _option(
        "resize",
        PAINTER,
        "how it comes back to the full size: enlarged and convolved (resize), blurred before that, "
        "which leaves no dots (smooth), or by transposed convolutions (transposed), "
        "which are faster and leave a checkerboard",
        choices=("resize", "smooth", "transposed"),
    )
    edge_kernel: int = _option(
        3,
        PAINTER,
        "side of the kernels of a residual painter's first and last convolution (published: 9), "
        "and of a decoder's last one",
        choices=(3, 5, 7, 9),
    )
    texture: bool = _option(
        False, PAINTER, "learn textures: pictures of the style alone, from noise, by a pyramid"
    )
    any: bool = _option(
        False,
        PAINTER,
        "learn to paint in any style: --styles are many pictures, or folders of them, to draw from",
    )
    style_width: int | None = _option(
        None,
        PAINTER,
        "resize each style to this width: the strokes are as large as they are in it",
        least=16,
        none="its own",
        meta="PIXELS",
    )

    steps: int | None = _option(
        None, TRAINING, "steps of training", least=1, none="as many as the minutes allow", meta="N"
    )
    minutes: float | None = _option(
        None,
        TRAINING,
        "minutes of training, interruptions left out",
        above=0,
        none="60, or no limit with --steps",
        meta="MINUTES",
    )
    batch: int = _option(4, TRAINING, "photographs in a step", least=1, meta="N")
    side: int = _option(
        192, TRAINING, "side of the squares cut from the photographs", least=64, meta="PIXELS"
    )
    learning_rate: float = _option(
        1e-3,
        TRAINING,
        "Adam's learning rate at its highest; it falls to 0 as half a cosine",
        above=0,
        meta="RATE",
    )
    warm_share: float = _option(
        0.8,
        TRAINING,
        "share of the training that is judged by the network of --warm-start; with --onto it is 0 "
        "unless it is given",
        least=0,
        most=1,
        meta="SHARE",
    )
    checkpoint_steps: int = _option(
        100,
        TRAINING,
        "steps from one checkpoint to the next: what is lost at most when it is killed",
        least=1,
        meta="N",
    )
    free: bool = _option(
        False,
        TRAINING,
        "with --onto, train all weights: the painter then has only the styles that are given, as "
        "one that begins with a painter for any style has in any case",
    )

    def __post_init__(self):
        _check_fields(self)
        if self.side % 32:
            raise ValueError(f"--side is a multiple of 32, not {self.side}")
        if self.texture and self.architecture != "pyramid":
            raise ValueError("--texture goes with --architecture pyramid")
        if self.any and self.architecture == "residual":  # the default
            object.__setattr__(self, "architecture", "decoder")
        if self.any and (self.architecture != "decoder" or self.style_width):
            raise ValueError("--any goes without --architecture pyramid and --style-width")
        if self.architecture == "decoder" and self.normalization == "batch":
            raise ValueError("a decoder goes without --normalization batch")
        if self.steps is None and self.minutes is None:
            object.__setattr__(self, "minutes", 60.0)


@dataclass(frozen=True)
class Page:
    """Where the page in the browser listens, and what those who come to it may ask for.

    Raises ValueError as `Settings` does.
    """

    host: str = _option(
        "127.0.0.1",
        LISTEN,
        "the address to listen on; any but this machine's own needs --user, since whoever reaches "
        "it can use this machine",
        meta="ADDRESS",
    )
    port: int | None = _option(
        None,
        LISTEN,
        "the port",
        least=1,
        most=65535,
        none="7860, or the next that is free",
        meta="N",
    )
    user: str | None = _option(
        None,
        LISTEN,
        "ask visitors for this name and for the password that is typed when it starts, or is in "
        f"the environment as {PASSWORD}",
        none="nobody is asked",
        meta="NAME",
    )
    browser: bool = _option(True, LISTEN, "open no browser")

    jobs: int = _option(
        1, LIMITS, "pictures that are optimised, and films painted, at once", least=1, meta="N"
    )
    waiting: int = _option(
        50, LIMITS, "pictures that may wait for their turn; others are refused", least=0, meta="N"
    )
    upload_megabytes: float = _option(
        32.0, LIMITS, "most megabytes of a picture that is uploaded", above=0, meta="MB"
    )
    megapixels: float = _option(
        32.0,
        LIMITS,
        "most megapixels of a picture that is uploaded, or painted; it is refused before it is "
        "decoded",
        above=0,
        meta="MP",
    )
    film_seconds: float = _option(
        20.0,
        LIMITS,
        "most seconds of a film, of at most 60 frames each; its megabytes and the megapixels of a "
        "frame are limited as a picture's; it is refused before it is decoded",
        above=0,
        meta="SECONDS",
    )
    job_minutes: float = _option(
        120.0,
        LIMITS,
        "minutes after which a picture ends with the best so far, and a film as far as it goes",
        above=0,
        meta="MINUTES",
    )
    job_iterations: int = _option(2000, LIMITS, "most --iterations of a picture", least=1, meta="N")
    unwatched_seconds: float = _option(
        20.0,
        LIMITS,
        "seconds after which a picture is stopped that nobody watches any more, the page being "
        "closed",
        above=0,
        meta="SECONDS",
    )
    keep_minutes: float = _option(
        60.0,
        LIMITS,
        "minutes after which what was uploaded, and what was painted, is deleted; all of it is at "
        "the end",
        above=0,
        meta="MINUTES",
    )

    def __post_init__(self):
        _check_fields(self)
        if self.user is None and not self.is_private():
            raise ValueError(
                f"--host {self.host} lets other machines in, and whoever reaches the page can use "
                "this one: it needs --user NAME"
            )

    def is_private(self) -> bool:
        """Whether nobody but this machine's own users can reach the page."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Film:
    """How a film is painted, besides what `Settings` has for each of its frames.

    Raises ValueError as `Settings` does.
    """

    start: float | None = _option(
        None,
        FILM,
        "second of the film to begin at",
        least=0,
        none="its beginning",
        meta="SECONDS",
    )
    end: float | None = _option(
        None, FILM, "second of the film to end at", above=0, none="its end", meta="SECONDS"
    )
    codec: str | None = _option(
        None,
        FILM,
        "codec of the output's pictures, by FFmpeg's name",
        none="the container's own: h264 in .mp4, vp9 in .webm",
        meta="NAME",
        cosmetic=True,
    )
    quality: int = _option(
        18,
        FILM,
        "quantiser of the codec at a constant quality (CRF): 0 is the best, 51 the worst",
        least=0,
        most=51,
        meta="N",
        cosmetic=True,
    )
    mute: bool = _option(False, FILM, "leave the sound out", cosmetic=True)
    temporal_weight: float | None = _option(
        None,
        FILM,
        "how much it counts that each frame is the one before, moved along the optical flow; "
        "0 paints each alone",
        least=0,
        none=f"{OPTIMISED_HOLD:g}, and {PAINTED_HOLD:g} with a painter",
        meta="WEIGHT",
    )
    frame_iterations: int = _option(
        40,
        FILM,
        "iterations of each frame that begins with the one before; the first of a scene has "
        "--iterations",
        least=1,
        meta="N",
    )
    passes: int = _option(
        1,
        FILM,
        "times to go through an optimised film, forward and back in turn",
        least=1,
        meta="N",
    )

    def __post_init__(self):
        _check_fields(self)
        if None not in (self.start, self.end) and self.end <= self.start:
            raise ValueError(f"--end {self.end:g} is not after --start {self.start:g}")

    def hold(self, is_optimised: bool) -> float:
        """The weight of the frame before, of an optimised film or of a painted one."""
        if self.temporal_weight is not None:
            return self.temporal_weight
        return OPTIMISED_HOLD if is_optimised else PAINTED_HOLD

    def frames(self, is_optimised: bool) -> dict:
        """What the frames depend on, as plain values: compared on --resume."""
        chosen = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if not f.metadata["cosmetic"]
        }
        return chosen | {"temporal_weight": self.hold(is_optimised)}


def preset(name: str, **changes) -> Settings:
    """The settings of a published recipe, with changes; some are others where a painter begins.

    A recipe's own painter begins unless the changes say what else to start from: see `own_painter`.

    Raises ValueError for a name that is not in `PRESETS`, or a value out of its range.
    """
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"--preset is one of {', '.join(PRESETS)}, not {name}{meant}")
    one = PRESETS[name]
    if "painter" not in changes:
        changes["painter"] = own_painter(name, Settings(**one.settings | changes))
    is_painted = changes["painter"] not in (None, NO_PAINTER)
    return Settings(**one.settings | (one.painted if is_painted else {}) | changes)


def own_painter(name: str, settings: Settings) -> str | None:
    """The painter whose picture this preset starts from; None where it has none, or where these
    settings say what else to start from, or leave content or style out."""
    is_other = settings.initial or settings.initial_noiseblend is not None
    is_other = is_other or settings.noise != Settings.noise
    is_whole = settings.content_weights() and settings.style_weights()
    return PRESETS[name].painter if is_whole and not is_other else None


def unpainted(values: dict) -> dict:
    """Settings by their names, of a preset that started from its own painter, as they are where it
    does not; others are as they were."""
    for one in PRESETS.values():
        if one.painter and values.get("painter") == one.painter:
            same = {name for name, value in one.painted.items() if values.get(name) == value}
            return values | {name: one.settings[name] for name in same} | {"painter": None}
    return values


def check_each(name: str, values: Sequence | None, count: int) -> None:
    """Raise ValueError where a setting that has a value for each of `count` styles has another
    number of them."""
    if values is not None and len(values) != count:
        noun = "picture" if "masks" in name else "number"
        raise ValueError(
            f"{flag(name)} has {len(values)} {noun}{'s' * (len(values) != 1)} "
            f"for {count} style{'s' * (count != 1)}: give one for each"
        )


def flag(name: str) -> str:
    """The command line's spelling of a setting: `style_weight` is `--style-weight`."""
    return ("--no-" if name in ("cache", "browser") else "--") + name.replace("_", "-")


def _check_fields(settings) -> None:
    """Bring each field of a dataclass of settings to its type; ValueError where it is out of its
    range."""
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if isinstance(value, list):
            value = tuple(value)
        value = _typed(flag(f.name), value, f.type)
        for one in value if isinstance(value, tuple) else (value,):
            _check(flag(f.name), one, f.metadata)
        if "float" in f.type and value is not None:  # 1 is as good as 1.0
            value = tuple(map(float, value)) if isinstance(value, tuple) else float(value)
        object.__setattr__(settings, f.name, value)


def _is_address(text: str) -> bool:
    """Whether a text is a host and a port."""
    host, _, port = text.rpartition(":")
    return bool(host) and "/" not in host and port.isdigit() and 0 < int(port) < 2**16


def _layer_weight(text: str, default: float = 1.0) -> tuple[str, float] | None:
    """`relu4_2:0.5` is ("relu4_2", 0.5) and `relu4_2` is ("relu4_2", 1.0); None for neither."""
    layer, _, weight = text.partition(":")
    try:
        weight = float(weight or default)
    except ValueError:
        return None
    is_layer = layer not in ("", NEXT_STYLE)
    return (layer, weight) if is_layer and 0 <= weight < math.inf else None


def _positive(weights: dict[str, float]) -> dict[str, float]:
    return {layer: weight for layer, weight in weights.items() if weight > 0}


def _typed(name: str, value, annotation: str):
    """A value as a setting of this annotation has it: a whole number may stand for its text.

    Raises ValueError for a value of another type.
    """
    if value is None and "None" in annotation:
        return value
    if annotation.startswith("tuple"):
        if not isinstance(value, tuple):
            raise ValueError(f"{name} takes several values, in a list, not {value!r}")
        inner = annotation.removeprefix("tuple[").split(",")[0]
        return tuple(_typed(name, one, inner) for one in value)
    kind = annotation.split(" ")[0]
    if kind == "str" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    wanted = {
        "int": numbers.Integral,
        "float": numbers.Real,
        "str": (str, os.PathLike),
        "bool": bool,
    }
    if not isinstance(value, wanted[kind]) or (kind != "bool" and isinstance(value, bool)):
        named = {
            "int": "a whole number",
            "float": "a number",
            "str": "a text",
            "bool": "a yes or no",
        }
        raise ValueError(f"{name} is {named[kind]}, not {value!r}")
    return value


def _check(name: str, value, rule) -> None:
    if value is None or isinstance(value, bool):
        return
    if rule["choices"] and value not in rule["choices"]:
        raise ValueError(f"{name} is {' or '.join(map(str, rule['choices']))}, not {value}")
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


@dataclass(frozen=True)
class Preset:
    """A published recipe: what it is, and the settings that make it."""

    about: str
    settings: dict
    painted: dict = field(default_factory=dict)  # what is different from a painter's picture on
    painter: str | None = None  # whose picture that is, where nothing else is asked for


def _shares(layers, weight: float) -> tuple[str, ...]:
    return tuple(f"{layer}:{weight}" for layer in layers)


def _weighted(layers, weights) -> tuple[str, ...]:
    """The layers with these weights over their sum."""
    return tuple(f"{layer}:{weight / sum(weights)}" for layer, weight in zip(layers, weights))


# Gatys, Ecker, Bethge, arXiv 1508.06576, equations 1 to 7 and the caption of figure 2. The Gram
# matrices there are sums over positions; with those of this program, which are divided by the
# number of activations, the style loss of a layer is a quarter of the sum of squares.
_GATYS = {
    "pooling": "avg",
    "content_layers": ("conv4_2",),
    "content_loss": "half-sum",
    "content_weight": 1.0,
    "style_layers": _shares(CONV_STYLE_LAYERS, 1 / 5),
    "style_loss": "quarter-sum",
    "style_weight": 1e3,  # alpha/beta = 1e-3
    "tv_weight": 0.0,
    "noise": "uniform",
    "optimizer": "lbfgs",
    "iterations": 500,
}

# Both of Keras's examples: a sum of squares; Gram matrices S and C as sums over positions, in
# sum (S - C)^2 / (4 * 3^2 * (HW)^2) with the channels and the pixels of the picture and not of the
# layer; and sum (a + b)^1.25 of the squared differences to the pixel below and to the right.
_KERAS = {
    "content_loss": "sum",
    "style_layers": _shares(STYLE_LAYERS, 1 / 5),
    "gram_divisor": "pixels",
    "style_loss": "quarter-sum",
    "tv_loss": "isotropic-sum",
    "tv_exponent": 2.5,
}

# How a minimum is found, not which: benchmarks/README.md.
_FAST = {
    "optimizer": "lbfgs",
    "lbfgs_memory": 40,
    "lbfgs_frequency": 0.35,
    "precision": "auto",
    "warm_start": "compact",
    "scales": "auto",
    "scale_ratio": 6.0,  # what is coarse is soon good enough
    "iterations": 240,
}
# A painter's picture is nearer than what the coarse sizes and the warm start come to.
_FAST_PAINTED = {"scales": "off", "warm_start": None, "iterations": 130}

PRESETS = {
    "neural-style": Preset("the default: the pipeline in use for a decade, with Adam", {}),
    "gatys": Preset("the paper, arXiv 1508.06576, with L-BFGS", _GATYS),
    # examples/neural_style_transfer.py of keras-team/keras as it was in 2016 (with VGG-16, 400
    # pixels high, the style resized to the content's height and width). There L-BFGS is not held
    # within 0..255. fmin_l_bfgs_b with maxfun=20 ends once it has counted 20 evaluations.
    "keras-2016": Preset(
        "the script of 2016 in Keras's examples, 10 rounds of L-BFGS (there with --network vgg16)",
        _KERAS
        | {
            "content_layers": ("relu4_2",),
            "content_weight": 0.025,
            "style_weight": 1.0,
            "tv_weight": 1.0,
            "noise": "uniform-around-mean",
            "optimizer": "lbfgs",
            "lbfgs_round": 20,
            "iterations": 200,
        },
    ),
    # examples/generative/neural_style_transfer.py of keras-team/keras-io, last changed in 2020.
    "keras": Preset(
        "the example on Keras's site: from the content, 4000 steps of gradient descent",
        _KERAS
        | {
            "content_layers": ("relu5_2",),
            "content_weight": 2.5e-8,
            "style_weight": 1e-6,
            "tv_weight": 1e-6,
            "initial_noiseblend": 0.0,
            "optimizer": "sgd",
            "learning_rate": 100.0,
            "learning_rate_decay": 0.96,
            "iterations": 4000,
        },
    ),
    # site/en/tutorials/generative/style_transfer.ipynb of tensorflow/docs, with its total
    # variation. Its picture is in 0..1: 255 times the step, 1/255 of the gradient, to which Adam's
    # epsilon is added, and of the differences of neighbours.
    "tensorflow-tutorial": Preset(
        "TensorFlow's tutorial: from the content, Adam within 0..255",
        {
            "content_layers": ("relu5_2",),
            "content_weight": 1e4,
            "style_layers": _shares(STYLE_LAYERS, 0.2),
            "gram_divisor": "positions",
            "style_weight": 1e-2,
            "tv_loss": "sum",
            "tv_exponent": 1.0,
            "tv_weight": 30 / 255,
            "initial_noiseblend": 0.0,
            "learning_rate": 0.02 * 255,
            "beta1": 0.99,
            "eps": 0.1 / 255,
            "clip": True,
            "iterations": 1000,
        },
    ),
    # The formulas of arXiv 1508.06576, with weights of no published recipe.
    "alpha-beta-lbfgs": Preset(
        "the paper's losses with alpha 0.025, beta 5 and smoothness, 10 rounds of L-BFGS",
        _GATYS
        | {
            "pooling": "max",
            "content_weight": 0.025,
            "style_weight": 5.0,
            "tv_weight": 1.0,
            "iterations": 200,
            "lbfgs_round": 20,
        },
    ),
    # Re-implementations of the paper on TensorFlow with alpha and beta as their two weights.
    "alpha-beta": Preset(
        "two content layers, sums averaged over the layers, from the content and noise, Adam",
        {
            "content_layers": _shares(("relu4_2", "relu5_2"), 0.5),
            "content_loss": "half-mean",
            "content_weight": 1.0,
            "style_layers": _shares(STYLE_LAYERS, 0.2),
            "style_loss": "quarter-sum",
            "style_weight": 500.0,
            "tv_weight": 0.0,
            "initial_noiseblend": 0.5,
        },
    ),
    # PyTorch's tutorial "Neural Transfer Using PyTorch" in its first version, where the weight of
    # a loss multiplied both of its arguments: inside the square.
    "pytorch-tutorial": Preset(
        "PyTorch's tutorial: shallow layers before the ReLU, from the content, L-BFGS",
        {
            "activation_scale": 1 / 255,  # that network is fed pixels in 0..1
            "content_layers": ("conv2_2",),
            "content_weight": 1.0,
            "style_layers": ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
            "style_weight": 1000.0**2,
            "tv_weight": 0.0,
            "initial_noiseblend": 0.0,
            "optimizer": "lbfgs",
            "iterations": 300,
        },
    ),
    # The best-known implementation of the method on PyTorch since 2020. Its picture is in 0..1, of
    # which the squared differences, the step and Adam's epsilon are; its network is fed pixels less
    # the mean over about 57.6, and its losses are of activations of that size. The first size has
    # 1000 iterations and each of the others 500.
    "wasserstein": Preset(
        "the style by the Wasserstein-2 distance, the average of many steps at many sizes, Adam",
        {
            "activation_scale": 1 / 57.6,
            "content_weight": 0.015,
            "style_layers": _weighted(STYLE_LAYERS, (256, 64, 16, 4, 1)),
            "style_loss": "wasserstein",
            "style_weight": 1.0,
            "tv_loss": "nine-point",
            "tv_weight": 2 / 255**2,
            "padding": "replicate",
            "initial_noiseblend": 0.0,
            "learning_rate": 0.02 * 255,
            "beta2": 0.99,
            "eps": 1e-8 / 255,
            "clip": True,
            "average": 0.99,
            "scales": str(math.sqrt(2)),
            "scales_from": 128,
            "scale_first": 2.0,
            "iterations": 500,
        },
    ),
    "fast": Preset(
        "the objective of neural-style, over ten times faster (on two CPU cores with BF16)",
        _FAST,
        _FAST_PAINTED,
        painter="any",
    ),
    "best": Preset(
        "what looks best: the style by the Wasserstein-2 distance, with the machinery of fast",
        _FAST
        | {
            "style_loss": "wasserstein",
            "style_weight": 100.0,
            "tv_weight": 200.0,
            "padding": "replicate",
        },
    ),
}


@dataclass(frozen=True)
class Recipe:
    """How painters are trained: what it is, and what of `Settings` and `Training` makes it."""

    about: str
    settings: dict
    training: dict


# fast-style-transfer's weights are 7.5 of relu4_2, 100 for each of five style layers, and 200.
_FAST_STYLE_TRANSFER = {"content_weight": 7.5, "style_weight": 500.0, "tv_weight": 200.0}

# What begins with a painter has learnt what the compact network can teach.
ONTO = {"warm_share": 0.0}
# All weights learn how one painting is painted, or a few: in minutes, and so faster.
ONTO_ANY = ONTO | {"learning_rate": 2.5e-3, "batch": 3}

_PUBLISHED = {"width_factor": 1.0, "edge_kernel": 9, "upsampling": "transposed", "side": 256}

RECIPES = {
    "ours": Recipe(
        "the default: fast-style-transfer's losses, a slimmer network, no checkerboard",
        _FAST_STYLE_TRANSFER | {"warm_start": "compact"},
        {},
    ),
    # arXiv 1603.08155, with the weights of the authors' code, jcjohnson/fast-neural-style: means
    # of squares, and half the sum of the squared differences of neighbours.
    "johnson": Recipe(
        "Johnson, Alahi, Fei-Fei, arXiv 1603.08155 (there 40,000 steps)",
        {
            "network": "vgg16",
            "content_weight": 1.0,
            "content_layers": ("relu2_2",),
            "style_weight": 5.0,
            "style_layers": ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
            "tv_weight": 5e-7,
            "tv_loss": "sum",
        },
        _PUBLISHED | {"normalization": "batch"},
    ),
    "fast-style-transfer": Recipe(
        "the best-known published networks (there 40,000 steps)",
        _FAST_STYLE_TRANSFER | {"network": "vgg19"},
        _PUBLISHED,
    ),
    # arXiv 1603.03417, with the instance normalisation of arXiv 1607.08022.
    "texture": Recipe(
        "texture networks of Ulyanov et al., arXiv 1603.03417: style only, from noise",
        {"content_weight": 0.0, "style_weight": 500.0, "tv_weight": 0.0, "warm_start": "compact"},
        {
            "architecture": "pyramid",
            "texture": True,
            "width_factor": 1.0,
            "side": 256,
            "learning_rate": 1e-2,
        },
    ),
}
