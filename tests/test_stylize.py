import math

import keras
import numpy as np
import pytest
from conftest import needs_shared, picture
from reference import CASES, check

import vgg
from settings import Settings
from stylize import Diverged, initial_image, stylize

CONTENT, STYLE, OTHER = picture(24, 32), picture(20, 28, seed=1), picture(40, 30, seed=2)


def settings(**chosen):
    """Settings for a short run of the small network."""
    return Settings(**{"iterations": 6, "learning_rate": 1.0, "print_iterations": 2} | chosen)


def test_total_variation_alone_needs_no_network(network):
    s = settings(content_weight=0, style_weight=0, iterations=3)
    last = list(stylize(CONTENT, [STYLE], s, network))[-1]
    assert last.losses.content == last.losses.style == 0 < last.losses.tv


def test_it_gets_better_and_yields_when_it_should(network):
    s = settings(
        iterations=20,
        print_iterations=8,
        checkpoint_iterations=5,
        checkpoint_output="%d.png",
    )
    seen = list(stylize(CONTENT, [STYLE], s, network))
    assert [p.iteration for p in seen] == [0, 5, 8, 10, 15, 16, 20]
    assert [p.iteration for p in seen if p.is_checkpoint] == [5, 10, 15, 20]
    assert [p.iteration for p in seen if p.is_print] == [0, 8, 16, 20]
    assert [p.is_last for p in seen] == [False] * 6 + [True]
    assert [p.state is not None for p in seen] == [p.is_checkpoint for p in seen]
    assert seen[-1].losses.total < seen[0].losses.total
    for p in seen:
        assert p.image.shape == CONTENT.shape and p.image.dtype == np.float32
        assert p.image.min() >= 0 and p.image.max() <= 255


def test_the_best_picture_seen_at_a_checkpoint_is_returned(network):
    """A learning rate that jumps about: the last picture is not the best."""
    s = settings(
        iterations=15,
        learning_rate=20,
        initial_noiseblend=0.0,
        style_weight=5.0,
        print_iterations=1,
        checkpoint_iterations=3,
        checkpoint_output="%d.png",
    )
    seen = list(stylize(CONTENT, [STYLE], s, network))
    at_checkpoints = [p for p in seen if p.is_checkpoint]
    best = min(at_checkpoints, key=lambda p: p.losses.total)
    assert best.losses.total < at_checkpoints[-1].losses.total
    assert np.array_equal(seen[-1].image, best.image)
    assert at_checkpoints[-1].state.best_total == best.losses.total


def test_two_runs_are_the_same_and_another_seed_is_not(network):
    runs = [
        list(stylize(CONTENT, [STYLE], settings(seed=seed), network))[-1].image
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_how_often_it_prints_changes_nothing(network):
    a, b = (
        list(stylize(CONTENT, [STYLE], settings(print_iterations=n), network))[-1].image
        for n in (1, 100)
    )
    assert np.array_equal(a, b)


def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped(network):
    s = settings(iterations=11, checkpoint_iterations=4, checkpoint_output="%d.png")
    whole = list(stylize(CONTENT, [STYLE], s, network))
    state = next(p.state for p in whole if p.iteration == 4)
    rest = list(stylize(CONTENT, [STYLE], s, network, state=state))
    assert [p.iteration for p in rest] == [p.iteration for p in whole if p.iteration > 4]
    assert np.array_equal(rest[-1].image, whole[-1].image)
    assert [p.losses for p in rest] == [p.losses for p in whole if p.iteration > 4]


def test_a_run_can_be_stopped(network):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3

    last = list(stylize(CONTENT, [STYLE], settings(iterations=10**6), network, stop=stop))[-1]
    assert last.is_last and last.iteration < 1000
    assert math.isfinite(last.losses.total)


def test_a_loss_that_explodes_is_told_with_the_best_picture_before(network):
    s = settings(learning_rate=1e30, iterations=50)
    with pytest.raises(Diverged, match=r"at or before iteration \d+: lower --learning-rate") as e:
        list(stylize(CONTENT, [STYLE], s, network))
    assert e.value.image.shape == CONTENT.shape and np.isfinite(e.value.image).all()


def test_the_start_is_noise_around_the_mean_pixel_unless_told_otherwise(network):
    mean = network.mean_pixel
    big = picture(200, 200)
    noise = initial_image(big, Settings(), mean)
    assert noise.shape == (1, 200, 200, 3) and noise.dtype == np.float32
    assert abs(noise.mean()) < 0.01 and noise.std() == pytest.approx(0.256, rel=0.02)
    plain = vgg.preprocess(big, mean)
    assert np.array_equal(initial_image(big, Settings(initial_noiseblend=0), mean), plain)
    half = initial_image(big, Settings(initial_noiseblend=0.25), mean)
    assert np.allclose(half, 0.75 * plain + 0.25 * noise, atol=1e-4)
    other = picture(200, 200, seed=3)
    given = vgg.preprocess(other, mean)
    assert np.array_equal(initial_image(big, Settings(), mean, other), given)
    half = initial_image(big, Settings(initial_noiseblend=0.5), mean, other)
    assert np.allclose(half, 0.5 * given + 0.5 * noise, atol=1e-4)


def test_bfloat16_goes_nearly_the_same_way(network):
    totals = {}
    for precision in ("float32", "bfloat16"):
        run = stylize(CONTENT, [STYLE], settings(precision=precision, iterations=20), network)
        totals[precision] = list(run)[-1].losses.total
    assert totals["bfloat16"] == pytest.approx(totals["float32"], rel=0.05)


def test_the_image_and_the_moments_stay_float32(network):
    s = settings(precision="bfloat16", checkpoint_iterations=3, checkpoint_output="%d.png")
    state = next(p.state for p in stylize(CONTENT, [STYLE], s, network) if p.state)
    assert state.image.dtype == np.float32
    assert {v.dtype for v in state.optimizer if v.ndim == 4} == {np.dtype(np.float32)}


@needs_shared
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="see test_engines.py")
@pytest.mark.parametrize("name", CASES)
def test_the_losses_are_those_of_the_reference(name):
    check(name)
