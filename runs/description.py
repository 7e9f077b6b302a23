"""A run in words: for the person who waits for it, and for the picture's metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras

from .. import backend, files, networks
from ..minimise.schedule import schedule
from ..settings import PROGRAM, VERSION, Settings
from ..stylize import State
from .job import Job
from .transfer import Networks


def metadata(job: Job, settings: Settings, used: Networks) -> dict:
    """What the picture is made from and how: all it takes to make it again.

    `settings` are the job's with the precision that was chosen.
    """

    def named(path):
        return {"name": Path(path).name, "sha256": files.sha256(path)}

    chosen = settings.picture()
    chosen["warm_start"] = used.warm and used.warm.sha256
    return {
        PROGRAM: VERSION,
        "engine": f"{keras.backend.backend()}, keras {keras.version()}",
        "content": named(job.content),
        "styles": [named(style) for style in job.styles],
        "initial": named(job.settings.initial) if job.settings.initial else None,
        "network": {"name": used.path.name, "sha256": used.network.sha256},
        "settings": chosen,
    }


def lines(
    job: Job, settings: Settings, used: Networks, sizes, state: State | None
) -> Iterator[str]:
    """What is about to be done, a line each.

    `settings` are the job's with what was chosen for this machine; `sizes` the width and height of
    the content and of each style.
    """
    s = settings
    names = ("content", *["style"] * len(job.styles))
    for name, path, (width, height) in zip(names, (job.content, *job.styles), sizes):
        yield f"{name}: {path}, {width}x{height} pixels"
    device = backend.device_name(s.device)
    tiles = f", in tiles of {s.tile} pixels" if s.tile != "0" else ""
    yield (
        f"network: {used.path}, {s.pooling} pooling, {s.precision}, {backend.NAME} on "
        f"{device}{tiles}"
    )
    if s.lbfgs_memory != job.settings.lbfgs_memory:
        yield (
            f"L-BFGS keeps {s.lbfgs_memory} pairs of steps, for want of memory, not "
            f"{job.settings.lbfgs_memory}"
        )
    if used.warm:
        yield f"warm start: {s.warm_start}"
    stages = schedule(sizes, s, used.network, used.warm)
    if len(stages) > 1:
        yield f"schedule: {'; '.join(map(str, stages))}"
    if s.network == "auto" and used.path == networks.COMPACT:
        yield (
            "this is the compact network of this program; --network vgg19 fetches the "
            "published one, once, and takes five times as long"
        )
    if state:
        yield f"resumed at iteration {state.iteration}"
        if s.optimizer == "lbfgs":
            yield "L-BFGS starts its memory of the curvature anew"
    elif s.resume:
        yield f"nothing to resume: {job.state} is not there; from the start"
