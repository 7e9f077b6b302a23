"""Painters for any style: what they see of a painting, how they learn, and how they paint."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from conftest import picture
from keras import ops, tree
from neural_style_keras import backend, networks, painters, vgg
from neural_style_keras import pictures as images
from neural_style_keras.objective import Objective
from neural_style_keras.painters import (
    ADAPTED,
    COLOURS,
    EMBEDDING,
    SHARES,
    architecture,
    painting,
    photographs,
    refining,
    training,
)
from neural_style_keras.painters.architecture import Painter
from neural_style_keras.painters.painting import choose_tile, embed_styles, paint
from neural_style_keras.painters.photographs import Photographs, recoloured, style_square
from neural_style_keras.painters.predictor import (
    CHANNELS,
    FLAT,
    GRAMS,
    MIDDLE,
    NUMBERS,
    REACH,
    Eyes,
    adaptation,
    gram_matrices,
)
from neural_style_keras.runs import painting as run_painting
from neural_style_keras.runs import training as runs_training
from neural_style_keras.runs import transfer
from neural_style_keras.settings import Settings
from PIL import Image
from test_neural_style import everything, main

SLIM = dict(width_factor=0.25, any_style=True)


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    """Painters of one residual block: what is slow is to compile each."""
    monkeypatch.setattr(architecture, "BLOCKS", 1)


@pytest.fixture
def painter():
    return untrained(0)


def untrained(seed):
    """A painter for any style, before it has learnt anything."""
    keras.utils.set_random_seed(seed)
    painter = Painter(**SLIM, about={"styles": []})
    painter.begin_with_any(0)
    seen = [Eyes().look(picture(64, 64, seed))[0] for seed in range(10, 18)]
    painter.predictor.adapt(np.concatenate(seen))
    return painter


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a painter for any style and of one of named styles."""
    folder = tmp_path_factory.mktemp("painters")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(architecture, "BLOCKS", 1)
        keras.utils.set_random_seed(0)
        painters.save(Painter(**SLIM, about={"styles": []}), folder / "any.keras")
        named = Painter(width_factor=0.25, about={"styles": [{"name": "a"}]})
        painters.save(named, folder / "named.keras")
    return folder


@pytest.fixture
def folders(tmp_path):
    """A folder of photographs and one of styles."""
    for name, seeds in (("photos", range(4)), ("drawn", range(4, 7))):
        (tmp_path / name).mkdir()
        for seed in seeds:
            made = Image.fromarray(picture(90 + seed, 80, seed).astype(np.uint8))
            made.save(tmp_path / name / f"{seed}.png")
    return tmp_path / "photos", tmp_path / "drawn"


@pytest.fixture
def arguments(pictures, folders, mat, tmp_path, monkeypatch):
    """A training of a moment; a later argument wins."""
    monkeypatch.chdir(tmp_path)
    return [
        *("train", "--any", "--styles", "drawn", "style.png", "--photos", "photos"),
        *("--output", "a.keras", "--network", str(mat), "--warm-share", "0", "--steps", "4"),
        *("--checkpoint-steps", "2", "--side", "64", "--batch", "2", "--width-factor", "0.25"),
    ]


# What is seen of a painting.


@pytest.mark.every_backend
def test_what_is_seen_is_the_colours_and_the_features_of_each_layer():
    eyes, styles = Eyes(), np.stack([picture(70, 50, 1), picture(70, 50, 2)])
    seen, grams = tree.map_structure(ops.convert_to_numpy, eyes.seen(styles))
    assert seen.shape == (2, NUMBERS) and np.isfinite(seen).all()
    wanted = np.arctanh((styles - MIDDLE) / REACH)
    assert seen[:, :3] == pytest.approx(wanted.mean((1, 2)), abs=1e-4)
    assert seen[:, 3:COLOURS] == pytest.approx(wanted.std((1, 2)), abs=1e-4)
    features = ops.convert_to_numpy(eyes.network(styles - eyes._mean_pixel)["relu1_1"])
    assert seen[:, COLOURS : COLOURS + 16] == pytest.approx(features.mean((1, 2)), abs=1e-2)
    assert grams.shape == (2, GRAMS)
    for one, triangles in zip(features.reshape(2, -1, 16), grams):
        matrices = gram_matrices(triangles)
        assert list(matrices) == list(CHANNELS)
        assert matrices["relu1_1"][0] == pytest.approx(one.T @ one / one.size, rel=1e-3, abs=1e-2)
    # A picture of one colour is seen as well.
    assert np.isfinite(eyes.look(np.zeros((16, 16, 3), "f4"))[0]).all()


