"""What the main command does on a cluster: many pictures as tasks, one picture by its tiles."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import painters, pictures
from ..runs import many, progress
from ..runs.console import loading_keras, stop_signals
from ..runs.job import Job
from ..runs.masks import read_masks
from ..runs.output import Output
from ..runs.run import CHOSEN, checked, load_job_networks, prepared, run_one, settled
from ..settings import Settings
from .connection import check_address, check_ray, connected
from .tasks import run_each

if TYPE_CHECKING:
    from ..objective import Objectives
    from ..pictures import Masks
    from ..runs.transfer import Networks
    from ..stylize import State


def check_arguments(jobs: Sequence[Job]) -> None:
    """Raise ValueError for what does not go with a cluster."""
    check_ray()
    settings = jobs[0].settings
    if jobs[0].is_one_of_many:
        if settings.checkpoint_output:
            raise ValueError(
                "--checkpoint-output is of pictures that are painted here: with --cluster and many "
                "pictures, leave it out"
            )
    elif settings.tile == "0":
        raise ValueError(
            "--tile 0 is the whole picture at once, and a cluster has a picture's tiles: leave one "
            "of them out"
        )


def run(jobs: list[Job]) -> int:
    """Do them. Returns the exit code; raises OSError or ValueError in one sentence."""
    check_address(jobs[0].settings.cluster)  # before seconds are spent on Keras
    return _run_many(jobs) if jobs[0].is_one_of_many else _run_by_tiles(*jobs)


def _run_by_tiles(job: Job) -> int:
    """One picture, its tiles over the cluster."""
    settings = job.settings
    checked(job)  # what is wrong is known sooner than a cluster is there
    with loading_keras(settings.debug):
        from ..objective import Objective
    from .tiles import Crew, balanced_tile

    with connected(settings) as cluster:
        crew = Crew(cluster)
        try:
            reporter = progress.Reporter(settings.quiet)
            workers, machines = len(crew), len(set(crew.actors.values()))
            reporter.say(
                f"cluster: {workers} worker{'s' * (workers != 1)} on {machines} "
                f"machine{'s' * (machines != 1)}"
            )
            objective = functools.partial(Objective, spread=crew.spread)
            tile = functools.partial(balanced_tile, actors=len(crew))
            return run_one(job, objective, tile)
        finally:
            crew.close()


@dataclass
class Workshop:
    """What all pictures of a run have in common; each worker has one, and keeps it."""

    used: Networks
    styles: dict[Path, np.ndarray]
    objectives: Objectives


@dataclass
class Order:
    """What a worker needs to paint one of them."""

    content: np.ndarray | None
    styles: list[Path]
    settings: Settings
    sizes: list[tuple[int, int]]
    masks: Masks
    initial: np.ndarray | None
    begun: State | None
    is_settled: bool  # whether the settings have nothing that is left to the machine


@dataclass
class Painted:
    """What it gives back."""

    image: np.ndarray  # (H, W, 3) in 0..255
    chosen: dict  # what was chosen for its machine
    rows: list  # an iteration with its losses, of each print


def paint(shop: Workshop, order: Order) -> Painted:
    """Paint one picture, wherever this is."""
    from ..runs import transfer

    settings = order.settings
    if not order.is_settled:
        settings = transfer.resolved(settings, order.sizes, shop.used, order.masks)
    steps = transfer.painted(
        order.content,
        [shop.styles[path] for path in order.styles],
        settings,
        order.sizes,
        shop.used,
        order.initial,
        order.begun,
        stop=lambda: False,
        on_step=lambda iteration: None,
        masks=order.masks,
        objective=shop.objectives,
    )
    rows = []
    for last in steps:
        if last.is_print:
            rows.append((last.iteration, last.losses))
    return Painted(last.image, {name: getattr(settings, name) for name in CHOSEN}, rows)


def transfer_each(
    contents: Iterable[np.ndarray],
    styles: Sequence[np.ndarray],
    settings: Settings | None = None,
    *,
    network: Networks | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Paint many pictures, each as `transfer_style` does, in the time that they take themselves:
    the networks are loaded once, and those of one size share the styles' statistics and all that is
    compiled. With `settings.cluster` they are painted there, many side by side.

    Args:
        contents: (H, W, 3) RGB in 0..255, each of any size; asked for as they are needed.
        styles: likewise.
        settings: the defaults if not given; masks and `initial` are not for many.
        network: from `load_networks`; the one that the settings name if not given.

    Yields:
        The number of each content, from 0, and its picture, (H, W, 3) float32 RGB in 0..255, as it
        is done: in order, or on a cluster in any.

    Raises ValueError or OSError for what cannot be, also of one of the pictures.
    """
    from ..objective import Objectives
    from ..pictures import Masks
    from ..runs import transfer

    settings = settings or Settings()
    settings.check_pictures(True, len(styles))
    if settings.masks or settings.style_masks or settings.initial:
        raise ValueError("masks and --initial are of one picture: see transfer_style")
    used = network or transfer.load_networks(settings)
    names = [Path(str(i)) for i in range(len(styles))]
    shop = Workshop(used, dict(zip(names, styles)), Objectives())

    def order(item):
        _, content = item
        sizes = settings.sizes([x.shape[1::-1] for x in (content, *styles)])
        masks = Masks(styles=[None] * len(styles))
        initial = _painted(lambda: (content, *styles), settings, sizes, masks)
        return Order(content, names, _portable(settings), sizes, masks, initial, None, False)

    for (number, _), painted in run_each(paint, shop, enumerate(contents), settings, load=order):
        if isinstance(painted, Exception):
            raise painted
        yield number, painted.image


