import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.signal
from conftest import MEAN, NETWORK, PICTURES, needs_shared, picture, small_layers, write_mat
from neural_style_keras import networks, vgg
from PIL import Image

REFERENCE = json.loads((Path(__file__).parent / "reference" / "features.json").read_text())


def run(model, image):
    return {name: np.asarray(value) for name, value in model(image).items()}


def same(a, b):
    """Two networks hold the same layers."""
    assert np.allclose(a.mean_pixel, b.mean_pixel)
    assert [layer.name for layer in a.layers] == [layer.name for layer in b.layers]
    for x, y in zip(a.layers, b.layers):
        assert (x.type, x.stride, x.pad, x.window) == (y.type, y.stride, y.pad, y.window)
        assert (x.kernel is None) == (y.kernel is None)
        if x.kernel is not None:
            assert np.array_equal(x.kernel, y.kernel) and np.array_equal(x.bias, y.bias)


@pytest.mark.parametrize("layout", ["current", "older", "oldest"])
def test_each_published_layout_gives_the_same_network(tmp_path, network, layout):
    same(vgg.parse(write_mat(tmp_path / "a.mat", layout)), network)


def test_a_mean_picture_is_averaged_to_a_pixel(tmp_path):
    mean = np.random.default_rng(0).uniform(90, 130, (224, 224, 3))
    parsed = vgg.parse(write_mat(tmp_path / "a.mat", mean=mean))
    assert np.allclose(parsed.mean_pixel, mean.mean(axis=(0, 1)), rtol=1e-5)


def test_double_precision_kernels_are_read(tmp_path, network):
    layers = small_layers()
    for layer in layers:
        if "kernel" in layer:
            layer["kernel"] = layer["kernel"].astype(np.float64)
    same(vgg.parse(write_mat(tmp_path / "a.mat", layers=layers)), network)


def test_a_convolution_is_what_its_file_says(tmp_path):
    """One layer by hand: cross-correlation with the kernel's first two axes swapped."""
    layers = small_layers()[:1]
    parsed = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    image = np.random.default_rng(1).normal(size=(1, 9, 7, 3)).astype("f4")
    out = run(vgg.build(parsed, ["conv1_1"]), image)["conv1_1"]
    for channel in range(4):
        expected = layers[0]["bias"][channel] + sum(
            scipy.signal.correlate2d(
                image[0, :, :, i], layers[0]["kernel"][:, :, i, channel].T, mode="same"
            )
            for i in range(3)
        )
        assert np.allclose(out[0, :, :, channel], expected, atol=1e-4)


def test_stride_and_uneven_padding_come_from_the_file(tmp_path):
    layers = small_layers()[:1]
    layers[0] |= {"stride": np.array([[2.0, 2.0]]), "pad": np.array([[0.0, 2.0, 1.0, 0.0]])}
    parsed = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    image = np.random.default_rng(1).normal(size=(1, 9, 8, 3)).astype("f4")
    out = run(vgg.build(parsed, ["conv1_1"]), image)["conv1_1"]
    padded = np.pad(image[0], ((0, 2), (1, 0), (0, 0)))
    expected = layers[0]["bias"][1] + sum(
        scipy.signal.correlate2d(padded[:, :, i], layers[0]["kernel"][:, :, i, 1].T, mode="valid")
        for i in range(3)
    )
    assert np.allclose(out[0, :, :, 1], expected[::2, ::2], atol=1e-4)


