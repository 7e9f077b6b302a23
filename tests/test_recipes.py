"""The published recipes from their start on: against the sources themselves, in their own units,
and not against our settings. What each minimises is tested in `test_objective.py`."""

import keras
import numpy as np
import pytest
from conftest import picture
from neural_style_keras import vgg
from neural_style_keras.minimise.descent import Descent, optimizer
from neural_style_keras.minimise.rescaling import enlarged
from neural_style_keras.objective import Objective
from neural_style_keras.settings import Settings, preset
from neural_style_keras.stylize import initial_image, stylize

CONTENT, STYLE = picture(24, 32), picture(24, 32, seed=1)
STYLE_LAYERS = [f"relu{i}_1" for i in range(1, 6)]

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the sources are written for TensorFlow"
)


def states(network, s):
    """A run's picture after each step, (1, H, W, 3) less the mean pixel, at step 1, 2, ..."""
    return [p.state.image for p in stylize(CONTENT, [STYLE], s, network) if p.is_checkpoint]


def keras_loss(model, image, content, style):
    """The loss of Keras's example, of pictures less the mean pixel."""
    import tensorflow as tf

    now, base, reference = model(image), model(content), model(style)
    loss = 2.5e-8 * tf.reduce_sum((now["relu5_2"] - base["relu5_2"]) ** 2)
    for layer in STYLE_LAYERS:
        grams = [tf.einsum("bijc,bijd->cd", f, f) for f in (reference[layer], now[layer])]
        squares = tf.reduce_sum((grams[0] - grams[1]) ** 2)
        loss += 1e-6 / 5 * squares / (4 * 3**2 * (24 * 32) ** 2)
    down = (image[:, :-1, :-1] - image[:, 1:, :-1]) ** 2
    right = (image[:, :-1, :-1] - image[:, :-1, 1:]) ** 2
    return loss + 1e-6 * tf.reduce_sum((down + right) ** 1.25)


def tensorflow_loss(model, image, content, style, mean_pixel):
    """The loss of TensorFlow's tutorial, of pictures in 0..1."""
    import tensorflow as tf

    now, base, reference = (model(255 * x - mean_pixel) for x in (image, content, style))
    loss = 1e4 * tf.reduce_mean((now["relu5_2"] - base["relu5_2"]) ** 2)
    for layer in STYLE_LAYERS:
        positions = now[layer].shape[1] * now[layer].shape[2]
        grams = [
            tf.einsum("bijc,bijd->bcd", f, f) / positions for f in (now[layer], reference[layer])
        ]
        loss += 1e-2 / 5 * tf.reduce_mean((grams[0] - grams[1]) ** 2)
    return loss + 30 * tf.image.total_variation(image)[0]


@on_tensorflow
def test_the_first_steps_of_keras_are_those_of_the_example(network):
    import tensorflow as tf

    model = vgg.build(network, [*STYLE_LAYERS, "relu5_2"])
    content, style = (vgg.preprocess(p, network.mean_pixel) for p in (CONTENT, STYLE))
    image, wanted = tf.Variable(content), []
    for i in range(3):
        with tf.GradientTape() as tape:
            loss = keras_loss(model, image, content, style)
        image.assign_sub(100 * 0.96 ** (i / 100) * tape.gradient(loss, image))
        wanted.append(image.numpy())
    s = preset("keras", iterations=3, checkpoint_output="%d.png", checkpoint_iterations=1)
    got = states(network, s)
    assert len(got) == 3
    for one, other, before in zip(got, wanted, [content, *wanted]):
        moved = np.abs(other - before).max()
        assert moved > 1e-3
        assert np.abs(one - other).max() < 2e-3 * moved + 3e-5  # a float32 pixel has 1.5e-5


@on_tensorflow
def test_the_first_steps_of_tensorflow_tutorial_are_those_of_the_tutorial(network):
    """With its own optimiser on a picture in 0..1, and so with its own epsilon."""
    import tensorflow as tf

    model = vgg.build(network, [*STYLE_LAYERS, "relu5_2"])
    mean_pixel = network.mean_pixel.astype(np.float32)
    content, style = CONTENT[np.newaxis] / 255, STYLE[np.newaxis] / 255
    image, wanted = keras.Variable(content), []
    adam = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tensorflow_loss(model, image.value, content, style, mean_pixel)
        adam.apply([tape.gradient(loss, image.value)], [image])
        image.assign(tf.clip_by_value(image.value, 0.0, 1.0))
        wanted.append(255 * image.numpy())
    name = "tensorflow-tutorial"
    got = states(
        network, preset(name, iterations=3, checkpoint_output="%d.png", checkpoint_iterations=1)
    )
    assert len(got) == 3
    for one, other, before in zip(got, wanted, [255 * content, *wanted]):
        assert np.abs(other - before).max() > 1
        difference = np.abs(one + mean_pixel - other)
        assert np.median(difference) < 1e-3 and difference.max() < 0.05
    assert wanted[-1].min() == 0 and wanted[-1].max() == 255  # it was clipped


