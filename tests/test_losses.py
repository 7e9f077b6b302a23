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


def test_gram_matrix_over_its_positions_or_over_the_pixels_of_the_picture():
    f = values(1, 3, 4, 5)
    products = f.reshape(12, 5).T @ f.reshape(12, 5)
    assert np.allclose(losses.gram_matrix(f, kind="positions"), products / 12, atol=1e-5)
    over_pixels = losses.gram_matrix(f, kind="pixels", pixels=48)
    assert np.allclose(over_pixels, products / (3 * 48), atol=1e-6)


def by_loops(image, power, joint):
    """Total variation pixel by pixel, as a sum: of each pair of neighbours, or joint."""
    total = 0.0
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                down = image[y + 1, x, c] - image[y, x, c] if y + 1 < height else None
                right = image[y, x + 1, c] - image[y, x, c] if x + 1 < width else None
                if joint:
                    if down is not None and right is not None:
                        total += (down**2 + right**2) ** (power / 2)
                else:
                    total += sum(abs(d) ** power for d in (down, right) if d is not None)
    return total


@pytest.mark.parametrize("exponent", [1, 1.5, 2, 2.5])
@pytest.mark.parametrize("kind", ["sum", "isotropic-sum"])
def test_total_variation_is_its_formula(kind, exponent):
    image = values(1, 4, 5, 3)
    got = float(losses.total_variation(image, kind=kind, exponent=exponent)[0])
    assert got == pytest.approx(by_loops(image[0], exponent, kind != "sum"), rel=1e-5)


@pytest.mark.every_backend
@pytest.mark.parametrize("exponent", [1, 1.5, 2, 2.5])
@pytest.mark.parametrize("kind", ["mean", "sum", "isotropic-sum"])
def test_where_a_picture_is_even_total_variation_has_a_gradient_of_zero(kind, exponent):
    """And not NaN, as the derivative of a root is there; nor 1, as that of `abs` is in JAX."""
    import keras
    from neural_style_keras import backend

    def of_image(image):
        value = losses.total_variation(image, kind=kind, exponent=exponent)[0]
        return value, value

    image = np.full((1, 4, 5, 3), 7, "f4")
    image[:, 3, 4] = 9  # an edge, elsewhere
    run = backend.differentiated(of_image, keras.Sequential())
    _, gradient = run(keras.ops.convert_to_tensor(image))
    gradient = keras.ops.convert_to_numpy(gradient)
    assert np.isfinite(gradient).all() and (gradient[:, :2, :2] == 0).all()
    # No pixel of the isotropic sum has the last corner for a neighbour.
    assert (gradient != 0).any() == (kind != "isotropic-sum")


def test_losses_are_float32_whatever_the_network_is():
    import keras

    f = keras.ops.cast(values(1, 4, 4, 3), "bfloat16")
    for value in (losses.gram_matrix(f), losses.content_loss(f, f)):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
