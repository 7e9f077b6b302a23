import dataclasses
import math

import pytest
from neural_style_keras.settings import (
    PRESETS,
    STRONGEST,
    STYLE_LAYERS,
    USUAL_PIXELS,
    WEAKEST,
    Settings,
    flag,
    preset,
    unpainted,
)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"pooling": "foo"}, "--pooling is max or avg, not foo"),
        ({"precision": "half"}, "--precision is float32 or tf32 or bfloat16 or auto"),
        ({"tv_weight": -1.0}, "--tv-weight must be at least 0"),
        ({"content_weight": math.nan}, "--content-weight must be a finite number"),
        ({"content_weight_blend": 1.5}, "--content-weight-blend must be at most 1"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"beta2": 1.0}, "--beta1 and --beta2 must be below 1"),
        ({"iterations": 0}, "--iterations must be at least 1"),
        ({"width": 0}, "--width must be at least 1"),
        ({"style_scales": (1.0, 0.0)}, "--style-scales must be above 0"),
        ({"style_blend_weights": (0.0, 0.0)}, "all 0"),
        ({"style_blend_weights": (1.0, -1.0)}, "--style-blend-weights must be at least 0"),
        ({"content_weight": 0, "style_weight": 0, "tv_weight": 0}, "nothing to optimise"),
        ({"checkpoint_iterations": 5}, "go together"),
        ({"checkpoint_output": "a%d.png"}, "go together"),
        ({"checkpoint_output": "a.png", "checkpoint_iterations": 5}, "place for the iteration"),
        ({"checkpoint_output": "a{x}.png", "checkpoint_iterations": 5}, "is no pattern"),
        ({"checkpoint_output": "a%d%d.png", "checkpoint_iterations": 5}, "is no pattern"),
        ({"content_layers": ("relu4_2:x",)}, "--content-layers takes LAYER or LAYER:WEIGHT"),
        ({"style_layers": (":1",)}, "--style-layers takes LAYER or LAYER:WEIGHT, not :1"),
        ({"style_layers": ("relu1_1:-1",)}, "--style-layers takes LAYER or LAYER:WEIGHT"),
        ({"style_layers": ("relu1_1", "/")}, "--style-layers has a style without layers"),
        ({"style_layers": ("relu1_1", "/", "/", "relu2_1")}, "a style without layers"),
        ({"content_layers": ("relu1_1", "/")}, "--content-layers takes LAYER or LAYER:WEIGHT"),
        ({"strength": 1.01}, "--strength must be at most 1"),
        ({"strength": -0.1}, "--strength must be at least 0"),
        ({"strength": 0.7, "content_weight": 0}, "--strength is between content and style"),
        ({"strength": 0.7, "style_weight": 0}, "--strength is between content and style"),
        ({"color_space": "hsv"}, "--color-space is ycbcr or luv or lab, not hsv"),
        ({"height": 0}, "--height must be at least 1"),
        ({"tile": "big"}, "--tile is auto or a number of pixels"),
        ({"tile": "-5"}, "--tile is auto or a number of pixels"),
        ({"scales": "1"}, "--scales is off, auto or a factor above 1"),
        ({"scales": "many"}, "--scales is off, auto or a factor above 1"),
        ({"optimizer": "rmsprop"}, "--optimizer is adam or sgd or lbfgs"),
        ({"content_loss": "total"}, "--content-loss is mean or half-mean or half-sum or sum"),
        ({"gram_divisor": "channels"}, "--gram-divisor is activations or positions or pixels"),
        ({"tv_loss": "isotropic"}, "--tv-loss is mean or sum or isotropic-sum or nine-point"),
        ({"padding": "same"}, "--padding is zeros or replicate or reflect"),
        ({"average": 1.0}, "--average must be below 1"),
        ({"average": 0.9, "optimizer": "lbfgs"}, "--average is of the steps of adam or sgd"),
        ({"scales_from": 63}, "--scales-from must be at least 64"),
        ({"scale_first": 0.0}, "--scale-first must be above 0"),
        ({"tv_exponent": 0.5}, "--tv-exponent must be at least 1"),
        ({"noise": "none"}, "--noise is normal or uniform or uniform-around-mean"),
        ({"learning_rate_decay": 0.0}, "--learning-rate-decay must be above 0"),
        ({"learning_rate_decay": 1.1}, "--learning-rate-decay must be at most 1"),
        ({"device": "tpu"}, "--device is cpu, gpu or gpu:N"),
        ({"device": "gpu:x"}, "--device is cpu, gpu or gpu:N"),
        ({"device": "gpu:"}, "--device is cpu, gpu or gpu:N"),
        ({"device": "mps:1"}, "--device is cpu, gpu or gpu:N, or mps, not mps:1"),
    ],
)
def test_a_wrong_value_is_named(choice, says):
    with pytest.raises(ValueError, match=says):
        Settings(**choice)


