import keras
import numpy as np
import pytest
import scipy.linalg
from neural_style_keras import backend, losses


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
    assert np.allclose(losses.gram_matrix(f, divisor="positions"), products / 12, atol=1e-5)
    over_pixels = losses.gram_matrix(f, divisor="pixels", pixels=48)
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


@pytest.mark.parametrize("exponent", [1, 2, 2.5])
def test_nine_points_are_each_pixels_neighbours_all_around(exponent):
    """Each pixel with all eight, those at the corners a quarter of those beside it, and each pair
    seen from either side."""
    image = values(1, 4, 5, 3)
    terms = {}
    for y, x, c in np.ndindex(4, 5, 3):
        for i, j in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]:
            if 0 <= y + i < 4 and 0 <= x + j < 5:
                difference = abs(image[0, y + i, x + j, c] - image[0, y, x, c])
                kind = (abs(i), abs(j), i == j)
                terms.setdefault(kind, []).append(difference**exponent)
    means = {kind: np.mean(found) for kind, found in terms.items()}
    beside = [means[0, 1, False], means[1, 0, False]]
    at_corners = [means[1, 1, True], means[1, 1, False]]
    wanted = 2 * (sum(beside) / 3 + sum(at_corners) / 12)
    got = losses.total_variation(image, kind="nine-point", exponent=exponent)
    assert float(got[0]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.every_backend
@pytest.mark.parametrize("exponent", [1, 1.5, 2, 2.5])
@pytest.mark.parametrize("kind", ["mean", "sum", "isotropic-sum", "nine-point"])
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
    f = keras.ops.cast(values(1, 4, 4, 3), "bfloat16")
    for value in (losses.gram_matrix(f), losses.content_loss(f, f)):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"


def moments(random, channels, positions, scale=1.0):
    """Mean and second moment of correlated random activations, in float64."""
    mixing = random.normal(size=(channels, channels)) * np.geomspace(1, 1e-2, channels)
    points = scale * (random.normal(size=(positions, channels)) @ mixing.T + 3)
    return points.mean(0), points.T @ points / positions


def wasserstein_by_scipy(mean, moment, other_mean, other_moment):
    """The formula in float64, with scipy's square root of a matrix."""
    covariances = [
        moment - np.outer(mean, mean) + 1e-4 * np.eye(len(mean))
        for mean, moment in [(mean, moment), (other_mean, other_moment)]
    ]
    root = scipy.linalg.sqrtm(covariances[1]).real
    cross = scipy.linalg.sqrtm(root @ covariances[0] @ root).real
    distances = np.diag(covariances[0] + covariances[1] - 2 * cross)
    return np.mean((mean - other_mean) ** 2) + distances.mean()


def tensor(array):
    return keras.ops.convert_to_tensor(np.asarray(array, "f4"))


def as_batch(*arrays):
    return [tensor(np.asarray(x)[np.newaxis]) for x in arrays]


@pytest.mark.every_backend
@pytest.mark.parametrize("positions", [500, 10])  # 10: fewer than the 24 channels, singular
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_wasserstein_is_its_formula(positions, scale):
    random = np.random.default_rng(0)
    now, style = (moments(random, 24, positions, scale) for _ in range(2))
    got = losses.wasserstein_loss(*as_batch(*now), losses.gaussian(*style))
    assert float(got[0]) == pytest.approx(wasserstein_by_scipy(*now, *style), rel=2e-3)


@pytest.mark.every_backend
def test_wasserstein_of_a_batch_and_of_the_same():
    random = np.random.default_rng(1)
    style, other = moments(random, 16, 300), moments(random, 16, 300)
    batch = [tensor(np.stack([a, b])) for a, b in zip(style, other)]
    both = losses.wasserstein_loss(*batch, losses.gaussian(*style))
    same, distance = keras.ops.convert_to_numpy(both)
    assert 0 <= same < 1e-3 * distance
    assert distance == pytest.approx(wasserstein_by_scipy(*other, *style), rel=2e-3)


def gradient(function, x):
    """Of a scalar function of one tensor, on whatever backend."""

    def run(x):
        value = function(x)
        return value, value

    _, slope = backend.differentiated(run, keras.Sequential())(tensor(x))
    return keras.ops.convert_to_numpy(slope).astype("f8")


@pytest.mark.every_backend
@pytest.mark.parametrize(("positions", "tolerance"), [(500, 2e-3), (10, 1e-2)])
def test_the_gradient_of_wasserstein_is_that_of_finite_differences(positions, tolerance):
    """With respect to the activations themselves, along random directions, in float64."""
    random = np.random.default_rng(2)
    style = moments(random, 24, positions)
    features = random.normal(size=(positions, 24)) @ random.normal(size=(24, 24))

    def moments_of(f):
        return f.mean(0), f.T @ f / positions

    def loss(f):
        flat = keras.ops.reshape(f, (1, positions, 24))
        mean = keras.ops.mean(flat, axis=1)
        moment = keras.ops.matmul(keras.ops.transpose(flat, (0, 2, 1)), flat) / positions
        return keras.ops.sum(losses.wasserstein_loss(mean, moment, losses.gaussian(*style)))

    slope = gradient(loss, features)
    assert np.isfinite(slope).all()
    for _ in range(5):
        direction = random.normal(size=features.shape)
        ahead, behind = (
            wasserstein_by_scipy(*moments_of(features + step * direction), *style)
            for step in (1e-5, -1e-5)
        )
        wanted = (ahead - behind) / 2e-5
        size = np.linalg.norm(slope) * np.linalg.norm(direction)
        assert abs(np.sum(slope * direction) - wanted) < tolerance * size / np.sqrt(slope.size)


@pytest.mark.every_backend
@pytest.mark.parametrize("what", ["zeros", "constant", "the style itself"])
def test_wasserstein_is_finite_where_nothing_varies(what):
    random = np.random.default_rng(3)
    style = moments(random, 12, 200)
    now = {
        "zeros": (np.zeros(12), np.zeros((12, 12))),
        "constant": (np.full(12, 7.0), np.full((12, 12), 49.0)),
        "the style itself": style,
    }[what]

    def loss(moment):
        mean = tensor(now[0][np.newaxis])
        return losses.wasserstein_loss(mean, moment, losses.gaussian(*style))[0]

    assert np.isfinite(float(loss(tensor(now[1][np.newaxis]))))
    assert np.isfinite(gradient(loss, now[1][np.newaxis])).all()


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


def gradient_of(function, x, dtype="float32"):
    """Of a scalar function of tensors, at x."""

    def run(x):
        value = function(keras.ops.cast(x, dtype))
        return value, value

    run = backend.differentiated(run, keras.Sequential())
    return keras.ops.convert_to_numpy(run(keras.ops.convert_to_tensor(x))[1])


@pytest.mark.every_backend
@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_gradient_of_products_of_features_is_what_the_engine_would_take(pictures, is_weighted):
    f = values(pictures, 4, 6, 5)
    slope = keras.ops.convert_to_tensor(values(pictures, 5, 5, seed=1))
    weights = np.abs(values(1, 4, 6, 1, seed=2)) if is_weighted else None

    def of_products(x):
        return keras.ops.sum(losses.gram_matrix(x, weights=weights, divisor="positions") * slope)

    def by_the_engine(x):
        each = keras.ops.convert_to_tensor(np.float32(1) if weights is None else weights)
        products = keras.ops.einsum("nhwi,nhwj->nij", x, x * each) / 24
        return keras.ops.sum(products * slope)

    expected = gradient_of(by_the_engine, f)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(gradient_of(of_products, f), expected, atol=1e-5)
    rounded = gradient_of(of_products, f, "bfloat16")
    np.testing.assert_allclose(rounded, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.every_backend
def test_the_gradient_of_differences_is_what_the_engine_would_take():
    image = values(2, 5, 4, 3)

    def by_the_engine(x):
        down, right = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
        return sum(keras.ops.sum(keras.ops.mean(y**2, axis=(1, 2, 3))) for y in (down, right))

    def of_ours(x):
        return keras.ops.sum(losses.total_variation(x))

    np.testing.assert_allclose(
        gradient_of(of_ours, image), gradient_of(by_the_engine, image), atol=1e-6
    )
