"""The optimiser on functions whose minimum is known, and on the small network."""

import math

import numpy as np
import pytest
from conftest import picture
from neural_style_keras.minimise import lbfgs
from neural_style_keras.minimise.lbfgs import LBFGS, TRIALS, Device, Host, frequency_scale
from neural_style_keras.objective import Losses, Objective
from neural_style_keras.settings import Settings

SHAPE = (1, 6, 7, 3)
MEAN = np.array([120.0, 110.0, 100.0])


class Function:
    """A function of the image with its gradient, in float64, that counts and records."""

    terms = ()

    def __init__(self, value):
        self.value, self.points = value, []

    def gradient(self, image):
        image = np.asarray(image)
        self.points.append(image)
        value, gradient = self.value(image.astype(np.float64))
        return Losses({}, float(value)), gradient.astype(np.float32)

    def evaluate(self, image):
        return Losses({}, float(self.value(np.asarray(image, np.float64))[0]))


def quadratic(target, condition=1e3):
    """Σ w (x - target)² with weights between 1 and `condition`."""
    weights = np.geomspace(1, condition, math.prod(SHAPE)).reshape(SHAPE)
    np.random.default_rng(1).shuffle(weights.reshape(-1))
    return Function(lambda x: ((weights * (x - target) ** 2).sum(), 2 * weights * (x - target)))


def rosenbrock():
    """Of the pixels along a row, scaled to grey levels; the minimum is 0 at 10."""

    def value(x):
        u = x / 10
        a, b = u[:, :, :-1], u[:, :, 1:]
        gap = b - a**2
        gradient = np.zeros_like(u)
        gradient[:, :, :-1] += -400 * a * gap - 2 * (1 - a)
        gradient[:, :, 1:] += 200 * gap
        return (100 * gap**2 + (1 - a) ** 2).sum(), gradient / 10

    return Function(value)


def settings(**changes):
    return Settings(optimizer="lbfgs", **({"lbfgs_memory": 5, "device": "cpu"} | changes))


def start(seed=0):
    return np.random.default_rng(seed).uniform(-80, 80, SHAPE).astype(np.float32)


@pytest.fixture(params=["host", "device"])
def arithmetic(request, monkeypatch):
    """NumPy's, and that of Keras's ops, which a GPU would get."""
    if request.param == "device":
        monkeypatch.setattr(lbfgs, "Host", lambda scale: Device(5, SHAPE, scale))
    return request.param


@pytest.mark.parametrize("frequency", [0, 0.35])
def test_the_minimum_of_a_quadratic(arithmetic, frequency):
    target = start(1)
    chosen = settings(lbfgs_frequency=frequency)
    minimiser = LBFGS(quadratic(target, 30 if frequency else 300), start(), chosen, MEAN)
    first = minimiser.evaluate()[0].total
    minimiser.advance(150)
    losses, image = minimiser.evaluate()
    assert losses.total < 1e-7 * first
    assert np.abs(image - target).max() < 0.5


def test_rosenbrock(arithmetic):
    near = np.abs(start()) / 4  # elsewhere, it has other minima
    minimiser = LBFGS(rosenbrock(), near, settings(), MEAN)
    minimiser.advance(250)
    assert minimiser.evaluate()[0].total < 1e-3


@pytest.mark.parametrize("frequency", [0, 0.35])
def test_pixels_stay_within_the_bounds_and_leave_them_again(arithmetic, frequency):
    target = 3 * start(1)  # in part out of the box
    function = quadratic(target, 30)
    outside = np.where(start(2) > 0, 500, -500).astype(np.float32)  # every pixel at a bound
    minimiser = LBFGS(function, outside, settings(lbfgs_frequency=frequency), MEAN)
    minimiser.advance(150)
    low, high = -MEAN.astype(np.float32), (255 - MEAN).astype(np.float32)
    assert all(((low <= p) & (p <= high)).all() for p in function.points)
    # The bound-constrained minimum of a separable function is the clipped one.
    assert np.abs(minimiser.evaluate()[1] - np.clip(target, low, high)).max() < 0.5


def test_the_direction_is_that_of_the_two_loop_recursion():
    minimiser = LBFGS(rosenbrock(), start() / 4, settings(), MEAN)
    minimiser.advance(30)
    # No pixel is at a bound.
    gradient = minimiser.gradient.astype(np.float64)
    pairs = [
        (s.astype(np.float64), y.astype(np.float64))
        for s, y in zip(minimiser.steps, minimiser.changes)
    ]
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append((s * q).sum() / (s * y).sum())
        q -= alphas[-1] * y
    s, y = pairs[-1]
    r = (s * y).sum() / (y * y).sum() * q
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        r += s * (alpha - (y * r).sum() / (s * y).sum())
    np.testing.assert_allclose(minimiser.direction, -r, rtol=1e-3, atol=1e-4 * np.abs(r).max())