@pytest.mark.parametrize("device", ["cpu", "cpu:1", "gpu", "gpu:1", "mps"])
def test_a_device_is_known_by_its_name(device):
    assert Settings(device=device).device == device


def test_the_defaults_are_those_users_know():
    s = Settings()
    assert (s.content_weight, s.style_weight, s.tv_weight) == (5, 500, 100)
    assert (s.learning_rate, s.beta1, s.beta2, s.eps) == (10, 0.9, 0.999, 1e-8)
    assert (s.iterations, s.pooling, s.content_weight_blend) == (1000, "max", 1)
    assert (s.gram_divisor, s.tv_loss, s.tv_exponent) == ("activations", "mean", 2)
    assert (s.optimizer, s.learning_rate_decay, s.clip) == ("adam", 1, False)
    assert (s.padding, s.normalize_network, s.average) == ("zeros", "off", 0)
    assert (s.scales, s.scales_from, s.scale_first) == ("off", 64, None)


@pytest.mark.parametrize("pattern", ["out_{:05}.jpg", "out_%05d.jpg"])
def test_both_checkpoint_patterns(pattern):
    s = Settings(checkpoint_output=pattern, checkpoint_iterations=1)
    assert s.checkpoint_path(42) == "out_00042.jpg"


def test_style_layer_weights_grow_by_the_ratio_and_sum_to_one():
    weights = Settings(style_layer_weight_exp=0.5).style_weights()
    assert tuple(weights) == STYLE_LAYERS
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["relu2_1"] / weights["relu1_1"] == pytest.approx(0.5)


def test_layers_of_weight_zero_are_not_asked_for():
    assert Settings().content_weights() == {"relu4_2": 1}
    assert Settings(content_weight_blend=0).content_weights() == {"relu5_2": 1}
    assert Settings(content_weight=0).content_weights() == {}
    assert Settings(style_weight=0).layers() == ["relu4_2"]


def test_blend_weights_are_shares():
    assert Settings().style_shares(4) == (0.25,) * 4
    assert Settings(style_blend_weights=[1, 3]).style_shares(2) == (0.25, 0.75)
    with pytest.raises(ValueError, match="3 numbers for 2 styles"):
        Settings(style_blend_weights=(1, 1, 1)).style_shares(2)


@pytest.mark.parametrize(
    ("blend", "has_initial", "share"),
    [(None, False, 1), (None, True, 0), (0.3, False, 0.3), (0.3, True, 0.3)],
)
def test_the_share_of_noise(blend, has_initial, share):
    assert Settings(initial_noiseblend=blend).noiseblend(has_initial) == share


def test_what_changes_the_picture_is_recorded_and_what_does_not_is_not():
    recorded = Settings().picture()
    assert {"tv_weight", "iterations", "checkpoint_iterations", "seed"} <= set(recorded)
    assert not {"quiet", "overwrite", "print_iterations", "cache"} & set(recorded)


def test_each_setting_has_a_flag_a_group_and_help():
    for field in dataclasses.fields(Settings):
        assert flag(field.name).startswith("--")
        assert field.metadata["help"] and field.metadata["group"]
        assert field.default is not None or field.metadata["none"]


def test_presets_are_settings_that_flags_override():
    for name, one in PRESETS.items():
        assert one.about
        preset(name)
    assert preset("gatys").pooling == "avg"
    assert preset("gatys", pooling="max", tv_weight=3).pooling == "max"
    assert preset("neural-style") == Settings()
    with pytest.raises(ValueError, match="--preset is one of neural-style, gatys"):
        preset("monet")


