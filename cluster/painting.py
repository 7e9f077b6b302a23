"""What `neural-style apply` does on a cluster: each picture is a task."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files, painters
from ..runs import many
from ..runs.console import loading_keras, stop_signals
from ..runs.painting import (
    PaintingJob,
    asked,
    checked,
    describe,
    is_there,
    painted_by,
    read,
    styles_for,
    write,
)
from ..runs.progress import Reporter
from ..settings import Settings
from .connection import check_address
from .tasks import run_each

if TYPE_CHECKING:
    import numpy as np

    from ..painters.painting import Embedding


@dataclass
class Workshop:
    """A painter's file, which the workers' machines need not have."""

    data: bytes
    settings: Settings

    @functools.cached_property
    def painter(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "painter.keras"
            path.write_bytes(self.data)
            return painters.load(path)


@dataclass
class Order:
    """What a worker needs to paint a picture."""

    picture: np.ndarray
    style: dict[str, float] | Embedding  # from `styles_for`
    has_content: bool


def paint(shop: Workshop, order: Order) -> tuple[np.ndarray, int]:
    """Paint one picture, wherever this is; the picture, and in tiles of how many pixels."""
    from .. import backend

    with backend.device(shop.settings.device):
        return painted_by(
            shop.painter, order.picture, order.style, shop.settings, order.has_content
        )


def run(job: PaintingJob) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    check_address(job.settings.cluster)
    jobs, s = asked(job), job.settings
    reporter = Reporter(s.quiet, is_of_many=True)
    path = painters.find(job.painter)
    shop, file, known = Workshop(Path(path).read_bytes(), s), files.named(path), {}

    def load(one):
        about = describe(one, file)
        if is_there(one, about):
            return None
        output, picture = read(one, checked(one))
        known[one.output] = output, about
        return Order(picture, style(one, picture), one.content is not None)

    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend

        @functools.cache
        def painter():
            with backend.device(s.device):
                return painters.load(job.painter)

        style = styles_for(painters.read_config(job.painter), s, painter)
        tally = many.Tally(len(jobs), reporter)
        done = run_each(paint, shop, jobs, s, load=load, stop=lambda: bool(signals))

        def keep(one, result):
            output, about = known.pop(one.output)
            write(one, output, *result, about, reporter)

        return many.gather(done, keep, tally, signals, s.debug)
