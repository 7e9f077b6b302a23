"""Keras's optimisers on the pixels of a picture: Adam (Kingma and Ba, arXiv 1412.6980), and
plain gradient descent."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from .. import backend
from ..objective import Losses, Objective
from ..settings import Settings
from .rescaling import rescaled_moment

DECAY_STEPS = 100  # in which the learning rate falls by --learning-rate-decay


class Descent:
    """A minimiser (see the package) whose best iterate is its present one."""

    finished = False

    def __init__(
        self,
        objective: Objective,
        start: np.ndarray,
        settings: Settings,
        state: list[np.ndarray],
        mean_pixel: np.ndarray,
    ):
        """Begin at `start`, (1, H, W, 3), with the state of a run before, of any size, or [].

        With `settings.clip`, each step ends within 0..255, the mean pixel being (3,) RGB.
        """
        self.objective = objective
        # A copy, since PyTorch would paint in the caller's memory.
        self.variable = keras.Variable(start.copy(), name="image")
        if settings.clip:
            low = np.asarray(-mean_pixel, np.float32)
            self.variable.constraint = lambda image: ops.clip(image, low, low + 255)
        self.optimizer = optimizer(settings)
        self.optimizer.build([self.variable])
        moments = 0
        for variable, value in zip(self.optimizer.variables, state):
            if value.ndim == 4:
                moments += 1
                value = rescaled_moment(value, start.shape[1:3], moments)
            variable.assign(value)
        if len(objective.tiles) == 1:
            self._steps = backend.stepper(
                lambda x: objective(x)[-1], objective.network, self.variable, self.optimizer
            )
        else:
            self._apply = backend.applier(self.variable, self.optimizer)
            self._steps = self._steps_by_tiles

    def advance(self, n: int) -> int:
        self._steps(n)
        return n

    def _steps_by_tiles(self, n: int) -> None:
        for _ in range(n):
            self._apply(self._gradient())

    def _gradient(self):
        """As a tensor: the array, which may be large, is not kept while the step is taken."""
        _, gradient = self.objective.gradient(self.variable.value)
        return ops.convert_to_tensor(gradient)

    def evaluate(self) -> tuple[Losses, np.ndarray]:
        image = ops.convert_to_numpy(self.variable.value).copy()
        return self.objective.evaluate(image), image

    def state(self) -> list[np.ndarray]:
        """The steps taken, the learning rate where it is constant, and Adam's two moments of the
        gradient."""
        return [ops.convert_to_numpy(v.value).copy() for v in self.optimizer.variables]


def optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    """Keras's optimiser of that name, as the settings have it.

    A learning rate that falls is Keras's schedule: computed from the optimiser's own count of
    steps, which is part of its state, and so within the compiled step.
    """
    rate = settings.learning_rate
    if settings.learning_rate_decay < 1:
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, DECAY_STEPS, settings.learning_rate_decay
        )
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate)
    return keras.optimizers.Adam(rate, settings.beta1, settings.beta2, settings.eps)
