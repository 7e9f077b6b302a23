import dataclasses
import math

import pytest
from neural_style_keras.settings import PRESETS, STYLE_LAYERS, Settings, flag, preset


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


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ([], "off"),
        (["--normalize-network"], "on"),
        (["--normalize-network", "--tv-weight", "3"], "on"),
        (["--normalize-network", "photos"], "photos"),
        (["--preset", "gatys"], "auto"),
        (["--preset", "gatys", "--normalize-network", "off"], "off"),
    ],
)
def test_a_flag_may_stand_alone(words, value):
    from neural_style_keras.neural_style import build_parser, job_of

    pictures = ["--content", "a.jpg", "--styles", "b.jpg", "--output", "c.png"]
    settings = job_of(build_parser().parse_args([*pictures, *words])).settings
    assert settings.normalize_network == value
    assert settings.normalization_folder() == ("photos" if value == "photos" else None)
