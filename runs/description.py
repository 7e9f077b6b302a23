"""A run in words: for the person who waits for it, and for the picture's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from .. import backend, files, networks, painters
from ..minimise.schedule import Stage
from ..settings import PROGRAM, VERSION, Settings
from ..stylize import State
from .job import Job
from .transfer import Networks


def metadata(job: Job, used: Networks) -> dict:
    """What the picture is made from and how: all it takes to make it again."""

    def all_named(paths):
        return paths and [files.named(path) for path in paths]

    asked = job.settings.picture()
    if used.warm is None:
        asked["warm_start"] = None  # it would not have helped
    # By their contents, below, and not by how their paths are spelt.
    asked |= {"masks": None, "style_masks": None, "initial": None}
    if folder := job.settings.normalization_folder():
        asked["normalize_network"] = str(Path(folder))
    return {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": job.content and files.named(job.content),
        "styles": all_named(job.styles),
        "masks": all_named(job.settings.masks),
        "style masks": all_named(job.settings.style_masks),
        "initial": files.named(job.settings.initial) if job.settings.initial else None,
        "painter": asked["painter"] and files.named(painters.find(asked["painter"])),
        "network": {"name": used.path.name, "sha256": used.network.sha256},
        "normalization": used.normalization,
        "warm start": used.warm and used.warm.sha256,
        "settings": asked,
    }


def is_complete(comment: str, about: dict) -> bool:
    """Whether a picture with this comment is what the run described would end in."""
    try:
        saved = json.loads(comment)
        saved.pop("chosen", None)
    except (ValueError, KeyError, AttributeError):
        return False
    return saved == json.loads(json.dumps(about))


def lines(
    job: Job, settings: Settings, used: Networks, stages: list[Stage], state: State | None
) -> Iterator[str]:
    """How it is about to be done, a line each. `settings` are the job's with what was chosen for
    this machine."""
    s = settings
    device = backend.device_name(s.device)
    tiles = f", in tiles of {s.tile} pixels" if s.tile != "0" else ""
    normalized = ", normalised" if used.normalization else ""
    yield (
        f"network: {used.path}, {s.pooling} pooling{normalized}, {s.precision}, {backend.NAME} on "
        f"{device}{tiles}"
    )
    if s.normalize_network == "auto" and not used.normalization:
        yield (
            "the network is not normalised, for want of a table of the mean activations of these "
            "layers: --normalize-network FOLDER measures them on photographs"
        )
    if s.lbfgs_memory != job.settings.lbfgs_memory:
        yield (
            f"L-BFGS keeps {s.lbfgs_memory} pairs of steps, for want of memory, not "
            f"{job.settings.lbfgs_memory}"
        )
    if used.warm:
        yield f"warm start: {s.warm_start}"
    elif s.warm_start and used.normalization:
        yield f"no warm start: {s.warm_start} cannot be normalised for these layers"
    if not state:
        yield f"start: {_start(s) if job.content or s.initial else 'noise'}"
    if len(stages) > 1:
        yield f"schedule: {'; '.join(map(str, stages))}"
    if s.network == "auto" and used.path == networks.COMPACT:
        yield (
            "this is the compact network of this program. With VGG-19, strokes are finer and "
            "pictures cleaner at a quarter of the iterations, each of which takes five times as "
            f"long: {PROGRAM} networks fetch vgg19, once (80 MB)"
        )
    if state:
        yield f"resumed at iteration {state.iteration}"
    elif s.resume:
        yield f"nothing to resume: {job.state} is not there; from the start"


def _start(settings: Settings) -> str:
    """What the first picture is."""
    s, picture = settings, "the content"
    if s.painter or s.initial:
        picture = f"what {s.painter} paints" if s.painter else s.initial
    noise = s.noiseblend(bool(s.painter or s.initial))
    return {0.0: picture, 1.0: "noise"}.get(noise, f"{picture}, and {noise:g} of noise")