def _run_many(jobs: list[Job]) -> int:
    settings, reporter = jobs[0].settings, many.begun(jobs)
    with stop_signals() as signals:
        desk = Desk(load_job_networks(settings))
        tally = many.Tally(len(jobs), reporter)
        orders = run_each(
            *(paint, desk.workshop(jobs), jobs, settings),
            load=desk.order,
            stop=lambda: bool(signals),
        )
        return many.gather(
            orders, functools.partial(desk.write, reporter), tally, signals, settings.debug
        )


class Desk:
    """Where pictures are sent out from and come back to: the only place that has their files."""

    def __init__(self, used: Networks):
        self.used, self._open = used, {}

    def workshop(self, jobs: Sequence[Job]) -> Workshop:
        """Raises OSError or ValueError for a style that cannot be read."""
        from ..objective import Objectives

        paths = dict.fromkeys(path for job in jobs for path in job.styles)
        return Workshop(self.used, {path: pictures.read(path) for path in paths}, Objectives())

    def order(self, job: Job) -> Order | None:
        """What a worker is asked for; None where the picture is there. Raises what is wrong."""
        if (begun := prepared(job, self.used)) is None:
            return None
        now, _, sizes, about = begun
        masks, settings = read_masks(now, sizes), now.settings
        state = None
        if settings.resume and now.state.exists():
            settings, _, state = settled(now, sizes, masks, self.used, about)
        self._open[job.output] = sizes[0], about
        return Order(
            content=job.content and pictures.read(job.content),
            styles=job.styles,
            settings=_portable(settings),
            sizes=sizes,
            masks=masks,
            initial=None if state else _initial(now, sizes, masks),
            begun=state,
            is_settled=state is not None,
        )

    def write(self, reporter: progress.Reporter, job: Job, painted: Painted) -> None:
        """Write what has come back."""
        size, about = self._open.pop(job.output)
        output = Output.of(job, size)
        for line in output.lines(job):
            reporter.say(line)
        output.write(job.output, painted.image, json.dumps({**about, "chosen": painted.chosen}))
        if job.settings.progress_write:
            [first, *_] = painted.rows
            before = [row for row in progress.read_table(job.table) if row[0] < first[0]]
            progress.write_table(job.table, before + painted.rows)
        if job.settings.progress_plot:
            progress.write_plot(job.plot, painted.rows)
        job.state.unlink(missing_ok=True)


def _portable(settings: Settings) -> Settings:
    """With the precision chosen here, lest each worker choose its own."""
    from .. import backend

    with backend.device(settings.device):
        precision = backend.precision(settings.precision, settings.device)
    return dataclasses.replace(settings, precision=precision)


def _initial(job: Job, sizes, masks: Masks) -> np.ndarray | None:
    """The picture to start from, whose file, or whose painter's, is here."""
    if job.settings.initial:
        return pictures.read(job.settings.initial)

    def given():
        return map(pictures.read, (job.content, *job.styles))

    return _painted(given, job.settings, sizes, masks)


def _painted(given: Callable, settings: Settings, sizes, masks: Masks) -> np.ndarray | None:
    """What a painter makes of the pictures that are given, the content's first; None for a painter
    that the workers have themselves, and for none."""
    from ..runs import transfer

    if not settings.painter or settings.painter in painters.NAMES:
        return None
    content, *styles = given()
    worked_on = transfer.worked_on(content, styles, settings, sizes, masks)
    return transfer.first_picture(*worked_on, settings, masks)
