"""The optimisation. The network never learns: the image is the variable."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.optimize
import threadpoolctl
from keras import ops

import backend
import images
import vgg
from objective import Losses, Objective, choose_tile
from settings import Settings

NOISE = 0.256  # standard deviation of the normal start, around the mean pixel
FREQUENCY_OFFSET = 0.005  # of one cycle in two pixels: below it, frequencies count as equal
COARSEST = 64  # the shorter side of the picture at the coarsest scale, at least
SHARPEN = 0.7  # how much of the fine detail is added again where a picture is enlarged
FIRST_STEP = 2.0  # how far L-BFGS moves a pixel in its first step, on average
WARM_SHARE = 0.45  # of the iterations at the full size that are the warm start's
WARM_MEMORY = 10  # of L-BFGS in the warm start, at most: as good, and its steps are cheap


@dataclass(frozen=True)
class State:
    """All that a run needs to go on; with Adam, as if it had never stopped."""

    iteration: int
    image: np.ndarray  # (1, H, W, 3) float32 less the mean pixel
    optimizer: list[np.ndarray]  # what the optimiser keeps; nothing for L-BFGS
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


class Adam:
    """Kingma and Ba, arXiv 1412.6980, as Keras has it, on the pixels."""

    finished = False

    def __init__(
        self, objective: Objective, start: np.ndarray, settings: Settings, kept: list[np.ndarray]
    ):
        """Begin at `start`, (1, H, W, 3), with what an Adam before `kept`, of any size."""
        self.objective = objective
        # A copy, since PyTorch would paint in the caller's memory.
        self.variable = keras.Variable(start.copy(), name="image")
        self.optimizer = keras.optimizers.Adam(
            settings.learning_rate, settings.beta1, settings.beta2, settings.eps
        )
        self.optimizer.build([self.variable])
        moments = 0
        for variable, value in zip(self.optimizer.variables, kept):
            if value.ndim == 4:
                moments += 1
                value = _rescaled_moment(value, start.shape[1:3], moments)
            variable.assign(value)
        self.apply = backend.applier(self.variable, self.optimizer)
        if len(objective.tiles) == 1:
            self.advance = backend.stepper(
                lambda x: objective(x)[-1], objective.network, self.variable, self.optimizer
            )

    def advance(self, n: int) -> None:
        """Take n steps."""
        for _ in range(n):
            self.apply(ops.convert_to_tensor(self.objective.gradient(self.variable.value)[1]))

    def look(self) -> tuple[Losses, np.ndarray]:
        """The present image and its losses."""
        image = ops.convert_to_numpy(self.variable.value).copy()
        return self.objective.evaluate(image), image

    def kept(self) -> list[np.ndarray]:
        """What it takes to go on: the steps taken, and the two moments of the gradient."""
        return [ops.convert_to_numpy(v.value).copy() for v in self.optimizer.variables]

    def close(self) -> None:
        """Nothing is held."""


class LBFGS:
    """scipy's L-BFGS-B on the pixels, each held within 0..255; or on spatial frequencies.

    On the pixels, the bounds are the optimiser's. In the coordinates z of a cosine transform,
    the image is clip(T⁻¹ S z) with S = 1/(frequency + offset)^power, which lets broad forms move
    as easily as fine ones: a better-conditioned problem with the same minima within 0..255.

    scipy calls us and not the other way round: it runs in a thread that waits before each
    evaluation until it is asked to `advance`.
    """

    def __init__(
        self, objective: Objective, start: np.ndarray, settings: Settings, mean_pixel: np.ndarray
    ):
        self.objective, self.settings = objective, settings
        self.low, self.high = -mean_pixel, 255 - mean_pixel
        self.image = np.clip(start, self.low, self.high)
        self.scale = None
        if settings.lbfgs_frequency:
            y, x = (np.arange(n)[:, np.newaxis, np.newaxis] / n for n in start.shape[1:3])
            frequency = np.hypot(y, x.transpose(1, 0, 2))  # 1 is one cycle in two pixels
            self.scale = (frequency + FREQUENCY_OFFSET) ** -settings.lbfgs_frequency
            # scipy's first step is of length 1.
            self.scale *= FIRST_STEP * math.sqrt(start.size) / self.scale.mean()
        self.losses = None
        self.finished, self.closed, self.error = False, False, None
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self, n: int) -> None:
        """Take n evaluations of the gradient, or as many as there are until it is finished."""
        for _ in range(n):
            if not self.finished:
                self._go.release()
                self._done.acquire()
        if self.error is not None:
            raise self.error

    def look(self) -> tuple[Losses, np.ndarray]:
        """The best image so far and its losses."""
        if self.losses is None:
            self.losses = self.objective.evaluate(self.image)
        return self.losses, self.image

    def kept(self) -> list[np.ndarray]:
        """Nothing: its memory of the curvature starts anew."""
        return []

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        self._go.release()
        self._thread.join()

    def _run(self):
        # scipy works on vectors, where several threads cost more than they give: twice as
        # much on an idle machine with two cores, twenty times on a busy one.
        blas = threadpoolctl.ThreadpoolController().select(internal_api="openblas")
        try:
            before = math.inf
            while True:
                with blas.limit(limits=1):
                    self._minimise()
                # A line search that failed may do better from steepest descent, once.
                if not self.losses.total < before:
                    return
                before = self.losses.total
        except _Closed:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.finished = True
            self._done.release()

    def _minimise(self):
        scipy.optimize.minimize(
            self._evaluate,
            self._coordinates(self.image),
            jac=True,
            method="L-BFGS-B",
            bounds=None if self.scale is not None else self._bounds(),
            options={
                "maxcor": self.settings.lbfgs_memory,
                "maxfun": self.settings.lbfgs_round or 10**9,
                "maxiter": 10**9,
                "ftol": 0,
                "gtol": 0,
            },
        )

    def _evaluate(self, x):
        self._go.acquire()
        if self.closed:
            raise _Closed
        image = x.reshape(self.image.shape)
        if self.scale is not None:
            image = (self.scale * image).astype(np.float32)
            image = scipy.fft.idctn(image, axes=(1, 2), norm="ortho")
        clipped = np.clip(image, self.low, self.high).astype(np.float32)
        losses, gradient = self.objective.gradient(clipped)
        if self.scale is not None:
            gradient = np.where((image >= self.low) & (image <= self.high), gradient, 0)
            gradient = self.scale * scipy.fft.dctn(gradient, axes=(1, 2), norm="ortho")
        finite = math.isfinite(losses.total)
        if self.losses is None or not finite or losses.total < self.losses.total:
            self.losses = losses
            self.image = clipped if finite else self.image
        if not finite:
            raise _Closed
        self._done.release()
        return losses.total, gradient.ravel().astype(np.float64)

    def _bounds(self):
        low = np.broadcast_to(self.low, self.image.shape).ravel()
        return scipy.optimize.Bounds(low, low + 255)

    def _coordinates(self, image):
        image = image.astype(np.float64)
        if self.scale is not None:
            image = scipy.fft.dctn(image, axes=(1, 2), norm="ortho") / self.scale
        return image.ravel()


class _Closed(Exception):
    """Ends scipy's loop from within."""


