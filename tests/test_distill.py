"""The making of the compact network, on small pictures and networks."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import NETWORK, PICTURES, needs_shared, picture
from neural_style_keras import losses, networks, vgg
from neural_style_keras import pictures as images
from neural_style_keras.objective import Objective
from neural_style_keras.settings import Settings

from distill import compress, data, judge, train
from distill.trajectories import KEPT, trajectories


@pytest.fixture
def pictures():
    return np.stack([picture(32, 32, seed) for seed in range(6)])


def test_a_convolution_of_full_rank_is_found_again():
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 40, 40, 5)).astype(np.float32)
    kernel = random.normal(size=(3, 3, 5, 7)).astype(np.float32)
    y = compress._convolve(x, kernel, np.arange(7, dtype=np.float32))
    core, out, bias = compress._fit(x, y, 7, random)
    given = compress._convolve(compress._convolve(x, core), out, bias)
    assert np.abs(given - y).max() < 1e-3 * np.abs(y).max()


def test_of_a_lower_rank_the_best_is_kept():
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 40, 40, 5)).astype(np.float32)
    y = compress._convolve(x, random.normal(size=(3, 3, 5, 7)).astype(np.float32))
    errors = []
    for rank in (1, 3, 6):
        core, out, bias = compress._fit(x, y, rank, random)
        given = compress._convolve(compress._convolve(x, core), out, bias)
        errors.append(np.mean((given - y) ** 2) / np.mean(y**2))
    lost = np.linalg.eigvalsh(np.cov(y.reshape(-1, 7).T))[::-1]
    assert errors == pytest.approx([lost[rank:].sum() / lost.sum() for rank in (1, 3, 6)], rel=0.1)


def test_the_small_network_has_the_names_and_is_near_the_large_one(network, pictures, monkeypatch):
    ranks = {x.name: (99, 99) for x in network.layers if x.type == "conv"}
    for layer in network.layers:
        if layer.type == "conv":
            n = layer.kernel.shape[3]
            ranks[layer.name] = (None if layer.name == "conv1_1" else n, n)
    monkeypatch.setattr(compress, "RANKS", ranks)
    small = compress.compress(network, pictures)
    names = ["relu1_1", "relu2_1", "conv3_1", "relu4_1", "relu5_1"]
    maps = compress.targets(network, small)
    image = pictures[:1] - network.mean_pixel
    given = vgg.build(small, list(maps))(image)
    truth = vgg.build(network, [source for source, _ in maps.values()])(image)
    for name in names:
        source, matrix = maps[name]
        wanted = np.asarray(truth[source])
        wanted = wanted if matrix is None else wanted @ matrix
        assert np.abs(np.asarray(given[name]) - wanted).max() < 0.05 * np.abs(wanted).max(), name


def test_writing_and_reading_rounds_to_half_precision(network, tmp_path):
    compress.write(tmp_path / "n.mat", network)
    read = vgg.parse(tmp_path / "n.mat")
    assert [x.name for x in read.layers] == [x.name for x in network.layers]
    for one, other in zip(read.layers, network.layers):
        assert (one.type, one.stride, one.window) == (other.type, other.stride, other.window)
        if one.type == "conv":
            assert one.pad == other.pad
            assert np.array_equal(one.kernel, compress._rounded(other.kernel, 10))
            assert np.allclose(one.kernel, other.kernel, rtol=2**-11)
    assert np.array_equal(read.mean_pixel, network.mean_pixel)


def test_scaling_channels_changes_nothing_but_their_size(network, pictures):
    image = (pictures[:2] - network.mean_pixel).astype(np.float32)
    spread = train.spreads(network, image)
    even = vgg.scaled(network, {name: 1 / x for name, x in spread.items()})
    before = np.asarray(vgg.build(network, ["conv5_1"])(image)["conv5_1"])
    after = np.asarray(vgg.build(even, ["conv5_1"])(image)["conv5_1"])
    assert np.allclose(after * spread["conv5_1"], before, atol=1e-4 * np.abs(before).max())
    back = vgg.scaled(even, spread)
    for one, other in zip(back.layers, network.layers):
        if one.type == "conv":
            assert np.allclose(one.kernel, other.kernel, rtol=1e-5)


def test_learning_brings_the_student_nearer(network, pictures):
    random = np.random.default_rng(0)
    names = ["relu1_1", "relu3_1"]
    layers = [
        dataclasses.replace(x, kernel=x.kernel * random.uniform(0.7, 1.3, x.kernel.shape))
        if x.type == "conv"
        else x
        for x in network.up_to(names)
    ]
    worse = dataclasses.replace(network, layers=tuple(layers))
    image = (pictures - network.mean_pixel).astype(np.float32)
    student = vgg.build(worse, names)
    student.trainable = True
    eye = {n: (n, np.eye(network.channels(n), dtype=np.float32)) for n in names}
    spread = {x.name: np.ones_like(x.bias) for x in layers if x.type == "conv"}
    spread |= {n: np.ones(network.channels(n), np.float32) for n in names}
    model = train.Distiller(student, eye, spread, {"relu3_1": (2.0, 3.0)})
    model.compile(keras.optimizers.Adam(1e-3))
    answer = train.answers(vgg.build(network, names), eye, spread)
    told = model.fit(image, answer(image), epochs=20, batch_size=3, verbose=0)
    assert told.history["loss"][-1] < 0.3 * told.history["loss"][0]
    learned = train.learned(worse, student, spread)
    assert np.array_equal(learned.layers[0].kernel, student.get_layer("conv1_1").get_weights()[0])


def test_what_has_learnt_says_itself_which_components_it_is_to_give():
    random = np.random.default_rng(0)
    axes = 0.25 * np.linalg.qr(random.normal(size=(9, 4)))[0]
    original = vgg.Parameters(
        np.zeros(3), (vgg.Layer("conv1_1", "conv"), vgg.Layer("relu1_1", "relu")), ""
    )

    def wanted(matrix):
        kernel = matrix[np.newaxis, np.newaxis].astype(np.float32)
        small = dataclasses.replace(original, layers=(vgg.Layer("relu1_1", "conv", kernel),))
        [(source, found)] = compress.targets(original, small).values()
        assert source == "relu1_1"
        return found

    assert np.abs(wanted(axes) - axes).max() < 1e-6
    learnt = axes + 0.01 * random.normal(size=axes.shape)
    found = wanted(learnt)
    gram = found.T @ found
    assert np.abs(gram - gram[0, 0] * np.eye(4)).max() < 1e-6
    assert np.linalg.norm(found - learnt) <= np.linalg.norm(axes - learnt)


def test_each_answer_is_learnt_from_more_than_once(network, tmp_path):
    for i in range(2):
        images.write(tmp_path / f"{i}.png", picture(40, 40, seed=i))
    asked = []

    def answer(batch):
        asked.append(batch)
        return {"relu1_1": batch}

    stream = train.Pictures(images.found(tmp_path), network.mean_pixel, answer)
    stream.own = np.zeros((9, train.SIDE, train.SIDE, 3), np.float32)
    for i in range(60):
        batch, wanted = stream[i]
        assert batch.shape == (train.BATCH, train.SIDE, train.SIDE, 3)
        assert wanted["relu1_1"] is batch or (wanted["relu1_1"] == batch).all()
    assert len(asked) == pytest.approx(60 / train.REPEATS, abs=train.BATCHES_KEPT)
    # Of trajectories: black pictures less the mean pixel.
    assert asked[0][-3:] + network.mean_pixel == pytest.approx(0, abs=1e-4)


def test_trajectories_get_nearer_to_the_style(network, pictures):
    built = vgg.build(network, ["relu2_1"])
    random = np.random.default_rng(0)
    ways = trajectories(network, pictures[:2], pictures[2:4], random)
    assert ways.shape == (2 * KEPT, 32, 32, 3) and ways.dtype == np.float32

    def distance(some):
        grams = [
            losses.gram_matrix(built((x - network.mean_pixel).astype(np.float32))["relu2_1"])
            for x in (some, pictures[2:4])
        ]
        return float(np.mean(np.square(np.asarray(grams[0]) - np.asarray(grams[1]))))

    assert distance(ways[-2:]) < distance(ways[:2])


def test_disturbed_pictures_stay_pictures(pictures):
    out = data.disturbed(pictures, np.random.default_rng(0))
    assert out.shape == pictures.shape and out.dtype == np.float32
    assert out.min() >= 0 and out.max() <= 255 and not np.allclose(out, pictures)


def test_crops_are_of_one_size(tmp_path):
    for i, size in enumerate([(40, 60), (80, 50)]):
        images.write(tmp_path / f"{i}.png", picture(*size, seed=i))
    (tmp_path / "notes.txt").write_text("no picture")
    paths = images.found(tmp_path)
    assert len(paths) == 2
    out = data.crops(paths, 5, 24, np.random.default_rng(0))
    assert out.shape == (5, 24, 24, 3) and out.min() >= 0 and out.max() <= 255
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="no pictures"):
        images.found(tmp_path / "empty")


@pytest.mark.slow
@needs_shared
def test_the_compact_network_paints_nearly_as_well_as_vgg19():
    """Small and short, from the content: the table on the card is of the real thing."""
    teacher, compact = vgg.load(NETWORK), vgg.load(networks.COMPACT)
    content = images.resize(images.read(PICTURES / "tubingen.jpg"), 128, 96)
    style = images.resize(images.read(PICTURES / "starry-night.jpg"), 128, 101)
    aim = Objective(content, [style], Settings(), teacher)
    totals = [
        aim.evaluate(vgg.preprocess(one, teacher.mean_pixel)).total
        for one in (
            content,
            judge.paint(content, style, compact, "content", "float32"),
            judge.paint(content, style, teacher, "content", "float32"),
        )
    ]
    assert totals[1] < 3 * totals[2] and totals[1] < 0.2 * totals[0]