@pytest.mark.parametrize(
    ("changes", "painter"),
    [
        ({"width": 512, "strength": 0.7, "seed": 3, "masks": ("a.png",), "noise": "normal"}, "any"),
        ({"painter": "paintbox", "style": ("wave",)}, "paintbox"),
        ({"painter": None}, None),
        ({"painter": "none"}, None),
        # Another start.
        ({"initial": "a.png"}, None),
        ({"initial_noiseblend": 1}, None),
        ({"noise": "uniform"}, None),
        # No content, or no style.
        ({"content_weight": 0}, None),
        ({"style_weight": 0.0}, None),
        ({"content_layers": ("relu4_2:0",)}, None),
        ({"style_layers": ("relu1_1:0",)}, None),
    ],
)
def test_fast_starts_from_a_painter_unless_told_otherwise(changes, painter):
    found = preset("fast", **changes)
    assert found.painter == painter
    begins = {"scales": "off", "warm_start": None, "iterations": 130}
    from_noise = {"scales": "auto", "warm_start": "compact", "iterations": 240}
    expected = begins if painter else from_noise
    assert {name: getattr(found, name) for name in expected} == expected


def test_only_fast_has_a_painter_of_its_own():
    assert [name for name in PRESETS if preset(name).painter] == ["fast"]
    assert unpainted(dataclasses.asdict(preset("fast", seed=3, iterations=7))) == (
        dataclasses.asdict(preset("fast", painter=None, seed=3, iterations=7))
    )
    values = dataclasses.asdict(preset("best", painter="paintbox"))
    assert unpainted(values) == values


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"content_layers": "relu4_2"}, "--content-layers takes several values, in a list"),
        ({"iterations": 10.5}, "--iterations is a whole number, not 10.5"),
        ({"width": "512"}, "--width is a whole number, not '512'"),
        ({"tv_weight": None}, "--tv-weight is a number, not None"),
        ({"preserve_colors": 1}, "--preserve-colors is a yes or no, not 1"),
        ({"style_layers": ("relu1_1:0",), "content_weight": 0, "tv_weight": 0}, "nothing to opt"),
    ],
)
def test_values_of_another_type_are_refused_from_python_too(choice, says):
    with pytest.raises(ValueError, match=says):
        Settings(**choice)


def test_a_number_may_stand_for_its_text():
    assert Settings(tile=512, scales=1.5) == Settings(tile="512", scales="1.5")


def test_the_strength_moves_the_ratio_of_style_to_content_and_nothing_at_a_half():
    steps = [0, 0.25, 0.5, 0.75, 1]
    found = [Settings(strength=s).strengths(12345) for s in steps]
    ratios = [style / content for content, style, _ in found]
    assert ratios == pytest.approx([WEAKEST, WEAKEST**0.5, 1, STRONGEST**0.5, STRONGEST])
    assert 0 < ratios[0] < 1 < ratios[-1] < math.inf
    # What counts most keeps its weight, against the smoothness and the learning rate.
    assert all(max(each) == 1 for each in found)
    assert Settings().strengths(12345) == Settings(strength=0.5).strengths(12345) == (1, 1, 1)
    assert Settings(strength=0.5, content_weight=0).strength == 0.5  # which changes nothing


@pytest.mark.parametrize("name", PRESETS)
def test_the_strength_is_the_recipes_own_at_the_usual_size(name):
    recipe = PRESETS[name].settings
    assert Settings(**recipe, strength=0.5).strengths(USUAL_PIXELS) == (1, 1, 1)
    is_sum = preset(name).content_loss in ("sum", "half-sum")
    content, style, tv = preset(name, strength=0.5).strengths(4 * USUAL_PIXELS)
    assert (content, style) == (0.25 if is_sum else 1, 1)
    # Of a smoothness that is a sum as well, lest it counted four times as much.
    assert tv == (0.25 if preset(name).tv_loss in ("sum", "isotropic-sum") else 1)
    assert preset(name).strengths(4 * USUAL_PIXELS) == (1, 1, 1)


