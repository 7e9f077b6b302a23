"""Networks whose filters have a mean activation of one."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import NETWORK, SHARED, needs_shared, picture
from keras import ops
from neural_style_keras import networks, neural_style, vgg
from neural_style_keras import pictures as images
from neural_style_keras.networks import normalization
from neural_style_keras.runs.transfer import Networks, load_networks, normalized, transfer_style
from neural_style_keras.settings import Settings, preset
from PIL import Image

PHOTOGRAPHS = [picture(32, 48, seed=i) for i in range(11)]


def activations(network, names, pooling, picture):
    model = vgg.build(network, names, pooling)
    given = model(vgg.preprocess(picture, network.mean_pixel))
    return {name: ops.convert_to_numpy(x) for name, x in given.items()}


def firing(means):
    """Which filters fire often enough to be scaled by no more than their means."""
    return means > normalization.LEAST * np.median(means)


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, (height, width) in enumerate([(40, 60), (70, 40), (50, 50)]):
        Image.fromarray(picture(height, width, seed=i).astype(np.uint8)).save(photos / f"{i}.png")
    return photos


@pytest.mark.every_backend
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_activations_are_the_plain_ones_over_the_means(network, pooling):
    means = normalization.measured(network, PHOTOGRAPHS, pooling)
    assert set(means) == {x.name for x in network.layers if x.type == "conv"}
    scaled = normalization.normalized(network, means)
    names = [layer.name for layer in network.layers]
    image = picture(40, 32, seed=9)
    plain, now = (activations(n, names, pooling, image) for n in (network, scaled))
    for layer in network.layers:
        conv = next(x for x in reversed(network.up_to([layer.name])) if x.type == "conv").name
        fires = firing(means[conv])
        divided = plain[layer.name][..., fires] / means[conv][fires]
        assert fires.any() and np.abs(divided).max() > 0
        difference = np.abs(now[layer.name][..., fires] - divided).max()
        assert difference < 1e-4 * np.abs(divided).max(), layer.name
    assert np.array_equal(network.mean_pixel, scaled.mean_pixel)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_mean_activation_over_photographs_and_positions_is_one(network, pooling):
    means = normalization.measured(network, PHOTOGRAPHS, pooling)
    scaled = normalization.normalized(network, means)
    relus = list(network.filters().values())
    given = [activations(scaled, relus, pooling, photo) for photo in PHOTOGRAPHS]
    for conv, relu in network.filters().items():
        fires = firing(means[conv])
        over_all = np.mean([x[relu].mean((0, 1, 2)) for x in given], axis=0)
        assert np.allclose(over_all[fires], 1, rtol=1e-3), relu
        assert fires.any()


def test_a_filter_that_hardly_fires_is_not_made_to_shout(network):
    means = {"conv1_1": np.array([0, 1e-6, 2, 4], "f4"), "conv1_2": np.zeros(4, "f4")}
    scaled = normalization.normalized(network, means)
    before, after = ({x.name: x for x in n.layers if x.type == "conv"} for n in (network, scaled))
    floor = normalization.LEAST * 1.0000005
    wanted = before["conv1_1"].bias / [floor, floor, 2, 4]
    assert np.allclose(after["conv1_1"].bias, wanted, rtol=1e-5)
    assert np.array_equal(after["conv1_2"].bias, before["conv1_2"].bias)
    assert all(np.isfinite(x.kernel).all() for x in after.values())


def test_only_what_the_losses_need_is_measured(network):
    found = normalization.measured(network, PHOTOGRAPHS[:2], "max", ["relu2_1", "conv1_1"])
    assert list(found) == ["conv1_1", "conv1_2", "conv2_1"]


def test_the_middles_of_a_folders_photographs(folder):
    found = list(normalization.squares(folder))
    assert [x.shape for x in found] == [(224, 224, 3)] * 3
    read = images.read(folder / "0.png")
    assert np.array_equal(found[0], images.resize(read[:, 10:50], 224, 224))
    assert len(list(normalization.squares(folder, most=2))) == 2


@needs_shared
def test_what_the_program_has_made_is_no_photograph(folder):
    """A run's output may lie in the folder, and would change the means on --resume."""
    before = list(normalization.squares(folder))
    images.write(folder / "out.png", picture(40, 40), json.dumps({"neural-style": "0"}))
    assert len(list(normalization.squares(folder))) == len(before) == 3


def test_nothing_is_measured_for_layers_that_have_no_means(network, folder, monkeypatch):
    monkeypatch.setattr(normalization, "measured", lambda *_: pytest.fail("it measured"))
    linear = tuple(x for x in network.layers if x.type != "relu")
    network = dataclasses.replace(network, layers=linear)
    settings = Settings(
        normalize_network=str(folder), content_layers=("conv4_2",), style_layers=("conv1_1",)
    )
    with pytest.raises(ValueError, match="no mean activations"):
        normalization.means(network, settings)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_packages_table_is_that_of_vgg19(pooling):
    """On other photographs, which are not those that it was made from."""
    network = vgg.load(NETWORK)
    table = normalization.packaged(network, pooling)
    assert sum(map(len, table.values())) == sum(map(network.channels, network.filters()))
    paths = sorted((SHARED / "images" / "photos").iterdir())[3:400:66]
    photographs = [images.resize(images.read(path), 160, 160) for path in paths]
    found = normalization.measured(network, photographs, pooling, ["relu3_1"])
    for name, means in found.items():
        ratio = means / table[name]
        assert np.median(ratio) == pytest.approx(1, abs=0.3), name
        assert np.corrcoef(np.log(means), np.log(table[name]))[0, 1] > 0.8, name


