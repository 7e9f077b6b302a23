"""Painters: their architecture, what they learn, and how they paint."""

import dataclasses
import importlib.util
import json
import os
import signal
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import picture
from keras import ops
from neural_style_keras import painters
from neural_style_keras import pictures as images
from neural_style_keras.commands.train import build_parser, job_of
from neural_style_keras.objective import Objective
from neural_style_keras.painters import architecture, training
from neural_style_keras.painters.architecture import (
    MIDDLE,
    REACH,
    STYLE_VARIABLES,
    Painter,
    ReflectedConv2D,
    StyleNormalization,
    UpsampledConv2D,
)
from neural_style_keras.painters.painting import choose_tile, paint
from neural_style_keras.painters.photographs import Photographs, square
from neural_style_keras.painters.predictor import Glorot
from neural_style_keras.runs.training import SETTINGS
from neural_style_keras.settings import RECIPES, Settings, Training
from PIL import Image
from test_neural_style import everything, main, start

ROOT = Path(__file__).parent.parent
SLIM = dict(width_factor=0.25)


def seeded(painter, seed=0):
    """The same weights on every backend, with styles that differ."""
    random = np.random.default_rng(seed)
    for variable in painter.variables:
        size = (
            0.3 if variable.name in STYLE_VARIABLES else np.sqrt(1 / np.prod(variable.shape[:-1]))
        )
        if "moving" not in variable.name:
            began = 1.0 if variable.name == STYLE_VARIABLES[0] else 0.0
            variable.assign(began + random.normal(scale=size, size=variable.shape))
    return painter


@pytest.mark.every_backend
@pytest.mark.parametrize("kind", ["residual", "batch", "transposed", "pyramid", "decoder", "any"])
def test_painters_paint_with_the_weights_that_they_were_built_with(kind):
    """Which are made from the numbers of channels that each layer is to be given."""
    how = {
        "batch": dict(normalization="batch"),
        "transposed": dict(upsampling="transposed"),
        "any": dict(any_style=True),
    }.get(kind, dict(architecture=kind))
    painter = Painter(styles=3, **SLIM, **how)
    before = [(one.path, tuple(one.shape)) for one in painter.variables]
    style = {"styles": [picture(40, 40)]} if kind == "any" else {"style": "2"}
    assert paint(painter, picture(40, 48), **style).shape == (40, 48, 3)
    assert [(one.path, tuple(one.shape)) for one in painter.variables] == before


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    """Painters of one residual block, or of three levels: what is slow is to compile each."""
    monkeypatch.setattr(architecture, "BLOCKS", 1)
    monkeypatch.setattr(architecture, "LEVELS", 3)


