"""The command line, end to end, on a small network."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import picture, small_layers, write_mat
from neural_style_keras import backend, neural_style
from neural_style_keras import pictures as images
from neural_style_keras.commands import COMMANDS
from neural_style_keras.runs import progress, state
from neural_style_keras.settings import PRESETS
from PIL import Image
from test_pictures import bomb

PROGRAM = Path(__file__).parent.parent / "neural_style.py"
KILLS = int(os.environ.get("KILLS", "1"))


@pytest.fixture
def arguments(pictures, mat, tmp_path, monkeypatch):
    """A run that takes a moment; more arguments follow, and a later one wins."""
    monkeypatch.chdir(tmp_path)
    return [
        *("--content", "content.png", "--styles", "style.png", "--output", "out.png"),
        *("--network", str(mat), "--iterations", "6", "--print-iterations", "2"),
    ]


CHECKPOINTS = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"]


def main(*arguments):
    """Run in this process; the exit code, as a shell would see it."""
    try:
        return neural_style.main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code


def start(*arguments, **options):
    """Run in a process of its own."""
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def everything(folder):
    """Every file below a folder and its bytes."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fails(capsys, tmp_path, code, says, *arguments):
    """The run fails with one sentence and the right code, and leaves the folder as it was."""
    before = everything(tmp_path)
    assert main(*arguments) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("neural-style: error: ") and captured.err.count("\n") == 1
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert everything(tmp_path) == before


def test_a_run_writes_a_picture_and_says_so(arguments, capsys):
    assert main(*arguments) == 0
    out = capsys.readouterr().out
    assert "content: content.png, 48x40 pixels" in out and "style: style.png, 48x66 pixels" in out
    assert "iteration 6/6" in out and out.endswith("wrote out.png\n")
    assert images.read("out.png").shape == (40, 48, 3)
    assert images.read("out.png").std() > 1


def test_the_picture_holds_what_made_it(arguments):
    main(*arguments, "--output", "out.jpg", "--tv-weight", "7", "--quiet")
    about = json.loads(images.comment("out.jpg"))
    assert about["settings"]["tv_weight"] == 7 and about["settings"]["seed"] == 0
    assert about["content"]["name"] == "content.png" and len(about["network"]["sha256"]) == 64


def test_quiet_prints_nothing(arguments, capsys):
    assert main(*arguments, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_sizes_are_those_of_the_reference(arguments, capsys):
    main(
        *arguments, "--width", "31", "--styles", "style.png", "other.png", "--style-scales", 1, 0.7
    )
    out = capsys.readouterr().out
    assert "31x25 pixels" in out  # floor(40 / 48 * 31)
    assert "style.png, 31x43" in out and "other.png, 21x21" in out
    assert images.read("out.png").shape == (25, 31, 3)


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        ("--pooling avg", {"pooling": "avg"}),
        ("--initial other.png", {"initial": "other.png"}),
        ("--initial-noiseblend 0.5", {"initial_noiseblend": 0.5}),
        ("--preserve-colors", {"colors": "content"}),
        ("--colors content --color-space lab", {"colors": "content", "color_space": "lab"}),
        ("--strength 0.7", {"strength": 0.7}),
        ("--style-layers relu1_1 relu2_1:.5", {"style_layers": ("relu1_1", "relu2_1:.5")}),
        ("--style-blend-weights 1 3", {"style_blend_weights": (1.0, 3.0)}),
        ("--style-scales 1 .5", {"style_scales": (1.0, 0.5)}),
        ("--content-weight-blend 0.2", {"content_weight_blend": 0.2}),
        ("--content-layers conv3_1 relu4_2:.5", {"content_layers": ("conv3_1", "relu4_2:.5")}),
        ("--seed 5", {"seed": 5}),
        ("--precision bfloat16 --tile 64", {"precision": "bfloat16", "tile": "64"}),
        ("--device cpu --beta1 .8 --eps 1", {"device": "cpu", "beta1": 0.8, "eps": 1.0}),
        ("--no-cache", {"cache": False}),
        ("--padding reflect --tv-loss nine-point", {"padding": "reflect", "tv_loss": "nine-point"}),
        ("--scales auto --scale-first 2", {"scales": "auto", "scale_first": 2.0}),
        ("--average .9", {"average": 0.9}),
        ("--normalize-network", {"normalize_network": "on"}),
    ],
)
def test_each_kind_of_flag_is_its_setting(arguments, flags, setting):
    """What a setting does to a picture is tested where it is done."""
    job = neural_style.job_of(neural_style.build_parser().parse_args([*arguments, *flags.split()]))
    plain = neural_style.job_of(neural_style.build_parser().parse_args(arguments)).settings
    assert job.settings == dataclasses.replace(plain, **setting) != plain


def test_an_initial_picture_is_where_it_starts(arguments):
    more = ["--initial", "other.png", "--iterations", "1", "--learning-rate", "1e-6"]
    assert main(*arguments, *more) == 0
    initial = images.resize(images.read("other.png"), 48, 40)
    assert np.abs(images.read("out.png") - initial).max() <= 1


def test_matched_colours_are_those_of_the_content(arguments):
    long = ["--iterations", "40", "--content-weight", "0", "--initial-noiseblend", "0"]
    means = {}
    for mode in ("style", "match"):
        assert main(*arguments, *long, "--colors", mode, "--output", f"as-{mode}.png") == 0
        means[mode] = images.read(f"as-{mode}.png").mean((0, 1))
    content = images.read("content.png").mean((0, 1))
    assert np.abs(means["match"] - content).max() < np.abs(means["style"] - content).max()


