import dataclasses

import numpy as np
import pytest
import scipy.linalg
from conftest import MEAN, NETWORK, needs_shared, picture, small_layers, write_mat
from neural_style_keras import backend, losses, vgg
from neural_style_keras.objective import Objective, check_sizes
from neural_style_keras.pictures import Masks
from neural_style_keras.settings import (
    PRESETS,
    STRONGEST,
    USUAL_PIXELS,
    WEAKEST,
    Settings,
    preset,
)
from neural_style_keras.tiles import choose_tile, fitted, grid
from PIL import Image

CONTENT, STYLE, OTHER = picture(24, 32), picture(20, 28, seed=1), picture(40, 30, seed=2)


def settings(**chosen):
    return Settings(**chosen)


@pytest.mark.every_backend
def test_the_objective_is_its_formula(network):
    """Each term by hand, in numpy, from the activations."""
    s = settings(content_weight_blend=0.3, style_blend_weights=(3, 1), style_layer_weight_exp=0.5)
    objective = Objective(CONTENT, [STYLE, OTHER], s, network)
    x = vgg.preprocess(picture(24, 32, seed=9), network.mean_pixel)
    model = vgg.build(network, s.layers())

    def features(image):
        image = vgg.preprocess(image, network.mean_pixel) if image.ndim == 3 else image
        return {k: np.asarray(v, np.float64)[0] for k, v in model(image).items()}

    def gram(f):
        flat = f.reshape(-1, f.shape[2])
        return flat.T @ flat / flat.size

    now, then = features(x), features(CONTENT)
    content = 5 * sum(
        w * np.mean((now[k] - then[k]) ** 2) for k, w in {"relu4_2": 0.3, "relu5_2": 0.7}.items()
    )
    weights = np.array([1, 0.5, 0.25, 0.125, 0.0625])
    weights /= weights.sum()
    style = 0
    for share, image in [(0.75, STYLE), (0.25, OTHER)]:
        target = features(image)
        for i, w in enumerate(weights, start=1):
            layer = f"relu{i}_1"
            style += 500 * share * w * np.mean((gram(now[layer]) - gram(target[layer])) ** 2)
    tv = 100 * float(losses.total_variation(x)[0])
    got = np.asarray(objective(x))
    assert np.allclose(got, [content, style, tv, content + style + tv], rtol=1e-4)


def test_a_layer_of_weight_zero_is_not_computed(network):
    built = Objective(CONTENT, [STYLE], settings(), network).network
    assert "relu5_1" in built.output and "relu5_2" not in built.output
    built = Objective(CONTENT, [STYLE], settings(style_weight=0), network).network
    assert [layer.name for layer in built.layers][-1] == "relu4_2"


def test_blend_weights_of_another_number_are_refused(network):
    with pytest.raises(ValueError, match="2 numbers for 1 style"):
        Objective(CONTENT, [STYLE], settings(style_blend_weights=(1, 2)), network)


def test_pictures_too_small_are_told_the_least_size(network):
    with pytest.raises(ValueError, match=r"the content is 1x1 pixels; .* at least 16x16"):
        check_sizes([(1, 1), (20, 20)], Settings(), network)
    with pytest.raises(ValueError, match="style 2 is 15x20 pixels"):
        check_sizes([(16, 16), (16, 16), (15, 20)], Settings(), network)
    with pytest.raises(ValueError, match="at least 8x8"):
        check_sizes([(4, 9)], Settings(style_weight=0), network)


def _tile_with(gigabytes, sizes, network, monkeypatch, regions=0):
    monkeypatch.setattr(backend, "available_memory", lambda device: gigabytes * 1e9)
    return choose_tile(sizes, settings(), network, regions)


def test_the_tile_is_the_largest_that_fits(network, monkeypatch):
    sizes = [(3000, 2000), (100, 100)]
    for gigabytes, tiled in [(10, False), (1.8, True)]:
        monkeypatch.setattr(backend, "available_memory", lambda device, g=gigabytes: g * 1e9)
        assert bool(choose_tile(sizes, settings(), network)) == tiled
    assert choose_tile(sizes, settings(tile="300"), network) == 300
    whole = next(g for g in range(18, 400) if not _tile_with(g / 10, sizes, network, monkeypatch))
    assert _tile_with(whole / 10, sizes, network, monkeypatch, regions=2) > 0  # masks take some too
    monkeypatch.setattr(backend, "available_memory", lambda device: None)
    assert choose_tile(sizes, settings(), network) == 0


