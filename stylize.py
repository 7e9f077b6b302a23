"""The optimisation. The network never learns: the image is the variable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

import backend
import losses
import vgg
from settings import Settings

NOISE = 0.256  # standard deviation of the start, around the mean pixel

# Peak memory over the size of the network's activations, measured on TensorFlow at 341 to 1448
# pixels (benchmarks/README.md), and what is needed whatever the size.
MEMORY = {"float32": 2.5, "bfloat16": 3.0}
MEMORY_BASE = 0.5e9


@dataclass(frozen=True)
class Losses:
    """The three weighted terms of the objective, and their sum."""

    content: float
    style: float
    tv: float
    total: float

    def __str__(self):
        return (
            f"total {self.total:.6g}, content {self.content:.6g}, "
            f"style {self.style:.6g}, tv {self.tv:.6g}"
        )


@dataclass(frozen=True)
class State:
    """All that a run needs to go on as if it had never stopped."""

    iteration: int
    image: np.ndarray  # (1, H, W, 3) float32 less the mean pixel
    optimizer: list[np.ndarray]  # the optimiser's variables, in its own order
    best_image: np.ndarray | None  # like image; None before the first checkpoint
    best_total: float


@dataclass(frozen=True)
class Progress:
    """What `stylize` yields: where the run is after `iteration` steps."""

    iteration: int  # 0 is the start
    losses: Losses  # of the image after that many steps
    image: np.ndarray  # (H, W, 3) float32 RGB in 0..255: the best by total loss so far
    seconds: float  # since the first step, without what the caller did in between
    is_print: bool
    is_checkpoint: bool
    is_last: bool
    state: State | None  # at a checkpoint


class Diverged(ValueError):
    """The loss became NaN or infinite. `image` is the best picture before, or None."""

    def __init__(self, iteration: int, total: float, image: np.ndarray | None):
        super().__init__(
            f"the loss became {total} at or before iteration {iteration}: "
            "lower --learning-rate, or the weights"
        )
        self.image = image


class Objective:
    """What is minimised: the three terms as a function of the image alone."""

    def __init__(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        settings: Settings,
        parameters: vgg.Parameters,
    ):
        """Build the network down to the deepest layer in use and take its targets.

        Args:
            content: (H, W, 3) RGB in 0..255.
            styles: likewise, each of any size.
            settings: the weights, the layers, the pooling and the precision.
            parameters: the network, from `vgg.load`.

        Raises:
            ValueError: for a picture too small for the deepest layer, a layer that the network
                lacks, or a number of weights that is not the number of styles.
        """
        self.settings = settings
        self.content_layers = settings.content_layers()
        self.style_layers = settings.style_layers()
        names = settings.layers()
        check_sizes([p.shape[1::-1] for p in (content, *styles)], settings, parameters)
        self.network = vgg.build(parameters, names, settings.pooling, settings.precision)
        self.shares = settings.style_shares(len(styles))

        def take(picture, layers, target):
            """One layer's targets for each of `layers`, from a network no deeper than they."""
            if not layers:
                return {}
            tap = keras.Model(self.network.input, {n: self.network.output[n] for n in layers})
            features = tap(vgg.preprocess(picture, parameters.mean_pixel))
            return {name: ops.stop_gradient(target(f)) for name, f in features.items()}

        self.content_targets = take(content, self.content_layers, lambda f: f)
        self.style_targets = [
            take(style, self.style_layers, losses.gram_matrix) for style in styles
        ]

    def __call__(self, image):
        """(1, H, W, 3) less the mean pixel -> (4,) float32: content, style, tv, total."""
        s = self.settings
        features = self.network(image) if self.settings.layers() else {}
        grams = {name: losses.gram_matrix(features[name]) for name in self.style_layers}
        content = s.content_weight * sum(
            weight * losses.content_loss(features[name], self.content_targets[name])
            for name, weight in self.content_layers.items()
        )
        style = s.style_weight * sum(
            share * weight * losses.style_loss(grams[name], targets[name])
            for share, targets in zip(self.shares, self.style_targets)
            for name, weight in self.style_layers.items()
        )
        tv = s.tv_weight * losses.total_variation(image)
        terms = [ops.cast(term, "float32") for term in (content, style, tv)]
        return ops.stack([*terms, sum(terms)])


def check_sizes(sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters):
    """Raise ValueError for a picture that is too small to give the deepest layer one unit.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `stylize`.
    """
    least = max(2, parameters.stride(settings.layers()))
    for i, (width, height) in enumerate(sizes):
        if min(width, height) < least:
            raise ValueError(
                f"{f'style {i}' if i else 'the content'} is {width}x{height} pixels; with this "
                f"network and these layers it must be at least {least}x{least}"
            )


