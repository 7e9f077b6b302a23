"""How a painter learns: the objective of a picture, with a network's weights in its place.

A photograph is its own content, and the styles' statistics are taken once: `Objective` says how far
a painted photograph is from both, and Keras's `fit` does the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import ops, tree

from .. import backend, files, memory, vgg
from ..objective import Objective
from ..settings import Settings
from .architecture import STYLE_VARIABLES, Painter
from .photographs import Photographs

# Of what photographs lose themselves: a pair of which less is lost has no more to say.
LEAST = 0.01
WARMUP = 50  # steps, in which the learning rate rises
MEASURED = 16  # photographs, whose own losses say how much a style counts


class PerceptualLoss:
    """A network's view of painted photographs: the losses of each in its style."""

    def __init__(
        self,
        styles: Sequence[np.ndarray],
        settings: Settings,
        parameters: vgg.Parameters,
        side: int,
    ):
        """
        Args:
            styles: (H, W, 3) RGB in 0..255, each of any size; none where each photograph is to
                have a style of its own.
            settings: the weights, the layers, the pooling and the precision.
            parameters: the network.
            side: of the photographs, in pixels.

        Raises ValueError as `Objective` does, and for several styles with a loss that takes one.
        """
        if settings.style_loss == "wasserstein" and len(styles) > 1:
            raise ValueError("the Wasserstein loss takes one style for a whole batch")
        if settings.style_loss == "wasserstein" and not styles:
            raise ValueError("the Wasserstein loss takes no style of its own for each picture")
        blank = np.zeros((side, side, 3), np.float32)
        self.objective = Objective(blank, styles[:1] or [blank], settings, parameters)
        self.names = [term.name for term in self.objective.terms]
        self._mean_pixel = parameters.mean_pixel
        others = [self.objective.targets_of([style]) for style in styles[1:]]
        self._targets = self.objective.targets
        if others:
            self._targets = [_joined(of_term) for of_term in zip(self._targets, *others)]
        self.styles = len(styles)

    def __call__(self, painted, photographs, style):
        """(n, terms) float32, from (n, side, side, 3) RGB in 0..255 twice and, of each style, its
        number, (n,) integers; or without styles, its picture, (n, H, W, 3) RGB in 0..255."""
        targets = self._targets
        if not self.styles:
            pictures = ops.convert_to_tensor(style) - ops.convert_to_tensor(self._mean_pixel)
            targets = self.objective.targets_of_each(pictures)
        elif self.styles > 1:
            targets = [
                of and tree.map_structure(lambda x: ops.take(x, style, axis=0), of)
                for of in targets
            ]
        mean, painted, photographs = map(
            ops.convert_to_tensor, (self._mean_pixel, painted, photographs)
        )
        return self.objective.compare(painted - mean, photographs - mean, targets)


def _joined(targets):
    """The targets of a term for each style as one, the styles first."""
    if targets[0] is None:
        return None
    return tree.map_structure(lambda *x: ops.concatenate(x), *targets)


class TrainingModel(keras.Model):
    """A painter that is judged: what it gives are the losses of the photographs it is given.

    With styles that are given by number, a loss counts by the style's own count. With pictures of
    any style, its logarithm is what is minimised: a hundredth less counts the same in all pairs,
    loud or quiet. (What a painter reaches is much less different from pair to pair than what
    the photographs themselves lose, of which it goes about with the fifth root.)
    """

    def __init__(
        self,
        painter: Painter,
        criterion: PerceptualLoss,
        counts: Sequence[float],
        first: int = 0,
    ):
        """
        Args:
            painter, criterion: what paints, and what judges it.
            counts: how much a photograph counts in each of the criterion's styles; of a criterion
                without styles, one number for all.
            first: the number that the painter has for the criterion's first style.
        """
        super().__init__()
        self.painter, self._criterion, self._first = painter, criterion, first
        self._counts = np.array(counts, np.float32)
        self._shown = [keras.metrics.Mean(name) for name in ("total", *criterion.names)]

    def call(self, batch):
        canvas = self.painter.canvas(batch.get("photographs"), batch.get("noise"))
        if self.painter.any_style:
            seen = self.painter.eyes(batch["style"])
            shares = self.painter.predictor(ops.stop_gradient(seen))
        else:
            shares = ops.one_hot(batch["style"] + self._first, self.painter.styles)
        painted = self.painter((canvas, shares))
        # A texture has no content; the painter is judged by its own picture in that place.
        return self._criterion(painted, batch.get("photographs", painted), batch["style"])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        counts, total = ops.convert_to_tensor(self._counts), ops.sum(y_pred, axis=1)
        if self.painter.any_style:
            return ops.mean(ops.log(counts * total + LEAST))
        return ops.mean(ops.take(counts, x["style"]) * total)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for shown, value in zip(self._shown, (ops.sum(y_pred, 1), *ops.unstack(y_pred, axis=1))):
            shown.update_state(value)
        return self.get_metrics_result()