def initial_image(
    content: np.ndarray, settings: Settings, mean_pixel: np.ndarray, initial=None
) -> np.ndarray:
    """The start: a picture blended with noise.

    Args:
        content: (H, W, 3) RGB in 0..255, what is blended in if `initial` is None.
        settings: the share of noise, its kind and its seed.
        mean_pixel: (3,) RGB.
        initial: None, or of the content's shape.

    Returns:
        (1, H, W, 3) float32 less the mean pixel.
    """
    share = settings.noiseblend(initial is not None)
    picture = vgg.preprocess(content if initial is None else initial, mean_pixel)
    random = np.random.default_rng(settings.seed)
    if settings.noise == "uniform":
        noise = random.uniform(0, 255, picture.shape) - mean_pixel
    else:
        noise = random.normal(scale=NOISE, size=picture.shape)
    noise *= share
    noise += picture * (1 - share)
    return noise.astype(np.float32)


def scales(
    width: int, height: int, settings: Settings, least: int = 1
) -> list[tuple[int, int, int]]:
    """The sizes that a run goes through, coarse to fine.

    Args:
        width, height: of the result in pixels.
        settings: the factor from a size to the next, and the iterations with their ratio.
        least: the shortest side that there may be.

    Returns:
        (width, height, last iteration) of each size; the last is the result's.
    """
    sizes, factor = [(width, height)], settings.scale_factor()
    while factor and len(sizes) < settings.iterations:
        shrink = factor ** len(sizes)
        size = (round(width / shrink), round(height / shrink))
        if min(size) < max(COARSEST, least):
            break
        sizes.append(size)
    weights = [settings.scale_ratio**-i for i in range(len(sizes))]
    ends, done = [], 0
    for i, (w, h) in reversed(list(enumerate(sizes))):
        rest = sum(weights[: i + 1])
        left = settings.iterations - done
        done += max(1, min(round(left * weights[i] / rest), left - i))
        ends.append((w, h, done))
    return ends


