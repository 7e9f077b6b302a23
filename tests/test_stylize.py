import dataclasses
import math
import tracemalloc

import keras
import numpy as np
import pytest
from conftest import needs_shared, picture, small_layers, write_mat
from neural_style_keras import backend, vgg
from neural_style_keras import pictures as images
from neural_style_keras.minimise import lbfgs
from neural_style_keras.minimise.schedule import sizes as scales
from neural_style_keras.objective import Objective
from neural_style_keras.runs.transfer import transfer_style
from neural_style_keras.settings import Settings
from neural_style_keras.stylize import Diverged, OutOfMemory, initial_image, stylize
from reference import CASES, check

CONTENT, STYLE, OTHER = picture(24, 32), picture(20, 28, seed=1), picture(40, 30, seed=2)


def settings(**chosen):
    """Settings for a short run of the small network."""
    return Settings(**{"iterations": 6, "learning_rate": 1.0, "print_iterations": 2} | chosen)


def test_total_variation_alone_needs_no_network(network):
    s = settings(content_weight=0, style_weight=0, iterations=3)
    last = list(stylize(CONTENT, [STYLE], s, network))[-1]
    assert last.losses.content == last.losses.style == 0 < last.losses.tv


@pytest.mark.every_backend
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


@pytest.mark.every_backend
def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped(network):
    s = settings(iterations=11, checkpoint_iterations=4, checkpoint_output="%d.png")
    whole = list(stylize(CONTENT, [STYLE], s, network))
    state = next(p.state for p in whole if p.iteration == 4)
    was = state.image.copy()
    rest = list(stylize(CONTENT, [STYLE], s, network, state=state))
    assert np.array_equal(state.image, was)
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


def test_a_resumed_run_that_is_stopped_at_once_still_has_a_picture(network):
    s = settings(checkpoint_iterations=2, checkpoint_output="%d.png")
    state = next(p.state for p in stylize(CONTENT, [STYLE], s, network) if p.state)
    [last] = stylize(CONTENT, [STYLE], s, network, state=state, stop=lambda: True)
    assert last.is_last and last.iteration == 2


def test_a_loss_that_explodes_is_told_with_the_best_picture_before(network):
    s = settings(learning_rate=1e30, iterations=50)
    with pytest.raises(Diverged, match=r"at or before iteration \d+: lower --learning-rate") as e:
        list(stylize(CONTENT, [STYLE], s, network))
    assert e.value.image.shape == CONTENT.shape and np.isfinite(e.value.image).all()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_memory_that_runs_out_is_told_with_the_best_picture_before(network, monkeypatch, optimizer):
    gradient, calls = Objective.gradient, []

    def runs_out(self, image):
        calls.append(1)
        if len(calls) > 5:
            raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.")
        return gradient(self, image)

    monkeypatch.setattr(Objective, "gradient", runs_out)
    s = settings(optimizer=optimizer, tile="48", iterations=50)
    content, seen = picture(100, 130), []
    with pytest.raises(OutOfMemory, match="out of memory after iteration 5: choose a smaller") as e:
        for progress in stylize(content, [STYLE], s, network):
            seen.append(progress)
    assert [p.iteration for p in seen] == [0, 2, 4]
    assert np.array_equal(e.value.image, seen[-1].image)


def test_memory_that_was_there_before_the_run_is_not_asked_about_again(network, monkeypatch):
    """What is free later says little, and a run that has come far is not refused for it."""
    asked = []

    def available(device):
        asked.append(device)
        return 10e9 if len(asked) == 1 else 0

    monkeypatch.setattr(backend, "available_memory", available)
    s = settings(scales="auto", iterations=6)
    content, style = picture(160, 136), picture(150, 140, seed=1)
    seen = list(transfer_style(content, [style], s, network=network))
    assert seen[-1].iteration == 6 and len(asked) == 1


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


@pytest.mark.every_backend
def test_bfloat16_goes_nearly_the_same_way(network):
    totals = {}
    for precision in ("float32", "bfloat16"):
        run = stylize(CONTENT, [STYLE], settings(precision=precision, iterations=20), network)
        totals[precision] = list(run)[-1].losses.total
    assert totals["bfloat16"] == pytest.approx(totals["float32"], rel=0.05)


@pytest.mark.every_backend
def test_the_image_and_the_moments_stay_float32(network):
    s = settings(precision="bfloat16", checkpoint_iterations=3, checkpoint_output="%d.png")
    state = next(p.state for p in stylize(CONTENT, [STYLE], s, network) if p.state)
    assert state.image.dtype == np.float32
    assert {v.dtype for v in state.optimizer if v.ndim == 4} == {np.dtype(np.float32)}