@pytest.fixture
def photos(tmp_path):
    """A folder with three photographs, and one in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.jpg", "c.png", "more/d.png"]):
        Image.fromarray(picture(90 + i, 80, seed=i).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def arguments(pictures, photos, mat, tmp_path, monkeypatch):
    """A training of a moment; a later argument wins."""
    monkeypatch.chdir(tmp_path)
    return [
        *("train", "--styles", "style.png", "--photos", "photos", "--output", "p.keras"),
        *("--network", str(mat), "--warm-share", "0", "--steps", "6", "--checkpoint-steps", "2"),
        *("--side", "64", "--batch", "2", "--width-factor", "0.25"),
    ]


# What a painter is made of.


@pytest.mark.every_backend
def test_an_upsampled_convolution_is_one_of_the_enlarged_picture():
    layer = UpsampledConv2D(5)
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 4)).astype(np.float32)
    given = ops.convert_to_numpy(layer(x))
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
    large = ops.image.resize(around, (18, 22), interpolation="bilinear")[:, 1:-1, 1:-1]
    wanted = ops.convert_to_numpy(ops.conv(large, layer.kernel, padding="valid"))
    assert given.shape == wanted.shape == (2, 14, 18, 5)
    assert np.abs(given - wanted).max() < 1e-5


def test_a_smooth_upsampling_has_nothing_left_of_what_alternates():
    """And gives what is even as the other one does."""
    plain, smooth = UpsampledConv2D(3), UpsampledConv2D(3, smooth=True)
    even = np.ones((1, 8, 10, 2), np.float32)
    for layer in (plain, smooth):
        layer.build(even.shape)
    smooth.kernel.assign(plain.kernel)
    rows, columns = np.indices((8, 10))
    for sign in (rows, columns, rows + columns):
        alternating = even + (-1.0) ** sign[..., np.newaxis]
        given = ops.convert_to_numpy(smooth(alternating))[:, 4:-4, 4:-4]
        wanted = ops.convert_to_numpy(plain(even))[:, 4:-4, 4:-4]
        assert np.abs(given - wanted).max() < 1e-5
        assert np.abs(ops.convert_to_numpy(plain(alternating))[:, 4:-4, 4:-4] - wanted).max() > 0.05


def test_beyond_its_edges_a_picture_goes_on_mirrored():
    layer = ReflectedConv2D(1, 3)
    x = np.random.default_rng(0).normal(size=(1, 6, 8, 2)).astype(np.float32)
    given = ops.convert_to_numpy(layer(x))
    flipped = ops.convert_to_numpy(layer(np.ascontiguousarray(x[:, :, ::-1])))
    assert given.shape == (1, 6, 8, 1)
    kernel = ops.convert_to_numpy(layer.kernel)[..., 0]
    around = x[0, [1, 0, 1]][:, [1, 0, 1]]  # what is around the corner
    assert given[0, 0, 0, 0] == pytest.approx((around * kernel).sum(), abs=1e-5)
    assert flipped.shape == given.shape


@pytest.mark.every_backend
def test_a_mixture_of_styles_has_scales_and_shifts_between_theirs():
    layer = StyleNormalization(2)
    random = np.random.default_rng(0)
    x = random.normal(3, 5, (2, 8, 9, 4)).astype(np.float32)
    layer(x, np.ones((2, 2), np.float32))
    scale, shift = random.normal(size=(2, 2, 4)).astype(np.float32)
    layer.scale.assign(scale)
    layer.shift.assign(shift)
    shares = np.array([[1, 0], [0.25, 0.75]], np.float32)
    given = ops.convert_to_numpy(layer(x, shares))
    normal = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    wanted = normal * (shares @ scale)[:, None, None] + (shares @ shift)[:, None, None]
    assert np.abs(given - wanted).max() < 1e-4


@pytest.mark.parametrize("shape", [(3, 3, 64, 32), (9, 9, 3, 32), (200, 100)])
def test_kernels_begin_as_keras_begins_them(shape):
    """With Glorot's numbers, of a convolution and of a dense layer."""
    keras.utils.set_random_seed(0)
    drawn = ops.convert_to_numpy(Glorot()(shape))
    wanted = ops.convert_to_numpy(keras.initializers.GlorotUniform(0)(shape))
    assert drawn.shape == shape and drawn.dtype == np.float32
    for of in (np.std, np.max, np.min):
        assert of(drawn) == pytest.approx(of(wanted), rel=0.03)
    assert abs(drawn.mean()) < 0.03 * np.abs(drawn).max()


def test_a_new_painter_paints_in_the_colours_of_its_style():
    """Before what is beyond 0..255 is clipped."""
    style, shares = picture(40, 50, seed=3), np.eye(2, dtype=np.float32)[1:]
    painter = Painter(styles=2, **SLIM)
    painter.begin_with(1, style)
    painted = ops.convert_to_numpy(painter((picture(64, 64)[np.newaxis], shares)))[0]
    before, wanted = (np.arctanh((x - MIDDLE) / REACH) for x in (painted, style))
    assert before.mean((0, 1)) == pytest.approx(wanted.mean((0, 1)), abs=1e-3)
    assert before.std((0, 1)) == pytest.approx(wanted.std((0, 1)), rel=1e-2)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"styles": 2}, marks=pytest.mark.every_backend),
        {"upsampling": "transposed", "edge_kernel": 9},
        {"upsampling": "smooth"},
        {"normalization": "batch"},
    ],
)
def test_in_tiles_the_same_is_painted(how):
    painter = seeded(Painter(**SLIM, **how))
    photo = picture(101, 139)
    style = {name: i + 1.0 for i, name in enumerate(painter.names)}
    whole = paint(painter, photo, style)
    assert whole.shape == photo.shape
    assert whole.std() > 10
    assert np.abs(paint(painter, photo, style, tile=72) - whole).max() < 0.02


@pytest.mark.parametrize("of_photographs", [True, False])
def test_a_pyramid_paints_from_noise(of_photographs):
    painter = Painter("pyramid", of_photographs=of_photographs)
    photo = picture(101, 139)
    one, again, other = (paint(painter, photo, "1", seed) for seed in (0, 0, 1))
    assert one.shape == photo.shape
    assert (one == again).all()
    assert np.abs(one - other).mean() > 0.1
    # Of a texture, only the size of the picture counts.
    same = (paint(painter, np.zeros_like(photo), "1", 0) == one).all()
    assert same != of_photographs


def test_what_is_too_small_is_said():
    with pytest.raises(ValueError, match=r"12x40 pixels.*at least 16x16"):
        paint(Painter(**SLIM), picture(40, 12), "1")