@pytest.mark.every_backend
def test_features_are_given_the_mean_and_the_spread_of_a_paintings(painter):
    """arXiv 1703.06868, equation 8: over the mean spread, so that all layers are as large."""
    eyes, style = Eyes(), np.clip(0.5 * picture(72, 64, 2) + 90, 0, 255)
    features = {
        layer: ops.convert_to_numpy(found)
        for layer, found in eyes.features(picture(64, 64)[np.newaxis].astype("f4")).items()
    }
    seen, _ = eyes.look(style)
    shares, wanted = painter.split(painter.predictor(seen))
    assert shares.shape == (1, SHARES) and list(wanted) == list(features) == list(ADAPTED)
    at = COLOURS
    for layer, channels in CHANNELS.items():
        means, spreads = np.split(seen[0, at : at + 2 * channels], 2)
        at += 2 * channels
        if layer not in ADAPTED:
            continue
        spreads = np.exp(spreads) - FLAT
        found = features[layer]
        assert found.shape[3] == channels == ADAPTED[layer]
        moments = (f(found, (1, 2), keepdims=True) for f in (np.mean, np.var))
        gain, offset = (ops.convert_to_numpy(x) for x in adaptation(*moments, *wanted[layer]))
        adapted, unit = found * gain + offset, spreads.mean() + FLAT
        assert adapted.mean((1, 2))[0] == pytest.approx(means / unit, abs=1e-3)
        lively = found.var((0, 1, 2)) > found.var((0, 1, 2)).mean()
        assert lively.sum() > 3
        assert adapted.std((1, 2))[0, lively] == pytest.approx(spreads[lively] / unit, rel=0.01)


def test_paintings_are_mixed_by_what_is_predicted_from_each(painter):
    one, other = picture(64, 80, 1), picture(50, 50, 2)
    alone = [embed_styles(painter, [style]).vector for style in (one, other)]
    assert alone[0].shape == (EMBEDDING,) and alone[0][0] == 1
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    mixed = embed_styles(painter, [one, other], [1, 3]).vector
    assert mixed == pytest.approx(0.25 * alone[0] + 0.75 * alone[1], rel=1e-5, abs=1e-6)
    halves = embed_styles(painter, [one, other]).vector
    assert halves == pytest.approx((alone[0] + alone[1]) / 2, rel=1e-5, abs=1e-6)
    for styles, weights in (([], None), ([one], [1, 2]), ([one, other], [0, 0])):
        with pytest.raises(ValueError, match="a weight for each"):
            embed_styles(painter, styles, weights)


def test_a_large_painting_is_seen_smaller_and_a_tiny_one_larger(painter, monkeypatch):
    sizes, eyes = [], Eyes()
    seen = eyes.seen
    eyes.seen = lambda style: sizes.append(style.shape[1:3]) or seen(style)
    monkeypatch.setattr("neural_style_keras.painters.painting.eyes", lambda: eyes)
    monkeypatch.setattr("neural_style_keras.painters.predictor.SEEN", 64 * 64)
    for height, width in ((64, 256), (40, 30), (8, 24), (2, 600)):
        embed_styles(painter, [picture(height, width)])
    assert [tuple(size) for size in sizes] == [(32, 128), (40, 30), (16, 48), (16, 256)]


def test_another_compact_network_than_it_was_trained_with_is_noticed(painter):
    painter.about["eyes"] = "of another"
    with pytest.raises(ValueError, match="another compact network"):
        embed_styles(painter, [picture(40, 40)])


# How it paints.


def test_before_it_has_learnt_anything_it_has_the_colours_of_the_style(painter):
    style = np.clip(0.3 * picture(64, 64, 3) + [120, 40, 10], 0, 255)
    painted = paint(painter, picture(96, 96, 1), styles=[style])
    before = np.arctanh((painted - MIDDLE) / REACH).mean((0, 1))
    assert before == pytest.approx(np.arctanh((style - MIDDLE) / REACH).mean((0, 1)), abs=0.15)