@pytest.mark.parametrize(("pooling", "reduce"), [("max", np.max), ("avg", np.mean)])
def test_pooling_keeps_an_odd_edge(network, pooling, reduce):
    image = picture(5, 7)[np.newaxis]
    out = run(vgg.build(network, ["relu1_2", "pool1"], pooling), image)
    before, after = out["relu1_2"][0], out["pool1"][0]
    assert after.shape[:2] == (3, 4)
    for y in range(3):
        for x in range(4):
            block = before[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            assert np.allclose(after[y, x], reduce(block, axis=(0, 1)), rtol=1e-5)


def test_relu_follows_its_convolution(network):
    out = run(vgg.build(network, ["conv3_1", "relu3_1"]), picture(16, 16)[np.newaxis])
    assert out["conv3_1"].min() < 0
    assert np.array_equal(out["relu3_1"], np.maximum(out["conv3_1"], 0))


def test_only_what_is_needed_is_built(network):
    names = [layer.name for layer in vgg.build(network, ["relu2_1"]).layers]
    assert "conv2_1" in names and "conv2_2" not in names
    assert not vgg.build(network, ["relu2_1"]).trainable_variables


def test_a_name_that_is_not_there_is_answered_with_those_that_are(network):
    with pytest.raises(ValueError, match="no layer relu9_9; it has conv1_1, relu1_1, conv1_2"):
        vgg.build(network, ["relu9_9"])
    with pytest.raises(ValueError, match="no layer fc6"):
        vgg.build(network, ["fc6"])
    with pytest.raises(ValueError, match="did you mean relu4_1"):
        vgg.build(network, ["rellu4_1"])


def test_the_compact_networks_own_layers_are_not_offered():
    with pytest.raises(ValueError, match="no layer x") as error:
        vgg.load(networks.COMPACT).up_to(["x"])
    assert "relu5_1" in str(error.value) and "_core" not in str(error.value)


def test_an_unsupported_layer_matters_only_where_it_is_needed(tmp_path):
    layers = small_layers()
    layers.insert(4, {"type": "lrn", "name": "norm1"})
    parsed = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    vgg.build(parsed, ["relu1_2"])
    with pytest.raises(ValueError, match="norm1 is of type lrn, which is not supported"):
        vgg.build(parsed, ["relu2_1"])


def test_bfloat16_gives_nearly_the_same(network):
    image = vgg.preprocess(picture(32, 32), network.mean_pixel)
    full = run(vgg.build(network, ["relu3_1"]), image)["relu3_1"]
    half = vgg.build(network, ["relu3_1"], precision="bfloat16")(image)["relu3_1"]
    assert "bfloat16" in str(half.dtype)
    import keras

    half = keras.ops.convert_to_numpy(keras.ops.cast(half, "float32"))
    assert np.linalg.norm(half - full) < 0.02 * np.linalg.norm(full)


def test_preprocess_takes_the_mean_off_and_unprocess_puts_it_back():
    image = picture(6, 5)
    inner = vgg.preprocess(image, MEAN.astype("f4"))
    assert inner.shape == (1, 6, 5, 3) and inner.dtype == np.float32
    assert np.allclose(inner[0, 2, 3], image[2, 3] - MEAN, atol=1e-4)
    assert np.allclose(vgg.unprocess(inner, MEAN.astype("f4")), image, atol=1e-3)
    assert vgg.unprocess(inner + 1e4, MEAN).max() == 255


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a MATLAB file"),
        (b"hello, I am a text\n" * 20, "not a MATLAB file"),
    ],
)
def test_a_file_that_is_no_mat(tmp_path, content, says):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=says):
        vgg.parse(tmp_path / "a.mat")


def test_a_file_cut_short(tmp_path, mat):
    (tmp_path / "a.mat").write_bytes(mat.read_bytes()[:3000])
    with pytest.raises(ValueError, match="not a MATLAB file that can be read, or is damaged"):
        vgg.parse(tmp_path / "a.mat")


def test_a_mat_of_another_structure(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.ones(3)})
    with pytest.raises(ValueError, match="not a MatConvNet network"):
        vgg.parse(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"layers": np.ones(3), "meta": {"normalization": 1.0}})
    with pytest.raises(ValueError, match="not a MatConvNet network"):
        vgg.parse(tmp_path / "b.mat")


def test_a_file_that_is_not_there(tmp_path):
    for load in (vgg.parse, vgg.load):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "a.mat")


@pytest.fixture
def own_mat(tmp_path):
    return write_mat(tmp_path / "own.mat")


@pytest.fixture
def parses(monkeypatch):
    """Count the times that a file is parsed."""
    count, parse = [], vgg.parse
    monkeypatch.setattr(vgg, "parse", lambda path: count.append(path) or parse(path))
    return count


def test_a_network_is_parsed_once(own_mat, parses):
    first, second = vgg.load(own_mat), vgg.load(own_mat)
    assert len(parses) == 1
    same(first, second)
    assert first.sha256 == second.sha256