def rate(s, step):
    """The learning rate of a step, the first being step 0."""
    made = optimizer(s)
    made.build([keras.Variable(np.zeros(1, "f4"))])
    made.iterations.assign(step)
    return float(keras.ops.convert_to_numpy(made.learning_rate))


def test_the_optimisers_are_those_of_the_sources():
    """Each kind, its schedule and its steps."""
    s = preset("keras")
    assert type(optimizer(s)) is keras.optimizers.SGD and optimizer(s).momentum == 0
    assert s.iterations == 4000 and not s.clip
    for step in (0, 50, 100, 250, 3999):  # not in stairs
        assert rate(s, step) == pytest.approx(100 * 0.96 ** (step / 100), rel=1e-5)

    s = preset("tensorflow-tutorial")
    adam = optimizer(s)
    assert type(adam) is keras.optimizers.Adam and s.clip
    assert (adam.beta_1, adam.beta_2, s.iterations) == (0.99, 0.999, 10 * 100)
    assert adam.epsilon == pytest.approx(0.1 / 255)
    assert rate(s, 0) == rate(s, 999) == pytest.approx(0.02 * 255)

    s = preset("keras-2016")
    assert (s.optimizer, s.lbfgs_round, s.iterations) == ("lbfgs", 20, 10 * 20)
    assert (s.lbfgs_memory, s.lbfgs_frequency) == (10, 0)  # fmin_l_bfgs_b's own; on the pixels


def test_the_starts_are_those_of_the_sources(network):
    mean = network.mean_pixel
    plain = vgg.preprocess(CONTENT, mean)
    for name in ("keras", "tensorflow-tutorial"):
        assert np.array_equal(initial_image(CONTENT, preset(name), mean), plain)
    big = picture(100, 100)
    start = initial_image(big, preset("keras-2016", seed=3), mean)
    wanted = np.random.default_rng(3).uniform(0, 255, start.shape) - 128
    assert np.allclose(start, wanted, atol=1e-5)


@pytest.mark.every_backend
@pytest.mark.parametrize("chosen", [{"optimizer": "sgd"}, {"optimizer": "adam"}])
def test_a_falling_rate_goes_on_from_its_state_as_if_it_had_never_stopped(network, chosen):
    s = Settings(
        **chosen,
        **{"learning_rate": 1e-3 if chosen["optimizer"] == "sgd" else 20, "clip": True},
        **{"learning_rate_decay": 0.01, "initial_noiseblend": 0, "iterations": 7},
        **{"checkpoint_iterations": 3, "checkpoint_output": "%d.png", "print_iterations": 1},
    )
    whole = list(stylize(CONTENT, [STYLE], s, network))
    state = next(p.state for p in whole if p.iteration == 3)
    rest = list(stylize(CONTENT, [STYLE], s, network, state=state))
    assert [p.losses for p in rest] == [p.losses for p in whole if p.iteration > 3]
    assert np.array_equal(rest[-1].image, whole[-1].image)
    assert whole[-1].losses.total != whole[0].losses.total


@pytest.mark.parametrize("tile", ["0", pytest.param("32", marks=pytest.mark.every_backend)])
def test_clip_holds_the_pixels_within_their_range(network, tile):
    content, low = picture(48, 64), -network.mean_pixel
    chosen = {"initial_noiseblend": 0, "iterations": 2, "learning_rate": 60, "tile": tile}
    chosen |= {"checkpoint_iterations": 2, "checkpoint_output": "%d.png"}
    for clip in (False, True):
        s = Settings(clip=clip, **chosen)
        image = list(stylize(content, [STYLE], s, network))[-1].state.image
        is_within = (image >= low - 1e-4).all() and (image <= low + 255 + 1e-4).all()
        assert is_within == clip


@on_tensorflow
def test_a_falling_rate_is_compiled_once(network, monkeypatch):
    """As a Python number it would be a constant of the step, compiled anew for each."""
    calls, plain = [], Objective.__call__

    def counted(self, *given):
        calls.append(1)
        return plain(self, *given)

    monkeypatch.setattr(Objective, "__call__", counted)
    counts = []
    for decay in (1.0, 0.9):
        calls.clear()
        s = Settings(iterations=8, print_iterations=100, learning_rate_decay=decay)
        list(stylize(CONTENT, [STYLE], s, network))
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0


def averaged(iterates, decay):
    """After each step: all iterates, the start among them, each weighing `decay` of the next."""
    means = []
    for n in range(1, len(iterates)):
        weights = [decay ** (n - i) for i in range(n + 1)]
        means.append(np.average(iterates[: n + 1], axis=0, weights=weights))
    return means