@pytest.mark.slow
@needs_shared
@pytest.mark.every_backend
@pytest.mark.parametrize(
    "name", {"torch": ["default"], "jax": ["avg_pool"]}.get(keras.backend.backend(), CASES)
)
def test_the_losses_are_those_of_the_reference(name):
    check(name)


def test_the_scales_double_and_share_the_iterations_by_their_ratio():
    assert scales(640, 480, Settings()) == [(640, 480, 1000)]
    plan = scales(640, 480, Settings(scales="auto", scale_ratio=0.5, iterations=150))
    assert plan == [(160, 120, 86), (320, 240, 129), (640, 480, 150)]
    assert scales(640, 480, Settings(scales="1.5", iterations=3))[-1] == (640, 480, 3)
    assert len(scales(100, 100, Settings(scales="auto"))) == 1
    assert len(scales(300, 300, Settings(scales="auto"), least=200)) == 1
    for n in range(1, 9):
        ends = [end for _, _, end in scales(2000, 2000, Settings(scales="auto", iterations=n))]
        assert ends[-1] == n and ends == sorted(set(ends))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_coarse_to_fine_ends_at_the_full_size_and_better(network, optimizer):
    content, style = picture(160, 136), picture(140, 150, seed=1)
    chosen = {"optimizer": optimizer, "print_iterations": 10, "learning_rate": 10}
    plain = list(stylize(content, [style], settings(iterations=10, **chosen), network))
    s = settings(scales="auto", iterations=30, **chosen)
    fine = list(stylize(content, [style], s, network))
    assert [p.iteration for p in fine] == [0, 10, 20, 30]
    assert all(p.image.shape == content.shape for p in fine)
    assert fine[-1].losses.total < plain[-1].losses.total  # as many steps at the full size


def test_coarse_to_fine_goes_on_from_its_state_as_if_it_had_never_stopped(network):
    content, style = picture(160, 136), picture(140, 150, seed=1)
    s = settings(scales="auto", iterations=12, checkpoint_iterations=4, checkpoint_output="%d.png")
    whole = list(stylize(content, [style], s, network))
    assert scales(136, 160, s) == [(68, 80, 7), (136, 160, 12)]
    for state in [p.state for p in whole if p.state]:
        rest = list(stylize(content, [style], s, network, state=state))
        assert np.array_equal(rest[-1].image, whole[-1].image)


def test_a_small_style_keeps_the_coarse_sizes_from_being_too_small_for_it(network):
    content, style = picture(300, 300), picture(30, 40, seed=1)
    s = settings(scales="auto", iterations=2)
    assert list(stylize(content, [style], s, network))[-1].iteration == 2


@pytest.mark.parametrize("frequency", [0, pytest.param(0.5, marks=pytest.mark.every_backend)])
def test_lbfgs_gets_further_than_adam_within_the_range_of_a_picture(network, frequency):
    chosen = {"iterations": 40, "print_iterations": 5, "learning_rate": 5}
    chosen |= {"initial_noiseblend": 0, "style_weight": 0.1}
    adam = list(stylize(CONTENT, [STYLE], settings(**chosen), network))
    s = settings(optimizer="lbfgs", lbfgs_frequency=frequency, **chosen)
    lbfgs = list(stylize(CONTENT, [STYLE], s, network))
    assert [p.iteration for p in lbfgs] == list(range(0, 41, 5))
    totals = [p.losses.total for p in lbfgs]
    assert totals == sorted(totals, reverse=True)
    objective = Objective(CONTENT, [STYLE], s, network)
    by_lbfgs, by_adam = (
        objective.evaluate(vgg.preprocess(run[-1].image, network.mean_pixel)).total
        for run in (lbfgs, adam)
    )
    assert by_lbfgs == pytest.approx(totals[-1], rel=1e-3)
    assert by_lbfgs < by_adam


def test_lbfgs_in_rounds_stops_and_goes_on(network):
    s = settings(
        optimizer="lbfgs",
        lbfgs_round=5,
        iterations=30,
        checkpoint_iterations=10,
        checkpoint_output="%d.png",
    )
    whole = list(stylize(CONTENT, [STYLE], s, network))
    state = next(p.state for p in whole if p.state)
    rest = list(stylize(CONTENT, [STYLE], s, network, state=state))
    assert rest[-1].iteration == 30
    assert rest[-1].losses.total < next(p.losses.total for p in whole if p.iteration == 10)


