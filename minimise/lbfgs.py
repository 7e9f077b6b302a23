"""L-BFGS on a picture that is held within 0..255, one evaluation of the gradient at a time.

Nocedal and Wright, Numerical Optimization, second edition: "N&W" below. Everything works on the
pixels x. What a power of the spatial frequency conditions is the first guess of the inverse
Hessian, H0 = γ T⁻¹ S² T with T the cosine transform and S = 1/(frequency + offset)^power, which
is the same as working on z with x = T⁻¹ S z; without it, H0 = γ.

The bounds are kept by projection (Bertsekas, SIAM J. Control Optim. 20, 1982): a pixel at a bound
that the gradient pushes outwards stays, the others move along H, restricted to them, and each
point that is tried is clipped.

Between two evaluations all there is to know is in plain attributes, so that the state can be
taken anywhere, also in the middle of a line search, and a run goes on from it bit for bit.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import keras
import numpy as np
import scipy.fft
import scipy.linalg
import threadpoolctl
from keras import ops

from .. import backend
from ..objective import Losses

FREQUENCY_OFFSET = 0.005  # of one cycle in two pixels: below it, frequencies count as equal
FIRST_STEP = 4.0  # grey levels
DECREASE, CURVATURE = 1e-3, 0.9  # of the Wolfe conditions: c1 and c2, N&W (3.6)
TRIALS = 20  # evaluations of one line search, at most
LEAST_COSINE = 1e-6  # between step and change of gradient, of a pair that is kept
CHUNK = 1 << 15  # numbers: what of a vector stays in the cache, and is summed in float32


class Host:
    """The arithmetic on vectors in NumPy: (1, H, W, 3) float32 arrays, never changed once made.

    On one core: the vectors are short, and a second thread costs more than it gives where
    others use the machine.
    """

    module = np

    def __init__(self, scale: np.ndarray | None):
        """`scale`: (H, W, 1) float32, S of the module's docstring; None for ones."""
        self.squared = None if scale is None else scale**2
        self._blas = threadpoolctl.ThreadpoolController().select(internal_api="openblas")

    def vector(self, array) -> np.ndarray:
        return np.ascontiguousarray(array, np.float32)

    def array(self, vector) -> np.ndarray:
        return vector

    def dots(self, vectors, *others) -> np.ndarray:
        """The inner products of each of k vectors with each of the others: (others, k) float64.

        Summed in float32 within a chunk, and in float64 over the chunks.
        """
        vectors, others = [v.reshape(-1) for v in vectors], [v.reshape(-1) for v in others]
        sums = np.zeros((len(others), len(vectors)))
        with self._blas.limit(limits=1):
            for i in range(0, others[0].size, CHUNK):
                chunk = slice(i, i + CHUNK)
                parts = [v[chunk] for v in others]
                for k, v in enumerate(vectors):
                    u = v[chunk]
                    for row, part in zip(sums, parts):
                        row[k] += np.dot(u, part)
        return sums

    def add(self, vector, vectors, factors) -> np.ndarray:
        """vector + Σ factor·vector, a new one."""
        result = vector.copy()
        flat, vectors = result.reshape(-1), [v.reshape(-1) for v in vectors]
        with self._blas.limit(limits=1):
            for i in range(0, flat.size, CHUNK):
                chunk = slice(i, i + CHUNK)
                for v, factor in zip(vectors, factors):
                    scipy.linalg.blas.saxpy(v[chunk], flat[chunk], a=factor)
        return result

    def precondition(self, vector) -> np.ndarray:
        """T⁻¹ S² T."""
        if self.squared is None:
            return vector
        spectrum = scipy.fft.dctn(vector, axes=(1, 2), norm="ortho")
        spectrum *= self.squared
        return scipy.fft.idctn(spectrum, axes=(1, 2), norm="ortho", overwrite_x=True)