def _stages(plan, network: vgg.Parameters, warm: vgg.Parameters | None):
    """Each size with the network that it is painted with; a warm start has all but the end."""
    stages = [(*size, network) for size in plan]
    if warm is None:
        return stages
    *coarse, (width, height, end, _) = stages
    begin = coarse[-1][2] if coarse else 0
    split = begin + int(WARM_SHARE * (end - begin))
    stages = [(*stage[:3], warm) for stage in coarse]
    if split > begin:
        stages.append((width, height, split, warm))
    return [*stages, (width, height, end, network)]


def stylize(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: Settings,
    network: vgg.Parameters,
    initial: np.ndarray | None = None,
    state: State | None = None,
    stop: Callable[[], bool] = lambda: False,
    warm: vgg.Parameters | None = None,
) -> Iterator[Progress]:
    """Optimise a picture until its content and its style are those asked for.

    Yields at every print, every checkpoint and at the end; in between, nothing is computed but
    the steps. The picture given is the best one by total loss, looked at at every checkpoint
    and at the end; before the first checkpoint, it is the present one. From coarse to fine, the
    picture given is enlarged to the full size, and only the last stage has a best one.

    Args:
        content: (H, W, 3) RGB in 0..255; the result has its size.
        styles: likewise, one or more, of any size.
        settings: everything that can be chosen.
        network: from `vgg.load`.
        initial: a picture of the content's shape to start from, in place of `--initial`.
        state: of an interrupted run with the same inputs, to go on with. L-BFGS starts its
            memory of the curvature anew.
        stop: asked about once a second; once true, the run ends early with a last look.
        warm: a network to do the first part of the work with, with the same names of layers.

    Raises:
        ValueError: for inputs that cannot be; see `Objective`.
        Diverged: a loss became NaN or infinite.
    """
    mean = network.mean_pixel
    # The styles shrink with the content, and the network needs a few pixels of each.
    shortest = min(min(picture.shape[:2]) for picture in (content, *styles))
    least = math.ceil(network.stride(settings.layers()) * min(content.shape[:2]) / shortest) + 1
    size = content.shape[:2]
    plan = _stages(scales(*size[::-1], settings, least), network, warm)
    iteration, best_image, best_total = 0, None, math.inf
    image, kept, last, seen = None, [], None, None
    if state is not None:
        iteration, image, kept = state.iteration, state.image, state.optimizer
        best_image, best_total = state.best_image, state.best_total
        seen = iteration if iteration < settings.iterations else None
    state = None
    seconds, every = 0.0, settings.checkpoint_iterations
    for width, height, end, painter in plan:
        finest = end == settings.iterations
        if iteration >= end and not finest:
            continue
        small = [_resized(p, width / size[1]) for p in styles]
        small_content = images.resize(content, width, height)
        if image is None:
            first = None if initial is None else images.resize(initial, width, height)
            image = initial_image(small_content, settings, mean, first)
        shift = mean - painter.mean_pixel
        image = _shifted(_enlarged(image, (height, width)), shift)
        sizes = [p.shape[1::-1] for p in (small_content, *small)]
        objective = Objective(
            small_content, small, settings, painter, choose_tile(sizes, settings, painter)
        )
        del small_content, small
        if finest:
            content = styles = initial = first = None  # a large picture is not kept for nothing
        if settings.optimizer == "adam":
            minimiser = Adam(objective, image, settings, kept)
        else:
            pairs = min(settings.lbfgs_memory, WARM_MEMORY if painter is warm else math.inf)
            chosen = replace(settings, lbfgs_memory=pairs)
            minimiser = LBFGS(objective, image, chosen, painter.mean_pixel)
        image, kept = None, []
        try:
            while True:
                is_last = (finest and (iteration == end or minimiser.finished)) or stop()
                is_print = is_last or iteration % settings.print_iterations == 0
                is_checkpoint = bool(every) and iteration > 0 and iteration % every == 0
                if is_last or ((is_print or is_checkpoint) and iteration != seen):
                    seen, began = iteration, time.perf_counter()
                    now, image = minimiser.look()
                    image = _shifted(image, -shift)
                    if not math.isfinite(now.total):
                        raise Diverged(iteration, now.total, last)
                    if finest and (is_checkpoint or is_last) and now.total < best_total:
                        best_image, best_total = image, now.total
                    shown = image if best_image is None else best_image
                    last = vgg.unprocess(_rescaled(shown, size), mean)
                    snapshot = None
                    if is_checkpoint:
                        snapshot = State(iteration, image, minimiser.kept(), best_image, best_total)
                    seconds += time.perf_counter() - began
                    report = Progress(
                        iteration,
                        now,
                        last,
                        seconds,
                        is_print,
                        is_checkpoint,
                        is_last,
                        snapshot,
                    )
                    image = shown = snapshot = None
                    yield report
                    del report
                if is_last:
                    return
                if iteration == end or minimiser.finished:
                    iteration = end
                    break
                until = min(n - iteration % n for n in (settings.print_iterations, every) if n)
                until = min(iteration + until, end)
                batch = 1
                while iteration < until and not stop() and not minimiser.finished:
                    began = time.perf_counter()
                    batch = min(batch, until - iteration)
                    minimiser.advance(batch)
                    iteration += batch
                    took = time.perf_counter() - began
                    seconds += took
                    # Long enough that Python is not felt, short enough to stop when asked to.
                    batch = max(1, int(batch / max(took, 1e-3)))
            image = _shifted(minimiser.look()[1], -shift)
            kept = minimiser.kept()
        finally:
            minimiser.close()


