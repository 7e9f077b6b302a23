"""Adam on the pixels of a picture: Kingma and Ba, arXiv 1412.6980, as Keras has it."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from .. import backend
from ..objective import Losses, Objective
from ..settings import Settings
from .rescaling import rescaled_moment


class Adam:
    """A minimiser (see the package) whose best iterate is its present one."""

    finished = False

    def __init__(
        self, objective: Objective, start: np.ndarray, settings: Settings, state: list[np.ndarray]
    ):
        """Begin at `start`, (1, H, W, 3), with the state of an Adam before, of any size, or []."""
        self.objective = objective
        # A copy, since PyTorch would paint in the caller's memory.
        self.variable = keras.Variable(start.copy(), name="image")
        self.optimizer = keras.optimizers.Adam(
            settings.learning_rate, settings.beta1, settings.beta2, settings.eps
        )
        self.optimizer.build([self.variable])
        moments = 0
        for variable, value in zip(self.optimizer.variables, state):
            if value.ndim == 4:
                moments += 1
                value = rescaled_moment(value, start.shape[1:3], moments)
            variable.assign(value)
        if len(objective.tiles) == 1:
            self.advance = backend.stepper(
                lambda x: objective(x)[-1], objective.network, self.variable, self.optimizer
            )
        else:
            self._apply = backend.applier(self.variable, self.optimizer)

    def advance(self, n: int) -> None:
        for _ in range(n):
            _, gradient = self.objective.gradient(self.variable.value)
            self._apply(ops.convert_to_tensor(gradient))

    def evaluate(self) -> tuple[Losses, np.ndarray]:
        image = ops.convert_to_numpy(self.variable.value).copy()
        return self.objective.evaluate(image), image

    def state(self) -> list[np.ndarray]:
        """The learning rate, the steps taken and the two moments of the gradient."""
        return [ops.convert_to_numpy(v.value).copy() for v in self.optimizer.variables]
