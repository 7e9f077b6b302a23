import numpy as np
import pytest
from neural_style_keras import losses


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def test_content_loss_is_the_mean_of_squares():
    f, p = values(1, 3, 4, 5), values(1, 3, 4, 5, seed=1)
    expected = sum((a - b) ** 2 for a, b in zip(f.ravel(), p.ravel())) / 60
    assert float(losses.content_loss(f, p)[0]) == pytest.approx(expected, rel=1e-5)


def test_gram_matrix_sums_over_positions():
    f = values(1, 3, 4, 5)
    expected = np.zeros((5, 5))
    for y in range(3):
        for x in range(4):
            expected += np.outer(f[0, y, x], f[0, y, x])
    assert np.allclose(losses.gram_matrix(f), expected / (3 * 4 * 5), atol=1e-6)


def test_style_loss_is_the_mean_of_squares():
    g, a = values(5, 5), values(5, 5, seed=1)
    assert float(losses.style_loss(g, a)) == pytest.approx(((g - a) ** 2).mean(), rel=1e-5)


def test_total_variation_of_a_picture_known_by_heart():
    image = np.zeros((1, 2, 3, 3), "f4")
    image[0, 1] = 2  # a step of 2 down, in each of 3 columns and 3 channels
    image[0, 0, 2] = 2
    # vertical: two of three columns step by 2; horizontal: one of four neighbours does
    assert float(losses.total_variation(image)[0]) == pytest.approx(4 * 2 / 3 + 4 / 4)


def test_losses_are_float32_whatever_the_network_is():
    import keras

    f = keras.ops.cast(values(1, 4, 4, 3), "bfloat16")
    for value in (losses.gram_matrix(f), losses.content_loss(f, f)):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"


@pytest.mark.every_backend
def test_a_picture_may_have_more_numbers_than_32_bits_count():
    """Of a tile of it; JAX takes whole numbers for 32 bits wide."""
    f = values(1, 3, 4, 5)
    once, much = (np.asarray(losses.gram_matrix(f, n)) for n in (2**10, 2**40))
    assert np.allclose(much, once / 2**30, rtol=1e-6, atol=0)
    content = [float(losses.content_loss(f, -f, positions=n)[0]) for n in (2**10, 2**40)]
    assert content[1] == pytest.approx(content[0] / 2**30)
    tile = values(1, 3, 4, 3)
    once, much = (float(losses.total_variation(tile, size=(n, n))[0]) for n in (2**10, 2**20))
    assert much == pytest.approx(once / 2**20, rel=0.01)