@pytest.mark.every_backend
def test_it_is_read_as_it_was_written_and_paints_the_same_in_tiles(painter, tmp_path):
    photo, style = picture(101, 139), picture(60, 60, 2)
    painted = paint(painter, photo, styles=[style])
    assert painted.shape == photo.shape and painted.std() > 5
    assert np.abs(paint(painter, photo, styles=[style], tile=72) - painted).max() < 0.02
    assert np.abs(paint(painter, photo, embed_styles(painter, [style])) - painted).max() == 0
    painters.save(painter, tmp_path / "a.keras")
    read = painters.load(tmp_path / "a.keras")
    assert read.any_style and read.names == []
    assert (paint(read, photo, styles=[style]) == painted).all()


def test_what_is_flat_has_strokes_by_noise_that_is_the_same_for_the_same_seed(painter):
    flat, style = np.full((64, 64, 3), 120, np.float32), picture(60, 60, 2)
    one, same, other = (paint(painter, flat, styles=[style], seed=seed) for seed in (0, 0, 1))
    assert (one == same).all() and np.abs(one - other).mean() > 1
    assert one[16:48, 16:48].std() > 1


def test_its_strength_goes_from_the_photograph_itself_to_the_style(painter):
    photo, style = picture(64, 64), picture(60, 60, 2)
    found = [paint(painter, photo, styles=[style], strength=s) for s in (0, 0.5, 1)]
    assert np.abs(found[0] - photo).max() < 1e-3
    assert np.abs(found[2] - paint(painter, photo, styles=[style])).max() < 1e-3
    assert all(np.abs(found[1] - end).mean() > 1 for end in (found[0], found[2]))
    tiled = paint(painter, photo, styles=[style], strength=0.5, tile=32)
    assert np.abs(tiled - found[1]).max() < 0.02


def test_with_convolutions_in_bfloat16_it_paints_nearly_the_same(painter):
    given = painter.canvas(*(picture(64, 64, seed)[np.newaxis] for seed in (0, 1)))
    given = given, embed_styles(painter, [picture(60, 60, 2)]).vector[np.newaxis]
    one = ops.convert_to_numpy(painter(given))
    painter.multiply_in("bfloat16")
    other = ops.convert_to_numpy(painter(given))
    assert other.dtype == np.float32 and 0 < np.abs(other - one).mean() < 2
    painter.multiply_in("float32")
    assert (ops.convert_to_numpy(painter(given)) == one).all()


def objective_of(photo, style, **more):
    return Objective(photo, [style], refining.SETTINGS, vgg.load(networks.COMPACT), **more)


@pytest.mark.every_backend
def test_a_picture_is_refined_by_the_styles_own_gram_matrices(painter):
    photo, style = picture(64, 80), picture(60, 60, 2)
    objective, found = objective_of(photo, style), []
    mean_pixel = objective.statistics.mean_pixel
    for steps in (0, 1, 4, 8):
        painted = paint(painter, photo, styles=[style], refine=steps)
        found.append((painted, objective.evaluate(vgg.preprocess(painted, mean_pixel)).total))
    (first, _), (once, _), *_ = found
    losses = [loss for _, loss in found]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.5 * losses[0]
    # What is clipped moves less than is asked for.
    assert 1 < np.abs(once - first).mean() <= refining.FIRST_STEP
    assert found[-1][0].min() >= 0 and found[-1][0].max() <= 255


def test_it_is_refined_the_same_in_tiles_and_by_its_strength():
    # L-BFGS lets rounding grow: with other kernels, at single pixels to a grey level.
    painter = untrained(2)
    photo, style = picture(101, 139), picture(60, 60, 2)
    how = dict(styles=[style], refine=2)
    whole = paint(painter, photo, **how)
    assert whole.shape == photo.shape
    assert np.abs(paint(painter, photo, tile=72, **how) - whole).max() < 0.5
    between = embed_styles(painter, [style, photo])
    own = paint(painter, photo, styles=[photo], refine=2)
    wanted = paint(painter, photo, between, refine=2) + 0.5 * (photo - own)
    half = paint(painter, photo, strength=0.5, **how)
    assert np.abs(half - wanted.clip(0, 255)).max() < 0.5
    assert np.abs(half - paint(painter, photo, styles=[style], strength=0.5)).mean() > 0.5


