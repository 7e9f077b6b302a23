"""L-BFGS: scipy's, on the pixels or on spatial frequencies."""

from __future__ import annotations

import math
import threading

import numpy as np
import scipy.fft
import scipy.optimize
import threadpoolctl

from ..objective import Losses, Objective
from ..settings import Settings

FREQUENCY_OFFSET = 0.005  # of one cycle in two pixels: below it, frequencies count as equal
FIRST_STEP = 2.0  # how far L-BFGS moves a pixel in its first step, on average


class LBFGS:
    """scipy's L-BFGS-B on the pixels, each held within 0..255; or on spatial frequencies.

    On the pixels, the bounds are the optimiser's. In the coordinates z of a cosine transform,
    the image is clip(T⁻¹ S z) with S = 1/(frequency + offset)^power, which lets broad forms move
    as easily as fine ones: a better-conditioned problem with the same minima within 0..255.

    scipy calls us and not the other way round: it runs in a thread that waits before each
    evaluation until it is asked to `advance`.
    """

    def __init__(
        self, objective: Objective, start: np.ndarray, settings: Settings, mean_pixel: np.ndarray
    ):
        self.objective, self.settings = objective, settings
        self.low, self.high = -mean_pixel, 255 - mean_pixel
        self.image = np.clip(start, self.low, self.high)
        self.scale = None
        if settings.lbfgs_frequency:
            y, x = (np.arange(n)[:, np.newaxis, np.newaxis] / n for n in start.shape[1:3])
            frequency = np.hypot(y, x.transpose(1, 0, 2))  # 1 is one cycle in two pixels
            self.scale = (frequency + FREQUENCY_OFFSET) ** -settings.lbfgs_frequency
            # scipy's first step is of length 1.
            self.scale *= FIRST_STEP * math.sqrt(start.size) / self.scale.mean()
        self.losses = None
        self.finished, self.closed, self.error = False, False, None
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self, n: int) -> None:
        """Take n evaluations of the gradient, or as many as there are until it is finished."""
        for _ in range(n):
            if not self.finished:
                self._go.release()
                self._done.acquire()
        if self.error is not None:
            raise self.error

    def best(self) -> tuple[Losses, np.ndarray]:
        """The best image so far and its losses."""
        if self.losses is None:
            self.losses = self.objective.evaluate(self.image)
        return self.losses, self.image

    def state(self) -> list[np.ndarray]:
        """Nothing: its memory of the curvature starts anew."""
        return []

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        self._go.release()
        self._thread.join()

    def _run(self):
        # scipy works on vectors, where several threads cost more than they give: twice as
        # much on an idle machine with two cores, twenty times on a busy one.
        blas = threadpoolctl.ThreadpoolController().select(internal_api="openblas")
        try:
            before = math.inf
            while True:
                with blas.limit(limits=1):
                    self._minimise()
                # A line search that failed may do better from steepest descent, once.
                if not self.losses.total < before:
                    return
                before = self.losses.total
        except _Closed:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.finished = True
            self._done.release()

    def _minimise(self):
        scipy.optimize.minimize(
            self._evaluate,
            self._coordinates(self.image),
            jac=True,
            method="L-BFGS-B",
            bounds=None if self.scale is not None else self._bounds(),
            options={
                "maxcor": self.settings.lbfgs_memory,
                "maxfun": self.settings.lbfgs_round or 10**9,
                "maxiter": 10**9,
                "ftol": 0,
                "gtol": 0,
            },
        )

    def _evaluate(self, x):
        self._go.acquire()
        if self.closed:
            raise _Closed
        image = x.reshape(self.image.shape)
        if self.scale is not None:
            image = (self.scale * image).astype(np.float32)
            image = scipy.fft.idctn(image, axes=(1, 2), norm="ortho")
        clipped = np.clip(image, self.low, self.high).astype(np.float32)
        losses, gradient = self.objective.gradient(clipped)
        if self.scale is not None:
            gradient = np.where((image >= self.low) & (image <= self.high), gradient, 0)
            gradient = self.scale * scipy.fft.dctn(gradient, axes=(1, 2), norm="ortho")
        finite = math.isfinite(losses.total)
        if self.losses is None or not finite or losses.total < self.losses.total:
            self.losses = losses
            self.image = clipped if finite else self.image
        if not finite:
            raise _Closed
        self._done.release()
        return losses.total, gradient.ravel().astype(np.float64)

    def _bounds(self):
        low = np.broadcast_to(self.low, self.image.shape).ravel()
        return scipy.optimize.Bounds(low, low + 255)

    def _coordinates(self, image):
        image = image.astype(np.float64)
        if self.scale is not None:
            image = scipy.fft.dctn(image, axes=(1, 2), norm="ortho") / self.scale
        return image.ravel()


class _Closed(Exception):
    """Ends scipy's loop from within."""
