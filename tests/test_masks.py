"""Where: masks as arrays, and from the command line to the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import picture, small_layers, write_mat
from neural_style_keras import pictures as images
from neural_style_keras import preset, transfer_style
from neural_style_keras.minimise.schedule import schedule
from neural_style_keras.objective import region_sides
from neural_style_keras.pictures import Masks
from neural_style_keras.settings import Settings
from PIL import Image
from test_neural_style import (  # noqa: F401, fixtures among them
    SHORT,
    arguments,
    fails,
    killed,
    main,
    transparent,
)

CONTENT, STYLE, OTHER = picture(64, 80), picture(60, 56, seed=1), picture(40, 50, seed=2)
LEFT = np.arange(80)[np.newaxis].repeat(64, 0) < 48


def save(path, mask):
    Image.fromarray(np.uint8(255 * np.asarray(mask, float))).save(path)


@pytest.fixture
def masks(arguments, tmp_path):  # noqa: F811
    """The left three fifths of the content and the rest, and the halves of a style, as files;
    and a mask of nothing, a small one, and one that is no picture."""
    columns = np.arange(48)[np.newaxis].repeat(40, 0)
    save("left.png", columns < 29)
    save("right.png", columns >= 29)
    save("top.png", np.arange(50)[:, np.newaxis].repeat(36, 1) < 44)
    save("black.png", columns < 0)
    save("dot.png", (columns < 3) & (np.arange(40)[:, np.newaxis] < 3))
    Path("text.png").write_text("hello")
    return arguments


@pytest.mark.parametrize(
    "values",
    [
        LEFT,
        LEFT.astype(np.uint8) * 255,
        LEFT.astype(float),
        LEFT.astype("f4") * 255,
        np.repeat(LEFT[..., np.newaxis] * np.float32(255), 3, axis=2),
    ],
)
def test_a_mask_may_be_given_in_any_of_its_forms(values):
    assert np.array_equal(images.as_mask(values, "it"), LEFT.astype("f4"))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((4, 4)), "mask 1 is black all over: a mask is white where its style goes"),
        (np.full((4, 4), 300.0), "mask 1 holds 300 to 300: a mask is in 0..1, or in 0..255"),
        (np.full((4, 4), -1.0), "mask 1 holds -1 to -1"),
        (np.full((4, 4), np.nan), "mask 1 holds NaN or infinity"),
        (np.ones((4, 4, 2)), r"mask 1 is of shape \(4, 4, 2\)"),
        (np.ones(4), r"mask 1 is of shape \(4,\)"),
    ],
)
def test_what_is_no_mask_is_said_in_one_sentence(network, values, says):
    with pytest.raises(ValueError, match=says):
        transfer_style(CONTENT, [STYLE], masks=[values], network=network)


def test_a_mask_that_resizing_has_left_a_little_over_1_is_one_of_0_to_1():
    mask = LEFT * np.float32(1.0001)
    assert np.array_equal(images.as_mask(mask, "it"), LEFT.astype("f4"))
    with pytest.raises(
        ValueError, match=r"it holds up to 1\.5: a mask is in 0\.\.1, or in 0\.\.255"
    ):
        images.as_mask(LEFT * 1.5, "it")


def test_masks_may_be_an_array_and_need_a_content(network):
    settings = Settings(iterations=1, style_weight=500)
    stack = np.stack([LEFT, ~LEFT]).astype("f4")
    *_, last = transfer_style(
        CONTENT, [STYLE, OTHER], settings, masks=stack, style_masks=[None, None], network=network
    )
    assert last.image.shape == CONTENT.shape
    texture = Settings(content_weight=0, width=80, iterations=1)
    with pytest.raises(ValueError, match="there is none"):
        next(transfer_style(None, [STYLE], texture, masks=[LEFT], network=network))


def test_a_region_is_as_large_as_the_layers_of_its_own_style_need(network):
    small = np.zeros((64, 80), np.float32)
    small[:20, :20] = 1
    masks = Masks([small, np.ones_like(small)], [None, None], small)
    layers = ("relu1_1", "/", "relu4_1", "relu5_1")
    assert region_sides(masks, Settings(style_layers=layers), network) == [10, 35]
    with pytest.raises(ValueError, match="mask 1 is too small a region for relu5_1"):
        region_sides(masks, Settings(style_layers=(*layers[:1], *layers[2:])), network)


def test_a_mask_does_not_go_onto_another_photograph(masks, tmp_path):
    """It is of the content, which --like does not take over."""
    from neural_style_keras.runs.like import settings_like

    assert main(*masks, *SHORT, "--masks", "left.png", "--feather", "2") == 0
    found = settings_like("out.png")
    assert not {"masks", "style_masks", "feather"} & set(found)
    about = json.loads(images.comment("out.png"))
    assert [mask["name"] for mask in about["masks"]] == ["left.png"]


def test_a_mask_is_read_from_any_picture(tmp_path):
    grey = np.linspace(0, 255, 60).round().astype(np.uint8)[np.newaxis].repeat(9, 0)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "colour.png")
    # White where it is opaque: what is transparent is no part of the region.
    Image.fromarray(np.dstack([np.full_like(grey, 255)] * 3 + [grey])).save(tmp_path / "cut.png")
    for name in ("grey", "colour", "cut"):
        got = images.mask(tmp_path / f"{name}.png")
        assert got.dtype == np.float32 and np.abs(got - grey / 255).max() < 1e-6


def test_what_is_painted_has_a_soft_edge_inside(monkeypatch):
    mask = np.zeros((60, 90), "f4")
    mask[10:40, 20:80] = 1
    assert np.array_equal(images.painted([mask], 0), mask)
    soft = images.painted([mask], 8)
    assert (soft[mask == 0] == 0).all() and soft[25, 50] == 1
    edge = soft[25, 20:30]
    assert (np.diff(edge[:8]) > 0).all() and 0 < edge[0] < 0.05 and edge[8] == 1
    assert soft[25, 23] + soft[25, 24] == pytest.approx(1, abs=1e-5)  # half of it, half way
    # The border of the photograph is no edge.
    assert images.painted([mask[10:40, 20:]], 8)[0, 0] == 1
    # By bands of rows, it is the same.
    monkeypatch.setattr("neural_style_keras.pictures.masks.ROWS", 7)
    assert np.array_equal(images.painted([mask], 8), soft)


def test_masks_that_complete_each_other_leave_no_gap():
    ramp = np.linspace(0, 1, 50, dtype="f4")[np.newaxis].repeat(9, 0)
    assert images.painted([ramp, 1 - ramp], 8) is None
    assert images.painted([np.full((9, 9), 0.25, "f4")] * 2, 8).mean() == 0.5


def test_pictures_are_joined_by_their_regions():
    one, other, photo = (np.full((4, 5, 3), value, np.float32) for value in (10, 50, 90))
    regions = np.zeros((2, 4, 5), np.float32)
    regions[0, :2], regions[1, 1:3], regions[1, 3] = 1, 1, 0.25
    found = images.joined([one, other], regions, photo)
    assert (found.mean((1, 2)) == [10, 30, 50, 80]).all() and found.dtype == np.float32


def test_what_is_not_taken_of_a_picture_is_as_what_is_on_average():
    given, taken = picture(8, 6), np.zeros((8, 6), np.float32)
    taken[:3], taken[3] = 1, 0.5
    found = images.filled(given, taken)
    mean = np.average(given.reshape(-1, 3), 0, taken.ravel())
    assert (found[:3] == given[:3]).all() and np.allclose(found[4:], mean, atol=1e-3)
    assert images.filled(given, None) is given


def test_a_painter_starts_in_each_region_by_its_style_and_from_what_is_taken_of_it(network):
    from neural_style_keras.runs.transfer import first_picture

    content, styles = picture(64, 80), [picture(64, 80, 2), picture(64, 80, 3)]
    s, left = Settings(painter="any", iterations=1), np.zeros((64, 80), np.float32)
    left[:, :40] = 1
    each = [first_picture(content, [style], s, Masks()) for style in styles]
    both = first_picture(content, styles, s, Masks([left, 1 - left]))
    assert np.abs(both - images.joined(each, [left, 1 - left], content)).max() < 1e-3
    alone = first_picture(content, styles[:1], s, Masks([left]))
    assert np.abs(alone - images.joined(each[:1], [left], content)).max() < 1e-3
    cut = images.filled(styles[0], left)
    wanted = first_picture(content, [cut], s, Masks())
    assert np.abs(first_picture(content, styles[:1], s, Masks((), [left])) - wanted).max() < 0.1
    # And what is to be painted begins with that.
    given = dict(masks=[left, 1 - left], network=network)
    first, *_ = transfer_style(content, styles, preset("fast", iterations=1), **given)
    assert np.abs(first.image - both).max() < 1e-3


def test_a_start_is_one_thing_and_a_painter_another(network):
    with pytest.raises(ValueError, match="both where to start: give one, as with preset"):
        transfer_style(
            *(picture(40, 48), [picture(40, 40)], preset("fast")),
            initial=picture(40, 48),
            network=network,
        )
    with pytest.raises(ValueError, match="any paints pictures of 16x16 pixels and more"):
        shallow = dict(content_layers=("relu1_1",), style_layers=("relu1_1",))
        transfer_style(
            *(picture(12, 12), [picture(40, 40)], preset("fast", **shallow)), network=network
        )


def test_colours_are_matched_region_by_region():
    image, wanted = picture(40, 50), picture(30, 70, seed=3) * 0.5 + 60
    part, region = np.zeros((40, 50), "f4"), np.zeros((30, 70), "f4")
    part[:25], region[:, 30:] = 1, 1
    got = images.match_colors(image, wanted, part, region)
    alone = images.match_colors(image[:25], wanted[:, 30:])
    assert np.abs(got[:25] - alone).max() < 1e-2
    assert np.abs(images.match_colors(image, wanted)[:25] - alone).max() > 1


def run(network, *, styles=(STYLE, OTHER), warm=None, masks=(LEFT,), **chosen):
    """The last report of a short run of the small network."""
    from neural_style_keras.runs.transfer import Networks

    settings = Settings(**{"iterations": 8, "learning_rate": 5.0, "print_iterations": 4} | chosen)
    used = Networks(None, network, warm)
    more = {} if masks is None else {"masks": list(masks)}
    return list(transfer_style(CONTENT, styles, settings, network=used, **more))[-1]


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"optimizer": "lbfgs"},
        pytest.param(
            {"optimizer": "lbfgs", "lbfgs_frequency": 0.4, "style_loss": "wasserstein"},
            marks=pytest.mark.every_backend,
        ),
        pytest.param({"tile": "32", "scales": "1.2"}, marks=pytest.mark.every_backend),
        {"colors": "content"},
        {"colors": "match", "feather": 0.0},
        {"initial_noiseblend": 0.0},
    ],
)
def test_the_photograph_stays_where_no_mask_reaches(network, chosen):
    last = run(network, styles=[STYLE], **chosen)
    assert np.array_equal(last.image[~LEFT], CONTENT[~LEFT])
    assert np.abs(last.image - CONTENT)[LEFT].mean() > 3
    plain = run(network, styles=[STYLE], masks=None, **{**chosen, "feather": None})
    assert np.abs(plain.image - CONTENT)[~LEFT].mean() > 3


def test_the_photograph_stays_with_a_warm_start_too(network, tmp_path):
    warm = write_mat(tmp_path / "warm.mat", layers=small_layers(seed=1))
    from neural_style_keras import vgg

    last = run(network, styles=[STYLE], warm=vgg.parse(warm), scales="1.2", optimizer="lbfgs")
    assert last.iteration == 8 and np.array_equal(last.image[~LEFT], CONTENT[~LEFT])


# The Gram matrices of a layer before its ReLU are the same for the negative: means tell them apart.
BY_MEANS = {
    "style_loss": "wasserstein",
    "style_layers": ("conv1_1",),
    "content_weight": 0,
    "iterations": 60,
    "learning_rate": 5.0,
}


def test_each_region_takes_the_colours_of_its_own_style(network):
    """One style dark, one bright: the regions become so, and turned round with the masks."""
    styles = [picture(60, 56, seed=1) * 0.2, picture(60, 56, seed=2) * 0.2 + 200]
    for regions in ([LEFT, ~LEFT], [~LEFT, LEFT]):
        image = run(network, styles=styles, masks=regions, **BY_MEANS).image
        dark, bright = (image[region].mean() for region in regions)
        assert bright - dark > 50


def test_a_styles_mask_is_what_is_taken_of_it(network):
    """A style half dark and half bright."""
    style = picture(60, 56, seed=1) * 0.2
    style[:, 28:] += 200
    half = np.arange(56)[np.newaxis].repeat(60, 0) < 28
    s = Settings(**BY_MEANS)
    means = [
        list(transfer_style(CONTENT, [style], s, style_masks=[part], network=network))[-1].image
        for part in (half, None, ~half)
    ]
    dark, both, bright = (image.mean() for image in means)
    assert dark + 20 < both < bright - 20


def test_regions_too_small_are_told_the_least_size(network):
    s, dot = Settings(), np.zeros((64, 80), "f4")
    dot[:10, :30] = 1
    says = "mask 2 is too small a region for relu5_1 .* on 300 pixels, .* at least 32x32"
    with pytest.raises(ValueError, match=says):
        transfer_style(CONTENT, [STYLE, OTHER], s, masks=[LEFT, dot], network=network)
    with pytest.raises(ValueError, match="style mask 1 is too small a region for relu5_1"):
        transfer_style(CONTENT, [STYLE], s, style_masks=[dot[:60, :56]], network=network)
    dot[:32, :32] = 1
    assert region_sides(Masks([dot]), s, network) == [16]
    shallow = Settings(style_layers=("relu1_1", "relu2_1"))
    assert len(region_sides(Masks([dot]), shallow, network)) == 1
    assert region_sides(Masks([dot]), Settings(style_weight=0), network) == []


def test_a_region_keeps_the_coarse_sizes_from_being_too_small_for_it(network):
    s, shapes = Settings(scales="auto", iterations=100), [(640, 640), (640, 640)]
    mask = np.zeros((640, 640), "f4")
    mask[:100, :100] = 1
    assert schedule(shapes, s, network)[0].width == 80
    sides = region_sides(Masks([mask]), s, network)
    assert sides == [50] and schedule(shapes, s, network, None, sides)[0].width == 320


@pytest.mark.parametrize("more", [[], ["--depth", "16"], ["--preserve-colors"], ["--tile", "32"]])
def test_only_this_part(masks, more):
    deep = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)
    Image.fromarray(deep).save("sharp.png")
    every = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "3"]
    assert main(*masks, "--content", "sharp.png", "--masks", "left.png", *every, *more) == 0
    outside = images.mask("left.png") == 0
    for name in ("out.png", "c3.png"):
        got = images.read(name)
        assert np.array_equal(got[outside], deep[outside].astype("f4"))
        assert np.abs(got - deep)[~outside].mean() > 3


def test_files_are_as_arrays(masks, mat, capsys):
    from neural_style_keras import load_network, read_mask, read_picture

    more = ["--styles", "style.png", "other.png", "--masks", "left.png", "right.png"]
    more += ["--style-masks", "top.png", "left.png", "--width", "96"]
    assert main(*masks, *more) == 0
    out = capsys.readouterr().out
    assert "mask: left.png, 60% of the content\n" in out
    assert "style mask: top.png, 88% of its style\n" in out
    last = list(
        transfer_style(
            read_picture("content.png"),
            [read_picture("style.png"), read_picture("other.png")],
            preset("neural-style", iterations=6, width=96),
            masks=[read_mask("left.png"), read_mask("right.png")],
            style_masks=[read_mask("top.png"), read_mask("left.png")],
            network=load_network(mat),
        )
    )[-1]
    assert np.array_equal(images.read("out.png"), np.rint(last.image))
    about = json.loads(images.comment("out.png"))
    assert [mask["name"] for mask in about["masks"]] == ["left.png", "right.png"]
    assert len(about["style masks"][1]["sha256"]) == 64


def test_what_is_transparent_in_a_style_is_not_painted_from(masks, network, capsys):
    transparent("cut.png")
    assert main(*masks, "--styles", "cut.png") == 0
    assert "cut.png is transparent in part, which is not painted from\n" in capsys.readouterr().out
    opaque = images.alpha("cut.png") / 255
    s = preset("neural-style", iterations=6)
    pair = images.read("content.png"), [images.read("cut.png")]
    for style_masks, same in (([opaque], True), (None, False)):
        last = list(transfer_style(*pair, s, style_masks=style_masks, network=network))[-1]
        assert np.array_equal(images.read("out.png"), np.rint(last.image)) == same


@pytest.mark.parametrize(
    "more",
    [[], ["--optimizer", "lbfgs", "--scales", "1.2", "--width", "80", "--tile", "48"]],
    ids=["adam", "lbfgs"],
)
def test_a_masked_run_goes_on_to_the_very_same_bytes(masks, killed, capsys, more):  # noqa: F811
    command = [*masks, "--masks", "left.png", *more, *SHORT]
    assert main(*command) == 0
    whole = Path("out.png").read_bytes()
    Path("out.png").unlink()
    for made in Path().glob("c_*.png"):
        made.unlink()
    Path("progress.txt").unlink()
    killed(2, *command)
    kept = Path("left.png").read_bytes()
    save("left.png", np.ones((40, 48)))
    capsys.readouterr()
    assert main(*command, "--resume") == 1
    assert "cannot resume: masks was " in capsys.readouterr().err
    Path("left.png").write_bytes(kept)
    assert main(*command, "--resume") == 0
    assert Path("out.png").read_bytes() == whole


@pytest.mark.parametrize(
    ("code", "more", "says"),
    [
        (2, ["--masks", "left.png", "right.png"], "--masks has 2 pictures for 1 style: give one"),
        (
            2,
            ["--styles", "style.png", "other.png", "--style-masks", "top.png"],
            "--style-masks has 1 picture for 2 styles: give one for each",
        ),
        (2, ["--feather", "3"], "--feather is the edge of --masks, and there are none"),
        (2, ["--masks", "left.png", "--feather", "-1"], "--feather must be at least 0"),
        (2, ["--masks", "https://a.org/b.png"], "https://a.org/b.png is an address"),
        (2, ["--masks", "left.png", "--output", "left.png"], "written over the input left.png"),
        (1, ["--masks", "text.png"], "text.png is not a picture that can be read"),
        (1, ["--masks", "none.png"], "none.png: No such file or directory"),
        (1, ["--masks", "black.png"], "black.png is black all over: a mask is white where its"),
        (1, ["--style-masks", "black.png"], "black.png is black all over"),
        (1, ["--masks", "dot.png"], "mask 1 is too small a region for relu5_1"),
        (1, ["--style-masks", "dot.png"], "style mask 1 is too small a region for relu5_1"),
        (1, ["--styles", "nothing.png"], "nothing.png is transparent wherever it could be painted"),
    ],
)
def test_bad_masks_are_said_in_one_sentence(masks, capsys, tmp_path, code, more, says):
    Image.new("RGBA", (40, 40)).save("nothing.png")
    fails(capsys, tmp_path, code, says, *masks, *more)
