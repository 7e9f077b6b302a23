"""The schedule by itself: no picture, no network but its strides."""

import dataclasses
from dataclasses import replace

from conftest import MEAN
from neural_style_keras.minimise.schedule import schedule, sizes
from neural_style_keras.settings import Settings, preset
from neural_style_keras.vgg import Layer, Parameters

POOLS = tuple(Layer(f"relu{i + 1}_1", "pool", stride=(2, 2)) for i in range(4))
LAYERS = (*POOLS, Layer("relu4_2", "relu"), Layer("relu5_1", "relu"))
NETWORK = Parameters(MEAN, LAYERS, "")
WARM = dataclasses.replace(NETWORK, sha256="other")
SHAPES = [(640, 480), (500, 500)]


def test_a_plain_run_is_one_stage():
    [stage] = schedule(SHAPES, Settings(), NETWORK)
    assert (stage.width, stage.height, stage.end) == (640, 480, 1000)
    assert stage.network is NETWORK and not stage.is_warm
    assert str(stage) == "640x480 to iteration 1000"


def test_coarse_to_fine_and_warm():
    s = Settings(scales="auto", iterations=100, lbfgs_memory=40, optimizer="lbfgs")
    *coarse, warm, last = schedule(SHAPES, s, NETWORK, WARM)
    assert [stage.width for stage in coarse] == [160, 320] and warm.width == last.width == 640
    assert all(stage.network is WARM and stage.is_warm for stage in (*coarse, warm))
    assert last.network is NETWORK and last.end == 100
    assert (coarse[0].lbfgs_memory, warm.lbfgs_memory, last.lbfgs_memory) == (10, 10, 40)
    share = (warm.end - coarse[-1].end) / (last.end - coarse[-1].end)
    assert 0.4 < share <= 0.45
    assert "with the warm start's network" in str(warm)


def test_too_few_iterations_for_a_warm_start_are_the_networks_own():
    [stage] = schedule(SHAPES, Settings(iterations=2), NETWORK, WARM)
    assert stage.network is NETWORK


def test_the_coarsest_size_is_enough_for_either_network():
    coarser = dataclasses.replace(WARM, layers=(Layer("pool0", "pool", stride=(8, 8)), *LAYERS))
    s = Settings(scales="auto", iterations=100)
    shapes = [(640, 640), (320, 320)]
    assert schedule(shapes, s, NETWORK, WARM)[0].width == 80
    assert schedule(shapes, s, NETWORK, coarser)[0].width == 320


def widths(width, height, s):
    return [(w, end) for w, _, end in sizes(width, height, s)]


def test_the_sizes_of_wasserstein_grow_by_a_root_of_two_from_128():
    """With 1000 iterations at the first and 500 at each of the others, all the time."""
    s = preset("wasserstein")
    wanted = [(128, 1000), (181, 1500), (256, 2000), (362, 2500), (512, 3000)]
    assert widths(512, 512, s) == widths(512, 384, s) == wanted
    # It is the longer side that is no less than 128.
    assert sizes(384, 512, s)[0] == (96, 128, 1000)
    assert widths(180, 120, s) == [(180, 1000)]
    assert widths(512, 512, replace(s, iterations=5))[-1] == (512, 2 * 5 + 4 * 5)
    assert widths(512, 512, replace(s, scales="off", iterations=5)) == [(512, 5)]
    # Not even more sizes than iterations are too many.
    assert widths(512, 512, replace(s, iterations=1, scale_first=0.1))[-1] == (512, 5)


def test_the_coarsest_size_can_be_chosen():
    s = Settings(scales="auto", scales_from=300)
    assert [width for width, _ in widths(2560, 1920, s)] == [320, 640, 1280, 2560]
    assert len(widths(640, 480, replace(s, scales_from=321))) == 1