@pytest.mark.every_backend
def test_the_preconditioner_is_symmetric_and_alike_on_both():
    scale = frequency_scale(SHAPE, 0.5)
    assert math.isclose(scale.mean(), 1, rel_tol=1e-5)
    host, device = Host(scale), Device(3, SHAPE, scale)
    x, y = start(3), start(4)
    px, py = host.precondition(x), host.precondition(y)
    assert math.isclose((px * y).sum(), (x * py).sum(), rel_tol=1e-3)
    np.testing.assert_allclose(
        device.array(device.precondition(device.vector(x))), px, rtol=1e-4, atol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("frequency", [0, 0.35])
@pytest.mark.parametrize("every", [None, 7])
def test_a_run_goes_on_bit_for_bit_from_anywhere(arithmetic, frequency, every):
    short = {"first_step": 0.01}  # far too short: the first search is long
    chosen = settings(lbfgs_frequency=frequency, lbfgs_memory=3, lbfgs_round=every)
    function = quadratic(2 * start(1), 30)  # in part out of the box
    whole, states, tried = LBFGS(function, start(), chosen, MEAN, **short), [], []
    for _ in range(31):
        states.append(whole.state())
        tried.append(whole.search.trials if whole.search else 0)
        whole.advance(1)
    assert max(tried) > 2  # some states are from the middle of a line search
    for n, state in list(enumerate(states))[:: 1 if arithmetic == "host" else 9]:
        again = LBFGS(function, np.zeros(SHAPE, np.float32), chosen, MEAN, state, **short)
        assert (n > 0) == (again.losses is not None)
        again.advance(31 - n)
        for one, other in zip(again.state(), whole.state(), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_a_state_is_not_changed_by_going_on():
    minimiser = LBFGS(rosenbrock(), start(), settings(), MEAN)
    minimiser.advance(9)
    state = minimiser.state()
    copies = [a.copy() for a in state]
    minimiser.advance(20)
    for one, other in zip(state, copies):
        np.testing.assert_array_equal(one, other)


def test_memory_and_round(arithmetic):
    minimiser = LBFGS(rosenbrock(), start(), settings(lbfgs_memory=3, lbfgs_round=12), MEAN)
    most, forgotten, before = 0, 0, 0
    for _ in range(60):
        minimiser.advance(1)
        k = len(minimiser.steps)
        assert k == len(minimiser.changes) == len(minimiser.products)
        most, forgotten, before = max(most, k), forgotten + (k < before), k
    assert most == 3
    assert 3 <= forgotten <= 5


@pytest.mark.parametrize("when", [1, 2, 12])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_it(when, bad):
    function = rosenbrock()
    good = function.value
    function.value = lambda x: (bad if len(function.points) >= when else good(x)[0], good(x)[1])
    minimiser = LBFGS(function, start(), settings(), MEAN)
    minimiser.advance(30)
    losses, image = minimiser.evaluate()
    assert minimiser.finished
    assert len(function.points) == when
    assert not math.isfinite(losses.total)
    assert np.isfinite(image).all()
    again = LBFGS(function, start(), settings(), MEAN, minimiser.state())
    assert again.finished
    assert not math.isfinite(again.evaluate()[0].total)


def test_a_gradient_that_is_not_finite_ends_it():
    function = Function(lambda x: ((x**2).sum(), np.full(SHAPE, math.nan)))
    minimiser = LBFGS(function, start(), settings(), MEAN)
    minimiser.advance(5)
    assert minimiser.finished
    np.testing.assert_array_equal(minimiser.evaluate()[1], start())


def test_a_line_search_that_fails_twice_ends_it():
    function = rosenbrock()
    good = function.value
    function.value = lambda x: (good(x)[0], good(x)[1] * (-1 if len(function.points) > 9 else 1))
    minimiser = LBFGS(function, start(), settings(), MEAN)
    minimiser.advance(9 + 10 * TRIALS)
    assert minimiser.finished
    assert len(function.points) <= 12 + 3 * TRIALS
    assert np.isfinite(minimiser.evaluate()[1]).all()


def test_a_stationary_start_is_the_end():
    minimiser = LBFGS(quadratic(start()), start(), settings(), MEAN)
    minimiser.advance(5)
    assert minimiser.finished
    assert minimiser.evaluate()[0].total == 0


def test_a_start_that_was_never_evaluated_is_looked_at():
    minimiser = LBFGS(rosenbrock(), 10 * start(), settings(), MEAN)
    losses, image = minimiser.evaluate()
    assert losses == rosenbrock().evaluate(image)
    assert image.max() <= 255


@pytest.mark.parametrize("frequency", [0, pytest.param(0.35, marks=pytest.mark.every_backend)])
def test_the_small_network(network, frequency):
    chosen = settings(lbfgs_frequency=frequency, noise="uniform")
    content, style = picture(40, 48), picture(50, 36, seed=1)
    objective = Objective(content, [style], chosen, network)
    noise = np.random.default_rng(0).uniform(0, 255, (1, 40, 48, 3)) - network.mean_pixel
    minimiser = LBFGS(objective, noise.astype(np.float32), chosen, network.mean_pixel)
    first = minimiser.evaluate()[0].total
    minimiser.advance(12)
    again = LBFGS(objective, noise, chosen, network.mean_pixel, minimiser.state())
    again.advance(20)
    minimiser.advance(20)
    losses, image = minimiser.evaluate()
    assert losses.total < 0.05 * first
    assert losses == again.evaluate()[0]
    np.testing.assert_array_equal(image, again.evaluate()[1])
    assert image.dtype == np.float32
    shown = image + network.mean_pixel
    assert shown.min() > -1e-3
    assert shown.max() < 255.001


def test_the_first_step_is_as_long_for_a_few_pixels_as_for_all():
    """Where a mask leaves most of the gradient 0, the others are not to jump for them."""

    class Few:
        terms = ()

        def gradient(self, image):
            gradient = np.zeros(SHAPE, np.float32)
            gradient[:, :2, :2] = 1.0
            return Losses({}, float(image[:, :2, :2].sum())), gradient

    start = np.zeros(SHAPE, np.float32)
    few = LBFGS(Few(), start, Settings(optimizer="lbfgs"), np.full(3, 128, np.float32))
    few.advance(1)
    assert np.abs(few.direction[:, :2, :2]).mean() == pytest.approx(lbfgs.FIRST_STEP, rel=1e-3)