class Device:
    """The same in Keras's ops, so that the vectors stay on the device where the network is.

    The cosine transform is a product with its matrix from either side: on a GPU, those
    multiplications are fewer milliseconds than a gradient is.
    """

    module = ops

    def __init__(self, memory: int, shape: tuple[int, ...], scale: np.ndarray | None):
        """`memory`: the vectors that `dots` and `add` are given, at most; `scale`: as for Host."""
        self.memory, self.squared = memory, None
        if scale is not None:
            self.squared = ops.convert_to_tensor(scale**2)
            self.cosines = [
                ops.convert_to_tensor(
                    scipy.fft.dct(np.eye(n, dtype=np.float32), axis=0, norm="ortho")
                )
                for n in shape[1:3]
            ]
        self._dots, self._add = _sums()

    def vector(self, array):
        return ops.convert_to_tensor(array, "float32")

    def array(self, vector) -> np.ndarray:
        return ops.convert_to_numpy(vector)

    def dots(self, vectors, *others) -> np.ndarray:
        padded = self._padded(vectors)
        rows = [ops.convert_to_numpy(self._dots(padded, v)) for v in others]
        return np.array(rows, np.float64)[:, : len(vectors)]

    def add(self, vector, vectors, factors):
        vectors = self._padded(vectors)
        padded = np.zeros(len(vectors), np.float32)
        padded[: len(factors)] = factors
        return self._add(vector, vectors, ops.convert_to_tensor(padded))

    def precondition(self, vector):
        if self.squared is None:
            return vector
        rows, columns = self.cosines
        spectrum = ops.einsum("yh,xw,bhwc->byxc", rows, columns, vector)
        return ops.einsum("yh,xw,byxc->bhwc", rows, columns, spectrum * self.squared)

    def _padded(self, vectors):
        """One or two vectors, or always as many, so that little is compiled."""
        size = self.memory if len(vectors) > 2 else len(vectors)
        return [*vectors, *[vectors[-1]] * (size - len(vectors))]


@functools.cache
def _sums():
    """The inner products of vectors with another, and vector + Σ factor·vector, compiled once."""
    nothing = keras.Sequential()  # no weights
    dots = backend.compiled(
        lambda vectors, other: ops.stack([ops.sum(v * other) for v in vectors]), nothing
    )
    add = backend.compiled(
        lambda vector, vectors, factors: sum(
            (factors[k] * v for k, v in enumerate(vectors)), vector
        ),
        nothing,
    )
    return dots, add


@dataclass
class Search:
    """Where a line search is: φ(t) is the objective at clip(x + t·d), and t is tried next."""

    slope: float  # φ'(0)
    t: float = 1.0
    low: float = 0.0  # the largest t with enough decrease; too steep there
    low_value: float = math.nan  # φ(low)
    low_slope: float = math.nan  # φ'(low)
    high: float = math.inf  # the least t without
    trials: int = 0

    def narrow(self, value: float, slope: float, enough: bool) -> None:
        """After φ(t) and φ'(t), of which `enough` says whether it is enough of a decrease, and
        which is not where to stop: choose the next t, by bisection for the weak Wolfe conditions
        (Lewis and Overton, Math. Program. 141, 2013), or by interpolation, N&W (3.58)."""
        self.trials += 1
        if enough:
            self.low, self.low_value, self.low_slope = self.t, value, slope
            self.t = 2 * self.t if math.isinf(self.high) else (self.low + self.high) / 2
            return
        self.high = self.t
        width = self.high - self.low
        bend = value - self.low_value - self.low_slope * width
        least = -self.low_slope * width / (2 * bend) if bend > 0 else 0.5
        self.t = self.low + width * min(max(least, 0.1), 0.9)