def test_refining_has_tiles_where_painting_needs_none(painter, saved, monkeypatch):
    free = {"bytes": 4e9}
    monkeypatch.setattr(backend, "available_memory", lambda device: free["bytes"])
    size = 1600, 1200
    assert choose_tile(painter, size, None) == 0
    assert choose_tile(painter, size, None, refine=2) == 512
    free["bytes"] = 2.5e9
    assert choose_tile(painter, size, None, refine=2) == 256
    assert choose_tile(painter, size, None, "300", refine=2) == 300
    # And so wherever pictures are refined.
    tiles = []
    monkeypatch.setattr(painting, "paint", lambda *given, **how: tiles.append((given[4], how)))
    settings = Settings(refine=2, painter=str(saved / "any.keras"))
    photo, style = np.zeros((1200, 1600, 3), np.float32), picture(60, 60)
    run_painting.painted_by(painter, photo, None, settings, True)
    transfer.first_picture(photo, [style], settings, images.Masks())
    assert all(tile == 256 and how["refine"] == 2 for tile, how in tiles) and len(tiles) == 2


def test_the_gradient_to_mixed_gram_matrices_is_that_of_the_losses_to_each(painter):
    photo, styles = picture(64, 64), [picture(60, 60, 2), picture(48, 70, 3)]
    settings = dataclasses.replace(refining.SETTINGS, style_blend_weights=(1, 3))
    both = Objective(photo, styles, settings, vgg.load(networks.COMPACT))
    grams = gram_matrices(embed_styles(painter, styles, [1, 3]).grams)
    one = objective_of(photo, styles[0], targets=[None, [grams], None])
    image = vgg.preprocess(picture(64, 64, 7), one.statistics.mean_pixel)
    wanted, found = both.gradient(image)[1], one.gradient(image)[1]
    assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_styles_of_the_other_kind_are_refused(painter):
    photo, named = picture(64, 64), Painter(width_factor=0.25)
    with pytest.raises(ValueError, match="no styles of its own"):
        paint(painter, photo, "wave")
    with pytest.raises(ValueError, match="no styles of its own"):
        paint(painter, photo)
    for given in ({"styles": [photo]}, {}):
        with pytest.raises(ValueError, match="has learnt its styles, and takes no others"):
            paint(named, photo, **given)
    with pytest.raises(ValueError, match="the strength is of painters for any style"):
        paint(named, photo, "1", strength=0.5)
    with pytest.raises(ValueError, match="only what a decoder paints is refined"):
        paint(named, photo, "1", refine=1)
    with pytest.raises(ValueError, match="has learnt its styles"):
        embed_styles(named, [photo])


# What it learns.


@pytest.mark.every_backend
def test_each_picture_is_judged_by_a_style_of_its_own(network):
    settings = Settings(content_weight=7.5, tv_weight=200.0)
    photos, painted, styles = (
        np.stack([picture(64, 64, seed), picture(64, 64, seed + 1)]) for seed in (3, 5, 7)
    )
    criterion = training.PerceptualLoss([], settings, network, 64)
    losses = ops.convert_to_numpy(criterion(painted, photos, styles))
    for given, style, content, image in zip(losses, styles, photos, painted):
        objective = Objective(content, [style], settings, network)
        wanted = objective.evaluate((image - network.mean_pixel)[np.newaxis].astype("f4"))
        assert given == pytest.approx(list(wanted.terms.values()), rel=1e-4)
    with pytest.raises(ValueError, match="Wasserstein"):
        training.PerceptualLoss([], Settings(style_loss="wasserstein"), network, 64)


def test_a_hundredth_less_counts_the_same_in_all_pairs():
    made = object.__new__(training.TrainingModel)
    object.__setattr__(made, "painter", type("", (), {"any_style": True}))
    object.__setattr__(made, "_counts", np.array([1e-6], np.float32))

    def loss(*totals):
        return float(made.compute_loss({}, y_pred=np.array(totals, np.float32)[:, np.newaxis]))

    loud, quiet = loss(99e6, 1e6) - loss(100e6, 1e6), loss(100e6, 0.99e6) - loss(100e6, 1e6)
    assert loud == pytest.approx(quiet, rel=0.02)
    assert loss(0, 0) == pytest.approx(np.log(training.LEAST), rel=1e-3)


def test_styles_are_drawn_from_each_folder_and_the_same_wherever_it_goes_on(folders):
    paths, drawn = (images.found(folder) for folder in folders)
    one, other = (Photographs(paths, 0, 2, 64, 3, seed=5, groups=[paths, drawn]) for _ in range(2))
    batches = [one[i][0] for i in range(3)]
    assert (other.batch(2)["style"] == batches[2]["style"]).all()
    assert batches[0]["style"].shape == (2, 64, 64, 3)
    assert all(batch["style"].dtype == np.float32 for batch in batches)
    assert (batches[0]["style"] != batches[1]["style"]).any()
    # Of another that has been asked for nothing: its readers would read ahead meanwhile.
    read, counted = [], Photographs(paths, 0, 2, 64, 3, seed=5, groups=[paths, drawn])
    counted._square = lambda paths, *more: read.append(len(paths)) or np.zeros((64, 64, 3), "f4")
    for number in range(20):
        counted.batch(number)
    assert 10 < read.count(3) < 30 and read.count(4) + read.count(3) == 80