@pytest.mark.every_backend
def test_adam_by_tiles_is_adam(network):
    content, style = picture(100, 130), picture(90, 80, seed=1)
    whole, tiled = (
        list(stylize(content, [style], settings(tile=tile, iterations=4), network))[-1]
        for tile in ("0", "48")
    )
    assert tiled.losses.total == pytest.approx(whole.losses.total, rel=1e-3)


def test_the_start_can_be_uniform_noise(network):
    noise = initial_image(picture(100, 100), Settings(noise="uniform"), network.mean_pixel)
    pixels = noise[0] + network.mean_pixel
    assert pixels.min() < 2 and pixels.max() > 253
    assert pixels.mean() == pytest.approx(127.5, abs=2)


def test_a_warm_start_leaves_the_end_to_the_network_itself(network, tmp_path):
    other = vgg.parse(write_mat(tmp_path / "other.mat", layers=small_layers(seed=1)))
    s = settings(scales="auto", iterations=20, print_iterations=1)
    content, style = picture(160, 136), picture(150, 140, seed=1)
    seen = list(stylize(content, [style], s, network, warm=other))
    assert [p.iteration for p in seen] == list(range(21))
    # The losses that are told are those of the network at work: the start is the other one's.
    plan = scales(136, 160, s)
    [(width, height, _), *_] = plan
    small = images.resize(content, width, height)
    smaller_style = images.resize(style, int(140 * width / 136), int(150 * width / 136))
    start = initial_image(small, s, network.mean_pixel)
    told = Objective(small, [smaller_style], s, other).evaluate(start).total
    assert seen[0].losses.total == pytest.approx(told, rel=1e-4)
    end = Objective(content, [style], s, network).evaluate(
        vgg.preprocess(seen[-1].image, network.mean_pixel)
    )
    assert seen[-1].losses.total == pytest.approx(end.total, rel=1e-2)


def test_a_warm_start_goes_on_from_its_state(network, tmp_path):
    other = vgg.parse(write_mat(tmp_path / "other.mat", layers=small_layers(seed=1)))
    s = settings(iterations=10, checkpoint_iterations=3, checkpoint_output="%d.png")
    whole = list(stylize(CONTENT, [STYLE], s, network, warm=other))
    for at in whole:
        if at.is_checkpoint:
            rest = list(stylize(CONTENT, [STYLE], s, network, state=at.state, warm=other))
            assert np.array_equal(rest[-1].image, whole[-1].image)


def test_a_warm_start_may_have_another_mean_pixel(network):
    """With the same weights, it is the objective of a picture that is darker throughout."""
    other = dataclasses.replace(network, mean_pixel=network.mean_pixel + np.float32(20))
    s = settings(iterations=10, initial_noiseblend=0, print_iterations=5)
    seen = list(stylize(CONTENT, [STYLE], s, network, warm=other))
    assert np.allclose(seen[0].image, CONTENT, atol=1e-3)
    assert np.abs(seen[-1].image - CONTENT).mean() < 15


def test_a_warm_start_keeps_fewer_pairs_of_steps(network, tmp_path, monkeypatch):
    other = vgg.parse(write_mat(tmp_path / "other.mat", layers=small_layers(seed=1)))
    begin, pairs = lbfgs.LBFGS.__init__, []

    def watched(self, objective, start, settings, *more):
        pairs.append(settings.lbfgs_memory)
        begin(self, objective, start, settings, *more)

    monkeypatch.setattr(lbfgs.LBFGS, "__init__", watched)
    for memory in (4, 15):
        s = settings(optimizer="lbfgs", lbfgs_memory=memory)
        list(stylize(CONTENT, [STYLE], s, network, warm=other))
    assert pairs == [4, 4, 10, 15]


@pytest.mark.every_backend
def test_a_large_picture_is_not_kept_for_nothing(network, monkeypatch):
    """When Adam takes its step in tiles, no array lives on but the picture last shown, the
    gradient and, on PyTorch, the variable; the content is the caller's."""
    content, held = picture(1024, 1024), []
    make = backend.applier

    def watched(*arguments):
        step = make(*arguments)

        def run(gradient):
            held.append(tracemalloc.get_traced_memory()[0] / content.nbytes)
            step(gradient)

        return run

    monkeypatch.setattr(backend, "applier", watched)
    tracemalloc.start()
    try:
        s = settings(tile="512", iterations=2, print_iterations=1)
        for _ in stylize(content, [STYLE], s, network):
            pass
    finally:
        tracemalloc.stop()
    assert len(held) == 2 and max(held) < 3.5
