"""One run from files to files: read the pictures, paint, write what comes."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from .. import pictures
from ..settings import PROGRAM
from . import checks
from .console import INTERRUPTED, deferred_interrupt, hidden, silenced
from .job import Job


def run(job: Job) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    s = job.settings
    # Whether an output that exists is this very run's is seen only once the network is known.
    may_be_complete = s.resume and job.output.exists()
    if not may_be_complete:
        checks.check_files(job)
    checks.sizes(job)
    with deferred_interrupt() as interrupts:
        # Keras would load matplotlib, and TensorFlow JAX, if they are there: a second for nothing.
        unused = {"matplotlib", "jax"} - {os.environ.get("KERAS_BACKEND")}
        with silenced(s.debug), hidden(*unused):
            from .. import backend
        from .description import metadata
        from .transfer import load_networks

        with backend.device(s.device):
            used = load_networks(s)
            s = dataclasses.replace(s, precision=backend.precision(s.precision, s.device))
        about = metadata(job, s, used)
        if may_be_complete:
            if not job.state.exists() and pictures.comment(job.output) == json.dumps(about):
                if not s.quiet:
                    print(f"{job.output} is complete: there is nothing to resume")
                return 0
            checks.check_files(job)
        if interrupts:
            raise KeyboardInterrupt
        return _paint(job, s, used, about, interrupts)


def _paint(job: Job, s, used, about: dict, interrupts: list) -> int:
    """Read the pictures, optimise, and write what comes; as `run`."""
    from ..stylize import Diverged, OutOfMemory
    from . import description, progress, state, transfer

    sizes = checks.sizes(job)
    s = transfer.resolved(s, sizes, used)
    begun = state.load(job.state, about) if s.resume and job.state.exists() else None
    comment = json.dumps(about)
    first = begun.iteration if begun else 0
    reporter = progress.Reporter(s.iterations, first, s.quiet)
    for line in description.lines(job, s, used, sizes, begun):
        reporter.say(line)
    rows = progress.read_table(job.table) if begun else []
    rows = [row for row in rows if row[0] <= first]
    # The pictures may be large: only the run itself holds them, and lets go of them when it can.
    steps = transfer.painted(
        pictures.read(job.content),
        [pictures.read(path) for path in job.styles],
        s,
        sizes,
        used,
        pictures.read(s.initial) if s.initial else None,
        begun,
        lambda: bool(interrupts),
    )
    del begun
    try:
        for last in steps:
            reporter.update(last)
            if last.is_print and not (rows and rows[-1][0] == last.iteration):
                rows.append((last.iteration, last.losses))
                if s.progress_write:
                    progress.write_table(job.table, rows)
            if s.progress_plot and (last.is_checkpoint or last.is_last):
                progress.write_plot(job.plot, rows)
            if last.is_checkpoint:
                pictures.write(s.checkpoint_path(last.iteration), last.image, comment)
                state.save(job.state, last.state, about)
                last = dataclasses.replace(last, state=None)
    except (Diverged, OutOfMemory) as error:
        if error.image is None:
            raise
        pictures.write(job.output, error.image, comment)
        raise ValueError(f"{error}; the best picture before is in {job.output}") from error
    finally:
        reporter.close()
    if interrupts and last.iteration == first:
        raise KeyboardInterrupt
    pictures.write(job.output, last.image, comment)
    if interrupts:
        goes_on = "; --resume goes on" if job.state.exists() else ""
        print(
            f"{PROGRAM}: interrupted at iteration {last.iteration}; the best picture so far is "
            f"in {job.output}{goes_on}",
            file=sys.stderr,
        )
        return INTERRUPTED
    job.state.unlink(missing_ok=True)
    reporter.say(f"wrote {job.output}")
    return 0