def test_the_packages_table_is_that_of_the_compact_network():
    """Whose style layers before the ReLU are filters, and after it are components."""
    network = networks.load("compact")
    table = normalization.packaged(network, "max")
    assert set(table) == set(network.filters()) and min(map(np.min, table.values())) >= 0
    normalization.means(network, preset("gatys"))
    with pytest.raises(ValueError, match=r"relu4_2 of this network has no mean activations"):
        normalization.means(network, Settings(normalize_network="on"))


def test_a_network_is_known_by_its_biases_in_whatever_file(network):
    assert normalization.packaged(network, "max") is None
    compact = networks.load("compact")
    longer = dataclasses.replace(
        compact,
        sha256="another",
        layers=(*compact.layers, *(x for x in network.layers if x.name.endswith("1_1"))),
    )
    table = normalization.packaged(longer, "avg")
    assert set(table) == set(compact.filters())
    assert (
        normalization.packaged(dataclasses.replace(compact, layers=compact.layers[:9]), "max")
        is None
    )


def test_a_network_without_a_table_is_told(network, mat):
    used = Networks(mat, network, None)
    assert normalized(used, Settings()) is used
    assert normalized(used, Settings(normalize_network="auto")) is used
    with pytest.raises(ValueError, match="--normalize-network FOLDER measures them"):
        normalized(used, Settings(normalize_network="on"))
    with pytest.raises(OSError, match="is not a folder"):
        normalized(used, Settings(normalize_network="nowhere"))


def test_a_warm_start_is_normalised_too_or_there_is_none(network, folder, tmp_path):
    s = Settings(normalize_network=str(folder))
    found = normalized(Networks(None, network, network), s)
    for one, other in zip(found.network.layers, found.warm.layers):
        assert one.type != "conv" or np.array_equal(one.kernel, other.kernel)
    compact = networks.load("compact")  # of which relu4_2 is not of filters
    found = normalized(Networks(None, network, compact), s)
    assert found.warm is None and found.normalization


def test_from_python_a_network_given_is_normalised(network, folder):
    content, style = picture(32, 48), picture(32, 48, seed=1)
    s = Settings(normalize_network=str(folder), iterations=1, initial_noiseblend=0)
    told = [
        next(transfer_style(content, [style], s, network=given)).losses
        for given in (network, normalized(Networks(None, network, None), s))
    ]
    assert told[0] == told[1]
    plain = dataclasses.replace(s, normalize_network="off")
    assert next(transfer_style(content, [style], plain, network=network)).losses != told[0]


def test_the_picture_tells_how_its_network_was_normalised(pictures, mat, folder, tmp_path, capsys):
    out = tmp_path / "out.png"
    inputs = ["--content", str(pictures["content.png"]), "--styles", str(pictures["style.png"])]
    inputs += ["--network", str(mat), "--iterations", "2"]
    chosen = ["--normalize-network", str(folder)]
    assert neural_style.main([*inputs, "--output", str(out), *chosen]) == 0
    assert "max pooling, normalised" in capsys.readouterr().out
    about = json.loads(images.comment(out))
    assert about["settings"]["normalize_network"] == str(folder)
    assert len(about["normalization"]) == 64
    # The same again, of what the picture holds.
    again = tmp_path / "again.png"
    like = ["--like", str(out), *inputs[:-2]]
    assert neural_style.main([*like, "--output", str(again)]) == 0
    assert np.array_equal(images.read(out), images.read(again))
    assert json.loads(images.comment(again))["normalization"] == about["normalization"]


def test_a_run_goes_on_only_with_the_same_means(network, mat, folder, pictures, tmp_path, capsys):
    out = tmp_path / "out.png"
    words = ["--content", str(pictures["content.png"]), "--styles", str(pictures["style.png"])]
    words += ["--network", str(mat), "--normalize-network", str(folder), "--iterations", "2"]
    words += ["--output", str(out)]
    assert neural_style.main(words) == 0
    assert neural_style.main([*words, "--resume"]) == 0
    assert "is complete: there is nothing to resume" in capsys.readouterr().out
    Image.fromarray(picture(60, 60, seed=8).astype(np.uint8)).save(folder / "more.png")
    assert neural_style.main([*words, "--resume"]) == 1  # it is another picture's name now
    assert "exists: name another" in capsys.readouterr().err


def test_bad_folders_are_told_before_anything_is_loaded(pictures, mat, tmp_path, capsys):
    words = ["--content", str(pictures["content.png"]), "--styles", str(pictures["style.png"])]
    words += ["--network", str(mat), "--output", str(tmp_path / "out.png")]
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, says in [(empty, "there are no pictures in"), ("nowhere", "is not a folder")]:
        assert neural_style.main([*words, "--normalize-network", str(folder)]) == 1
        assert says in capsys.readouterr().err
    assert neural_style.main([*words, "--normalize-network"]) == 1
    assert "there is no table of this network's mean activations" in capsys.readouterr().err


def test_auto_normalises_where_there_is_a_table(mat):
    s = preset("gatys", network="compact", normalize_network="auto")
    found = load_networks(s)
    plain = load_networks(dataclasses.replace(s, normalize_network="off"))
    table = normalization.packaged(plain.network, "avg")
    names = s.layers()
    image = picture(64, 64)
    now, before = (activations(n.network, names, "avg", image) for n in (found, plain))
    for name in names:
        wanted = before[name] / np.maximum(
            table[name], normalization.LEAST * np.median(table[name])
        )
        assert np.abs(now[name] - wanted).max() < 1e-3 * np.abs(wanted).max()
    other = dataclasses.replace(s, network=str(mat))
    assert load_networks(other).normalization is None