def test_what_is_shown_of_the_styles_can_be_read(folders):
    paths = images.found(folders[1])
    paths[0].write_bytes(paths[0].read_bytes()[:99])
    assert runs_training._readable(paths) == paths[1:]


def test_some_photographs_are_to_be_painted_as_they_are(folders, monkeypatch):
    paths, drawn = (images.found(folder) for folder in folders)
    monkeypatch.setattr(photographs, "ITSELF", 1.0)
    batch = Photographs(paths, 0, 2, 64, 3, 0, groups=[drawn]).batch(0)
    assert (batch["style"] == batch["photographs"]).all()


def test_a_square_of_a_style_is_turned_and_in_other_colours():
    style = picture(200, 150)
    squares = [style_square(style, 64, np.random.default_rng(seed)) for seed in range(12)]
    assert all(one.shape == (64, 64, 3) and one.dtype == np.float32 for one in squares)
    assert all(one.min() >= 0 and one.max() <= 255 and one.std() > 3 for one in squares)
    assert style_square(picture(9, 30), 64, np.random.default_rng(0)).shape == (64, 64, 3)
    grey = np.repeat(style[..., :1], 3, axis=2)
    changed = recoloured(grey, np.random.default_rng(0))
    assert np.ptp(changed, axis=2).max() < 1e-3  # what is grey stays so
    assert np.ptp(recoloured(style, np.random.default_rng(0)) - style) > 50


def test_training_lowers_the_loss_in_styles_it_has_not_seen(network, folders, tmp_path):
    paths, drawn = (images.found(folder) for folder in folders)
    criterion = training.PerceptualLoss([], Settings(tv_weight=1.0), network, 64)
    stream = Photographs(paths, 0, 2, 64, 15, 0, has_noise=True, groups=[drawn])
    keras.utils.set_random_seed(0)
    painter = Painter(**SLIM)
    painter.begin_with_any(0)
    photo, style = picture(64, 64, 20)[np.newaxis], picture(64, 64, 21)[np.newaxis]

    def lost():
        painted = paint(painter, photo[0], styles=style)[np.newaxis]
        return float(ops.sum(criterion(painted, photo, style)))

    def train():
        looked = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: found.append(lost()))
        training.train(
            painter,
            [(criterion, 1.0)],
            stream,
            tmp_path / "state",
            rate=3e-3,
            steps=45,
            callbacks=lambda schedule: [looked],
        )

    (tmp_path / "state").mkdir()
    found = []
    train()
    assert painter.about["eyes"] == Eyes().sha256
    assert lost() < 0.9 * found[0]
    painter.about["eyes"] = "of another"
    with pytest.raises(ValueError, match="another compact network"):
        train()


# From files to files.