def test_tiles_are_for_want_of_memory(monkeypatch):
    painter = Painter(**SLIM)
    monkeypatch.setattr("neural_style_keras.backend.available_memory", lambda device: 1e9)
    assert choose_tile(painter, (640, 480), None) == 0
    assert choose_tile(painter, (8192, 8192), None) > 0
    with pytest.raises(ValueError, match="pyramid does not paint in tiles"):
        choose_tile(Painter("pyramid"), (8192, 8192), None)
    assert choose_tile(painter, (640, 480), None, "256") == 256
    with pytest.raises(ValueError, match="leave --tile out"):
        choose_tile(Painter("pyramid"), (640, 480), None, "256")


@pytest.mark.every_backend
def test_a_painter_that_learns_on_paints_with_its_new_weights():
    painter = seeded(Painter(**SLIM))
    before = paint(painter, picture(64, 64), "1")
    tiled = paint(painter, picture(64, 64), "1", tile=32)
    seeded(painter, seed=1)
    assert np.abs(paint(painter, picture(64, 64), "1") - before).mean() > 1
    assert np.abs(paint(painter, picture(64, 64), "1", tile=32) - tiled).mean() > 1


# What it learns.


@pytest.mark.every_backend
def test_a_judge_says_what_the_objective_of_each_picture_says(network):
    settings = Settings(content_weight=7.5, tv_weight=200.0)
    styles = [picture(50, 36, seed=1), picture(32, 40, seed=2)]
    photographs = np.stack([picture(64, 64, seed=3), picture(64, 64, seed=4)])
    painted = np.stack([picture(64, 64, seed=5), picture(64, 64, seed=6)])
    criterion = training.PerceptualLoss(styles, settings, network, 64)
    losses = ops.convert_to_numpy(criterion(painted, photographs, np.array([1, 0])))
    for given, style, content, image in zip(losses, styles[::-1], photographs, painted):
        objective = Objective(content, [style], settings, network)
        wanted = objective.evaluate((image - network.mean_pixel)[np.newaxis].astype("f4"))
        assert given == pytest.approx(list(wanted.terms.values()), rel=1e-4)


def test_photographs_are_the_same_from_wherever_it_goes_on(photos):
    paths = images.found(photos)
    assert [path.name for path in paths] == ["a.png", "b.jpg", "c.png", "d.png"]
    one, other = (Photographs(paths, 3, 2, 64, 4, seed=7) for _ in range(2))
    batches = [one[i][0] for i in range(4)]
    one.epoch = other.epoch = 1
    batches += [one[i][0] for i in range(4)]
    for i in (2, 0):  # in any order
        assert (other[i][0]["photographs"] == batches[4 + i]["photographs"]).all()
        assert (other[i][0]["style"] == batches[4 + i]["style"]).all()
    assert batches[0]["photographs"].shape == (2, 64, 64, 3)
    assert (batches[0]["photographs"] != batches[1]["photographs"]).any()
    assert {0, 1, 2} == {int(s) for batch in batches for s in batch["style"]}


def test_a_damaged_photograph_is_named_and_left_out(photos):
    (photos / "a.png").write_bytes(b"no picture")
    said = []
    stream = Photographs(images.found(photos), 1, 4, 64, 3, 0, said.append)
    for i in range(3):
        assert stream[i][0]["photographs"].std() > 1
    assert len(said) == 1 and "a.png" in said[0]
    for path in images.found(photos):
        path.write_bytes(b"no picture")
    stream = Photographs(images.found(photos), 1, 4, 64, 3, 0, said.append)
    with pytest.raises(OSError, match=r"none of the \d+ pictures can be read, .* among them"):
        stream.batch(0)


def test_a_square_is_a_part_of_the_photograph():
    photo = np.zeros((100, 60, 3), np.float32)
    photo[..., 0] = np.arange(100)[:, np.newaxis]
    for seed in range(5):
        cut = square(photo, 64, np.random.default_rng(seed))
        assert cut.shape == (64, 64, 3)
        rows = cut[:, 0, 0]
        assert 29 <= rows[-1] - rows[0] <= 60 and (np.diff(rows) >= 0).all()
    assert images.middle_square(photo, 60)[[0, -1], 0, 0].tolist() == [20, 79]


def learnt(painter, criterion, photos, folder, steps=40, rate=3e-3, **options):
    stream = Photographs(images.found(photos), criterion.styles, 2, 64, steps // 2, 0)
    found = []
    folder.mkdir(exist_ok=True)
    training.train(
        painter,
        [(criterion, 1.0)],
        stream,
        folder,
        rate=rate,
        steps=steps,
        callbacks=lambda schedule: [
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: found.append(logs))
        ],
        **options,
    )
    return found