def test_a_touched_file_is_known_by_its_hash_and_a_changed_one_is_parsed(own_mat, parses):
    vgg.load(own_mat)
    os.utime(own_mat, ns=(1, 1))
    vgg.load(own_mat)
    assert len(parses) == 1
    write_mat(own_mat, layers=small_layers(seed=5))
    changed = vgg.load(own_mat)
    assert len(parses) == 2
    same(changed, vgg.parse(own_mat))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_copy_is_made_anew(own_mat, own_cache, parses, damage):
    before = vgg.load(own_mat)
    [copy] = own_cache.rglob("*.npz")
    whole = copy.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    damaged = {"cut": whole[: len(whole) // 2], "flipped": flipped, "empty": b"", "other": b"PK1"}
    copy.write_bytes(damaged[damage])
    same(vgg.load(own_mat), before)
    assert len(parses) == 2
    same(vgg.load(own_mat), before)
    assert len(parses) == 2


def test_no_cache_leaves_none(own_mat, own_cache):
    vgg.load(own_mat, cache=False)
    assert not list(own_cache.rglob("*.npz"))


def test_a_cache_that_cannot_be_written_is_done_without(own_mat, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert vgg.load(own_mat).layers


@needs_shared
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_every_layer_of_vgg19_gives_the_reference_numbers(pooling):
    parameters = vgg.load(NETWORK)
    assert np.allclose(parameters.mean_pixel, REFERENCE["mean_pixel"])
    image = np.asarray(Image.open(PICTURES / "tubingen.jpg").resize((160, 120)))
    expected = REFERENCE[pooling]
    image = vgg.preprocess(image, parameters.mean_pixel)
    for name, out in run(vgg.build(parameters, list(expected), pooling), image).items():
        want = expected[name]
        assert list(out.shape) == want["shape"]
        out = out.astype(np.float64)
        assert np.linalg.norm(out) == pytest.approx(want["l2"], rel=1e-4), name
        assert out.mean() == pytest.approx(want["mean"], rel=1e-4), name
        assert out.std() == pytest.approx(want["std"], rel=1e-4), name
        _, height, width, _ = out.shape
        for y, x, where in [(0, 0, "corner"), (height // 2, width // 2, "centre")]:
            assert np.allclose(out[0, y, x, :4], want[where], atol=1e-3 * want["std"]), name


@pytest.mark.every_backend
@pytest.mark.parametrize(("padding", "mode"), [("replicate", "edge"), ("reflect", "reflect")])
def test_the_first_convolution_sees_what_the_padding_says(network, padding, mode):
    """As without padding on a picture that has been padded; the convolutions after it see zeros."""
    from keras import ops

    image = picture(9, 7)[np.newaxis]
    names = ["conv1_1", "conv1_2"]
    padded = vgg.build(network, names, padding=padding)(image)
    padded = {k: ops.convert_to_numpy(v) for k, v in padded.items()}
    larger = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode)
    plain = ops.convert_to_numpy(vgg.build(network, names)(larger)["conv1_1"])
    assert np.allclose(padded["conv1_1"], plain[:, 1:-1, 1:-1], atol=1e-3)
    zeros = vgg.build(network, names)(image)
    difference = padded["conv1_1"] - ops.convert_to_numpy(zeros["conv1_1"])
    assert np.abs(difference[:, 1:-1, 1:-1]).max() < 1e-3 < np.abs(difference).max()
    relu = np.maximum(padded["conv1_1"], 0)
    layer = next(x for x in network.layers if x.name == "conv1_2")
    second = ops.conv(relu, layer.kernel, padding="same") + layer.bias
    assert np.allclose(padded["conv1_2"], ops.convert_to_numpy(second), atol=1e-2)


def test_an_uneven_padding_is_replicated_side_by_side(tmp_path):
    layers = small_layers()[:1]
    layers[0] |= {"pad": np.array([[0.0, 2.0, 1.0, 0.0]])}
    parsed = vgg.parse(write_mat(tmp_path / "a.mat", layers=layers))
    image = np.random.default_rng(1).normal(size=(1, 9, 8, 3)).astype("f4")
    for padding, mode in [("replicate", "edge"), ("reflect", "reflect")]:
        out = run(vgg.build(parsed, ["conv1_1"], padding=padding), image)["conv1_1"]
        larger = np.pad(image, ((0, 0), (0, 2), (1, 0), (0, 0)), mode)
        valid = write_mat(
            tmp_path / "b.mat", layers=[layers[0] | {"pad": np.array([[0.0, 0.0, 0.0, 0.0]])}]
        )
        wanted = run(vgg.build(vgg.parse(valid), ["conv1_1"]), larger)["conv1_1"]
        assert out.shape == wanted.shape and np.allclose(out, wanted, atol=1e-4)