def test_from_folders_to_pictures_in_any_style(arguments, tmp_path, capsys):
    assert main(*arguments, "--test", "content.png") == 0
    out = capsys.readouterr().out
    assert "styles: 4 pictures" in out and "step 4: total" in out
    # One named style and three in the folder, and what is painted in them below.
    assert images.size(tmp_path / "a-test.jpg") == (4 * 48, 2 * 40)
    config = painters.read_config("a.keras")
    assert config["any_style"] and config["about"]["styles"] == []
    assert [one["number"] for one in config["about"]["made"][0]["styles"]] == [1, 3]
    assert main("painters", "a.keras") == 0
    assert "styles: any, by its picture" in capsys.readouterr().out

    apply = ("apply", "--painter", "a.keras", "--content", "content.png", "--output")
    assert main(*apply, "o.png", "--styles", "style.png") == 0
    painter, photo, style = (
        painters.load("a.keras"),
        *map(images.read, ("content.png", "style.png")),
    )
    painted = paint(painter, photo, styles=[style])
    assert np.abs(images.read("o.png") - painted).max() <= 0.5
    comment = json.loads(images.comment("o.png"))
    assert comment["styles"][0]["name"] == "style.png" and comment["shares"] == [1.0]
    both = ("--styles", "style.png", "other.png", "--style-blend-weights", "1", "3")
    assert main(*apply, "b.png", *both, "--strength", "0.5") == 0
    mixed = embed_styles(painter, [style, images.read("other.png")], [1, 3])
    wanted = paint(painter, photo, mixed, strength=0.5)
    assert np.abs(images.read("b.png") - wanted).max() <= 0.5

    assert main(*apply, "r.png", "--styles", "style.png", "--refine", "2") == 0
    refined = paint(painter, photo, styles=[style], refine=2)
    assert np.abs(images.read("r.png") - refined).max() <= 0.5
    assert np.abs(refined - painted).mean() > 1
    assert json.loads(images.comment("r.png"))["settings"]["refine"] == 2

    # Each style by itself, and in the photograph's colours.
    named = (*apply, "{name}-{style}.png")
    assert main(*named, "--styles", "style.png", "other.png", "--each-style") == 0
    assert (images.read("content-style.png") == images.read("o.png")).all()
    assert main(*apply, "m.png", "--styles", "style.png", "--colors", "match") == 0
    wanted = paint(painter, photo, styles=[images.match_colors(style, photo)])
    assert np.abs(images.read("m.png") - wanted).max() <= 0.5

    # The start of an optimised picture, in the styles as they are worked on.
    network = arguments[arguments.index("--network") + 1]
    run = ("--content", "content.png", "--painter", "a.keras", "--iterations", "1")
    run += ("--learning-rate", "1e-6", "--network", network)
    for more in ((), ("--refine", "2", "--overwrite")):
        assert main(*run, "--styles", "style.png", "--output", "s.png", *more) == 0
        styles = [images.resize(style, 48, 66)]
        wanted = paint(painter, photo, styles=styles, refine=len(more) and 2)
        assert np.abs(images.read("s.png") - wanted).max() <= 1

    # A training goes on from it.
    more = (*arguments, "--output", "c.keras", "--onto", "a.keras", "--steps", "2")
    assert main(*more) == 0
    assert len(painters.read_config("c.keras")["about"]["made"]) == 2


@pytest.mark.parametrize("is_named", [False, True])
def test_a_training_that_was_stopped_goes_on(is_named, arguments, saved, monkeypatch):
    from neural_style_keras.runs import checkpoints

    if is_named:
        arguments.remove("--any")
        arguments[arguments.index("drawn")] = "other.png"
        arguments += ["--onto", str(saved / "any.keras")]
    arguments += ["--precision", "float32"]  # auto's may be another one in a busy moment

    def run(*more):
        # Layers are called as in a new process: by their names, TensorFlow orders its sums.
        keras.utils.clear_session()
        return main(*arguments, *more)

    assert run() == 0
    kept = checkpoints.Checkpoints.on_epoch_end

    def killed(self, epoch, logs=None):
        kept(self, epoch, logs)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.Checkpoints, "on_epoch_end", killed)
        assert run("--output", "k.keras") == 1
    assert run("--output", "k.keras", "--resume") == 0
    for one, other in zip(painters.load("a.keras").variables, painters.load("k.keras").variables):
        assert (ops.convert_to_numpy(one) == ops.convert_to_numpy(other)).all()


