"""One run from files to files: read the pictures, paint, write what comes."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time

from .. import pictures
from ..settings import PROGRAM
from . import checks, progress
from .console import hidden, silenced, stop_signals
from .job import Job

# What `auto` and the memory at hand decide; a run that goes on keeps to it.
CHOSEN = ("precision", "tile", "lbfgs_memory")
LONG = 120  # seconds left from which on a faster recipe is mentioned
FAST = 0.15  # of the time of 1000 steps of Adam: what --preset fast takes, benchmarks/README.md


def run(job: Job) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    s = job.settings
    # Whether an output that exists is this very run's is seen only once the network is known.
    may_be_complete = s.resume and job.output.exists()
    if not may_be_complete:
        checks.check_files(job)
    sizes = checks.sizes(job)
    reporter = progress.Reporter(s.quiet)
    with stop_signals() as signals:
        names = ("content", *["style"] * len(job.styles))
        for name, path, (width, height) in zip(names, (job.content, *job.styles), sizes):
            reporter.say(f"{name}: {path}, {width}x{height} pixels")
        # Keras would load matplotlib, and TensorFlow JAX, if they are there: a second for nothing.
        unused = {"matplotlib", "jax"} - {os.environ.get("KERAS_BACKEND")}
        with silenced(s.debug), hidden(*unused):
            from .. import backend
        from .description import is_complete, metadata
        from .transfer import load_networks

        with backend.device(s.device):
            used = load_networks(s)
        about = metadata(job, used)
        if may_be_complete:
            if not job.state.exists() and is_complete(pictures.comment(job.output), about):
                reporter.say(f"{job.output} is complete: there is nothing to resume")
                return 0
            checks.check_files(job)
        if signals:
            raise KeyboardInterrupt
        try:
            return _paint(job, sizes, used, about, signals, reporter)
        except KeyboardInterrupt as error:
            if not job.state.exists():
                raise
            raise KeyboardInterrupt(f"stopped; --resume goes on from {job.state}") from error


def _paint(job: Job, sizes, used, about: dict, signals: list, reporter: progress.Reporter) -> int:
    """Read the pictures, optimise, and write what comes; as `run`."""
    from ..minimise.schedule import schedule
    from ..stylize import Diverged
    from . import description, state, transfer

    s, begun = job.settings, None
    if s.resume and job.state.exists():
        begun, chosen = state.load(job.state, about)
        s = dataclasses.replace(s, **chosen)
    else:
        s = transfer.resolved(s, sizes, used)
        chosen = {name: getattr(s, name) for name in CHOSEN}
    about_picture = about | {"chosen": chosen}
    first = begun.iteration if begun else 0
    stages = schedule(sizes, s, used.network, used.warm)
    for line in description.lines(job, s, used, stages, begun):
        reporter.say(line)
    rows = progress.read_table(job.table) if begun else []
    # Where a run was stopped, it looked once more than it would have.
    rows = [row for row in rows if row[0] <= first and row[0] % s.print_iterations == 0]
    # The pictures may be large: only the run itself holds them, and lets go of them when it can.
    steps = transfer.painted(
        pictures.read(job.content),
        [pictures.read(path) for path in job.styles],
        s,
        sizes,
        used,
        pictures.read(s.initial) if s.initial else None,
        begun,
        stop=lambda: bool(signals),
        on_step=reporter.step,
    )
    del begun
    reporter.begin(stages, s.layers(), first)
    saved = time.monotonic()
    try:
        for last in steps:
            reporter.update(last)
            if last.iteration == first + s.print_iterations and s.recipe_is_slow():
                left = reporter.seconds_left(last)
                if left > LONG:
                    reporter.say(
                        f"{left / 60:.0f} minutes left; --preset fast gets as far in about "
                        f"{max(1, FAST * left / 60):.0f}"
                    )
            if last.is_print and not (rows and rows[-1][0] == last.iteration):
                rows.append((last.iteration, last.losses))
                if s.progress_write:
                    progress.write_table(job.table, rows)
            if s.progress_plot and (last.is_checkpoint or last.is_last):
                progress.write_plot(job.plot, rows, stages)
            if last.is_checkpoint:
                path = s.checkpoint_path(last.iteration)
                pictures.write(path, last.image, json.dumps(about_picture))
            is_due = time.monotonic() - saved >= 60 * s.state_minutes
            if last.state is not None and (is_due or last.is_last):
                state.save(job.state, last.state, about, chosen)
                saved = time.monotonic()
            last = dataclasses.replace(last, state=None)
    except Diverged as error:
        if error.image is None:
            raise
        pictures.write(job.output, error.image, json.dumps(about_picture))
        raise ValueError(f"{error}; the best picture before is in {job.output}") from error
    finally:
        reporter.close()
    if signals and last.iteration < stages[-1].end:
        if last.iteration == first:
            raise KeyboardInterrupt
        about_picture["interrupted at iteration"] = last.iteration
        pictures.write(job.output, last.image, json.dumps(about_picture))
        print(
            f"{PROGRAM}: interrupted at iteration {last.iteration}; the best picture so far is "
            f"in {job.output}; --resume goes on",
            file=sys.stderr,
        )
        return 128 + signals[0]
    pictures.write(job.output, last.image, json.dumps(about_picture))
    job.state.unlink(missing_ok=True)
    reporter.say(f"wrote {job.output}")
    return 0
