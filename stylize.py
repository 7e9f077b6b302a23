"""One picture: a schedule of stages, each an objective and a minimiser. The network never learns:
the image is the variable."""

from __future__ import annotations

import collections
import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import memory, pictures
from .minimise.descent import Descent
from .minimise.rescaling import enlarged, rescaled
from .minimise.schedule import Stage, schedule
from .objective import Losses, Objective, region_sides
from .settings import Settings
from .tiles import fitted
from .vgg import Parameters, preprocess, unprocess

NOISE = 0.256  # standard deviation of the normal start, around the mean pixel


@dataclass(frozen=True)
class State:
    """All that a run needs to go on as if it had never stopped."""

    iteration: int
    image: np.ndarray  # (1, H, W, 3) float32 less the mean pixel
    optimizer: list[np.ndarray]  # the minimiser's state
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
    state: State | None  # at a checkpoint, every so often, and where it was stopped


class Diverged(ValueError):
    """The loss became NaN or infinite. `image` is the best picture before, or None."""

    def __init__(self, iteration: int, total: float, image: np.ndarray | None):
        super().__init__(
            f"the loss became {total} at or before iteration {iteration}: "
            "lower --learning-rate, or the weights"
        )
        self.image = image


class OutOfMemory(MemoryError):
    """Memory could not be had while the run was on. `image` is the best picture so far, or None."""

    def __init__(self, iteration: int, image: np.ndarray | None):
        super().__init__(
            f"out of memory after iteration {iteration}: choose a smaller --width or --tile"
        )
        self.image = image


def stylize(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: Settings,
    network: Parameters,
    initial: np.ndarray | None = None,
    state: State | None = None,
    stop: Callable[[], bool] = lambda: False,
    warm: Parameters | None = None,
    on_step: Callable[[float], None] = lambda iteration: None,
    masks: pictures.Masks | None = None,
    objective: Callable[..., Objective] = Objective,
) -> Iterator[Progress]:
    """Optimise a picture until its content and its style are those asked for.

    Yields at every print, every checkpoint, every `settings.state_minutes` and at the end; in
    between, nothing is computed but the steps. The picture given is the best one by total loss,
    evaluated at every checkpoint and at the end; before the first checkpoint, it is the present
    one. From coarse to fine, the picture given is enlarged to the full size, and only the last
    stage has a best one.

    Args:
        content: (H, W, 3) RGB in 0..255; the result has its size.
        styles: likewise, of any size; none where they have no weight.
        settings: everything that can be chosen; a painter's picture is to be `initial`.
        network: from `vgg.load`.
        initial: a picture of the content's shape to start from, in place of `--initial`.
        state: of an interrupted run with the same inputs, to go on with.
        stop: asked about once a second; once true, the run ends early with a last evaluation.
        warm: a network to do the first part of the work with, with the same names of layers.
        on_step: called about once a second, and after each tile, with the iterations that are
            done, and in tiles the share of the present one.
        masks: where each style goes and what of it is taken. The image that is given is free where
            nothing is painted: `pictures.composed` puts the content there.
        objective: what makes the objective of a stage; `Objectives` shares what it can with those
            of the pictures before.

    Raises:
        ValueError: for inputs that cannot be; see `Objective` and `region_sides`.
        Diverged: a loss became NaN or infinite.
        OutOfMemory: memory could not be had while the run was on.
    """
    shapes = [picture.shape[1::-1] for picture in (content, *styles)]
    if settings.tile == "auto":
        regions = len(masks.regions) if masks else 0
        settings = fitted(shapes, settings, network, warm, regions)
    stages = schedule(shapes, settings, network, warm, region_sides(masks, settings, network))
    begun = state.iteration if state else 0
    is_continued = begun > 0 and begun not in [stage.end for stage in stages[:-1]]
    stages = [stage for stage in stages if stage.end > begun] or stages[-1:]
    mean_pixel = network.mean_pixel
    course = _Course(mean_pixel, content.shape[:2], begun, on_step)
    if state is None:
        size = stages[0].width, stages[0].height
        picture = initial if initial is None else pictures.resize(initial, *size)
        image = initial_image(pictures.resize(content, *size), settings, mean_pixel, picture)
        optimizer = []
    else:
        image, optimizer = state.image, state.optimizer
        course.best_image, course.best_total = state.best_image, state.best_total
    # Each is called once and then gone, and with the last one the content and the styles: a large
    # picture is not kept for nothing.
    begins = collections.deque(
        functools.partial(_begin, stage, content, styles, settings, masks, course, objective)
        for stage in stages
    )
    begins[0] = functools.partial(begins[0], image, optimizer, is_continued)
    return _or_out_of_memory(_run(stages, begins, settings, course, stop), course)


