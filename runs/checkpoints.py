"""What a training shows and keeps as it goes: Keras's callbacks."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tqdm

from .. import painters, pictures
from ..painters.painting import choose_tile, embed_styles, paint
from .console import tell

if TYPE_CHECKING:
    from ..painters.architecture import Painter
    from ..painters.training import CosineSchedule
    from .training import TrainingJob


class Stopped(Exception):
    """Somebody has asked the training to stop."""


class Checkpoints(keras.callbacks.Callback):
    """After each epoch, writes the painter and paints the test picture."""

    def __init__(
        self,
        job: TrainingJob,
        painter: Painter,
        schedule: CosineSchedule,
        test,
        first: int,
        drawn: Sequence[Path] = (),
    ):
        """
        Args:
            test: the picture that is painted; None for none.
            first: the number of the first of the painter's styles that are trained.
            drawn: of a painter for any style, pictures of some; those are shown as well.
        """
        super().__init__()
        self.job, self.painter, self.schedule = job, painter, schedule
        self.test, self.first, self.drawn = test, first, drawn

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations)
        found = {name: float(value) for name, value in (logs or {}).items() if name != "loss"}
        if found:  # at the end, there may be none but those of the checkpoint before
            self.painter.about["losses"] = found
        self.painter.about |= {
            "steps": step,
            "minutes": round(self.schedule.elapsed / 60, 1),
            "complete": self.schedule.share(step) >= 1,
        }
        painters.save(self.painter, self.job.output)
        if self.test is not None:
            size = self.test.shape[1::-1]
            tile = choose_tile(self.painter, size, self.job.settings.device)
            drawn = [pictures.read(path) for path in self.drawn]
            styles = [embed_styles(self.painter, [one]) for one in drawn]
            styles = styles or self.painter.names[self.first :]
            row = [paint(self.painter, self.test, style, tile=tile) for style in styles]
            sheet = np.concatenate(row, axis=1)
            if drawn:
                above = [pictures.resize(one, *size) for one in drawn]
                sheet = np.concatenate([np.concatenate(above, axis=1), sheet])
            pictures.write(self.job.tested, sheet)

    def on_train_end(self, logs=None):
        # It had come to its end before, and could not be written then.
        is_over = self.schedule.share(int(self.model.optimizer.iterations)) >= 1
        if is_over and not self.painter.about.get("complete"):
            self.on_epoch_end(0)


class Table(keras.callbacks.Callback):
    """Writes the losses of each epoch, by the step and the minute, as CSV."""

    def __init__(self, path: Path, schedule: CosineSchedule, judge: str):
        """
        Args:
            path: of the table; what it has is kept.
            schedule: which knows the minutes.
            judge: the name of the network that judges.
        """
        super().__init__()
        self.path, self.schedule, self.judge = path, schedule, judge

    def on_epoch_end(self, epoch, logs=None):
        losses = {name: float(value) for name, value in logs.items() if name != "loss"}
        step, minutes = int(self.model.optimizer.iterations), self.schedule.elapsed / 60
        row = {"step": step, "minutes": round(minutes, 2), "judge": self.judge, **losses}
        is_new = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if is_new:
                writer.writeheader()
            writer.writerow(row)


class ProgressBar(keras.callbacks.Callback):
    """A progress bar on a terminal, a line for each epoch elsewhere, nothing if quiet."""

    def __init__(self, job: TrainingJob, schedule: CosineSchedule, signals: list):
        super().__init__()
        self.quiet, self.schedule, self.signals = job.settings.quiet, schedule, signals
        self.bar = None

    def on_train_begin(self, logs=None):
        if not self.quiet and sys.stdout.isatty():
            self.bar = tqdm.tqdm(
                total=100,
                file=sys.stdout,
                dynamic_ncols=True,
                bar_format="{l_bar}{bar}| [{elapsed}{postfix}]",
            )

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            step = int(self.model.optimizer.iterations)
            self.bar.set_postfix_str(self._told(step, logs), refresh=False)
            self.bar.update(100 * self.schedule.share(step) - self.bar.n)
        if self.signals:
            raise Stopped

    def on_epoch_end(self, epoch, logs=None):
        if self.bar is None and not self.quiet:
            tell(self._told(int(self.model.optimizer.iterations), logs))

    def on_train_end(self, logs=None):
        if self.bar is not None:
            self.bar.close()

    def _told(self, step: int, logs: dict) -> str:
        share = self.schedule.share(step)
        left = self.schedule.elapsed * (1 - share) / share if share else 0.0
        names = [name for name in logs if name not in ("loss", "total")]
        losses = ", ".join(f"{name} {float(logs[name]):.4g}" for name in ("total", *names))
        return f"step {step}: {losses}; {tqdm.tqdm.format_interval(left)} left"