def check_memory(
    sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters
) -> None:
    """Raise ValueError if a run needs more memory than there is, with a width that would fit.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `stylize`.
    """
    available = backend.available_memory(settings.device)
    if available is None:
        return
    size = {"float32": 4, "bfloat16": 2}[settings.precision]
    per_pixel = MEMORY[settings.precision] * size * parameters.activations(settings.layers())
    width = sizes[0][0]
    pixels = max(w * h for w, h in sizes)
    needed = MEMORY_BASE + per_pixel * pixels
    if needed > available:
        fits = int(width * math.sqrt(max(0.0, available - MEMORY_BASE) / (per_pixel * pixels)))
        raise ValueError(
            f"this needs about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are "
            "free: " + (f"--width {fits} would fit" if fits else "nothing would fit")
        )


def initial_image(
    content: np.ndarray, settings: Settings, mean_pixel: np.ndarray, initial=None
) -> np.ndarray:
    """The start: a picture blended with normal noise around the mean pixel.

    Args:
        content: (H, W, 3) RGB in 0..255, what is blended in if `initial` is None.
        settings: the share of noise and its seed.
        mean_pixel: (3,) RGB.
        initial: None, or of the content's shape.

    Returns:
        (1, H, W, 3) float32 less the mean pixel.
    """
    share = settings.noiseblend(initial is not None)
    picture = vgg.preprocess(content if initial is None else initial, mean_pixel)
    noise = np.random.default_rng(settings.seed).normal(scale=NOISE, size=picture.shape)
    return (picture * (1 - share) + noise * share).astype(np.float32)


def stylize(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: Settings,
    network: vgg.Parameters,
    initial: np.ndarray | None = None,
    state: State | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Optimise a picture until its content and its style are those asked for.

    Yields at every print, every checkpoint and at the end; in between, nothing is computed but
    the steps. The picture given is the best one by total loss, looked at at every checkpoint
    and at the end; before the first checkpoint, it is the present one.

    Args:
        content: (H, W, 3) RGB in 0..255; the result has its size.
        styles: likewise, one or more, of any size.
        settings: everything that can be chosen.
        network: from `vgg.load`.
        initial: a picture of the content's shape to start from, in place of `--initial`.
        state: of an interrupted run with the same inputs, to go on with.
        stop: asked about once a second; once true, the run ends early with a last look.

    Raises:
        ValueError: for inputs that cannot be; see `Objective`.
        Diverged: a loss became NaN or infinite.
    """
    objective = Objective(content, styles, settings, network)
    mean = network.mean_pixel
    start = initial_image(content, settings, mean, initial) if state is None else state.image
    image = keras.Variable(start, name="image")
    optimizer = keras.optimizers.Adam(
        settings.learning_rate, settings.beta1, settings.beta2, settings.eps
    )
    optimizer.build([image])
    iteration, best_image, best_total = 0, None, math.inf
    if state is not None:
        iteration, best_image, best_total = state.iteration, state.best_image, state.best_total
        for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
    run = backend.stepper(lambda x: objective(x)[-1], objective.network, image, optimizer)
    evaluate = backend.evaluator(objective, objective.network)
    last_finite, seconds, resumed = None, 0.0, state is not None

    while True:
        is_last = iteration == settings.iterations or stop()
        is_print = is_last or iteration % settings.print_iterations == 0
        every = settings.checkpoint_iterations
        is_checkpoint = bool(every) and iteration > 0 and iteration % every == 0
        if (is_print or is_checkpoint) and not resumed:
            began = time.perf_counter()
            now = Losses(*ops.convert_to_numpy(evaluate(image.value)).tolist())
            value = ops.convert_to_numpy(image.value).copy()
            if not math.isfinite(now.total):
                kept = best_image if best_image is not None else last_finite
                picture = None if kept is None else vgg.unprocess(kept, mean)
                raise Diverged(iteration, now.total, picture)
            last_finite = value
            if (is_checkpoint or is_last) and now.total < best_total:
                best_image, best_total = value, now.total
            snapshot = None
            if is_checkpoint:
                moments = [ops.convert_to_numpy(v.value).copy() for v in optimizer.variables]
                snapshot = State(iteration, value, moments, best_image, best_total)
            seconds += time.perf_counter() - began
            yield Progress(
                iteration,
                now,
                vgg.unprocess(value if best_image is None else best_image, mean),
                seconds,
                is_print,
                is_checkpoint,
                is_last,
                snapshot,
            )
        if is_last:
            return
        resumed = False
        target = min(n - iteration % n for n in (settings.print_iterations, every) if n)
        target = iteration + min(target, settings.iterations - iteration)
        batch = 1
        while iteration < target and not stop():
            began = time.perf_counter()
            batch = min(batch, target - iteration)
            run(batch)
            iteration += batch
            took = time.perf_counter() - began
            seconds += took
            # Long enough that Python is not felt, short enough to stop at once when asked to.
            batch = max(1, int(batch / max(took, 1e-3)))