def _shifted(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The picture less another network's mean pixel."""
    return image + shift if shift.any() else image


def _enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture of one scale as the start of the next, sharpened: enlarging blurs, and what is
    fine has to be painted anew."""
    if image.shape[1:3] == tuple(size):
        return image
    spread = 0.6 * size[0] / image.shape[1]
    image = _rescaled(image, size)
    blurred = scipy.ndimage.gaussian_filter(image, (0, spread, spread, 0))
    return image + SHARPEN * (image - blurred)


def _rescaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(1, h, w, 3) enlarged or reduced to another height and width, bicubically."""
    if image.shape[1:3] == tuple(size):
        return image
    return ops.convert_to_numpy(ops.image.resize(image, size, interpolation="bicubic"))


def _rescaled_moment(value: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """A moment of the gradient at another size. The losses are means over positions, so that the
    gradient of a pixel falls as their number grows; bilinearly, so that none turns negative."""
    if value.shape[1:3] == tuple(size):
        return value
    falls = math.prod(value.shape[1:3]) / math.prod(size)
    value = ops.convert_to_numpy(ops.image.resize(value, size, interpolation="bilinear"))
    return value * np.float32(falls**order)


def _resized(picture: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(1, int(side * factor)) for side in picture.shape[:2])
    return images.resize(picture, width, height)