@pytest.mark.parametrize(
    ("tile", "optimizer"),
    [("0", "sgd"), pytest.param("32", "adam", marks=pytest.mark.every_backend)],
)
def test_an_average_is_that_of_the_steps_so_far(network, tile, optimizer):
    content = picture(48, 64)
    chosen = {"initial_noiseblend": 0, "iterations": 5, "tile": tile, "optimizer": optimizer}
    chosen |= {"learning_rate": 30 if optimizer == "adam" else 1e-3, "clip": True}
    chosen |= {"checkpoint_iterations": 1, "checkpoint_output": "%d.png"}
    runs = {}
    for decay in (0.0, 0.7):
        s = Settings(average=decay, **chosen)
        runs[decay] = [p for p in stylize(content, [STYLE], s, network) if p.is_checkpoint]
    start = vgg.preprocess(content, network.mean_pixel)
    iterates = [start, *(p.state.image for p in runs[0.0])]
    assert np.abs(iterates[-1] - start).max() > 1
    for one, wanted in zip(runs[0.7], averaged(iterates, 0.7), strict=True):
        assert np.abs(one.state.image - wanted).max() < 0.01
    # What is told is told of the average, and the best one of those is given.
    s = Settings(average=0.7, **chosen)
    objective = Objective(content, [STYLE], s, network)
    for one in runs[0.7]:
        told = objective.evaluate(one.state.image).total
        assert one.losses.total == pytest.approx(told, rel=1e-4)
    best = min(runs[0.7], key=lambda p: p.losses.total).state.image
    assert np.allclose(runs[0.7][-1].image, vgg.unprocess(best, network.mean_pixel), atol=1e-3)


@pytest.mark.parametrize("tile", [pytest.param("0", marks=pytest.mark.every_backend), "64"])
def test_an_average_goes_on_from_its_state_as_if_it_had_never_stopped(network, tile):
    """Within a size, where one ends, and after it."""
    content, style = picture(96, 112), picture(90, 100, seed=1)
    s = Settings(
        **{"average": 0.9, "initial_noiseblend": 0, "clip": True, "scales": "1.4", "tile": tile},
        **{"scale_first": 1.3, "iterations": 3, "learning_rate": 5, "print_iterations": 1},
        **{"checkpoint_iterations": 1, "checkpoint_output": "%d.png"},
    )
    whole = list(stylize(content, [style], s, network))
    assert whole[-1].iteration == 7 and whole[-1].is_last
    for state in [p.state for p in whole if p.state and p.iteration in (2, 4, 6)]:
        rest = list(stylize(content, [style], s, network, state=state))
        assert [p.iteration for p in rest][-1] == 7
        assert np.array_equal(rest[-1].image, whole[-1].image), state.iteration
        assert rest[-1].losses == whole[-1].losses


def test_each_size_begins_with_the_average_and_the_moments_of_the_one_before(network, monkeypatch):
    content, style = picture(96, 112), picture(90, 100, seed=1)
    s = preset(
        "wasserstein",
        **{"scales_from": 64, "scale_first": 2, "iterations": 2, "tile": "0"},
        **{"checkpoint_iterations": 4, "checkpoint_output": "%d.png"},
    )
    begin, begun = Descent.__init__, []

    def watched(self, objective, start, settings, state, *more):
        begin(self, objective, start, settings, state, *more)
        begun.append((start, state, self.state()))

    monkeypatch.setattr(Descent, "__init__", watched)
    states = [p.state for p in stylize(content, [style], s, network) if p.iteration == 4]
    assert len(begun) == 2
    start, state, known = begun[1]
    average = states[0].image
    assert average.shape == (1, 68, 79, 3) and start.shape == (1, 96, 112, 3)
    assert np.allclose(start, enlarged(average, (96, 112)), atol=1e-4)
    steps, rate, first, second, taken, image = known
    assert steps == 4 and rate == pytest.approx(0.02 * 255) and taken == 0
    assert np.array_equal(image, start)
    falls = 68 * 79 / (96 * 112)
    assert first.shape == second.shape == start.shape
    for moment, before, order in [(first, state[2], 1), (second, state[3], 2)]:
        assert before.any()
        assert np.abs(moment).mean() == pytest.approx(np.abs(before).mean() * falls**order, rel=0.3)


def test_wasserstein_is_optimised_as_its_source_has_it():
    """With Adam on a picture in 0..1, clipped, from the content."""
    s = preset("wasserstein")
    adam = optimizer(s)
    assert type(adam) is keras.optimizers.Adam and s.clip
    assert (adam.beta_1, adam.beta_2) == (0.9, 0.99)
    assert adam.epsilon == pytest.approx(1e-8 / 255)
    assert rate(s, 0) == rate(s, 2999) == pytest.approx(0.02 * 255)
    assert (s.average, s.padding, s.noiseblend(False)) == (0.99, "replicate", 0)
    # The style is as large as the content.
    assert s.sizes([(640, 480), (1000, 800)]) == [(640, 480), (640, 512)]