class CosineSchedule(keras.callbacks.Callback):
    """The learning rate: it rises for `WARMUP` steps and falls to zero as half a cosine, by the
    last step or the last minute, whichever comes first; there the training ends.

    The minutes are those of all starts together; `path` is where they are kept between them.
    """

    def __init__(self, rate: float, steps: int | None, minutes: float | None, path: Path):
        super().__init__()
        self.rate, self.steps = rate, steps or math.inf
        self.seconds, self.path = 60 * (minutes or math.inf), path
        self.end = 1.0  # the share by which this part of the training ends
        self._began = None

    def share(self, step: int) -> float:
        """How much of the training is done, 0..1."""
        if self._began is None:
            spent = float(self.path.read_text()) if self.path.exists() else 0.0
            self._began = time.monotonic() - spent
        return min(1.0, max(step / self.steps, self.elapsed / self.seconds))

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning, interruptions left out."""
        return time.monotonic() - self._began

    def on_train_batch_begin(self, batch, logs=None):
        optimizer = self.model.optimizer
        step = int(optimizer.iterations)
        fall = 0.5 + 0.5 * math.cos(math.pi * self.share(step))
        optimizer.learning_rate = self.rate * fall * min(1.0, (step + 1) / WARMUP)

    def on_train_batch_end(self, batch, logs=None):
        if not batch:
            memory.keep_freed()
        is_over = self.share(int(self.model.optimizer.iterations)) >= 1
        if is_over or self.elapsed >= self.end * self.seconds:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        # Before what there is to go on with is written over.
        if not math.isfinite(float((logs or {}).get("loss", 0.0))):
            raise ValueError("the loss is no finite number any more: lower the learning rate")
        with files.replacing(self.path) as file:
            file.write(f"{self.elapsed:.0f}".encode())
        if self.share(int(self.model.optimizer.iterations)) >= self.end:
            self.model.stop_training = True


class Backup(keras.callbacks.Callback):
    """Keeps the weights and the optimizer's state after each epoch, whole or as they were.

    Keras's `BackupAndRestore` keeps the number of the epoch in a second file, and a process that
    is killed between the two trains an epoch twice; here the optimizer's own count says it.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.path = folder / "latest.weights.h5"

    def steps(self) -> int:
        """How many steps have been kept."""
        if not self.path.exists():
            return 0
        with h5py.File(self.path) as file:
            return int(file["optimizer/vars/0"][()])  # its `iterations`

    def restore(self, model: keras.Model) -> None:
        """Bring back what was kept, if anything was, to a model that is built and compiled."""
        model.optimizer.build(model.trainable_variables)
        if self.path.exists():
            model.load_weights(self.path)

    def on_epoch_end(self, epoch, logs=None):
        with files.replacing(self.path) as file:
            self.model.save_weights(file.name)