APPLY = ("apply", "--content", "content.png", "--output", "out.png", "--painter")
RUN = ("--content", "content.png", "--output", "out.png", "--painter", "any.keras")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ((*APPLY, "any.keras"), 1, "paints in the style of a picture: name one with --styles"),
        ((*APPLY, "any.keras", "--style", "wave"), 1, "has no styles to name with --style"),
        ((*APPLY, "named.keras", "--styles", "style.png"), 1, "takes no pictures of styles"),
        ((*APPLY, "named.keras", "--colors", "match"), 1, "match recolours pictures of styles"),
        (
            (*APPLY, "any.keras", "--styles", "style.png", "--color-space", "lab"),
            2,
            "--color-space changes nothing without --colors content",
        ),
        ((*APPLY, "named.keras", "--strength", "0.5"), 1, "--strength is of painters for any"),
        ((*APPLY, "any.keras", "--styles", "style.png", "--strength", "2"), 2, "at most 1"),
        (
            (*APPLY, "named.keras", "--refine", "2"),
            1,
            "--refine is of decoders, as the painters in the package are",
        ),
        ((*APPLY, "any.keras", "--styles", "style.png", "--refine", "-1"), 2, "at least 0"),
        ((*APPLY, "any.keras", "--preset", "fast"), 2, "--preset is of neural-style without apply"),
        (
            ("--content", "content.png", "--output", "out.png", "--refine", "2"),
            2,
            "--refine changes nothing without --painter",
        ),
        (
            (*RUN[:-1], "named.keras", "--style", "a", "--styles", "style.png", "--refine", "2"),
            1,
            "--refine is of decoders, as the painters in the package are",
        ),
        ((*APPLY, "any.keras", "--styles", "none.png"), 1, "none.png"),
        ((*APPLY, "any.keras", "--styles", "text.png"), 1, "text.png is not a picture"),
        ((*APPLY, "any.keras", "--styles", "s.png", "--style", "a"), 2, "--styles are pictures"),
        (
            (*APPLY, "any.keras", "--styles", "style.png", "--style-blend-weights", "1", "2"),
            2,
            "has 2 numbers for 1 style",
        ),
        ((*RUN, "--styles", "style.png", "--style", "a"), 1, "has no styles to name"),
        ((*RUN, "--style-weight", "0"), 1, "name one with --styles"),
    ],
)
def test_what_is_wrong_with_the_styles_is_said(
    given, code, said, pictures, saved, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("text")
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    before = everything(tmp_path)
    assert main(*given) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: ") and said in line
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--onto", "named.keras"], 2, "paints in the styles that it has learnt"),
        (["--styles", "nowhere"], 1, "nowhere"),
        (["--styles", "empty"], 1, "there are no pictures in empty"),
        (["--styles", "text.png"], 1, "text.png is not a picture"),
        (["--style-loss", "wasserstein"], 2, "the Wasserstein loss"),
        (["--normalization", "batch"], 2, "a decoder goes without"),
        (["--architecture", "pyramid"], 2, "--any goes with --architecture decoder"),
        (["--architecture", "residual"], 2, "--any goes with --architecture decoder"),
        (["--style-width", "64"], 2, "--any goes without"),
    ],
)
def test_what_is_wrong_with_a_training_is_said(
    arguments, more, code, said, saved, tmp_path, capsys
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("text")
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    before = everything(tmp_path)
    assert main(*arguments, *more) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: ") and said in line
    assert everything(tmp_path) == before


@pytest.mark.every_backend
def test_a_painter_of_named_styles_begins_as_one_for_any_paints(painter, tmp_path, monkeypatch):
    """And its file, its tiles and its mixtures are as those of any other."""
    photo, styles = picture(101, 139), [picture(60, 60, 2), picture(70, 50, 3)]
    embeddings = [embed_styles(painter, [style]) for style in styles]
    named = painter.with_named(embeddings, [{"name": "a"}, {"name": "b"}])
    painters.save(named, tmp_path / "named.keras")
    named = painters.load(tmp_path / "named.keras")
    assert named.names == ["a", "b"] and not named.any_style
    for style, name in zip(embeddings, named.names):
        assert np.abs(paint(named, photo, name) - paint(painter, photo, style)).max() < 0.05
    mixed = paint(named, photo, {"a": 1.0, "b": 3.0})
    wanted = paint(painter, photo, embed_styles(painter, styles, [1, 3]))
    assert np.abs(mixed - wanted).max() < 0.05
    assert np.abs(paint(named, photo, {"a": 1.0, "b": 3.0}, tile=72) - mixed).max() < 0.02
    refined = paint(named, photo, {"a": 1.0, "b": 3.0}, refine=2)
    monkeypatch.setattr(refining, "FIRST_STEP", refining.LEARNT_FIRST_STEP)
    wanted = paint(painter, photo, embed_styles(painter, styles, [1, 3]), refine=2)
    # L-BFGS lets what rounding has left grow.
    assert np.abs(refined - wanted).mean() < 0.1 < 0.5 < np.abs(refined - mixed).mean()


def test_a_painting_is_learnt_from_a_painter_for_any_style(arguments, painter, tmp_path, capsys):
    painters.save(painter, tmp_path / "any.keras")
    given = [one for one in arguments if one != "--any"]
    given[given.index("drawn")] = "other.png"
    assert main(*given, "--onto", "any.keras") == 0
    learnt = painters.load("a.keras")
    assert learnt.names == ["other", "style"] and learnt.architecture == "decoder"
    assert len(learnt.about["made"]) == 1 and learnt.about["eyes"] == Eyes().sha256
    # All of its weights have learnt, and what it has seen of the paintings is as it was.
    styles = [images.read(name) for name in ("other.png", "style.png")]
    embeddings = [embed_styles(painter, [style]) for style in styles]
    before = painter.with_named(embeddings, learnt.about["styles"])
    for one, other in zip(before.weights, learnt.weights):
        same = (ops.convert_to_numpy(one) == ops.convert_to_numpy(other)).all()
        assert same == (one.name in ("style_statistics", "style_grams")), one.path
    # A third is added to it, and one begins from nothing.
    more = [*given, "--styles", "content.png", "--output", "b.keras"]
    assert main(*more, "--onto", "a.keras", "--learning-rate", "1e-2") == 0
    third, photo = painters.load("b.keras"), images.read("content.png")
    assert third.names == ["other", "style", "content"]
    assert np.abs(paint(third, photo, "style") - paint(learnt, photo, "style")).max() < 0.05
    assert np.abs(paint(third, photo, "content") - paint(learnt, photo, "style")).mean() > 1
    wanted = embed_styles(painter, [photo])
    for seen, kept in (
        (wanted.vector[SHARES:], third.style_statistics),
        (wanted.grams, third.style_grams),
    ):
        assert ops.convert_to_numpy(kept)[2] == pytest.approx(seen, rel=1e-3, abs=1e-3)
    assert main(*given, "--architecture", "decoder", "--output", "c.keras") == 0
    assert painters.load("c.keras").architecture == "decoder"
    # Of another painting by the same name, what is seen is seen anew.
    given[given.index("other.png")] = "content.png"
    shutil.copy("other.png", "style.png")
    assert main(*given, "--onto", "b.keras", "--free", "--output", "d.keras") == 0
    again = painters.load("d.keras")
    assert again.names == ["content", "style"]
    seen = ops.convert_to_numpy(again.style_statistics)
    wanted = embed_styles(painter, [images.read("other.png")]).vector[SHARES:]
    assert seen[1] == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--any", "--onto", "named.keras"], "paints in the styles that it has learnt"),
        (["--onto", "any.keras", "--texture"], "paints photographs: leave --texture out"),
        (["--onto", "any.keras", "--architecture", "residual"], "decoder, which --onto keeps"),
        (["--onto", "any.keras", "--width-factor", "2"], "0.25, which --onto keeps"),
    ],
)
def test_what_contradicts_a_painter_for_any_is_said(arguments, more, said, saved, tmp_path, capsys):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    given = [one for one in arguments if one != "--any"]
    given[given.index("drawn")] = "other.png"
    assert main(*given, *more) == 2
    assert said in capsys.readouterr().err