def test_a_run_that_cannot_fit_is_told_a_width_that_would(network, monkeypatch):
    monkeypatch.setattr(backend, "available_memory", lambda device: 2_000_000_000)
    choose_tile([(500, 400)], settings(), network)
    for tile in ("auto", "0"):
        s = settings(tile=tile)
        with pytest.raises(ValueError, match=r"GB are free: --width (\d+) would fit") as e:
            choose_tile([(60000, 40000), (10, 10)], s, network)
        width = int(str(e.value).split("--width ")[1].split()[0])
        choose_tile([(width, width * 2 // 3)], s, network)
        with pytest.raises(ValueError, match="would fit"):
            choose_tile([(int(width * 1.1), int(width * 1.1) * 2 // 3)], s, network)


def test_where_memory_is_short_lbfgs_keeps_fewer_pairs_of_steps(network, monkeypatch):
    sizes, s = [(3000, 2000), (100, 100)], preset("fast", painter=None, precision="float32")
    available = {"now": 0}
    monkeypatch.setattr(backend, "available_memory", lambda device: available["now"] * 1e9)
    for available["now"], pairs in [(100, 40), (5, 20), (2.6, 5)]:
        found = fitted(sizes, s, network)
        assert found.lbfgs_memory == pairs
        assert found.tile == str(choose_tile(sizes, found, network))
    available["now"] = 1.5
    with pytest.raises(ValueError, match=r"--width \d+ would fit"):
        fitted(sizes, s, network)
    assert fitted([(300, 200), (100, 100)], s, network).lbfgs_memory == 40


@pytest.fixture
def free(monkeypatch):
    """A GPU with a memory of its own: gigabytes free on it and on the host."""
    free = {}
    monkeypatch.setattr(backend, "shares_memory", lambda device: device == "cpu")
    monkeypatch.setattr(backend, "default_device", lambda: "gpu")

    def available(device):
        gigabytes = free["host" if device == "cpu" else "gpu"]
        return None if gigabytes is None else gigabytes * 1e9

    monkeypatch.setattr(backend, "available_memory", available)
    return free


def test_what_is_on_a_gpu_is_charged_to_it_and_the_rest_to_the_host(network, free):
    sizes, s = [(3000, 2000), (100, 100)], settings()
    free.update(host=4, gpu=100)
    assert choose_tile(sizes, s, network) == 0
    free["gpu"] = 1.4  # the network is cut
    assert choose_tile(sizes, s, network) > 0
    free.update(host=0.6, gpu=100)  # which does not help the host
    with pytest.raises(ValueError, match=r"GB of memory and 0.6 GB are free: --width \d+ would"):
        choose_tile(sizes, s, network)
    free.update(host=100, gpu=0.6)
    with pytest.raises(ValueError, match=r"GB of memory on the GPU and 0.6 GB are free: --width"):
        choose_tile(sizes, s, network)
    free.update(host=100, gpu=None)  # the backend cannot say
    assert choose_tile(sizes, s, network) == 0


def test_the_vectors_of_lbfgs_are_on_the_gpu(network, free):
    sizes, s = [(3000, 2000), (100, 100)], preset("fast", painter=None, precision="float32")
    free.update(host=6, gpu=100)
    assert fitted(sizes, s, network).lbfgs_memory == 40
    free["gpu"] = 5
    assert fitted(sizes, s, network).lbfgs_memory == 20
    free.update(host=0.4, gpu=100)  # where fewer of them do not help
    with pytest.raises(ValueError, match=r"GB of memory and 0\.4 GB are free"):
        fitted(sizes, s, network)


def test_the_larger_network_of_a_run_decides(network, monkeypatch):
    """A warm start comes to the full size too: what it needs is known before the run."""
    channels = [
        dataclasses.replace(x, kernel=np.repeat(x.kernel, 9, 3)) if x.kernel is not None else x
        for x in network.layers
    ]
    larger = dataclasses.replace(network, layers=tuple(channels))
    sizes, s = [(3000, 2000), (100, 100)], settings()
    monkeypatch.setattr(backend, "available_memory", lambda device: 4e9)
    assert fitted(sizes, s, network).tile == "0"
    tile = int(fitted(sizes, s, larger).tile)
    assert tile > 0
    assert fitted(sizes, s, network, larger).tile == str(tile)
    assert fitted(sizes, s, larger, network).tile == str(tile)


def test_tiles_of_a_network_that_cannot_be_tiled_are_refused_before_the_run(network, tmp_path):
    layers = small_layers()
    layers[0]["pad"] = np.array([[0.0, 0.0, 0.0, 0.0]])
    other = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    for pair in [(network, other), (other, network)]:
        with pytest.raises(ValueError, match="cannot be computed in tiles"):
            fitted([(300, 200), (100, 100)], settings(tile="64"), *pair)


def by_hand(network, s, image, content, style):
    """The three losses of any recipe, in numpy, from each paper's or script's own formula."""
    model = vgg.build(network, s.layers(), s.pooling, padding=s.padding)

    def features(picture):
        x = vgg.preprocess(picture, network.mean_pixel)
        return {k: np.asarray(v, np.float64)[0] for k, v in model(x).items()}

    return features(image), features(content), features(style)


def flat(f):
    return f.reshape(-1, f.shape[-1])


def gatys(x, p, a, alpha, beta):
    """arXiv 1508.06576: half sums, Gram matrices as sums, weights of 1/5."""
    content = alpha * 0.5 * ((x["conv4_2"] - p["conv4_2"]) ** 2).sum()
    style = 0
    for i in range(1, 6):
        now, then = flat(x[f"conv{i}_1"]), flat(a[f"conv{i}_1"])
        m, n = now.shape
        difference = now.T @ now - then.T @ then
        style += beta / 5 * (difference**2).sum() / (4 * n**2 * m**2)
    return content, style


def alpha_beta(x, p, a):
    content = style = 0
    for layer in ("relu4_2", "relu5_2"):
        m, n = flat(x[layer]).shape
        content += 0.5 * ((x[layer] - p[layer]) ** 2).sum() / (2 * n * m)
    for i in range(1, 6):
        now, then = flat(x[f"relu{i}_1"]), flat(a[f"relu{i}_1"])
        m, n = now.shape
        difference = now.T @ now - then.T @ then
        style += 500 * 0.2 * (difference**2).sum() / (4 * n**2 * m**2)
    return content, style


def pytorch_tutorial(x, p, a):
    """The weight inside the square: MSE(1000 G, 1000 A), on activations over 255."""
    content = np.mean((x["conv2_2"] / 255 - p["conv2_2"] / 255) ** 2)
    style = 0
    for layer in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"):
        grams = []
        for features in (x, a):
            f = flat(features[layer]) / 255
            grams.append(f.T @ f / f.size)
        style += np.mean((1000 * grams[0] - 1000 * grams[1]) ** 2)
    return content, style


def keras_example(x, p, a, layer, alpha, beta):
    """keras-team/keras, examples/neural_style_transfer.py (2016), and keras-io, examples/
    generative/neural_style_transfer.py: Gram matrices as sums, the size of the picture."""
    content = alpha * ((x[layer] - p[layer]) ** 2).sum()
    style, channels, size = 0, 3, 24 * 32
    for i in range(1, 6):
        now, then = flat(x[f"relu{i}_1"]), flat(a[f"relu{i}_1"])
        difference = now.T @ now - then.T @ then
        style += beta / 5 * (difference**2).sum() / (4 * channels**2 * size**2)
    return content, style


def tensorflow_tutorial(x, p, a):
    """tensorflow/docs, site/en/tutorials/generative/style_transfer.ipynb: means of squares, and
    Gram matrices as means over the positions."""
    content = 1e4 * np.mean((x["relu5_2"] - p["relu5_2"]) ** 2)
    style = 0
    for i in range(1, 6):
        grams = [f.T @ f / len(f) for f in (flat(x[f"relu{i}_1"]), flat(a[f"relu{i}_1"]))]
        style += 1e-2 / 5 * np.mean((grams[0] - grams[1]) ** 2)
    return content, style


def mean_of_squares(pixels):
    return sum(np.mean(np.diff(pixels, axis=axis) ** 2) for axis in (0, 1))


def of_keras(pixels):
    """The squared differences to the pixel below and to the right, where there are both."""
    below = (pixels[1:, :-1] - pixels[:-1, :-1]) ** 2
    right = (pixels[:-1, 1:] - pixels[:-1, :-1]) ** 2
    return ((below + right) ** 1.25).sum()


def of_tensorflow(pixels):
    """`tf.image.total_variation` of a picture in 0..1."""
    return sum(np.abs(np.diff(pixels / 255, axis=axis)).sum() for axis in (0, 1))


def nine_point(pixels):
    """Of a picture in 0..1: a third of the mean squares along rows and columns, a twelfth of those
    along diagonals, twice."""
    x = pixels / 255
    sides = [np.diff(x, axis=0), np.diff(x, axis=1)]
    corners = [x[1:, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, 1:]]
    return 2 * sum(np.mean(d**2) * w for ds, w in [(sides, 1 / 3), (corners, 1 / 12)] for d in ds)


def wasserstein(x, p, a):
    """Means and covariances of activations over 57.6, as Gaussians; 256, 64, 16, 4, 1 over 341."""
    content = 0.015 * np.mean((x["relu4_2"] / 57.6 - p["relu4_2"] / 57.6) ** 2)
    style = 0
    for i, weight in zip(range(1, 6), (256, 64, 16, 4, 1)):
        moments = []
        for features in (x, a):
            f = flat(features[f"relu{i}_1"]) / 57.6
            mean = f.mean(0)
            covariance = (f - mean).T @ (f - mean) / len(f) + 1e-4 * np.eye(f.shape[1])
            moments.append((mean, covariance))
        (mean, covariance), (other_mean, other) = moments
        root = scipy.linalg.sqrtm(other)
        cross = scipy.linalg.sqrtm(root @ covariance @ root).real
        distance = np.mean(np.diag(covariance + other - 2 * cross))
        style += weight / 341 * (np.mean((mean - other_mean) ** 2) + distance)
    return content, style


def neural_style(x, p, a):
    content = 5 * np.mean((x["relu4_2"] - p["relu4_2"]) ** 2)
    style = 0
    for i in range(1, 6):
        grams = []
        for features in (x, a):
            f = flat(features[f"relu{i}_1"])
            grams.append(f.T @ f / f.size)
        style += 500 / 5 * np.mean((grams[0] - grams[1]) ** 2)
    return content, style


@pytest.mark.parametrize(
    ("preset", "formula", "tv_weight", "variation"),
    [
        ("neural-style", neural_style, 100, mean_of_squares),
        ("fast", neural_style, 100, mean_of_squares),
        ("gatys", lambda x, p, a: gatys(x, p, a, 1, 1000), 0, mean_of_squares),
        (
            *("keras-2016", lambda x, p, a: keras_example(x, p, a, "relu4_2", 0.025, 1)),
            *(1, of_keras),
        ),
        (
            *("keras", lambda x, p, a: keras_example(x, p, a, "relu5_2", 2.5e-8, 1e-6)),
            *(1e-6, of_keras),
        ),
        ("tensorflow-tutorial", tensorflow_tutorial, 30, of_tensorflow),
        ("alpha-beta-lbfgs", lambda x, p, a: gatys(x, p, a, 0.025, 5), 1, mean_of_squares),
        ("alpha-beta", alpha_beta, 0, mean_of_squares),
        ("pytorch-tutorial", pytorch_tutorial, 0, mean_of_squares),
        ("wasserstein", wasserstein, 2, nine_point),
    ],
)
def test_each_preset_is_its_formula(network, preset, formula, tv_weight, variation):
    s = Settings(**PRESETS[preset].settings | {"precision": "float32"})
    image, style = picture(24, 32, seed=5), picture(24, 32, seed=6)
    x, p, a = by_hand(network, s, image, CONTENT, style)
    content, of_style = formula(x, p, a)
    tv = tv_weight * variation(image.astype(np.float64))
    got = Objective(CONTENT, [style], s, network).evaluate(
        vgg.preprocess(image, network.mean_pixel)
    )
    assert got.content == pytest.approx(content, rel=1e-4)
    # A root of a matrix in float32 has fewer digits.
    assert got.style == pytest.approx(of_style, rel=1e-3 if preset == "wasserstein" else 1e-4)
    assert got.tv == pytest.approx(tv, rel=1e-4)
    assert got.total == pytest.approx(got.content + got.style + got.tv, rel=1e-5)


def test_layers_can_be_chosen_with_their_weights(network):
    s = settings(content_layers=("conv2_2:0.5", "relu1_1"), style_layers=("relu3_1:2",))
    objective = Objective(CONTENT, [STYLE], s, network)
    assert set(objective.network.output) == {"conv2_2", "relu1_1", "relu3_1"}
    assert objective.terms[0].layers == {"conv2_2": 0.5, "relu1_1": 1.0}


def test_a_grid_owns_every_pixel_once_and_lies_on_the_poolings_grid():
    owned = np.zeros((100, 70), int)
    for tile in grid(100, 70, 32, 16):
        s = tile.shape
        assert tile.y % 16 == tile.x % 16 == 0
        top, left = tile.y + s.top, tile.x + s.left
        owned[top : top + s.own_height, left : left + s.own_width] += 1
        assert s.below == (top + s.own_height < 100) and s.right == (left + s.own_width < 70)
    assert (owned == 1).all()


def assert_same_in_tiles(content, styles, s, network, image, masks=None):
    """The losses and the gradient of an image; returns the objective in tiles, and the losses."""
    whole_losses, whole = Objective(content, styles, s, network, 0, masks).gradient(image)
    tiled = Objective(content, styles, s, network, 50, masks)
    assert len(tiled.tiles) > 4
    tiled_losses, gradient = tiled.gradient(image)
    assert np.abs(gradient - whole).max() < 1e-4 * np.abs(whole).max()
    for term in ("content", "style", "tv", "total"):
        assert getattr(tiled_losses, term) == pytest.approx(getattr(whole_losses, term), rel=1e-4)
    return tiled, whole_losses


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize(("size", "blend"), [((150, 210), 1.0), ((129, 97), 0.5)])
def test_tiled_is_untiled(network, pooling, size, blend):
    """Losses and gradient, at sizes that are no multiple of the tile."""
    s = settings(pooling=pooling, content_weight_blend=blend, style_blend_weights=(1, 2))
    content, styles = picture(*size), [picture(90, 120, seed=1), picture(64, 50, seed=2)]
    image = vgg.preprocess(picture(*size, seed=3), network.mean_pixel)
    tiled, whole_losses = assert_same_in_tiles(content, styles, s, network, image)
    assert tiled.evaluate(image).total == pytest.approx(whole_losses.total, rel=1e-4)


@pytest.mark.parametrize(
    ("padding", "masked"),
    [("replicate", False), pytest.param("reflect", True, marks=pytest.mark.every_backend)],
)
def test_another_edge_and_nine_points_are_the_same_in_tiles(network, padding, masked):
    s, size = settings(tv_loss="nine-point", tv_weight=10, padding=padding), (150, 210)
    content, style = picture(*size), picture(90, 120, seed=1)
    image = vgg.preprocess(picture(*size, seed=3), network.mean_pixel)
    masks = Masks([MASK], [None], MASK) if masked else None
    assert_same_in_tiles(content, [style], s, network, image, masks)
    # And it is the smoothness alone, whose gradient the style's would hide.
    s = dataclasses.replace(s, content_weight=0, style_weight=0)
    _, whole = Objective(content, [style], s, network, 0, masks).gradient(image)
    _, gradient = Objective(content, [style], s, network, 50, masks).gradient(image)
    assert np.abs(gradient - whole).max() < 1e-4 * np.abs(whole).max()


@pytest.mark.parametrize("recipe", ["keras-2016", "keras", "tensorflow-tutorial"])
@pytest.mark.parametrize("masked", [False, True])
def test_each_recipe_is_the_same_in_tiles(network, recipe, masked):
    """Sums, other Gram matrices, and a total variation that couples a pixel's two neighbours."""
    s, size = preset(recipe), (150, 210)
    content, style = picture(*size), picture(90, 120, seed=1)
    image = vgg.preprocess(picture(*size, seed=3), network.mean_pixel)
    masks = Masks([MASK], [None], MASK) if masked else None
    assert_same_in_tiles(content, [style], s, network, image, masks)


@pytest.mark.parametrize("recipe", ["keras", "tensorflow-tutorial"])
def test_each_recipe_is_the_same_in_a_batch(network, recipe):
    s, contents = preset(recipe), np.stack([CONTENT, picture(24, 32, seed=4)])
    images = vgg.preprocess(contents[::-1], MEAN).astype(np.float32)
    both = Objective(contents, [STYLE], s, network).evaluate(images)
    singles = [
        Objective(content, [STYLE], s, network).evaluate(image[np.newaxis])
        for content, image in zip(contents, images)
    ]
    for term in ("content", "style", "tv"):
        wanted = sum(getattr(one, term) for one in singles)
        assert getattr(both, term) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_tiled_is_untiled_on_the_real_network(pooling):
    network = vgg.load(NETWORK)
    content, style = picture(203, 330), picture(170, 190, seed=1)
    image = vgg.preprocess(picture(203, 330, seed=3), network.mean_pixel)
    s = settings(pooling=pooling)
    _, whole = Objective(content, [style], s, network).gradient(image)
    _, tiled = Objective(content, [style], s, network, tile=96).gradient(image)
    assert np.abs(tiled - whole).max() < 1e-4 * np.abs(whole).max()


def test_the_halo_is_the_receptive_field():
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        layers = small_layers()
        small = vgg.parse(write_mat(pathlib.Path(folder) / "a.mat", layers=layers))
    # 3x3 convolutions reach 1 pixel at their stride: two at each of 1, 2, 4, 8, and one at 16
    assert small.reach(["relu5_1"]) == 2 + 4 + 8 + 16 + 16
    assert small.reach(["conv1_1"]) == 1


@needs_shared
def test_the_halo_of_vgg19():
    # the receptive field of relu5_1 is 156 pixels: its own 16 and 70 to each side
    assert vgg.load(NETWORK).reach(["relu5_1"]) == 70


def test_a_network_that_cannot_be_tiled_is_not(tmp_path, monkeypatch):
    layers = small_layers()
    layers[0]["pad"] = np.array([[0.0, 0.0, 0.0, 0.0]])
    network = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    with pytest.raises(ValueError, match="cannot be computed in tiles"):
        Objective(picture(64, 64), [STYLE], settings(), network, tile=32)


@pytest.mark.every_backend
def test_a_batch_is_its_pictures_one_by_one(network):
    """Each with a content and a style of its own."""
    contents, styles = (np.stack([picture(24, 32, seed=i + k) for i in range(3)]) for k in (0, 10))
    images = vgg.preprocess(np.stack([picture(24, 32, seed=20 + i) for i in range(3)]), MEAN)
    batch = Objective(contents, [styles], settings(), network)
    losses_of_batch, gradient = batch.gradient(images.astype(np.float32))
    singles = [
        Objective(content, [style], settings(), network).gradient(image[np.newaxis])
        for content, style, image in zip(contents, styles, images.astype(np.float32))
    ]
    assert losses_of_batch.total == pytest.approx(sum(one.total for one, _ in singles), rel=1e-5)
    wanted = np.concatenate([slope for _, slope in singles])
    assert np.abs(gradient - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_a_style_serves_a_whole_batch(network):
    contents = np.stack([CONTENT, picture(24, 32, seed=4)])
    images = vgg.preprocess(contents[::-1], MEAN).astype(np.float32)
    both = Objective(contents, [STYLE], settings(), network).evaluate(images)
    singles = [
        Objective(content, [STYLE], settings(), network).evaluate(image[np.newaxis])
        for content, image in zip(contents, images)
    ]
    assert both.style == pytest.approx(sum(one.style for one in singles), rel=1e-5)


MASK = np.zeros((150, 210), np.float32)
MASK[20:, :110] = 1
MASK[20:60, 110:] = 0.4


@pytest.mark.parametrize(
    "style_loss", ["mean", pytest.param("wasserstein", marks=pytest.mark.every_backend)]
)
def test_masked_and_tiled_is_masked_and_untiled(network, style_loss):
    """Two styles in regions that overlap and leave a part out, each from a part of its picture."""
    s = settings(style_loss=style_loss, style_blend_weights=(1, 2))
    content, styles = picture(150, 210), [picture(90, 120, seed=1), picture(64, 70, seed=2)]
    image = vgg.preprocess(picture(150, 210, seed=3), network.mean_pixel)
    rest = np.zeros_like(MASK)
    rest[50:, 60:] = 0.7
    parts = [np.linspace(0, 1, 90, dtype="f4")[:, None].repeat(120, 1), None]
    masks = Masks([MASK, rest], parts, np.minimum(MASK + rest, 1))
    whole_losses, whole = Objective(content, styles, s, network, 0, masks).gradient(image)
    tiled = Objective(content, styles, s, network, 50, masks)
    assert len(tiled.tiles) > 4
    tiled_losses, gradient = tiled.gradient(image)
    assert np.abs(gradient - whole).max() < 1e-4 * np.abs(whole).max()
    plain = Objective(content, styles, s, network).evaluate(image)
    for term in ("content", "style", "tv"):
        value = getattr(whole_losses, term)
        assert getattr(tiled_losses, term) == pytest.approx(value, rel=1e-4)
        assert getattr(plain, term) != pytest.approx(value, rel=1e-2)
    assert tiled.evaluate(image).total == pytest.approx(whole_losses.total, rel=1e-4)


def test_a_mask_of_ones_changes_nothing(network):
    image = vgg.preprocess(picture(24, 32, seed=3), network.mean_pixel)
    ones = np.full((24, 32), 0.3, "f4")
    masks = Masks([ones], [ones], None)
    masked = Objective(CONTENT, [STYLE], settings(), network, 0, masks).evaluate(image)
    plain = Objective(CONTENT, [STYLE], settings(), network).evaluate(image)
    for term in ("content", "style", "tv"):
        assert getattr(masked, term) == pytest.approx(getattr(plain, term), rel=1e-5)


def _at(mask, height, width):
    """A mask at the size of a layer, as Pillow averages it."""
    small = Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float64).reshape(-1, 1)


@pytest.mark.every_backend
@pytest.mark.parametrize("style_loss", ["mean", "wasserstein"])
def test_masked_losses_are_their_formula(network, style_loss):
    """G = sum m^2 F F^T / (N sum m^2) of each region and of the part of its style, in numpy; the
    other terms over what is painted, of the picture with the content's pixels elsewhere."""
    from test_losses import wasserstein_by_scipy

    s = settings(style_loss=style_loss, style_blend_weights=(3, 1))
    shown = picture(40, 32, seed=3)
    random = np.random.default_rng(4)
    regions = [random.random((40, 32), "f4") * (np.arange(32) < k) for k in (12, 20)]
    parts = [random.random(STYLE.shape[:2], "f4"), None]
    painted = np.minimum(sum(regions), 1)
    content = picture(40, 32)
    masks = Masks(regions, parts, painted)
    got = Objective(content, [STYLE, OTHER], s, network, 0, masks).evaluate(
        vgg.preprocess(shown, network.mean_pixel)
    )
    model = vgg.build(network, s.layers())

    def features(image):
        given = model(vgg.preprocess(image, network.mean_pixel))
        return {k: np.asarray(v, np.float64)[0] for k, v in given.items()}

    def moments(f, mask):
        m = np.ones((f.shape[0] * f.shape[1], 1)) if mask is None else _at(mask, *f.shape[:2])
        f, m = f.reshape(-1, f.shape[2]), m**2 / (m**2).sum()
        return (m * f).sum(0), (m * f).T @ f

    judged = content + painted[..., None] * (shown - content)
    now, then, *styles = map(features, (judged, content, STYLE, OTHER))
    style = 0
    for share, region, part, target in zip((0.75, 0.25), regions, parts, styles):
        for layer, weight in s.style_weights().items():
            mean, moment = moments(now[layer], region)
            other_mean, other_moment = moments(target[layer], part)
            if style_loss == "wasserstein":
                distance = wasserstein_by_scipy(mean, moment, other_mean, other_moment)
            else:
                distance = np.mean(((moment - other_moment) / len(mean)) ** 2)
            style += 500 * share * weight * distance
    assert got.style == pytest.approx(style, rel=1e-3)
    squares = ((now["relu4_2"] - then["relu4_2"]) ** 2).reshape(-1, now["relu4_2"].shape[2])
    m = _at(painted, *now["relu4_2"].shape[:2])
    assert got.content == pytest.approx(5 * np.mean(squares * m / m.mean()), rel=1e-4)
    m = painted[..., None] / painted.mean(dtype="f8")
    down, right = np.diff(judged, axis=0) ** 2 * m[:-1], np.diff(judged, axis=1) ** 2 * m[:, :-1]
    assert got.tv == pytest.approx(100 * (down.mean() + right.mean()), rel=1e-4)


@pytest.mark.parametrize("tile", [0, pytest.param(48, marks=pytest.mark.every_backend)])
def test_nothing_moves_where_nothing_is_painted(network, tile):
    content, style = picture(150, 210), picture(90, 120, seed=1)
    image = vgg.preprocess(picture(150, 210, seed=3), network.mean_pixel)
    objective = Objective(content, [style], settings(), network, tile, Masks([MASK], [None], MASK))
    _, gradient = objective.gradient(image)
    assert (gradient[0, MASK == 0] == 0).all() and (gradient[0, MASK > 0] != 0).any(1).mean() > 0.9
    begun = objective.begun(image)[0]
    assert np.array_equal(begun[MASK > 0], image[0, MASK > 0])
    wanted = vgg.preprocess(content, network.mean_pixel)[0, MASK == 0]
    assert np.array_equal(begun[MASK == 0], wanted)


def test_the_wasserstein_objective_is_its_formula_and_tiles(network):
    """Styles are blended in their moments; tiled, it is the same."""
    from test_losses import wasserstein_by_scipy

    s = settings(style_loss="wasserstein", style_blend_weights=(1, 3))
    content, styles = picture(129, 97), [picture(90, 120, seed=1), picture(64, 50, seed=2)]
    shown = picture(129, 97, seed=3)
    image = vgg.preprocess(shown, network.mean_pixel)
    model = vgg.build(network, list(s.style_weights()))

    def moments(pixels):
        given = model(vgg.preprocess(pixels, network.mean_pixel))
        flats = {k: flat(np.asarray(v, np.float64)[0]) for k, v in given.items()}
        return {k: (f.mean(0), f.T @ f / len(f)) for k, f in flats.items()}

    now, one, other = map(moments, (shown, *styles))
    wanted = 0
    for layer, weight in s.style_weights().items():
        blend = [0.25 * a + 0.75 * b for a, b in zip(one[layer], other[layer])]
        wanted += 500 * weight * wasserstein_by_scipy(*now[layer], *blend)
    whole_losses, whole = Objective(content, styles, s, network).gradient(image)
    assert whole_losses.style == pytest.approx(wanted, rel=1e-3)
    tiled_losses, tiled = Objective(content, styles, s, network, tile=48).gradient(image)
    assert tiled_losses.style == pytest.approx(whole_losses.style, rel=1e-3)
    assert np.abs(tiled - whole).max() < 2e-3 * np.abs(whole).max()


@pytest.mark.parametrize("name", PRESETS)
def test_the_strength_works_with_every_preset(network, name):
    """At half, its own losses at the usual size; above, less content; the same ratio at any size
    where the content's loss grows with the picture."""
    recipe = PRESETS[name].settings | {"precision": "float32"}
    image, style = picture(24, 32, seed=5), picture(24, 32, seed=6)
    x = vgg.preprocess(image, network.mean_pixel)

    def found(**more):
        return Objective(CONTENT, [style], Settings(**recipe | more), network).evaluate(x)

    own, half, strong, weak = found(), *(found(strength=s) for s in (0.5, 0.75, 0.25))
    grown = 24 * 32 / USUAL_PIXELS
    of_content, of_tv = (
        grown if "sum" in kind else 1
        for kind in (Settings(**recipe).content_loss, Settings(**recipe).tv_loss)
    )
    assert half.content == pytest.approx(own.content / of_content, rel=1e-5)
    assert half.style == pytest.approx(own.style, rel=1e-5)
    assert strong.content == pytest.approx(half.content / STRONGEST**0.5, rel=1e-5)
    assert strong.style == pytest.approx(half.style, rel=1e-5)
    assert weak.content == pytest.approx(half.content, rel=1e-5)
    assert weak.style == pytest.approx(half.style * WEAKEST**0.5, rel=1e-5)
    assert half.tv == strong.tv == weak.tv == pytest.approx(own.tv / of_tv, rel=1e-5)


def test_a_sum_of_content_means_the_same_at_any_size_with_a_strength(network):
    """A picture and the same four times beside itself, on a layer that sees a pixel's own
    neighbours only: as far from the content, whatever the sum."""
    s = settings(content_loss="sum", content_layers=("conv1_1",), style_weight=0, strength=0.5)
    flat = np.full((64, 64, 3), 90.0, "f4")
    losses_found = []
    for times in (1, 4):
        content = np.tile(flat, (times, times, 1))
        x = vgg.preprocess(content + 20, network.mean_pixel).astype("f4")
        losses_found.append(Objective(content, [], s, network).evaluate(x).content)
    assert losses_found[0] == pytest.approx(losses_found[1], rel=0.05)  # but for the edges


EACH = ("relu1_1:2", "relu2_1:1", "/", "relu2_1:0.5", "relu4_1:1")


def test_layers_of_each_style_are_their_formula_and_tile(network):
    s = settings(style_layers=EACH, style_blend_weights=(1, 3))
    content, styles = picture(129, 97), [picture(90, 120, seed=1), picture(64, 50, seed=2)]
    shown = picture(129, 97, seed=3)
    image = vgg.preprocess(shown, network.mean_pixel)
    model = vgg.build(network, list(s.style_weights()))

    def grams(pixels):
        given = model(vgg.preprocess(pixels, network.mean_pixel))
        flats = {k: flat(np.asarray(v, np.float64)[0]) for k, v in given.items()}
        return {k: f.T @ f / f.size for k, f in flats.items()}

    now, one, other = map(grams, (shown, *styles))
    each = [
        (0.25, one, {"relu1_1": 2, "relu2_1": 1}),
        (0.75, other, {"relu2_1": 0.5, "relu4_1": 1}),
    ]
    wanted = 500 * sum(
        share * weight * np.mean((now[layer] - style[layer]) ** 2)
        for share, style, layers in each
        for layer, weight in layers.items()
    )
    whole_losses, whole = Objective(content, styles, s, network).gradient(image)
    assert whole_losses.style == pytest.approx(wanted, rel=1e-4)
    tiled_losses, tiled = Objective(content, styles, s, network, tile=48).gradient(image)
    assert tiled_losses.style == pytest.approx(whole_losses.style, rel=1e-4)
    assert np.abs(tiled - whole).max() < 1e-4 * np.abs(whole).max()


def test_layers_of_each_style_with_the_wasserstein_loss(network):
    """In a layer of both, one Gaussian of the moments by their weights; in a layer of one, its."""
    from test_losses import wasserstein_by_scipy

    s = settings(style_layers=EACH, style_blend_weights=(1, 3), style_loss="wasserstein")
    styles, shown = [picture(90, 120, seed=1), picture(64, 50, seed=2)], picture(129, 97, seed=3)
    model = vgg.build(network, list(s.style_weights()))

    def moments(pixels):
        given = model(vgg.preprocess(pixels, network.mean_pixel))
        flats = {k: flat(np.asarray(v, np.float64)[0]) for k, v in given.items()}
        return {k: (f.mean(0), f.T @ f / len(f)) for k, f in flats.items()}

    now, one, other = map(moments, (shown, *styles))
    both = [(0.25 * a + 0.375 * b) / 0.625 for a, b in zip(one["relu2_1"], other["relu2_1"])]
    wanted = 500 * (
        0.5 * wasserstein_by_scipy(*now["relu1_1"], *one["relu1_1"])
        + 0.625 * wasserstein_by_scipy(*now["relu2_1"], *both)
        + 0.75 * wasserstein_by_scipy(*now["relu4_1"], *other["relu4_1"])
    )
    image = vgg.preprocess(shown, network.mean_pixel)
    got = Objective(picture(129, 97), styles, s, network).evaluate(image)
    assert got.style == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("missing", ["content", "style"])
def test_without_content_or_styles_it_is_the_rest_whole_and_tiled(network, missing):
    """Nothing of what has no weight is looked at: the same losses and gradient as with it."""
    s = settings(**{f"{missing}_weight": 0})
    content, styles = picture(129, 97), [picture(90, 120, seed=1)]
    image = vgg.preprocess(picture(129, 97, seed=3), network.mean_pixel)
    wanted, whole = Objective(content, styles, s, network).gradient(image)
    assert getattr(wanted, missing) == 0 and wanted.total > wanted.tv
    if missing == "content":
        content = np.zeros_like(content)
    else:
        styles = []
    for tile in (0, 48):
        got, gradient = Objective(content, styles, s, network, tile).gradient(image)
        assert got.total == pytest.approx(wanted.total, rel=1e-4)
        assert np.abs(gradient - whole).max() < 1e-4 * np.abs(whole).max()


@pytest.mark.every_backend
@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("style_loss", ["mean", "wasserstein"])
def test_what_is_compiled_for_one_style_serves_another(network, tile, style_loss):
    content, image = picture(48, 64), picture(48, 64, 5)[np.newaxis] - network.mean_pixel
    image, given = image.astype("f4"), (settings(style_loss=style_loss), network, tile)
    one, other = (Objective(content, [picture(40, 40, seed)], *given) for seed in (2, 3))
    first = one.gradient(image)[1], one.evaluate(image).total
    again = Objective(content, [picture(40, 40)], *given, targets=other.targets, like=one)
    wanted = other.gradient(image)[1]
    assert np.abs(again.gradient(image)[1] - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert np.abs(first[0] - wanted).max() > 1e-2 * np.abs(wanted).max()
    assert again.evaluate(image).total == pytest.approx(other.evaluate(image).total, rel=1e-5)
    assert first[1] != pytest.approx(other.evaluate(image).total, rel=1e-2)