def style_counts(criterion: PerceptualLoss, photographs: Photographs) -> np.ndarray:
    """How much a photograph counts in each style: the reciprocal of what photographs themselves
    lose in it, lest loud styles drown quiet ones. (styles,) float32.

    Noise serves in place of photographs where there are none. Without styles, the reciprocal of
    what they usually lose in those that are drawn: one number.
    """
    if not criterion.styles:
        batches = [photographs.batch(number) for number in range(MEASURED // 4)]
        found = [criterion(b["photographs"], b["photographs"], b["style"]) for b in batches]
        found = np.concatenate([ops.convert_to_numpy(ops.sum(x, 1)) for x in found])
        # The median: a few loud ones would say nothing about the others.
        return 1 / np.maximum(np.median(found, keepdims=True), 1e-30)
    number, losses = 0, [[] for _ in range(criterion.styles)]
    while min(map(len, losses)) < MEASURED:
        batch = photographs.batch(number)
        squares = batch.get("photographs", batch.get("noise"))
        for style, found in enumerate(losses):
            chosen = np.full(len(squares), style, np.int32)
            found += ops.convert_to_numpy(ops.sum(criterion(squares, squares, chosen), 1)).tolist()
        number += 1
    # Without any weight but the content's, photographs lose nothing.
    return np.array([1 / max(np.mean(found), 1e-30) for found in losses], np.float32)


def train(
    painter: Painter,
    criteria: Sequence[tuple[PerceptualLoss, float]],
    photographs: Photographs,
    folder: Path,
    *,
    rate: float,
    steps: int | None = None,
    minutes: float | None = None,
    callbacks: Callable[[CosineSchedule], Sequence[keras.callbacks.Callback]] = lambda schedule: (),
    first: int = 0,
    only_styles: bool = False,
) -> CosineSchedule:
    """Train a painter, or go on where a training in the same folder was stopped.

    Args:
        painter: what is trained.
        criteria: each with the share of the training by which it ends, the last with 1.
        photographs: what it learns on; an epoch of them is what is lost at most when it is stopped.
        folder: for what it takes to go on.
        rate: the highest learning rate, of Adam.
        steps, minutes: when it ends; one of them at least.
        callbacks: Keras's, that are given to `fit`; they may ask the schedule how far it is.
        first: the number that the painter has for the criteria' first style.
        only_styles: leave the convolutions as they are, and train the styles' scales and shifts.
    """
    if only_styles:
        for variable in painter.trainable_variables:
            variable.trainable = variable.name in STYLE_VARIABLES
    precision = criteria[0][0].objective.statistics.precision
    painter.multiply_in(precision)
    if painter.is_decoder:
        painter.eyes.check(painter.about)
        if painter.any_style and "eyes" not in painter.about:
            drawn = (photographs.batch(number)["style"] for number in range(2 * MEASURED))
            seen = [ops.convert_to_numpy(painter.eyes.seen(squares)[0]) for squares in drawn]
            painter.predictor.adapt(np.concatenate(seen))
        painter.about["eyes"] = painter.eyes.sha256
    optimizer = keras.optimizers.Adam(rate)
    schedule = CosineSchedule(rate, steps, minutes, folder / "seconds")
    begins = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: setattr(photographs, "epoch", epoch)
    )
    backup = Backup(folder)
    for criterion, end in criteria:
        # The last one is always entered: it brings back the weights, if no more than that.
        if end < 1 and schedule.share(backup.steps()) >= end:
            continue
        schedule.end = end
        counts = style_counts(criterion, photographs)
        model = TrainingModel(painter, criterion, counts, first)
        model({k: v[:1] for k, v in photographs.batch(0).items()})  # builds it
        # On processors, XLA's convolutions take longer; JAX has no others.
        model.compile(optimizer, jit_compile=backend.NAME == "jax")
        backup.restore(model)
        model.fit(
            photographs,
            initial_epoch=math.ceil(int(optimizer.iterations) / len(photographs)),
            epochs=math.ceil(steps / len(photographs)) if steps else 10**6,
            callbacks=[begins, schedule, backup, *callbacks(schedule)],
            shuffle=False,  # they are drawn at random as it is, and always the same
            verbose=0,
        )
    return schedule