def test_a_film_is_painted_in_the_style_of_a_picture(pictures, saved, tmp_path, monkeypatch):
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    from test_video import frames_of, make, pictures_of

    monkeypatch.chdir(tmp_path)
    make(tmp_path / "clip.mkv", frames_of(2), [0, 40], codec="ffv1", pixels="bgr0", sound=False)
    given = ("video", "--content", "clip.mkv", "--painter", str(saved / "any.keras"), "--quiet")
    held = ("--styles", "style.png", "--temporal-weight", "0", "--codec", "ffv1")
    assert main(*given, *held, "--output", "out.mkv") == 0
    assert main(*given, *held, "--output", "refined.mkv", "--refine", "8") == 0
    painter, style = painters.load(saved / "any.keras"), images.read("style.png")

    def apart(painted, frame, refine):
        wanted = paint(painter, frame.astype(np.float32), styles=[style], refine=refine)
        return np.abs((painted - wanted) @ np.array([0.299, 0.587, 0.114])).mean()

    films = (pictures_of(name) for name in ("clip.mkv", "out.mkv", "refined.mkv"))
    for frame, painted, refined in zip(*films, strict=True):
        # Of the colours, a quarter of the positions is kept.
        assert apart(painted, frame, 0) <= 8 and apart(refined, frame, 8) <= 8
        assert apart(refined, frame, 8) < apart(painted, frame, 8)
    weaker = (*given, *held, "--output", "out.mkv", "--strength", "0.5", "--resume")
    assert main(*weaker) == 1  # which is not the film that is there
    for more in (("--style", "wave", *held), ("--colors", "match", *held), held[2:]):
        assert main(*given, *more, "--output", "other.mkv") in (1, 2)
    assert not (tmp_path / "other.mkv").exists()
