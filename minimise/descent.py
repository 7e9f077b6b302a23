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
    """A minimiser (see the package) whose best iterate is its present one, or with
    `settings.average` the mean of all, the later the weightier: it does not jump about as they
    do."""

    finished = False

    def __init__(
        self,
        objective: Objective,
        start: np.ndarray,
        settings: Settings,
        state: list[np.ndarray],
        mean_pixel: np.ndarray,
        is_continued: bool = False,
    ):
        """Begin at `start`, (1, H, W, 3), with the state of a run before, or [].

        What the optimiser knows of the gradient is taken over at another size as well. A state
        that `is_continued` is of this very run, at the best iterate `start`.

        With `settings.clip`, each step ends within 0..255, the mean pixel being (3,) RGB.
        """
        self.objective = objective
        low = np.asarray(-mean_pixel, np.float32)
        if len(objective.tiles) == 1:
            steps = objective.statistics.once(
                ("steps", settings), lambda: _Steps(objective, start.shape, settings, low)
            )
            steps.reset(start)
            self._steps = lambda n: steps.run(n, *objective.given)
        else:
            steps = _Steps(None, start.shape, settings, low)
            steps.reset(start)
            self._apply = backend.applier(steps.variable, steps.optimizer)
            self._steps = self._steps_by_tiles
        self.variable, self.optimizer = steps.variable, steps.optimizer
        self.average = steps.average
        moments = 0
        for variable, value in zip(steps.own, state):
            if value.ndim == 4:
                moments += 1
                value = rescaled_moment(value, start.shape[1:3], moments)
            variable.assign(value)
        if self.average and is_continued:
            *_, taken, image = state
            self.average.taken.assign(taken)
            self.variable.assign(image)

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
        best = self.average.image if self.average else self.variable
        image = ops.convert_to_numpy(best.value).copy()
        return self.objective.evaluate(image), image

    def state(self) -> list[np.ndarray]:
        """The steps taken, the learning rate where it is constant, and Adam's two moments of the
        gradient; then, where the best iterate is an average, the steps in it and the last one."""
        kept = self.optimizer.variables
        if self.average:
            kept = [*kept[:-1], self.variable]
        return [ops.convert_to_numpy(v.value).copy() for v in kept]


class _Steps:
    """The picture as a variable, its optimiser, and the steps: compiled once for all pictures of a
    size. Without an `objective`, nothing is compiled."""

    def __init__(self, objective: Objective | None, shape, settings: Settings, low: np.ndarray):
        self.variable = keras.Variable("zeros", shape=shape, dtype="float32", name="image")
        self.optimizer = optimizer(settings)
        self.optimizer.build([self.variable])
        self.own = list(self.optimizer.variables)
        self.average = None
        if settings.average:
            self.average = Average(self.variable, self.optimizer, settings.average)

        def after_step(image):
            image = ops.clip(image, low, low + 255) if settings.clip else image
            return self.average.update(image) if self.average else image

        if settings.clip or self.average:
            self.variable.constraint = after_step
        if objective is not None:
            self.run = backend.stepper(
                lambda x, *given: objective(x, *given)[-1],
                *(objective.network, self.variable, self.optimizer),
            )

    def reset(self, start: np.ndarray) -> None:
        """Begin at `start`, knowing nothing of the gradient."""
        for variable in self.optimizer.variables:
            if variable.name != "learning_rate":
                variable.assign(ops.zeros(variable.shape, variable.dtype))
        self.variable.assign(start)
        if self.average:
            self.average.image.assign(start)


class Average:
    """The exponential moving average of a variable's values, the first of which is the present
    one: without a bias towards it (Kingma and Ba, arXiv 1412.6980, section 3), and so from the
    first step on.

    It is kept among the optimiser's own variables: what a compiled step may change.
    """

    def __init__(self, variable: keras.Variable, optimizer, decay: float):
        self.decay = decay
        self.taken = optimizer.add_variable((), dtype="float32", name="averaged")
        self.image = optimizer.add_variable_from_reference(variable, "average")
        self.image.assign(variable.value)

    def update(self, value):
        """Count a step's value in; returns it."""
        taken = self.taken + 1
        share = (1 - self.decay) / (1 - ops.power(self.decay, taken + 1))
        self.taken.assign(taken)
        self.image.assign(self.image + share * (value - self.image))
        return value


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