def test_each_style_may_have_layers_of_its_own():
    s = Settings(
        style_layers=("relu1_1:3", "relu2_1:1", "/", "relu2_1:2", "relu4_1:1"),
        style_blend_weights=(1, 3),
    )
    assert s.style_weights() == {"relu1_1": 0.75, "relu2_1": 1.75, "relu4_1": 0.75}
    shares = s.layer_shares(2)
    assert shares["relu1_1"] == (1, 0) and shares["relu4_1"] == (0, 1)
    assert shares["relu2_1"] == pytest.approx((0.25 / 1.75, 1.5 / 1.75))
    with pytest.raises(ValueError, match="the layers of 2 styles, for 3 styles"):
        Settings(style_layers=("relu1_1", "/", "relu2_1")).check_styles(3)
    with pytest.raises(ValueError, match="the layers of 2 styles, for 1 style: give those of"):
        s.__class__(style_layers=s.style_layers).check_styles(1)
    # A layer of a style that has no share is not computed.
    alone = Settings(style_layers=s.style_layers, style_blend_weights=(1, 0))
    assert alone.style_weights() == {"relu1_1": 3, "relu2_1": 1}
    plain = Settings(style_layers=("relu1_1", "relu2_1", "/", "relu4_1"))
    assert plain.style_weights() == {"relu1_1": 0.25, "relu2_1": 0.25, "relu4_1": 0.5}
    same = Settings(style_layers=("relu1_1:2",), style_blend_weights=(1, 3)).layer_shares(2)
    assert same == {"relu1_1": (0.25, 0.75)}


@pytest.mark.parametrize(
    ("choice", "has_content", "styles", "says"),
    [
        ({}, False, 1, "there is no content: name one, or --content-weight 0 for none"),
        ({}, True, 0, "there are no styles: name one, or --style-weight 0 for none"),
        ({"content_weight": 0}, False, 1, "without --content, --width says how large"),
        ({"height": 9}, True, 1, "--height is for want of a --content: with one, --width"),
        (
            *({"content_weight": 0, "width": 9, "colors": "match"}, False, 1),
            "--colors match takes the colours of a content",
        ),
        (
            *({"content_weight": 0, "width": 9, "painter": "paintbox"}, False, 1),
            "--painter starts from what it paints of a content",
        ),
    ],
)
def test_a_picture_that_is_missing_is_named(choice, has_content, styles, says):
    with pytest.raises(ValueError, match=says):
        Settings(**choice).check_pictures(has_content, styles)


def test_a_picture_that_has_no_weight_may_be_missing():
    texture = Settings(content_weight=0, width=30)
    texture.check_pictures(False, 2)
    assert texture.sizes([None, (10, 20)]) == [(30, 30), (30, 60)]
    assert Settings(content_weight=0, width=30, height=7).sizes([None]) == [(30, 7)]
    content = Settings(style_weight=0, style_blend_weights=(1, 2))
    content.check_pictures(True, 0)
    assert content.sizes([(10, 20)]) == [(10, 20)] and content.layers() == ["relu4_2"]


def test_preserved_colours_are_a_spelling_that_does_not_stay():
    s = Settings(preserve_colors=True)
    assert s == Settings(colors="content")
    assert dataclasses.replace(s, colors="style").colors == "style"
    with pytest.raises(ValueError, match="and not --colors match"):
        Settings(preserve_colors=True, colors="match")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ([], "off"),
        (["--normalize-network"], "on"),
        (["--normalize-network", "--tv-weight", "3"], "on"),
        (["--normalize-network", "photos"], "photos"),
        (["--preset", "gatys"], "off"),
        (["--normalize-network", "auto"], "auto"),
    ],
)
def test_a_flag_may_stand_alone(words, value):
    from neural_style_keras.neural_style import build_parser, job_of

    pictures = ["--content", "a.jpg", "--styles", "b.jpg", "--output", "c.png"]
    settings = job_of(build_parser().parse_args([*pictures, *words])).settings
    assert settings.normalize_network == value
    assert settings.normalization_folder() == ("photos" if value == "photos" else None)


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["--color-space", "lab"], "--color-space changes nothing without --colors content"),
        (["--scale-first", "2"], "--scale-first changes nothing without --scales"),
        (["--color-space", "lab", "--preserve-colors"], None),
        (["--scale-first", "2", "--preset", "wasserstein"], None),
    ],
)
def test_a_flag_that_changes_nothing_is_refused(words, missing):
    from neural_style_keras.neural_style import build_parser, job_of

    pictures = ["--content", "a.jpg", "--styles", "b.jpg", "--output", "c.png"]
    arguments = build_parser().parse_args([*pictures, *words])
    if missing:
        with pytest.raises(ValueError, match=missing):
            job_of(arguments)
    else:
        job_of(arguments)