class LBFGS:
    """Limited-memory BFGS, N&W algorithm 7.5, on the pixels within 0..255.

    The direction is that of the two-loop recursion, algorithm 7.4, with its scalars taken from
    a triangular matrix of inner products, (7.24): the pairs are read four times a step, once
    for each of its sums, and nothing else of the picture's size is.

    At its peak it holds 2·memory + 8 float32 vectors of the picture's size.

    Attributes:
        finished: no step lowers the loss any more, or the loss is not finite.
    """

    def __init__(
        self,
        objective,
        start: np.ndarray,
        settings,
        mean_pixel: np.ndarray,
        state=(),
        first_step: float = FIRST_STEP,
    ):
        """Begin at `start`, or go on from a `state`.

        Args:
            objective: its `gradient` gives the Losses of a picture and their gradient.
            start: (1, H, W, 3) float32 less the mean pixel; clipped to 0..255.
            settings: lbfgs_memory, lbfgs_round, lbfgs_frequency and device are of interest.
            mean_pixel: (3,) RGB.
            state: of an earlier run with the same objective and settings, from `state()`. `start`
                then gives the shape alone.
            first_step: how far the first step moves a pixel, on average, in grey levels.
        """
        self.objective, self.settings, self.first_step = objective, settings, first_step
        scale = frequency_scale(start.shape, settings.lbfgs_frequency)
        if (settings.device or backend.default_device()).startswith("cpu"):
            self.on = Host(scale)
        else:
            self.on = Device(settings.lbfgs_memory, start.shape, scale)
        self.low = self.on.vector(-mean_pixel)
        self.high = self.on.vector(255 - mean_pixel)
        self.finished = False
        self.count = 0  # evaluations since the curvature was forgotten
        self.guess = 0.0  # γ; 0 for a first step
        self.steps, self.changes = [], []  # s and y of N&W, the oldest first
        self.products = np.zeros((0, 0))  # s_i·y_j for i <= j, where i is the older
        self.losses = self.value = self.gradient = self.direction = self.search = None
        self.image = self._clip(self.on.vector(start))  # x; evaluated once there is a value
        self.best = self.image
        if len(state):
            self._restore(state)

    def advance(self, n: int) -> int:
        """Evaluate the gradient n times, or as often as there is need to; how often."""
        for i in range(n):
            if self.finished:
                return i
            self._advance()
        return n

    def evaluate(self) -> tuple[Losses, np.ndarray]:
        """The losses of the best image so far, and the image, which is not to be changed.

        If a loss was not finite, it is those losses, and the best image before.
        """
        image = self.on.array(self.best)
        return self.losses or self.objective.evaluate(image), image

    def state(self) -> list[np.ndarray]:
        """All that a new instance needs to go on as if this one had never stopped.

        Two float64 vectors of numbers, the (k, k) float64 products of the k pairs, and float32
        images: x, the best, the steps, the changes of the gradient; then the gradient and the
        direction at x, unless it has not been evaluated or is the last. None is to be changed.
        """
        search = self.search or Search(math.nan)
        numbers = [self.finished, self.count, self.guess, self.value or 0.0]
        numbers += dataclasses.astuple(search)
        losses = [*self.losses.terms.values(), self.losses.total] if self.losses else []
        vectors = [self.image, self.best, *self.steps, *self.changes]
        if self.search is not None:
            vectors += [self.gradient, self.direction]
        arrays = [np.array(numbers, np.float64), np.array(losses, np.float64), self.products.copy()]
        return arrays + [self.on.array(v) for v in vectors]

    def _restore(self, state):
        numbers, losses, self.products, *vectors = state
        finished, count, self.guess, value, *search = numbers.tolist()
        self.finished, self.count = bool(finished), int(count)
        if len(losses):
            *values, total = losses.tolist()
            names = (term.name for term in self.objective.terms)
            self.losses = Losses(dict(zip(names, values)), total)
        vectors = [self.on.vector(v) for v in vectors]
        k = len(self.products)
        self.image, self.best = vectors[:2]
        self.steps, self.changes = vectors[2 : 2 + k], vectors[2 + k : 2 + 2 * k]
        if len(vectors) > 2 + 2 * k:
            self.value, self.search = value, Search(*search)
            self.gradient, self.direction = vectors[-2:]

    @property
    def next_point(self):
        """The point that is evaluated next: the start, or one of the line search."""
        if self.search is None:
            return self.image
        return self._clip(self.image + self.search.t * self.direction)

    def _advance(self):
        point = self.next_point
        losses, gradient = self.objective.gradient(point)
        self.count += 1
        finite = math.isfinite(losses.total)
        if self.losses is None or not finite or losses.total < self.losses.total:
            self.losses = losses
            self.best = point if finite else self.best
        if not finite:
            self.finished = True
            return
        gradient = self.on.vector(gradient)
        if self.search is None:
            self._move(point, losses.total, gradient)
        else:
            self._try(point, losses.total, gradient)

    def _try(self, point, value, gradient):
        """Judge a point of the line search by the weak Wolfe conditions, N&W (3.6)."""
        module, search = self.on.module, self.search
        step = point - self.image
        # A pixel that was clipped moves no further with t.
        moves = (point > self.low) & (point < self.high)
        slope = self._dot(module.where(moves, gradient, 0.0), self.direction)
        enough = value <= self.value + DECREASE * self._dot(self.gradient, step)
        if not (enough and slope >= CURVATURE * search.slope):
            search.narrow(value, slope, enough)
            if search.trials == TRIALS:
                self._give_up()
            return
        change = gradient - self.gradient
        self.gradient = self.direction = None
        self._remember(step, change)
        if self.settings.lbfgs_round and self.count >= self.settings.lbfgs_round:
            self._forget()
        self._move(point, value, gradient)

    def _give_up(self):
        """A line search has failed: steepest descent may do better, once."""
        if not self.steps and not self.guess:
            self.finished = True
            return
        self._forget()
        self.guess = 0.0
        self._move(self.image, self.value, self.gradient)

    def _move(self, point, value, gradient):
        """Take a point as x, and begin a line search from it."""
        self.image, self.value, self.gradient = point, value, gradient
        self.direction = None  # let go of the one before
        self.direction = self._direction()
        slope = self._dot(gradient, self.direction)
        if -math.inf < slope < 0:
            self.search = Search(slope, low_value=value, low_slope=slope)
        else:
            self._give_up()

    def _remember(self, step, change):
        """Keep a pair, if the objective is convex along it, in place of the oldest if need be."""
        products = self.on.dots([step, change], step, change)
        if not products[0, 1] > LEAST_COSINE * math.sqrt(products[0, 0] * products[1, 1]):
            return
        drop = max(0, len(self.steps) + 1 - self.settings.lbfgs_memory)
        del self.steps[:drop], self.changes[:drop]
        k = len(self.steps)
        old, self.products = self.products[drop:, drop:], np.zeros((k + 1, k + 1))
        self.products[:k, :k] = old
        self.steps.append(step)
        self.changes.append(change)
        [self.products[:, k]] = self.on.dots(self.steps, change)
        # γ of N&W (7.20), in the coordinates in which H0 is γ.
        size = self._dot(change, self.on.precondition(change))
        self.guess = float(self.products[k, k]) / size

    def _forget(self):
        self.count = 0
        self.steps, self.changes, self.products = [], [], np.zeros((0, 0))

    def _direction(self):
        """-H g of the pixels that are free to move, and 0 of the others.

        With R the triangle of the products and D its diagonal, H g is, N&W (7.24),
        r + S b  with  R a = Sᵀ g,  r = H0 (g - Y a),  Rᵀ b = D a - Yᵀ r;
        a is α of the two-loop recursion and b is α - β.
        """
        at_low, at_high = self.image <= self.low, self.image >= self.high
        held = (at_low & (self.gradient > 0)) | (at_high & (self.gradient < 0))
        where, on = self.on.module.where, self.on
        result = where(held, 0.0, self.gradient)
        if self.steps:
            [a] = on.dots(self.steps, result)
            a = scipy.linalg.solve_triangular(self.products, a, check_finite=False)
            result = where(held, 0.0, on.add(result, self.changes, -a))
        result = where(held, 0.0, on.precondition(result))
        if not self.guess:
            # Of the pixels that move at all: a mask may hold most of them.
            total, count = (float(on.module.sum(x)) for x in (on.module.abs(result), result != 0))
            result = (-self.first_step * count / max(total, 1e-30)) * result
        else:
            result = -self.guess * result
        if self.steps:
            [b] = on.dots(self.changes, result)
            b += np.diag(self.products) * a
            b = scipy.linalg.solve_triangular(self.products, b, trans=1, check_finite=False)
            result = on.add(result, self.steps, -b)
        held = held | (at_low & (result < 0)) | (at_high & (result > 0))
        return where(held, 0.0, result)

    def _clip(self, image):
        return self.on.module.minimum(self.on.module.maximum(image, self.low), self.high)

    def _dot(self, one, other) -> float:
        return float(self.on.dots([one], other)[0, 0])


def frequency_scale(shape, power: float) -> np.ndarray | None:
    """S of the module's docstring, (H, W, 1) float32 with a mean of 1; None for a power of 0."""
    if not power:
        return None
    y, x = (np.arange(n)[:, np.newaxis, np.newaxis] / n for n in shape[1:3])
    frequency = np.hypot(y, x.transpose(1, 0, 2))  # 1 is one cycle in two pixels
    scale = (frequency + FREQUENCY_OFFSET) ** -power
    return (scale / scale.mean()).astype(np.float32)
