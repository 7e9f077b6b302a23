"""The command line, end to end, on a small network."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from neural_style_keras import neural_style
from neural_style_keras import pictures as images
from PIL import Image
from test_pictures import bomb

PROGRAM = Path(__file__).parent.parent / "neural_style.py"
KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture
def arguments(pictures, mat, tmp_path, monkeypatch):
    """A run that takes a moment; more arguments follow, and a later one wins."""
    monkeypatch.chdir(tmp_path)
    return [
        *("--content", "content.png", "--styles", "style.png", "--output", "out.png"),
        *("--network", str(mat), "--iterations", "6", "--print-iterations", "2"),
    ]


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


def test_start_colours_pooling_and_styles(arguments):
    """Each choice changes the picture."""
    seen = []
    for more in (
        [],
        ["--pooling", "avg"],
        ["--initial", "other.png"],
        ["--initial-noiseblend", "0.5"],
        ["--preserve-colors"],
        ["--styles", "style.png", "other.png", "--style-blend-weights", "1", "3"],
        ["--content-weight-blend", "0.2"],
        ["--seed", "5"],
        ["--precision", "bfloat16"],
        ["--device", "cpu", "--learning-rate", "3", "--beta1", ".8", "--beta2", ".9", "--eps", "1"],
    ):
        assert main(*arguments, *more, "--overwrite") == 0
        seen.append(Path("out.png").read_bytes())
    assert len(set(seen)) == len(seen)


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
        (["--iterations", "many"], "argument --iterations: invalid int value: 'many'"),
        (["--iter", "5"], "unrecognized arguments: --iter"),
        (["--output", "out.xyz"], "out.xyz does not end as a picture that can be written"),
        (["--output", "content.png", "--overwrite"], "would be written over the input content.png"),
        (["--output", "./style.png"], "would be written over the input style.png"),
        (["--checkpoint-output", "c.png", "--checkpoint-iterations", "2"], "needs a place for the"),
        (["--checkpoint-output", "c{}.png"], "go together"),
        (["--checkpoint-iterations", "3"], "go together"),
        (["--checkpoint-output", "c%d", "--checkpoint-iterations", "2"], "does not end as a"),
        (["--resume"], "--resume goes with --checkpoint-output"),
        (["--output", "progress.png", "--progress-plot"], "written over another output"),
        (["--device", "tpu"], "--device is cpu, gpu or gpu:N"),
        (["--preset", "monet"], "--preset is one of neural-style, gatys"),
    ],
)
def test_usage_errors_exit_with_2(arguments, capsys, tmp_path, more, says):
    fails(capsys, tmp_path, 2, says, *arguments, *more)


def test_what_is_required(capsys, tmp_path):
    fails(capsys, tmp_path, 2, "required: --content, --styles, --output")


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
        (["--output", "/proc/out.png"], "nothing can be written in /proc"),
        (["--output", "folder.png"], "folder.png is a folder"),
        (["--output", "kept.png"], "kept.png exists: name another, or add --overwrite"),
        (["--width", "200000"], "GB are free: --width"),
        (["--width", "70000", "--output", "out.jpg"], ".jpg holds 65535 at most"),
        (["--device", "gpu:7"], "there is no device gpu:7"),
    ],
)
def test_bad_input_exits_with_1(arguments, capsys, tmp_path, mat, more, says):
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
    fails(capsys, tmp_path, 1, says, *arguments, *more)


def test_a_checkpoint_or_a_table_that_exists_is_not_written_over(arguments, capsys, tmp_path):
    (tmp_path / "c4.png").write_text("precious")
    more = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"]
    fails(capsys, tmp_path, 1, "c4.png exists", *arguments, *more)
    (tmp_path / "progress.txt").write_text("precious")
    fails(capsys, tmp_path, 1, "progress.txt exists", *arguments, "--progress-write")


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
        assert "after iteration 2: choose a smaller --width or --tile" in error
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


LONG = [
    *("--iterations", "400", "--checkpoint-output", "c_%03d.png"),
    *("--checkpoint-iterations", "20", "--progress-write"),
]


def wait_for(path, run, seconds=90):
    """Until a file is there, or the run is over."""
    until = time.monotonic() + seconds
    while not path.exists() and run.poll() is None:
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.01)


def test_a_killed_run_goes_on_to_the_very_same_bytes(arguments, tmp_path, pictures):
    """kill -9 at a random moment, `KILLS` times, each time from the start again."""
    run = start(*arguments, *LONG, cwd=tmp_path)
    assert run.wait() == 0
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
        run.wait()
        for _ in range(2):  # the second finds the run complete
            run = start(*arguments, *LONG, "--resume", cwd=folder)
            out, err = run.communicate()
            assert run.returncode == 0, err
        assert "is complete: there is nothing to resume" in out
        assert {name: (folder / name).read_bytes() for name in names} == whole
        assert not list(folder.glob("*.state")) and not list(folder.glob(".*"))


def test_a_run_that_never_reached_a_checkpoint_is_resumed_from_the_start(arguments, capsys):
    more = ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"]
    assert main(*arguments, *more, "--resume") == 0
    assert "from the start" in capsys.readouterr().out


def test_ctrl_c_writes_the_best_picture_so_far_and_the_run_goes_on(arguments, tmp_path, capsys):
    long = [*LONG, "--iterations", "1000000", "--progress-write"]
    run = start(*arguments, *long, cwd=tmp_path)
    wait_for(tmp_path / "out.png.state", run)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted at iteration" in err and "is in out.png; --resume goes on" in err
    assert "Traceback" not in err
    assert images.read(tmp_path / "out.png").shape == (40, 48, 3)
    before = everything(tmp_path)
    capsys.readouterr()
    fails(
        *(capsys, tmp_path, 1, "cannot resume: settings tv_weight was 100.0"),
        *(*arguments, *long, "--resume", "--tv-weight", "5"),
    )
    content = tmp_path / "content.png"
    images.write(content, picture(40, 48, seed=77))
    assert main(*arguments, *long, "--resume") == 1
    assert "cannot resume: content sha256 was" in capsys.readouterr().err
    content.write_bytes(before[str(content)])
    assert everything(tmp_path) == before


def test_ctrl_c_before_the_first_step(arguments, tmp_path):
    run = start(*arguments, cwd=tmp_path)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    if run.returncode == 130:  # it may have been too early for Python itself, or too late
        assert "interrupted" in err and "Traceback" not in err


@pytest.mark.parametrize(
    "preset", ["gatys", "keras-lbfgs", "alpha-beta", "pytorch-tutorial", "fast"]
)
def test_each_preset_runs_by_its_name(arguments, preset):
    assert main(*arguments, "--preset", preset) == 0
    about = json.loads(images.comment("out.png"))["settings"]
    assert about["style_loss"] == {"gatys": "quarter-sum", "fast": "mean"}.get(
        preset, about["style_loss"]
    )
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


def test_lbfgs_resumes_and_says_what_it_forgets(arguments, tmp_path):
    long = [*LONG, "--optimizer", "lbfgs", "--iterations", "100000"]
    run = start(*arguments, *long, cwd=tmp_path)
    wait_for(tmp_path / "out.png.state", run)
    run.kill()
    run.wait()
    run = start(*arguments, *long, "--resume", cwd=tmp_path)
    line = ""
    while "anew" not in line and run.poll() is None:
        line = run.stdout.readline()
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert line == "L-BFGS starts its memory of the curvature anew\n"
    assert run.returncode in (0, 130), err