def test_preserved_colours(arguments):
    main(*arguments, "--preserve-colors", "--iterations", "2", "--initial-noiseblend", "0")
    chroma = [
        np.asarray(Image.open(p).convert("YCbCr"), float)[..., 1:]
        for p in ("out.png", "content.png")
    ]
    assert np.abs(chroma[0] - chroma[1]).mean() < 3


def test_checkpoints_table_and_plot(arguments):
    pytest.importorskip("matplotlib")
    more = ["--checkpoint-output", "c_{:03}.jpg", "--checkpoint-iterations", "2"]
    assert main(*arguments, *more, "--progress-write", "--progress-plot") == 0
    assert sorted(p.name for p in Path().glob("c_*")) == ["c_002.jpg", "c_004.jpg", "c_006.jpg"]
    assert np.loadtxt("progress.txt")[:, 0].tolist() == [0, 2, 4, 6]
    assert Path("progress.txt").read_text().startswith("# itr content style tv total\n")
    assert images.size("progress.png") == (960, 600)
    assert not Path("out.png.state").exists()


def transparent(path, height=40, width=48):
    """A picture whose left half fades away."""
    alpha = np.full((height, width), 255, np.uint8)
    alpha[:, : width // 2] = np.linspace(0, 255, width // 2)
    Image.fromarray(np.dstack([picture(height, width).astype(np.uint8), alpha])).save(path)
    return alpha


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
def test_the_contents_transparency_is_kept_at_the_size_of_the_output(arguments, capsys, extension):
    alpha = transparent("cut.png")
    output = f"out.{extension}"
    more = ["--content", "cut.png", "--width", "36", *CHECKPOINTS, "--checkpoint-output", "c%d.jpg"]
    assert main(*arguments, *more, "--output", output) == 0
    assert "the content's transparency is kept" in capsys.readouterr().out
    want = np.asarray(Image.fromarray(alpha).resize((36, 30)), float)
    assert np.abs(images.alpha(output) - want).max() <= 1
    assert images.alpha("c6.jpg") is None


def test_transparency_goes_on_white_with_a_word_where_it_cannot_be_kept(arguments, capsys):
    transparent("cut.png")
    more = [*arguments, "--content", "cut.png"]
    assert main(*more, "--output", "out.jpg") == 0
    out = capsys.readouterr().out
    assert "cut.png is transparent in part, and put on white: .jpg cannot hold it" in out
    assert main(*more, "--alpha", "white") == 0
    out = capsys.readouterr().out
    assert "cut.png is transparent in part, and put on white\n" in out
    assert images.alpha("out.png") is None
    assert main(*arguments, "--overwrite", "--styles", "style.png", "cut.png") == 0
    out = capsys.readouterr().out
    assert "put on white" not in out and "kept" not in out
    assert images.alpha("out.png") is None


def test_sixteen_bits_out_are_the_picture_of_eight_with_its_fraction(arguments):
    assert main(*arguments) == 0
    more = ["--depth", "16", *CHECKPOINTS, "--checkpoint-output", "c%d.jpg"]
    for output in ("deep.png", "deep.tif"):
        assert main(*arguments, *more, "--output", output, "--overwrite") == 0
        got = images.read(output)
        assert np.abs(got - images.read("out.png")).max() <= 0.51
        assert (got != got.round()).mean() > 0.9
        assert json.loads(images.comment(output))["settings"]["depth"] == 16


def test_an_enlarged_photograph_is_said_to_be(arguments, capsys):
    main(*arguments, "--width", "60", "--iterations", "1")
    assert "the content is enlarged from 48x40 pixels" in capsys.readouterr().out
    main(*arguments, "--width", "40", "--iterations", "1", "--overwrite")
    main(*arguments, "--iterations", "1", "--overwrite")
    assert "enlarged" not in capsys.readouterr().out


def test_the_size_of_each_picture_is_found_once(arguments, monkeypatch):
    looked, size = [], images.size

    def counted(path):
        looked.append(Path(path).name)
        return size(path)

    monkeypatch.setattr(images, "size", counted)
    assert main(*arguments, "--initial", "other.png") == 0
    assert sorted(looked) == ["content.png", "other.png", "style.png"]


def test_a_run_to_a_bmp_is_known_to_be_complete(arguments, capsys):
    more = [*arguments, *CHECKPOINTS, "--output", "out.bmp"]
    assert main(*more) == 0
    assert json.loads(images.comment("out.bmp"))["content"]["name"] == "content.png"
    capsys.readouterr()
    assert main(*more, "--resume") == 0
    assert capsys.readouterr().out.endswith("\nout.bmp is complete: there is nothing to resume\n")
    assert main(*more, "--resume", "--tv-weight", "5") == 1
    assert "out.bmp exists" in capsys.readouterr().err


def test_the_network_is_looked_for_here_and_then_in_the_cache(arguments, mat, own_cache, capsys):
    folder = own_cache / "neural-style"
    folder.mkdir()
    (folder / "n.mat").write_bytes(mat.read_bytes())
    assert main(*arguments, "--network", "n.mat") == 0
    assert str(folder / "n.mat") in capsys.readouterr().out
    Path("n.mat").write_bytes(mat.read_bytes())
    assert main(*arguments, "--network", "n.mat", "--overwrite") == 0
    assert "network: n.mat" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--pooling", "foo"], "--pooling is max or avg"),
        (["--style-weight", "-1"], "--style-weight must be at least 0"),
        (["--style-blend-weights", "1", "2", "3"], "has 3 numbers for 1 style: give one for each"),
        (["--style-scales", "1", "2"], "--style-scales has 2 numbers for 1 style"),
        (["--iterations", "many"], "argument --iterations: takes a whole number, not 'many'"),
        (["--iter", "5"], "unrecognized arguments: --iter"),
        (
            ["--style", "a.png"],
            "--style names a style of --painter; pictures of styles are --styles",
        ),
        (["--preserve-colours"], "did you mean --preserve-colors, not --preserve-colours?"),
        (["--output", "out.xyz"], "out.xyz does not end as a picture that can be written"),
        (["--output", "content.png", "--overwrite"], "would be written over the input content.png"),
        (["--output", "./style.png"], "would be written over the input style.png"),
        (["--checkpoint-output", "c.png", "--checkpoint-iterations", "2"], "needs a place for the"),
        (["--checkpoint-output", "c{}.png"], "go together"),
        (["--checkpoint-iterations", "3"], "go together"),
        (["--checkpoint-output", "c%d", "--checkpoint-iterations", "2"], "does not end as a"),
        (["--output", "progress.png", "--progress-plot"], "written over another output"),
        (["--device", "tpu"], "--device is cpu, gpu or gpu:N"),
        (["--preset", "monet"], "--preset is one of neural-style, gatys"),
        (["--preset", "fsat"], "not fsat; did you mean fast?"),
        (["--ouput", "a.png"], "did you mean --output, not --ouput?"),
        (["--content", "https://a.org/b.jpg"], "https://a.org/b.jpg is an address, not a file"),
        (["--styles", "style.png", "http://a.org/b.jpg"], "http://a.org/b.jpg is an address"),
        (["--initial", "https://a.org/b.jpg"], "b.jpg is an address, not a file on this machine"),
        (["--output", "s3://a/b.png"], "s3://a/b.png is an address, not a file on this machine"),
        (["--alpha", "black"], "--alpha is keep or white, not black"),
        (["--depth", "12"], "--depth is 8 or 16, not 12"),
        (["--depth", "16", "--output", "out.jpg"], "out.jpg cannot hold 16 bits a channel"),
        (["--strength", "2"], "--strength must be at most 1, not 2"),
        (["--strength", "1", "--content-weight", "0"], "--strength is between content and style"),
        (["--color-space", "hsv"], "--color-space is ycbcr or luv or lab, not hsv"),
        (["--height", "30"], "--height is for want of a --content: with one, --width is"),
        (["--style-layers", "relu1_1", "/", "relu2_1"], "the layers of 2 styles, for 1 style"),
        (["--style-layers", "/", "relu2_1"], "--style-layers has a style without layers"),
    ],
)
def test_usage_errors_exit_with_2(arguments, capsys, tmp_path, more, says):
    fails(capsys, tmp_path, 2, says, *arguments, *more)