def _or_out_of_memory(steps: Iterator[Progress], course: _Course) -> Iterator[Progress]:
    """The steps; where memory cannot be had for one, whatever the backend calls it, OutOfMemory."""
    try:
        yield from steps
    except Exception as error:
        if not memory.ran_out(error):
            raise
        raise OutOfMemory(course.iteration, course.shown) from error


def _run(
    stages: Sequence[Stage],
    begins: collections.deque,
    settings: Settings,
    course: _Course,
    stop: Callable[[], bool],
) -> Iterator[Progress]:
    """Go through the stages and report; what was reported before is not reported again."""
    every = settings.checkpoint_iterations
    reported = course.iteration if 0 < course.iteration < stages[-1].end else None
    minimiser = begins.popleft()()
    for stage in stages:
        is_finest = stage is stages[-1]
        while True:
            iteration = course.iteration
            is_done = iteration >= stage.end or minimiser.finished
            is_stopped = not (is_done and is_finest) and stop()
            is_last = (is_done and is_finest) or is_stopped
            is_print = is_last or iteration % settings.print_iterations == 0
            is_checkpoint = bool(every) and iteration > 0 and iteration % every == 0
            is_due = course.since_state >= 60 * settings.state_minutes
            if is_last or ((is_print or is_checkpoint or is_due) and iteration != reported):
                reported = iteration
                losses, image = course.evaluate(stage, minimiser)
                if is_finest and is_checkpoint:
                    course.keep_best(losses, image)
                state = None
                if is_checkpoint or is_due or is_stopped:
                    state = course.state(image, minimiser, is_due)
                if is_finest and is_last:  # after the state: a run that goes on has not seen it
                    course.keep_best(losses, image)
                yield course.progress(losses, image, is_print, is_checkpoint, is_last, state)
                del image, state
            if is_last:
                return
            if is_done:
                break
            until = min(n - iteration % n for n in (settings.print_iterations, every) if n)
            steps = min(until, stage.end - iteration)
            course.advance(minimiser, steps, stop, 60 * settings.state_minutes)
        course.iteration = stage.end
        minimiser = begins.popleft()(*_left_by(minimiser, stage, course))