@pytest.mark.every_backend
def test_training_lowers_the_loss(network, photos, tmp_path):
    criterion = training.PerceptualLoss(
        [picture(50, 36, seed=1)], Settings(tv_weight=1.0), network, 64
    )
    first, last = learnt(Painter(**SLIM), criterion, photos, tmp_path / "state")
    assert last["total"] < 0.8 * first["total"]
    assert last["total"] == pytest.approx(last["content"] + last["style"] + last["tv"], rel=1e-3)


def test_a_style_is_added_without_a_change_to_the_others(network, photos, tmp_path):
    before = seeded(Painter(styles=2, **SLIM))
    painter, first = before.with_styles([None], keep=True)
    assert (painter.styles, first) == (3, 2)
    criterion = training.PerceptualLoss(
        [picture(50, 36, seed=1)], Settings(tv_weight=1.0), network, 64
    )
    one, other = learnt(
        painter, criterion, photos, tmp_path / "state", steps=20, first=first, only_styles=True
    )
    assert other["total"] < one["total"]
    photo = picture(64, 64)
    for number in ("1", "2"):
        assert (paint(painter, photo, number) == paint(before, photo, number)).all()
    assert np.abs(paint(painter, photo, "3") - paint(before, photo, "1")).mean() > 1


def test_a_painter_of_one_of_its_styles_begins_where_it_was():
    before = seeded(Painter(styles=3, **SLIM))
    painter, first = before.with_styles([1], keep=False)
    assert (painter.styles, first) == (1, 0)
    photo = picture(64, 64)
    assert np.abs(paint(painter, photo, "1") - paint(before, photo, "2")).max() < 1e-3


def test_the_learning_rate_rises_and_falls_to_zero(tmp_path):
    schedule = training.CosineSchedule(1.0, 200, None, tmp_path / "seconds")
    schedule.set_model(keras.Model())
    rates = []
    for step in range(201):
        schedule.model.optimizer = type("", (), {"iterations": step})()
        schedule.on_train_batch_begin(0)
        rates.append(schedule.model.optimizer.learning_rate)
    assert np.argmax(rates) == training.WARMUP - 1
    assert rates[100] == pytest.approx(0.5)
    assert rates[200] == 0


def test_the_first_judge_ends_within_a_step_of_its_minutes(tmp_path):
    """And not with its epoch, which may be all that there is left."""
    path = tmp_path / "seconds"
    path.write_text("55")
    for end, stops in ((0.8, True), (0.95, False), (1.0, False)):
        schedule = training.CosineSchedule(1.0, None, 1.0, path)
        schedule.set_model(keras.Model())
        schedule.model.optimizer = type("", (), {"iterations": 7})()
        schedule.model.stop_training = False
        schedule.end = end
        schedule.on_train_batch_end(1)
        assert schedule.model.stop_training == stops


def test_what_begins_with_a_painter_is_not_judged_by_the_compact_network_first():
    def training_of(*more):
        given = ("--styles", "a.jpg", "--photos", ".", "--output", "a.keras", *more)
        return job_of(vars(build_parser().parse_args(given))).training

    nothing, named = training_of(), training_of("--onto", "any")
    assert (nothing.warm_share, nothing.learning_rate, nothing.batch) == (0.8, 1e-3, 4)
    assert (named.warm_share, named.learning_rate, named.batch) == (0.0, 2.5e-3, 3)
    for more in (("--onto", "any", "--any"), ("--onto", "paintbox")):
        added = training_of(*more)
        assert (added.warm_share, added.learning_rate, added.batch) == (0.0, 1e-3, 4)
    given = training_of("--onto", "any", "--warm-share", "0.5", "--learning-rate", "1e-4")
    assert (given.warm_share, given.learning_rate) == (0.5, 1e-4)


def test_a_training_that_was_cut_short_goes_on_to_the_same_weights(network, photos, tmp_path):
    settings = Settings(tv_weight=1.0)
    criteria = [
        (training.PerceptualLoss([picture(50, 36, seed=1)], one, network, 64), share)
        for one, share in ((settings, 0.5), (dataclasses.replace(settings, pooling="avg"), 1.0))
    ]

    def run(folder, stop_at):
        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if int(self.model.optimizer.iterations) == stop_at:
                    raise InterruptedError

        painter = seeded(Painter(**SLIM))
        folder.mkdir(exist_ok=True)
        stream = Photographs(images.found(photos), 1, 2, 64, 2, 0)
        training.train(
            painter, criteria, stream, folder, rate=1e-3, steps=7, callbacks=lambda _: [Stop()]
        )
        return [ops.convert_to_numpy(v.value) for v in painter.variables]

    wanted = run(tmp_path / "whole", None)
    for stop_at in (3, 6):
        with pytest.raises(InterruptedError):
            run(tmp_path / "cut", stop_at)
    for given, want in zip(run(tmp_path / "cut", None), wanted):
        assert (given == want).all()