def test_what_is_required(capsys, tmp_path):
    fails(capsys, tmp_path, 2, "required: --content, --styles, --output")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--styles a.png --output o.png", "required: --content (--content-weight 0 and a --width"),
        ("--content a.png --output o.png", "required: --styles (--style-weight 0 needs no styles)"),
        ("--content-weight 0 --output o.png", "required: --styles (--style-weight 0"),
        (
            "--content-weight 0 --styles a.png --output o.png",
            "without --content, --width says how large the picture is to be",
        ),
        (
            "--content-weight 0 --width 40 --styles a.png --output o.png --preserve-colors",
            "--colors content takes the colours of a content: name one",
        ),
        (
            "--content-weight 0 --width 40 --styles a.png --output o.png --painter paintbox",
            "--painter starts from what it paints of a content: name one",
        ),
    ],
)
def test_a_missing_picture_is_said(capsys, tmp_path, given, says):
    fails(capsys, tmp_path, 2, says, *given.split())


ALONE = {
    "texture": ["--styles", "style.png", "--content-weight", "0", "--height", "70"],
    "content": ["--content", "content.png", "--style-weight", "0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE)
@pytest.mark.parametrize(
    "more",
    [
        ["--optimizer", "adam", "--checkpoint-output", "c%d.jpg", "--checkpoint-iterations", "3"],
        ["--preset", "keras"],
        ["--preset", "gatys", "--style-layers", "relu1_1", "relu2_1"],
        ["--preset", "fast", "--warm-start", "other.mat", "--width", "140", "--tile", "64"],
        ["--style-loss", "wasserstein", "--scales", "auto", "--width", "140"],
    ],
    ids=["adam", "sgd", "gatys", "fast-in-tiles", "wasserstein-from-coarse-to-fine"],
)
def test_a_picture_of_the_styles_alone_or_of_the_content_alone(
    arguments, mat, tmp_path, killed, kind, more
):
    """With every optimiser, whole and cut short; with the settings of its own and again."""
    write_mat(tmp_path / "other.mat", layers=small_layers(seed=1))
    given = [*("--network", mat, "--width", "80", "--iterations", "6"), *ALONE[kind], *more]
    command = [*given, "--state-minutes", "0", "--print-iterations", "2", "--output"]
    assert main(*command, "out.png") == 0
    width = int(given[len(given) - 1 - given[::-1].index("--width") + 1])
    height = 70 if kind == "texture" else width * 40 // 48
    assert images.size("out.png") == (width, height)
    about = json.loads(images.comment("out.png"))
    if kind == "texture":
        assert about["content"] is None and about["settings"]["height"] == 70
    else:
        assert about["styles"] == [] and about["content"]["name"] == "content.png"
    killed(2, *command, "cut.png", "--overwrite")
    assert main(*command, "cut.png", "--overwrite", "--resume") == 0
    assert Path("cut.png").read_bytes() == Path("out.png").read_bytes()
    Path("small.mat").write_bytes(mat.read_bytes())
    named = ALONE[kind][:2]
    assert main(*named, "--like", "out.png", "--network", mat, "--output", "like.png") == 0
    assert (images.read("like.png") == images.read("out.png")).all()


def test_a_texture_says_its_size_and_may_start_from_a_picture(arguments, mat, capsys):
    command = [*("--network", mat, "--iterations", "1", "--width", "30"), *ALONE["texture"]]
    assert main(*command, "--output", "a.png") == 0
    out = capsys.readouterr().out
    assert "content: none, 30x70 pixels" in out and "style: style.png, 30x41 pixels" in out
    more = ["--initial", "other.png", "--learning-rate", "1e-6", "--output", "b.png"]
    assert main(*command, *more) == 0
    initial = images.resize(images.read("other.png"), 30, 70)
    assert np.abs(images.read("b.png") - initial).max() <= 1
    # The settings of a texture with a photograph, which has a height of its own.
    more = ["--content", "content.png", "--content-weight", "5", "--network", mat]
    assert main(*more, "--like", "a.png", "--styles", "style.png", "--output", "c.png") == 0
    assert images.size("c.png") == (30, 25)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--content", "none.jpg"], "none.jpg: No such file or directory"),
        (["--styles", "text.jpg"], "text.jpg is not a picture that can be read"),
        (["--content", "cut.jpg"], "cut.jpg is not a picture that can be read, or it is damaged"),
        (["--initial", "none.jpg"], "none.jpg: No such file or directory"),
        (["--content", "bomb.png"], "bomb.png is too large to be meant as a picture"),
        (["--content", "one.png"], "the content is 1x1 pixels"),
        (["--content", "one.png"], "must be at least 16x16"),
        (["--width", "20", "--style-scales", "0.5"], "style 1 is 10x13 pixels"),
        (["--network", "none.mat"], "there is no network at none.mat, nor at"),
        (["--network", "text.jpg"], "is not a MATLAB file that can be read"),
        (["--network", "cut.mat"], "is not a MATLAB file that can be read, or is damaged"),
        (["--network", "other.mat"], "but not a MatConvNet network as published"),
        (["--output", "nowhere/out.png"], "the folder nowhere does not exist"),
        (["--output", "folder.png"], "folder.png is a folder"),
        (["--output", "kept.png"], "kept.png exists: name another, or add --overwrite"),
        (["--width", "200000"], "GB are free: --width"),
        (["--width", "70000", "--output", "out.jpg"], ".jpg holds 65535 at most"),
        (["--device", "gpu:7"], "there is no device gpu:7"),
        (["--content", "phone.jpg"], "phone.jpg is a HEIC picture: pip install pillow-heif"),
        (
            ["--width", "17000", *CHECKPOINTS, "--checkpoint-output", "c%d.webp"],
            "c1.webp would be 17000x14166 pixels; .webp holds 16383 at most: use .png or .tif",
        ),
    ],
)
def test_bad_input_exits_with_1(arguments, capsys, tmp_path, mat, monkeypatch, more, says):
    import scipy.io

    (tmp_path / "text.jpg").write_text("hello")
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3)).astype(np.uint8)
    Image.fromarray(noise).save("cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:3000])
    bomb(tmp_path / "bomb.png")
    Image.new("RGB", (1, 1)).save("one.png")
    (tmp_path / "cut.mat").write_bytes(mat.read_bytes()[:5000])
    scipy.io.savemat("other.mat", {"x": 1})
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "kept.png").write_text("precious")
    (tmp_path / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    fails(capsys, tmp_path, 1, says, *arguments, *more)


def test_a_checkpoint_or_a_table_that_exists_is_not_written_over(arguments, capsys, tmp_path):
    (tmp_path / "c4.png").write_text("precious")
    more = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"]
    fails(capsys, tmp_path, 1, "c4.png exists", *arguments, *more)
    (tmp_path / "progress.txt").write_text("precious")
    fails(capsys, tmp_path, 1, "progress.txt exists", *arguments, "--progress-write")


def test_the_checkpoints_of_every_size_are_not_written_over(arguments, capsys, tmp_path):
    """Where each size has so many iterations, the last is known once the sizes are."""
    (tmp_path / "c14.png").write_text("precious")
    more = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2", "--scales", "1.4"]
    more += ["--width", "120", "--scale-first", "1.5"]  # 86 pixels wide for 9, 120 for 6 more
    fails(capsys, tmp_path, 1, "c14.png exists", *arguments, *more)
    (tmp_path / "c14.png").rename(tmp_path / "c16.png")
    assert main(*arguments, *more) == 0


def test_a_disk_that_is_full(arguments, capsys, tmp_path, monkeypatch):
    """The rename never comes: what was there stays, and no half file."""
    import errno

    (tmp_path / "out.png").write_text("precious")
    before = everything(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(*arguments, "--overwrite", "--no-cache") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert everything(tmp_path) == before


def test_a_loss_that_explodes_keeps_the_best_picture(arguments, capsys):
    assert main(*arguments, "--learning-rate", "1e30", "--iterations", "50") == 1
    error = capsys.readouterr().err
    assert "lower --learning-rate" in error and "out.png" in error and "Traceback" not in error
    assert images.read("out.png").shape == (40, 48, 3)


@pytest.mark.parametrize("steps", [0, 3])
def test_memory_that_runs_out_keeps_the_best_picture(arguments, capsys, monkeypatch, steps):
    """If there is one yet: in a run, as TensorFlow tells it."""
    from neural_style_keras.objective import Objective

    whole, calls = Objective.gradient, []

    def gradient(self, image):
        calls.append(1)
        if len(calls) > steps:
            text = "OOM when allocating tensor with shape[1,9]"
            raise type("ResourceExhaustedError", (Exception,), {})(text)
        return whole(self, image)

    def evaluate(self, image):
        return gradient(self, image)[0]

    monkeypatch.setattr(Objective, "gradient", gradient)
    if not steps:
        monkeypatch.setattr(Objective, "evaluate", evaluate)
    assert main(*arguments, "--tile", "32", "--quiet") == 1
    error = capsys.readouterr().err
    assert error.startswith("neural-style: error: out of memory")
    assert error.count("\n") == 1 and "Traceback" not in error
    assert Path("out.png").exists() == ("the best picture before is in out.png" in error)
    assert Path("out.png").exists() == bool(steps)
    if steps:
        assert "after iteration 3: choose a smaller --width or --tile" in error
        assert images.read("out.png").shape == (40, 48, 3)


def test_debug_shows_the_traceback(arguments):
    with pytest.raises(FileNotFoundError):
        neural_style.main([*arguments, "--content", "none.png", "--debug"])


def test_help_is_grouped_and_has_each_default(capsys):
    assert main("--help") == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in ("choose what it looks like", "(default: 500.0)", "(default: 1e-08)", "out_%05d"):
        assert text in out


def test_help_and_usage_errors_import_nothing_heavy():
    code = (
        "import sys\nfrom neural_style_keras import neural_style\n"
        "try: neural_style.main(sys.argv[1:])\n"
        "except SystemExit as e: assert e.code in (0, 2), e.code\n"
        "assert not {'tensorflow', 'keras', 'scipy', 'torch', 'jax'} & set(sys.modules)\n"
    )
    for arguments in (["--help"], ["--version"], ["--pooling", "foo"]):
        if arguments[0] == "--pooling":
            arguments += ["--content", "a.png", "--styles", "b.png", "--output", "c.png"]
        subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=True,
            cwd=PROGRAM.parent,
            capture_output=True,
        )


def test_a_run_of_its_own_leaves_the_standard_error_empty(arguments, tmp_path):
    run = start(*arguments, cwd=tmp_path)
    out, err = run.communicate()
    assert (run.returncode, err) == (0, "")
    assert "wrote out.png" in out


@pytest.mark.skipif(os.name != "posix", reason="the shell's")
def test_closed_standard_streams_take_nothing_with_them(arguments, tmp_path):
    """What is said goes nowhere, and into no file that would get the number of what is closed."""
    command = [sys.executable, str(PROGRAM), *arguments]
    closed = ["sh", "-c", 'exec "$@" 2>&- >&-', "sh"]
    assert subprocess.run([*closed, *command], cwd=tmp_path, timeout=120).returncode == 0
    assert images.read("out.png").shape == (40, 48, 3)
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    done = subprocess.run([*closed, *command], cwd=tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, b"")  # out.png exists


@pytest.mark.skipif(os.name != "posix", reason="the shell's")
def test_from_python_a_closed_standard_error_is_no_error(tmp_path):
    code = "from neural_style_keras.runs.console import silenced\nwith silenced(): print('in')"
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    done = subprocess.run([*closed, sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, b"in\n")


LONG = [
    *("--iterations", "400", "--checkpoint-output", "c_%03d.png"),
    *("--checkpoint-iterations", "20", "--progress-write", "--state-minutes", "0"),
]


def wait_for(path, run, seconds=90):
    """Until a file is there, or the run is over."""
    until = time.monotonic() + seconds
    while not path.exists() and run.poll() is None:
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.01)


class Killed(BaseException):
    """Ends a run wherever it is; nothing of the program catches it."""


@pytest.fixture
def killed(monkeypatch):
    """Run in this process and end it without a word right after the n-th state is written."""

    def run(n, *arguments):
        save, saved = state.save, []

        def counting(*more):
            save(*more)
            saved.append(1)
            if len(saved) == n:
                raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(state, "save", counting)
            main(*arguments)

    return run


FILES = ("out.png", "c_08.png", "progress.txt")
SHORT = [
    *("--iterations", "8", "--checkpoint-output", "c_%02d.png", "--checkpoint-iterations", "4"),
    *("--progress-write", "--state-minutes", "0"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["--precision", "auto"],
        ["--optimizer", "lbfgs"],
        ["--preset", "fast", "--width", "140", "--warm-start", "other.mat", "--painter", "none"],
        ["--preset", "fast", "--width", "140", "--tile", "64"],
        ["--tile", "32", "--width", "80"],
        ["--preset", "wasserstein", "--width", "112", "--scales-from", "64"]
        + ["--scale-first", "1"],
    ],
    ids=["adam", "lbfgs", "fast-from-noise", "fast", "tiles", "wasserstein"],
)
def test_a_run_that_was_cut_short_goes_on_to_the_very_same_bytes(
    arguments, tmp_path, capsys, killed, more
):
    write_mat(tmp_path / "other.mat", layers=small_layers(seed=1))
    command = [*arguments, *more, *SHORT]
    assert main(*command) == 0
    whole = {name: Path(name).read_bytes() for name in FILES}
    for n in (1, 2, 4):
        for path in (Path("out.png"), Path("progress.txt"), *Path().glob("c_*.png")):
            path.unlink()
        killed(n, *command)
        assert Path("out.png.state").exists()
        assert main(*command, "--resume") == 0
        assert {name: Path(name).read_bytes() for name in FILES} == whole
        capsys.readouterr()
        assert main(*command, "--resume") == 0
        assert "is complete: there is nothing to resume" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.state")) and not list(tmp_path.glob(".*"))


def test_what_auto_chose_belongs_to_the_state(arguments, killed, monkeypatch):
    """However busy the machine and its memory are when the run goes on."""
    command = [*arguments, *SHORT, "--precision", "auto"]
    assert main(*command) == 0
    whole = {name: Path(name).read_bytes() for name in FILES}
    for name in (*FILES, "c_04.png"):
        Path(name).unlink()
    killed(2, *command)
    precision, asked = backend.precision, []

    def recorded(wanted, *more):
        asked.append(wanted)
        return precision(wanted, *more)

    monkeypatch.setattr(backend, "precision", recorded)
    monkeypatch.setattr(backend, "available_memory", lambda device: 0)
    assert main(*command, "--resume") == 0
    assert "auto" not in asked
    assert {name: Path(name).read_bytes() for name in FILES} == whole


def test_a_state_is_not_run_over_without_a_word(arguments, capsys, tmp_path, killed):
    killed(2, *arguments, *SHORT)
    for path in tmp_path.glob("c_*"):
        path.unlink()
    Path("progress.txt").unlink()
    says = "out.png.state is the state of an interrupted run: add --resume"
    fails(capsys, tmp_path, 1, says, *arguments, *SHORT)
    assert main(*arguments, *SHORT, "--overwrite") == 0
    assert not Path("out.png.state").exists()


def test_a_state_that_cannot_be_written_costs_neither_run_nor_picture(
    arguments, capsys, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save", full)
    assert main(*arguments, "--state-minutes", "0") == 0
    assert "the state could not be kept: No space left on device" in capsys.readouterr().out
    assert images.read("out.png").std() > 1


def test_a_failed_run_is_not_complete(arguments, capsys):
    command = [*arguments, "--learning-rate", "1e30", "--iterations", "50"]
    assert main(*command) == 1
    assert "failed" in json.loads(images.comment("out.png"))
    capsys.readouterr()
    assert main(*command, "--resume") == 1
    assert "is complete" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_same_bytes(arguments, tmp_path, pictures):
    """kill -9 at a random moment, `KILLS` times, each time from the start again."""
    assert main(*arguments, *LONG) == 0
    names = ("out.png", "c_400.png", "progress.txt")
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    chance = random.Random(1)
    for i in range(KILLS):
        folder = tmp_path / str(i)
        folder.mkdir()
        for path in pictures.values():
            (folder / path.name).write_bytes(path.read_bytes())
        run = start(*arguments, *LONG, cwd=folder)
        wait_for(folder / "out.png.state", run)
        time.sleep(chance.uniform(0, 1.0))
        run.kill()
        assert run.wait() == -signal.SIGKILL
        os.chdir(folder)
        assert main(*arguments, *LONG, "--resume") == 0
        assert {name: (folder / name).read_bytes() for name in names} == whole
        assert not list(folder.glob("*.state")) and not list(folder.glob(".*"))


def test_a_run_that_never_kept_a_state_is_resumed_from_the_start(arguments, capsys):
    more = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"]
    assert main(*arguments, *more, "--resume") == 0
    assert "from the start" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_the_best_picture_so_far_and_the_run_goes_on(
    arguments, tmp_path, capsys, monkeypatch, number, optimizer
):
    """In this process: the signal comes at the sixth step. No checkpoints are needed."""
    command = [*arguments, "--iterations", "12", "--optimizer", optimizer]
    assert main(*command) == 0
    whole = Path("out.png").read_bytes()
    Path("out.png").unlink()
    steps, step = [], progress.Reporter.step

    def signalled(self, iteration):
        steps.append(iteration)
        if len(steps) == 6:
            os.kill(os.getpid(), number)
        step(self, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(progress.Reporter, "step", signalled)
        capsys.readouterr()
        assert main(*command) == 128 + number
    err = capsys.readouterr().err
    assert "stopping after this step; again to stop at once" in err
    assert "interrupted at iteration" in err and "is in out.png; --resume goes on" in err
    assert "Traceback" not in err
    about = json.loads(images.comment("out.png"))
    assert 0 < about["interrupted at iteration"] < 12
    before = everything(tmp_path)
    fails(
        *(capsys, tmp_path, 1, "cannot resume: settings tv_weight was 100.0"),
        *(*command, "--resume", "--tv-weight", "5"),
    )
    content = tmp_path / "content.png"
    images.write(content, picture(40, 48, seed=77))
    assert main(*command, "--resume") == 1
    assert "cannot resume: content sha256 was" in capsys.readouterr().err
    content.write_bytes(before[str(content)])
    assert everything(tmp_path) == before
    assert main(*command, "--resume") == 0
    assert Path("out.png").read_bytes() == whole and not Path("out.png.state").exists()


def test_a_second_signal_stops_at_once_and_says_what_there_is(arguments, capsys, monkeypatch):
    def twice(self, iteration):
        if iteration == 4 and state_path.exists():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    state_path = Path("out.png.state")
    monkeypatch.setattr(progress.Reporter, "step", twice)
    assert main(*arguments, "--state-minutes", "0") == 130
    assert "stopped; --resume goes on from out.png.state" in capsys.readouterr().err


def test_ctrl_c_while_it_starts(arguments, tmp_path):
    """The first words are there before anything heavy is imported, and so is the handler."""
    run = start(*arguments, "--iterations", "100000", cwd=tmp_path)
    assert run.stdout.readline().startswith("content: content.png")
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "interrupted" in err and "Traceback" not in err


# Of each preset: the style loss, its Gram matrices, the total variation, the optimiser.
IN_SHORT = {
    "neural-style": ("mean", "activations", 100.0, "adam"),
    "gatys": ("quarter-sum", "activations", 0.0, "lbfgs"),
    "keras-2016": ("quarter-sum", "pixels", 1.0, "lbfgs"),
    "keras": ("quarter-sum", "pixels", 1e-6, "sgd"),
    "tensorflow-tutorial": ("mean", "positions", 30 / 255, "adam"),
    "alpha-beta-lbfgs": ("quarter-sum", "activations", 1.0, "lbfgs"),
    "alpha-beta": ("quarter-sum", "activations", 0.0, "adam"),
    "pytorch-tutorial": ("mean", "activations", 0.0, "lbfgs"),
    "wasserstein": ("wasserstein", "activations", 2 / 255**2, "adam"),
    "fast": ("mean", "activations", 100.0, "lbfgs"),
    "best": ("wasserstein", "activations", 200.0, "lbfgs"),
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_runs_by_its_name(arguments, preset):
    assert main(*arguments, "--preset", preset) == 0
    about = json.loads(images.comment("out.png"))["settings"]
    names = ("style_loss", "gram_divisor", "tv_weight", "optimizer")
    assert tuple(about[name] for name in names) == IN_SHORT[preset]
    assert about["iterations"] == 6  # a flag overrides


def test_presets_are_listed(capsys):
    assert main("--list-presets") == 0
    out = capsys.readouterr().out
    assert "gatys: the paper" in out and "    --content-layers conv4_2\n" in out


def test_tiles_and_layers_from_the_command_line(arguments, capsys):
    more = ["--width", "120", "--tile", "32", "--style-layers", "relu1_1", "relu2_1:0.5"]
    assert main(*arguments, *more, "--content-layers", "conv3_1") == 0
    assert "in tiles of 32 pixels" in capsys.readouterr().out
    assert images.read("out.png").shape == (100, 120, 3)


def test_two_bare_pictures_are_answered_with_an_example(capsys, tmp_path):
    says = (
        f"photo.jpg is no command ({', '.join(COMMANDS)}); to paint: neural-style "
        "--content photo.jpg --styles"
    )
    fails(capsys, tmp_path, 2, says, "photo.jpg", "painting.jpg")
    says = f"aply is no command ({', '.join(COMMANDS)}): did you mean apply?; to paint"
    fails(capsys, tmp_path, 2, says, "aply", "--painter", "paintbox")


def test_a_slow_run_says_what_the_fast_preset_would_take(arguments, capsys, monkeypatch):
    monkeypatch.setattr(progress.Reporter, "seconds_left", lambda self, last: 1200.0)
    assert main(*arguments) == 0
    said = "20 minutes left; --preset fast gets as far in about 2\n"
    assert capsys.readouterr().out.count(said) == 1
    assert main(*arguments, "--preset", "gatys", "--overwrite") == 0
    assert "--preset fast" not in capsys.readouterr().out


def test_like_another_picture_is_with_its_settings(arguments, mat, capsys, tmp_path):
    """From any format, with what follows overriding them; the network is looked for by its name."""
    Path("small.mat").write_bytes(mat.read_bytes())
    more = ["--preset", "alpha-beta", "--tv-weight", "3", "--style-blend-weights", "2"]
    assert main(*arguments, *more, "--output", "first.jpg") == 0
    pictures = ["--content", "content.png", "--styles", "style.png"]
    assert main(*pictures, "--like", "first.jpg", "--output", "again.jpg") == 0
    assert Path("again.jpg").read_bytes() == Path("first.jpg").read_bytes()
    assert main(*pictures, "--like", "first.jpg", "--seed", "4", "--output", "other.jpg") == 0
    settings = json.loads(images.comment("other.jpg"))["settings"]
    assert settings["seed"] == 4 and settings["tv_weight"] == 3
    says = "content.png holds no settings"
    fails(capsys, tmp_path, 2, says, *arguments, "--like", "content.png", "--output", "x.png")
    says = "--preset and --like are both"
    fails(capsys, tmp_path, 2, says, *arguments, "--like", "first.jpg", "--preset", "fast")
    says = "none.png: No such file"
    fails(capsys, tmp_path, 1, says, *arguments, "--like", "none.png")
    # Where to start is a picture too, named anew; of its path nothing is published.
    initial = Path("private/start.png")
    initial.parent.mkdir()
    images.write(initial, picture(40, 48))
    assert main(*arguments, "--initial", str(initial), "--output", "begun.png") == 0
    about = images.comment("begun.png")
    assert "private" not in about and "start.png" in about
    capsys.readouterr()
    assert main(*pictures, "--like", "begun.png", "--output", "anew.png") == 0
    assert "start: noise" in capsys.readouterr().out
    images.write("painted.png", picture(40, 48), json.dumps({"neural-style": "1", "shares": {}}))
    says = "painted.png was made by neural-style apply"
    fails(capsys, tmp_path, 2, says, *arguments, "--like", "painted.png")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "start: noise"),
        (["--initial", "style.png"], "start: style.png"),
        (["--initial-noiseblend", "0"], "start: the content"),
        (["--initial-noiseblend", "0.25"], "start: the content, and 0.25 of noise"),
        (["--preset", "fast"], "start: what any paints"),
        (["--preset", "fast", "--painter", "none"], "start: noise"),
    ],
)
def test_what_it_starts_with_is_said(arguments, capsys, more, said):
    assert main(*arguments, *more, "--iterations", "1") == 0
    assert f"{said}\n" in capsys.readouterr().out


def test_like_a_picture_that_a_painter_began_but_with_another_start(arguments):
    """Which is then as the preset is without its painter, whatever else it was made with."""
    more = ["--preset", "fast", "--width", "40", "--seed", "3", "--output", "fast.png"]
    assert main(*arguments, *more) == 0

    def like(*words):
        words = [*words, "--like", "fast.png"]
        return neural_style.job_of(neural_style.build_parser().parse_args(words)).settings

    assert like(*arguments).painter == "any" and like(*arguments).scales == "off"
    started = like(*arguments, "--initial", "style.png")
    texture = ["--styles", "style.png", "--output", "out.png"]
    texture = like(*texture, "--content-weight", "0", "--style-layers", "relu1_1")
    for found in (started, texture):
        assert (found.painter, found.scales, found.warm_start) == (None, "auto", "compact")
        assert found.seed == 3


def test_like_a_picture_but_in_other_colours(arguments):
    """What is recorded of --preserve-colors does not speak against what is asked for."""
    assert main(*arguments, "--preserve-colors", "--output", "first.png") == 0

    def like(*more):
        words = [*arguments, "--like", "first.png", *more]
        return neural_style.job_of(neural_style.build_parser().parse_args(words)).settings

    assert like().colors == "content"
    assert like("--colors", "style").colors == "style"
    assert like("--colors", "match").colors == "match"
    about = json.loads(images.comment("first.png"))
    about["settings"] |= {"colors": "match"}
    images.write("first.png", images.read("first.png"), json.dumps(about))
    assert like().colors == "match" and like("--preserve-colors").colors == "content"
    about["settings"] |= {"preserve_colors": True}  # as it was once recorded
    del about["settings"]["colors"]
    images.write("first.png", images.read("first.png"), json.dumps(about))
    assert like().colors == "content" and like("--colors", "style").colors == "style"


def test_strength_space_and_layers_of_each_style_are_in_the_picture_and_taken_over(arguments):
    pytest.importorskip("skimage")
    more = ["--strength", "0.8", "--colors", "content", "--color-space", "luv"]
    layers = ["relu1_1", "/", "relu3_1:2", "relu4_1"]
    both = ["--styles", "style.png", "other.png", "--depth", "16"]
    assert main(*arguments, *both, *more, "--style-layers", *layers) == 0
    about = json.loads(images.comment("out.png"))["settings"]
    assert (about["strength"], about["color_space"]) == (0.8, "luv")
    assert about["style_layers"] == layers
    pixels = images.read("out.png")
    assert (pixels != pixels.round()).mean() > 0.5
    like = [*arguments, *both, "--like", "out.png", "--output"]
    assert main(*like, "again.png") == 0
    assert (images.read("again.png") == pixels).all()
    assert main(*like, "other-space.png", "--color-space", "ycbcr") == 0
    assert (images.read("other-space.png") != pixels).any()


def test_a_pipe_that_nobody_reads_any_more_costs_no_picture(arguments, tmp_path):
    """As `| tee` leaves it, which Ctrl-C ends as well."""
    run = start(*arguments, "--iterations", "100000", cwd=tmp_path)
    while "iteration 10/" not in run.stdout.readline():
        assert run.poll() is None
    run.stdout.close()
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=120) == 130
    assert images.read(tmp_path / "out.png").shape == (40, 48, 3)
    assert (tmp_path / "out.png.state").exists()
    assert "interrupted at iteration" in run.stderr.read()
    run.stderr.close()


def test_a_folder_that_cannot_be_written_is_said(arguments, capsys, tmp_path, monkeypatch):
    def refused(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    fails(capsys, tmp_path, 1, "nothing can be written in .: Permission denied", *arguments)