class _Course:
    """What a run knows of its own course: the best iterate, the picture last shown, the time."""

    def __init__(
        self,
        mean_pixel: np.ndarray,
        size: tuple[int, int],
        iteration: int,
        on_step: Callable[[float], None],
    ):
        self.mean_pixel, self.size = mean_pixel, size
        self.iteration, self.on_step = iteration, on_step
        self.best_image, self.best_total = None, math.inf
        self.shown = None
        self.seconds = self.since_state = 0.0

    def advance(self, minimiser, steps: int, stop: Callable[[], bool], most: float) -> None:
        """Take steps until they are taken, the run is to stop, or a state is due."""
        until, batch = self.iteration + steps, 1
        while self.iteration < until and not stop() and not minimiser.finished:
            batch = min(batch, until - self.iteration)
            before = self.seconds
            with self.timed():
                self.iteration += minimiser.advance(batch)
            self.on_step(self.iteration)
            if self.since_state >= most > 0:
                return
            # Calls of a second: long enough that Python is not felt, short enough to stop.
            batch = max(1, int(batch / max(self.seconds - before, 1e-3)))

    def evaluate(self, stage: Stage, minimiser) -> tuple[Losses, np.ndarray]:
        """The losses of the minimiser's best iterate, and the iterate; Diverged where the loss is
        no number."""
        with self.timed():
            losses, image = minimiser.evaluate()
        if not math.isfinite(losses.total):
            raise Diverged(self.iteration, losses.total, self.shown)
        return losses, _shifted(image, stage.network.mean_pixel, self.mean_pixel)

    def keep_best(self, losses: Losses, image: np.ndarray) -> None:
        if losses.total < self.best_total:
            self.best_image, self.best_total = image, losses.total

    def state(self, image: np.ndarray, minimiser, is_due: bool) -> State:
        if is_due:
            self.since_state = 0.0
        with self.timed():
            optimizer = minimiser.state()
        return State(self.iteration, image, optimizer, self.best_image, self.best_total)

    def progress(self, losses, image, is_print, is_checkpoint, is_last, state) -> Progress:
        with self.timed():
            best = image if self.best_image is None else self.best_image
            self.shown = unprocess(rescaled(best, self.size), self.mean_pixel)
        return Progress(
            iteration=self.iteration,
            losses=losses,
            image=self.shown,
            seconds=self.seconds,
            is_print=is_print,
            is_checkpoint=is_checkpoint,
            is_last=is_last,
            state=state,
        )

    def on_tile(self, share: float) -> None:
        self.on_step(self.iteration + share)

    @contextlib.contextmanager
    def timed(self):
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds += took
            self.since_state += took


def _begin(
    stage: Stage,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: Settings,
    masks: pictures.Masks | None,
    course: _Course,
    make: Callable[..., Objective],
    image: np.ndarray,
    state: list[np.ndarray],
    is_continued: bool = False,
):
    """The minimiser of a stage, begun where the one before it, of any size, ended; or, if it
    `is_continued`, where it was interrupted itself."""
    factor = stage.width / content.shape[1]
    objective = make(
        pictures.resize(content, stage.width, stage.height),
        [_resized(style, factor) for style in styles],
        settings,
        stage.network,
        int(settings.tile),
        masks,
        on_tile=course.on_tile,
    )
    image = enlarged(image, (stage.height, stage.width))
    image = _shifted(image, course.mean_pixel, stage.network.mean_pixel)
    if not is_continued:
        image = objective.begun(image)
    if settings.optimizer != "lbfgs":
        return Descent(objective, image, settings, state, stage.network.mean_pixel, is_continued)
    from .minimise.lbfgs import LBFGS  # and with it scipy, which the others do without

    settings = replace(settings, lbfgs_memory=stage.lbfgs_memory)
    state = state if is_continued else []  # the curvature is another one at another size
    return LBFGS(objective, image, settings, stage.network.mean_pixel, state)


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
    picture = preprocess(content if initial is None else initial, mean_pixel)
    random = np.random.default_rng(settings.seed)
    if settings.noise == "uniform":
        noise = random.uniform(0, 255, picture.shape) - mean_pixel
    elif settings.noise == "uniform-around-mean":
        noise = random.uniform(0, 255, picture.shape) - 128
    else:
        noise = random.normal(scale=NOISE, size=picture.shape)
    noise *= share
    noise += picture * (1 - share)
    return noise.astype(np.float32)


def _left_by(minimiser, stage: Stage, course: _Course) -> tuple[np.ndarray, list[np.ndarray]]:
    """Image and state with which a stage has ended; curvature is another one at another size."""
    _, image = course.evaluate(stage, minimiser)
    return image, minimiser.state() if isinstance(minimiser, Descent) else []


def _shifted(image: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A picture less one mean pixel as the same picture less another."""
    return image if np.array_equal(old, new) else image + (old - new)


def _resized(picture: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(1, int(side * factor)) for side in picture.shape[:2])
    return pictures.resize(picture, width, height)