def test_a_style_counts_by_what_photographs_lose_in_it(network, photos):
    loud, quiet = picture(50, 36, seed=1), np.full((32, 32, 3), 120, np.float32)
    criterion = training.PerceptualLoss([loud, quiet], Settings(), network, 64)
    stream = Photographs(images.found(photos), 2, 2, 64, 3, 0)
    counts = training.style_counts(criterion, stream)
    losses = []
    for number in range(training.MEASURED // 2):
        squares = stream.batch(number)["photographs"]
        losses += (
            ops.convert_to_numpy(criterion(squares, squares, np.zeros(2, "i4"))).sum(1).tolist()
        )
    assert counts[0] == pytest.approx(1 / np.mean(losses), rel=1e-4)
    assert counts[1] != counts[0]


def test_recipes_are_what_their_sources_say():
    """The weights that fast-style-transfer and fast-neural-style use, as losses of a picture."""
    f, p = np.random.default_rng(0).normal(size=(2, 1, 8, 9, 5)).astype(np.float32)
    s = Settings(**RECIPES["fast-style-transfer"].settings)
    assert (s.content_weight, s.style_weight / 5, s.tv_weight) == (7.5, 100.0, 200.0)
    assert s.content_weights() == {"relu4_2": 1.0}
    assert set(s.style_weights().values()) == {0.2}
    from neural_style_keras.losses import terms

    class View:
        features, size = {"relu2_2": f}, (8, 9)
        rows = columns = pixels = f[..., :3]

        def positions(self, layer):
            return 72

    content, style, tv = terms(Settings(**RECIPES["johnson"].settings), 1)
    assert style.layers == {"relu1_2": 1, "relu2_2": 1, "relu3_3": 1, "relu4_3": 1}
    given = content.sums(View(), ({"relu2_2": p}, {}))
    assert float(given[0]) == pytest.approx(np.mean((f - p) ** 2), rel=1e-5)
    x = f[0, ..., :3].astype("f8")
    total = np.sum(np.diff(x, axis=0) ** 2) + np.sum(np.diff(x, axis=1) ** 2)
    assert float(tv.sums(View(), {})[0]) == pytest.approx(1e-6 / 2 * total, rel=1e-5)
    for recipe in RECIPES.values():
        Settings(**recipe.settings), Training(**recipe.training)


# From files to files.


@pytest.mark.every_backend
@pytest.mark.parametrize("kind", ["residual", "pyramid"])
def test_a_painter_is_read_as_it_was_written(kind, tmp_path):
    about = {"styles": [{"name": "a"}, {"name": "b"}]}
    painter = seeded(Painter(kind, styles=2, **SLIM, about=about))
    painters.save(painter, tmp_path / "p.keras")
    for read in (
        painters.load(tmp_path / "p.keras"),
        keras.saving.load_model(tmp_path / "p.keras", safe_mode=True),
    ):
        assert read.names == ["a", "b"]
        photo = picture(64, 72)
        assert (paint(read, photo, "b") == paint(painter, photo, "b")).all()


def test_a_file_of_something_else_is_named_in_a_sentence(tmp_path, capsys):
    whole = tmp_path / "p.keras"
    painters.save(Painter(**SLIM, about={"styles": [{"name": "a"}]}), whole)
    cut, other, text, lacking = (tmp_path / f"{name}.keras" for name in ("c", "o", "t", "l"))
    cut.write_bytes(whole.read_bytes()[:-5000])
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(other)
    text.write_text("no painter")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(lacking, "w") as target:
        target.writestr("config.json", source.read("config.json"))
    Image.fromarray(picture(40, 48).astype(np.uint8)).save(tmp_path / "c.png")
    for path, said in [
        (cut, "not a painter, or it is damaged"),
        (other, "a Keras model, but not a painter"),
        (text, "not a painter, or it is damaged"),
        (lacking, "not a painter, or it is damaged"),
        (tmp_path / "none.keras", "there is no painter at"),
    ]:
        given = ("--content", tmp_path / "c.png", "--output", tmp_path / "out.png")
        assert main("apply", "--painter", path, *given) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("neural-style: error: ") and said in line and str(path) in line
        assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"width_factor": 1e9},
        {"width_factor": "wide"},
        {"architecture": "cubist"},
        {"edge_kernel": 4},
        {"styles": 10**9},
        {"of_photographs": "yes"},
        {"about": None},
        {"about": {"styles": [{"name": 7}]}},
    ],
)
def test_a_configuration_that_no_painter_has_is_refused(change, tmp_path):
    """Before anything is built from it: a few bytes may not ask for all memory."""
    whole, changed = tmp_path / "p.keras", tmp_path / "c.keras"
    painters.save(Painter(**SLIM, about={"styles": [{"name": "a"}]}), whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                model = json.loads(data)
                model["config"] |= change
                data = json.dumps(model)
            target.writestr(name, data)
    assert painters.read_config(whole)["styles"] == 1
    with pytest.raises(OSError, match="not a painter, or it is damaged"):
        painters.read_config(changed)


def test_from_a_style_and_photographs_to_a_picture(arguments, tmp_path, capsys):
    assert main(*arguments, "--test", "content.png", "--licence", "CC0") == 0
    out = capsys.readouterr().out
    assert "photographs: 4 in photos" in out and "step 6: total" in out
    assert not (tmp_path / "p.keras.state").exists()
    assert images.size(tmp_path / "p-test.jpg") == (48, 40)
    rows = (tmp_path / "p.csv").read_text().splitlines()
    assert len(rows) == 4 and rows[0] == "step,minutes,judge,content,style,total,tv"
    assert [row.split(",")[0] for row in rows[1:]] == ["2", "4", "6"]
    about = painters.read_config("p.keras")["about"]
    assert about["steps"] == 6 and about["complete"] and about["licence"] == "CC0"
    assert about["styles"][0]["name"] == "style" and len(about["styles"][0]["sha256"]) == 64

    assert main("painters", "p.keras") == 0
    assert "styles: style\n" in capsys.readouterr().out
    apply = ("apply", "--painter", "p.keras", "--content")
    assert main(*apply, "content.png", "--output", "out.png") == 0
    painted = images.read("out.png")
    painter = painters.load("p.keras")
    assert np.abs(painted - paint(painter, images.read("content.png"), "style")).max() <= 0.5
    comment = json.loads(images.comment("out.png"))
    assert comment["shares"] == {"style": 1.0} and comment["painter"]["name"] == "p.keras"
    # Tiles and another size; several at once.
    assert main(*apply, "content.png", "--output", "t.png", "--tile", "20") == 0
    assert np.abs(images.read("t.png") - painted).max() <= 1
    given = ("content.png", "other.png", "--output", "{name}-out.png", "--width", "36")
    assert main(*apply, *given) == 0
    assert images.size("content-out.png") == (36, 30) and images.size("other-out.png") == (36, 36)
    # And the start of an optimised picture.
    assert (
        main(
            *("--content", "content.png", "--styles", "style.png", "--painter", "p.keras"),
            *("--output", "o.png", "--iterations", "1", "--learning-rate", "1e-6"),
            *("--network", arguments[arguments.index("--network") + 1]),
        )
        == 0
    )
    assert np.abs(images.read("o.png") - painted).max() <= 1


def test_styles_are_added_and_blended(arguments, tmp_path, capsys):
    assert main(*arguments, "--styles", "style.png", "other.png", "--steps", "2") == 0
    onto = [*arguments, "--onto", "p.keras", "--output", "q.keras", "--steps", "2"]
    assert main(*onto, "--styles", "content.png") == 0
    assert painters.styles(painters.read_config("q.keras")) == ["style", "other", "content"]
    apply = ("apply", "--painter", "q.keras", "--content", "content.png", "--output")
    both = ("--style", "style", "other", "--style-blend-weights", "0.3", "0.7")
    assert main(*apply, "b.png", *both) == 0
    painter = painters.load("p.keras")  # which the third style has not changed
    wanted = paint(painter, images.read("content.png"), {"style": 0.3, "other": 0.7})
    assert np.abs(images.read("b.png") - wanted).max() <= 0.5
    capsys.readouterr()
    assert main(*apply, "c.png") == 1
    assert "name a style with --style: style, other, content" in capsys.readouterr().err
    assert main(*apply, "c.png", "--style", "stile") == 1
    assert "it has style, other, content: did you mean style?" in capsys.readouterr().err
    assert main(*onto, "--styles", "style.png", "--output", "r.keras") == 1
    assert "has a style called style already" in capsys.readouterr().err
    assert main(*onto, "--styles", "style.png", "--output", "r.keras", "--free") == 0
    assert painters.styles(painters.read_config("r.keras")) == ["style"]


def test_tensorboard_is_an_extra(arguments, tmp_path, capsys, monkeypatch):
    found = importlib.util.find_spec("tensorboard")
    if found:
        assert main(*arguments, "--tensorboard", "logs") == 0
        assert list((tmp_path / "logs").rglob("events.*"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(*arguments, "--output", "q.keras", "--tensorboard", "logs") == 2
    assert "pip install 'neural-style-keras[tensorboard]'" in capsys.readouterr().err


def test_textures_take_no_photograph(arguments, tmp_path, capsys):
    given = [a for a in arguments if a not in ("--photos", "photos")]
    network = given[given.index("--network") + 1]
    assert (
        main(
            *("train", "--recipe", "texture", "--styles", "style.png", "--output", "t.keras"),
            *("--network", network, "--warm-share", "0", "--steps", "2", "--side", "64"),
        )
        == 0
    )
    apply = ("apply", "--painter", "t.keras", "--width", "80", "--height", "70", "--output")
    assert main(*apply, "t.png", "--seed", "3") == 0
    assert main(*apply, "u.png", "--seed", "3") == 0
    assert main(*apply, "v.png", "--seed", "4") == 0
    assert images.size("t.png") == (80, 70)
    assert (images.read("t.png") == images.read("u.png")).all()
    assert (images.read("t.png") != images.read("v.png")).any()
    capsys.readouterr()
    assert main(*apply, "w.png", "--content", "content.png") == 2
    assert "--height is that of a texture; a photograph's" in capsys.readouterr().err
    assert main(*apply[:3], "--content", "content.png", "--output", "w.png") == 1
    assert "paints textures: leave --content out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--photos", "nowhere"], 1, "nowhere is not a folder"),
        (["--photos", "empty"], 1, "there are no pictures in empty"),
        (["--styles", "text.png"], 1, "text.png is not a picture"),
        (["--output", "p.mat"], 2, "--output is a painter, as wave.keras, not p.mat"),
        (["--output", "there.keras"], 1, "there.keras exists"),
        (["--onto", "there.keras"], 1, "there.keras is not a painter"),
        (["--onto", "other.keras", "--width-factor", "0.5"], 2, "has --width-factor 0.25"),
        (["--styles", "style.png", "style.png"], 2, "two styles have the same name"),
        (["--side", "50"], 2, "--side must be at least 64"),
        (["--recipe", "texture"], 2, "--texture learns without photographs"),
        (["--free"], 2, "--free goes with --onto"),
        (["--style-layers", "relu1_1", "/", "relu2_1"], 2, "one set of layers for all styles"),
        (["--onto", "batch.keras"], 1, "train all weights with --free"),
        (["--onto", "other.keras", "--output", "other.keras"], 2, "written over the input other"),
        (["--styles", "tiny.png"], 1, "must be at least 16x16"),
        (["--content-weight", "0", "--style-weight", "0", "--tv-weight", "0"], 2, "all weights"),
        (["--output", "no/p.keras"], 1, "the folder no does not exist"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(arguments, more, code, said, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "there.keras").write_text("text")
    Image.fromarray(picture(9, 9).astype(np.uint8)).save(tmp_path / "tiny.png")
    for name, kind in (("other", "instance"), ("batch", "batch")):
        painter = Painter(**SLIM, normalization=kind, about={"styles": [{"name": "a"}]})
        painters.save(painter, tmp_path / f"{name}.keras")
    before = everything(tmp_path)
    assert main(*arguments, *more) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: ") and said in line
    assert everything(tmp_path) == before


def test_a_full_disk_is_said(arguments, tmp_path, capsys, monkeypatch):
    def full(painter, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("neural_style_keras.painters.save", full)
    assert main(*arguments) == 1
    assert "p.keras: No space left on device" in capsys.readouterr().err


def test_where_only_the_last_checkpoint_found_no_place_resume_writes_it(
    arguments, tmp_path, monkeypatch
):
    assert main(*arguments) == 0
    save, count = painters.save, iter(range(9))

    def full_at_last(painter, path):
        if next(count) == 2:
            raise OSError(28, "No space left on device", str(path))
        save(painter, path)

    monkeypatch.setattr("neural_style_keras.painters.save", full_at_last)
    again = (*arguments, "--output", "f.keras")
    assert main(*again) == 1
    monkeypatch.setattr("neural_style_keras.painters.save", save)
    assert main(*again, "--resume") == 0
    for one, other in zip(painters.load("p.keras").variables, painters.load("f.keras").variables):
        assert (ops.convert_to_numpy(one) == ops.convert_to_numpy(other)).all()
    assert painters.read_config("f.keras")["about"]["complete"]
    assert not (tmp_path / "f.keras.state").exists()


def test_squares_of_a_single_colour_are_not_learnt_on(tmp_path):
    """Of which the gradient is no number; nor is there an end where there is nothing else."""
    folder = tmp_path / "flat"
    folder.mkdir()
    images.write(folder / "red.png", np.full((80, 90, 3), (200.0, 10, 10), "f4"))
    with pytest.raises(ValueError, match=r"red.png, are of a single colour: there is nothing to"):
        Photographs(images.found(folder), 1, 2, 64, 2, 0).batch(0)
    images.write(folder / "other.png", picture(80, 90))
    stream = Photographs(images.found(folder), 1, 2, 64, 2, 0)
    for number in range(8):
        assert (stream.batch(number)["photographs"].std((1, 2)).max(1) > 10).all()


def test_stopped_before_a_checkpoint_it_leaves_nothing(arguments, tmp_path, monkeypatch, capsys):
    from neural_style_keras.runs import checkpoints

    def stopped(self, batch, logs=None):
        self.signals.append(signal.SIGTERM)
        raise checkpoints.Stopped

    monkeypatch.setattr(checkpoints.ProgressBar, "on_train_batch_end", stopped)
    assert main(*arguments) == 128 + signal.SIGTERM
    assert "before the first checkpoint; nothing was written" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("p.")]


def test_a_loss_that_is_no_number_costs_no_checkpoint(arguments, tmp_path, capsys):
    assert main(*arguments, "--learning-rate", "1e30") == 1
    assert "lower the learning rate" in capsys.readouterr().err
    assert not (tmp_path / "p.keras").exists()


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(architecture, "BLOCKS", 5)  # as the process that is killed has it
    arguments += ["--steps", "20"]  # enough of them to be killed between
    assert main(*arguments) == 0
    run = start(*arguments, "--output", "k.keras", cwd=tmp_path)
    kept = tmp_path / "k.keras.state" / "latest.weights.h5"
    while not kept.exists():
        time.sleep(0.02)
        assert run.poll() is None
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert (tmp_path / "k.keras.state").exists()
    assert main(*arguments, "--output", "k.keras") == 1  # its state is not lost
    assert main(*arguments, "--output", "k.keras", "--resume") == 0
    for one, other in zip(painters.load("p.keras").variables, painters.load("k.keras").variables):
        assert (ops.convert_to_numpy(one) == ops.convert_to_numpy(other)).all()
    assert main(*arguments, "--output", "k.keras", "--resume") == 0  # complete


def test_between_a_checkpoint_and_its_clock_nothing_is_trained_twice(network, photos, tmp_path):
    """Killed after the weights of an epoch were kept and before anything else was."""
    criterion = training.PerceptualLoss([picture(50, 36, seed=1)], Settings(), network, 64)

    def run(folder, **how):
        painter = seeded(Painter(**SLIM))
        learnt(painter, criterion, photos, folder, steps=4, **how)
        return [ops.convert_to_numpy(v.value) for v in painter.variables]

    wanted = run(tmp_path / "whole")
    keep = training.Backup.on_epoch_end

    def killed(self, epoch, logs=None):
        keep(self, epoch, logs)
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training.Backup, "on_epoch_end", killed)
        with pytest.raises(InterruptedError):
            run(tmp_path / "cut")
    for given, want in zip(run(tmp_path / "cut"), wanted):
        assert (given == want).all()


def test_what_auto_chose_belongs_to_the_state(arguments, tmp_path, monkeypatch):
    from neural_style_keras import backend
    from neural_style_keras.runs import checkpoints

    def killed(self, epoch, logs=None):
        raise InterruptedError

    precisions = []
    build = training.PerceptualLoss.__init__

    def seen(self, styles, settings, *more):
        precisions.append(settings.precision)
        build(self, styles, settings, *more)

    monkeypatch.setattr(training.PerceptualLoss, "__init__", seen)
    auto = [*arguments, "--precision", "auto"]
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.Checkpoints, "on_epoch_end", killed)
        patched.setattr(backend, "precision", lambda wanted, device=None: "bfloat16")
        assert main(*auto) == 1
    monkeypatch.setattr(backend, "precision", lambda wanted, device=None: "float32")
    assert main(*auto, "--resume") == 0
    assert precisions == ["bfloat16", "bfloat16"]


def test_a_style_that_memory_has_no_room_for_is_refused(arguments, monkeypatch, capsys):
    from neural_style_keras import backend

    monkeypatch.setattr(backend, "available_memory", lambda device: 0.5e9 + 1e5)
    assert main(*arguments) == 1
    assert "--style-width" in capsys.readouterr().err


def test_a_stopped_training_says_where_it_goes_on(arguments, tmp_path, capsys, monkeypatch):
    from neural_style_keras.runs import checkpoints

    kept = checkpoints.Checkpoints.on_epoch_end

    def stop(self, epoch, logs=None):
        kept(self, epoch, logs)
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.Checkpoints, "on_epoch_end", stop)
        assert main(*arguments) == 128 + signal.SIGTERM
    assert "--resume goes on" in capsys.readouterr().err
    assert painters.read_config("p.keras")["about"]["steps"] == 4
    assert main(*arguments, "--side", "96", "--resume") == 1
    assert "cannot resume: training side was 64" in capsys.readouterr().err
    assert main(*arguments, "--resume") == 0
    assert painters.read_config("p.keras")["about"]["steps"] == 6


def test_every_setting_of_a_training_is_one():
    assert set(SETTINGS) <= {f.name for f in dataclasses.fields(Settings)}
