"""One run from files to files: read the pictures, paint, write what comes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import pictures
from ..settings import PROGRAM
from . import checks, many, progress
from .console import loading_keras, sentence, stop_signals, tell
from .job import Job
from .masks import lines, read_masks
from .output import Output

if TYPE_CHECKING:
    from ..minimise.schedule import Stage
    from ..objective import Objective
    from ..pictures import Masks
    from ..settings import Settings
    from ..stylize import Progress, State
    from .transfer import Networks

# What `auto` and the memory at hand decide; a run that goes on keeps to it.
CHOSEN = ("precision", "tile", "lbfgs_memory")
LONG = 120  # seconds left from which on a faster recipe is mentioned
FAST = 0.1  # of the time of 1000 steps of Adam: what --preset fast takes, benchmarks/README.md


def run(jobs: list[Job]) -> int:
    """Do them: one picture, or many. Returns the exit code; raises OSError or ValueError in one
    sentence."""
    return _run_many(jobs) if jobs[0].is_one_of_many else run_one(*jobs)


def run_one(
    job: Job,
    objective: Callable[..., Objective] | None = None,
    tile: Callable[..., int] | None = None,
    reporter: progress.Reporter | None = None,
    stops: list | None = None,
) -> int:
    """Do one.

    Args:
        job: what is asked for.
        objective: what makes the objectives of its stages; `Objective` if not given.
        tile: chooses the tile, of the picture's width and height, the settings with the tile that
            memory allows, and the network; that one if not given.
        reporter: who is told how far it is; the person at the terminal if not given.
        stops: once there is the number of a signal in it, the run ends with the best picture so
            far; filled by Ctrl-C and SIGTERM if not given.
    """
    may_be_complete, shapes, sizes = checked(job)
    reporter = reporter or progress.Reporter(job.settings.quiet)
    with stop_signals() if stops is None else contextlib.nullcontext(stops) as signals:
        masks = _say_pictures(reporter, job, shapes, sizes)
        used = load_job_networks(job.settings)
        from .description import is_complete, metadata

        about = metadata(job, used)
        if may_be_complete:
            if not job.state.exists() and is_complete(pictures.comment(job.output), about):
                reporter.say(f"{job.output} is complete: there is nothing to resume")
                return 0
            checks.check_files(job, shapes)
        if signals:
            return _stopped(signals)
        return _paint(job, sizes, masks, used, about, signals, reporter, objective, tile)


def checked(job: Job):
    """What is known before a network is: whether an output that exists may be this very run's,
    which is seen only then; the sizes of the pictures as they are, and as they are worked on.

    Raises OSError or ValueError for what cannot be, or for an output that would be lost.
    """
    may_be_complete = job.settings.resume and job.output.exists()
    checks.check_painter(job)
    checks.check_normalization(job.settings)
    shapes = checks.shapes(job)
    if not may_be_complete:
        checks.check_files(job, shapes)
    return may_be_complete, shapes, checks.sizes(job, shapes)


def _run_many(jobs: list[Job]) -> int:
    """One after another, with all that they have in common loaded and compiled once."""
    settings, reporter = jobs[0].settings, many.begun(jobs)
    with stop_signals() as signals:
        used = load_job_networks(settings)
        from ..objective import Objectives

        objectives = Objectives()

        def paint(job):
            return _paint_one_of_many(job, used, objectives, signals, reporter)

        return many.each(jobs, paint, signals, reporter, settings.debug)


def _paint_one_of_many(job: Job, used: Networks, objectives, signals, reporter) -> int | None:
    """Returns the exit code, or None where the picture is there already; raises what is wrong."""
    begun = prepared(job, used)
    if begun is None:
        return None
    job, shapes, sizes, about = begun
    masks = _say_pictures(reporter, job, shapes, sizes)
    return _paint(job, sizes, masks, used, about, signals, reporter, objectives)


def prepared(job: Job, used: Networks):
    """What is known before one of many pictures is painted: the job, which goes on if it was
    interrupted; the sizes of its pictures as they are, and as they are worked on; what describes
    it. None where its output is there, and is what it would end in.

    Raises OSError or ValueError for what cannot be, or for an output that would be lost.
    """
    from .description import is_complete, metadata
    from .state import belongs

    shapes = checks.shapes(job)
    about = metadata(job, used)
    is_there = job.output.exists() and not job.state.exists()
    if is_there and is_complete(pictures.comment(job.output), about):
        return None
    if belongs(job.state, about):
        job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, resume=True))
    checks.check_files(job, shapes)
    return job, shapes, checks.sizes(job, shapes), about


def _stopped(signals: list, job: Job | None = None) -> int:
    """Say that nothing was written, or that the state of this job is there; the exit code."""
    said = (
        f"stopped; --resume goes on from {job.state}" if job else "interrupted; nothing was written"
    )
    tell(f"{PROGRAM}: {said}", sys.stderr)
    return 128 + signals[0]


def _say_pictures(reporter: progress.Reporter, job: Job, shapes, sizes) -> Masks:
    """Say what there is to paint, and where; the masks, which are read for that."""
    names = ("content", *["style"] * len(job.styles))
    for name, path, (width, height) in zip(names, (job.content, *job.styles), sizes):
        reporter.say(f"{name}: {path or 'none'}, {width}x{height} pixels")
    if job.content and sizes[0][0] > shapes[0][0]:
        reporter.say(
            f"the content is enlarged from {shapes[0][0]}x{shapes[0][1]} pixels, and has no more "
            "detail than these"
        )
    masks = read_masks(job, sizes)
    for line in lines(job, masks):
        reporter.say(line)
    return masks


def load_job_networks(settings: Settings) -> Networks:
    """The networks of a run, and with them Keras."""
    with loading_keras(settings.debug):
        from .. import backend
    from .transfer import load_networks

    with backend.device(settings.device):
        return load_networks(settings)


def _paint(
    job: Job,
    sizes,
    masks: Masks,
    used: Networks,
    about: dict,
    signals: list,
    reporter: progress.Reporter,
    objective: Callable[..., Objective] | None = None,
    tile: Callable[..., int] | None = None,
) -> int:
    """Paint with networks that are loaded; as `run_one`."""
    from ..minimise.schedule import schedule
    from ..objective import Objective, region_sides
    from ..stylize import Diverged, OutOfMemory
    from . import description, transfer

    settings, chosen, begun = settled(job, sizes, masks, used, about, tile)
    regions = region_sides(masks, settings, used.network)
    stages = schedule(sizes, settings, used.network, used.warm, regions)
    output = Output.of(job, sizes[0])
    for line in description.lines(job, settings, used, stages, begun):
        reporter.say(line)
    for line in output.lines(job):
        reporter.say(line)
    first = begun.iteration if begun else 0
    keeper = _Keeper(job, output, about, chosen, stages, reporter, first, begun is not None)
    # The pictures may be large: only the run itself holds them, and lets go of them when it can.
    steps = transfer.painted(
        job.content and pictures.read(job.content),
        [pictures.read(path) for path in job.styles],
        settings,
        sizes,
        used,
        pictures.read(settings.initial) if settings.initial else None,
        begun,
        stop=lambda: bool(signals),
        on_step=reporter.step,
        masks=masks,
        objective=objective or Objective,
    )
    del begun
    reporter.begin(stages, settings.layers(), first)
    try:
        for last in steps:
            keeper.keep(last)
            last = dataclasses.replace(last, state=None)
    except KeyboardInterrupt:  # the second signal
        return _stopped(signals, job if keeper.has_state else None)
    except (Diverged, OutOfMemory) as error:
        if error.image is None:
            raise
        keeper.write(job.output, error.image, {"failed": str(error)})
        raise ValueError(f"{error}; the best picture before is in {job.output}") from error
    finally:
        reporter.close()
    if signals and last.iteration < stages[-1].end:
        if last.iteration == first:
            return _stopped(signals, job if keeper.has_state else None)
        keeper.write(job.output, last.image, {"interrupted at iteration": last.iteration})
        goes_on = "; --resume goes on" if keeper.has_state else ""
        tell(
            f"{PROGRAM}: interrupted at iteration {last.iteration}; the best picture so far is "
            f"in {job.output}{goes_on}",
            sys.stderr,
        )
        return 128 + signals[0]
    keeper.write(job.output, last.image)
    if last.iteration < stages[-1].end:
        reporter.say(f"no step lowers the loss any more: it ended at iteration {last.iteration}")
    job.state.unlink(missing_ok=True)
    reporter.say(f"wrote {job.output}")
    return 0


def settled(job: Job, sizes, masks, used, about, tile=None) -> tuple[Settings, dict, State | None]:
    """The settings with what `auto` stands for, that by itself, and the state to go on from."""
    from . import state, transfer

    if job.settings.resume and job.state.exists():
        begun, chosen = state.load(job.state, about)
        return dataclasses.replace(job.settings, **chosen), chosen, begun
    settings = transfer.resolved(job.settings, sizes, used, masks)
    if tile and job.settings.tile == "auto":
        settings = dataclasses.replace(settings, tile=str(tile(sizes[0], settings, used.network)))
    return settings, {name: getattr(settings, name) for name in CHOSEN}, None


@dataclass
class _Keeper:
    """What is shown and kept of a run as it goes."""

    job: Job
    output: Output
    about: dict  # what the run was asked for
    chosen: dict  # what was chosen for this machine
    stages: list[Stage]
    reporter: progress.Reporter
    first: int  # the iteration that it begins at
    has_state: bool  # whether a state of this very run is on the disk

    def __post_init__(self):
        rows = progress.read_table(self.job.table) if self.first else []
        # Where a run was stopped, it looked once more than it would have.
        each = self.job.settings.print_iterations
        self.rows = [row for row in rows if row[0] <= self.first and row[0] % each == 0]
        self.saved = time.monotonic()

    def keep(self, last: Progress) -> None:
        """Show a report, and write what of it is to be kept."""
        from . import state

        s = self.job.settings
        self.reporter.update(last)
        if last.iteration == self.first + s.print_iterations:
            self._mention_fast(last)
        if last.is_print and not (self.rows and self.rows[-1][0] == last.iteration):
            self.rows.append((last.iteration, last.losses))
            if s.progress_write:
                progress.write_table(self.job.table, self.rows)
        if s.progress_plot and (last.is_checkpoint or last.is_last):
            progress.write_plot(self.job.plot, self.rows, self.stages)
        if last.is_checkpoint:
            self.write(s.checkpoint_path(last.iteration), last.image)
        is_due = time.monotonic() - self.saved >= 60 * s.state_minutes
        is_new = last.state is not None and last.iteration > self.first
        if is_new and (is_due or last.is_last):
            try:
                state.save(self.job.state, last.state, self.about, self.chosen)
                self.has_state = True
            except OSError as error:  # which must not cost the run, nor its picture
                self.reporter.say(f"the state could not be kept: {sentence(error)}")
            self.saved = time.monotonic()

    def write(self, path, image, more: dict | None = None) -> None:
        """Write a picture with what made it."""
        about = {**self.about, "chosen": self.chosen, **(more or {})}
        self.output.write(path, image, json.dumps(about))

    def _mention_fast(self, last: Progress) -> None:
        left = self.reporter.seconds_left(last)
        if left > LONG and self.job.settings.recipe_is_slow():
            self.reporter.say(
                f"{left / 60:.0f} minutes left; --preset fast gets as far in about "
                f"{max(1, FAST * left / 60):.0f}"
            )
