"""Figures of the small network, so that a clone without the published one tests the numbers too.

`reference/small.json` was written by the version of this program that had just met the independent
implementation's figures for VGG-19 (test_stylize.py); the activations are computed here once more,
by scipy in double precision.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from conftest import picture
from neural_style_keras import vgg
from neural_style_keras.settings import Settings
from neural_style_keras.stylize import stylize

FIGURES = json.loads((Path(__file__).parent / "reference" / "small.json").read_text())
CONTENT = picture(40, 48)
STYLES = [picture(50, 36, seed=1), picture(32, 32, seed=2)]


def by_scipy(network, image, pooling):
    """Every layer's activations, (h, w, N) float64."""
    x, found = image[0].astype(np.float64), {}
    for layer in network.layers:
        if layer.type == "conv":
            planes = [
                sum(
                    scipy.signal.correlate2d(x[..., i], layer.kernel[:, :, i, k], mode="same")
                    for i in range(x.shape[2])
                )
                for k in range(len(layer.bias))
            ]
            x = np.stack(planes, axis=2) + layer.bias
        elif layer.type == "relu":
            x = np.maximum(x, 0)
        else:
            x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
            blocks = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1)
            x = blocks.max((1, 3)) if pooling == "max" else blocks.mean((1, 3))
        found[layer.name] = x
    return found


@pytest.mark.every_backend
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_every_layer_gives_the_figures(network, pooling):
    image = vgg.preprocess(CONTENT[:32, :48], network.mean_pixel)  # no odd edge on the way
    names = [layer.name for layer in network.layers if layer.name != "pool5"]
    given = vgg.build(network, names, pooling)(image)
    for name, want in by_scipy(network, image, pooling).items():
        if name in given:
            got = np.asarray(given[name], np.float64)[0]
            assert np.linalg.norm(got - want) < 1e-5 * np.linalg.norm(want), name
    image = vgg.preprocess(CONTENT, network.mean_pixel)
    for name, got in vgg.build(network, names, pooling)(image).items():
        shape, mean, norm = FIGURES["features"][pooling][name]
        got = np.asarray(got, np.float64)
        assert list(got.shape) == shape
        assert got.mean() == pytest.approx(mean, rel=1e-4), name
        assert np.linalg.norm(got) == pytest.approx(norm, rel=1e-5), name


@pytest.mark.every_backend
@pytest.mark.parametrize("case", FIGURES["losses"])
def test_ten_steps_give_the_figures(network, case):
    figures = FIGURES["losses"][case]
    s = Settings(
        **{"iterations": 10, "print_iterations": 1, "initial_noiseblend": 0, "learning_rate": 2},
        **figures["settings"],
    )
    seen = list(stylize(CONTENT, STYLES[: figures["styles"]], s, network))
    for progress, (content, style, tv, total) in zip(seen, figures["after_step"], strict=True):
        tolerance = 1e-5 if progress.iteration == 0 else 1e-3
        for name, want in [("content", content), ("style", style), ("tv", tv), ("total", total)]:
            got = getattr(progress.losses, name)
            assert got == pytest.approx(want, rel=tolerance, abs=1e-6), (progress.iteration, name)
