"""Many pictures by one command: a folder in one process."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from neural_style_keras import painters
from neural_style_keras import pictures as images
from neural_style_keras.objective import Objective
from neural_style_keras.painters.architecture import Painter
from neural_style_keras.runs import many, progress
from PIL import Image
from test_neural_style import arguments, everything, killed, main, start, wait_for

FIXTURES = (arguments, killed)
NAMES = ("a", "b", "c")


@pytest.fixture
def photos(arguments, tmp_path):
    """Three photographs, two of one shape, and a run that paints them; a later argument wins."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "out").mkdir()
    for i, (name, width) in enumerate(zip(NAMES, (48, 48, 40))):
        image = Image.fromarray(picture(40, width, seed=7 + i).astype(np.uint8))
        image.save(tmp_path / "photos" / f"{name}.png")
    return [*arguments, "--content", "photos", "--output", "out/{name}.png"]


def painted():
    return {path.name: path.read_bytes() for path in sorted(Path("out").iterdir())}


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--average", ".9", "--clip", "--checkpoint-output", "out/{name}-%d.png"]
        + ["--checkpoint-iterations", "3"],
        ["--preset", "fast", "--width", "70", "--scales-from", "64", "--scales", "1.4"]
        + ["--painter", "none"],
        ["--preset", "fast", "--width", "70"],
        ["--masks", "left.png", "--tile", "16", "--style-layers", "relu1_1"]
        + ["--content-layers", "relu2_1"],
        ["--masks", "left.png", "--colors", "match", "--style-layers", "relu1_1", "relu2_1"],
    ],
    ids=["adam", "average", "fast-from-noise", "fast", "tiles", "masks"],
)
def test_each_picture_of_a_folder_is_what_it_is_alone(photos, more):
    """Nothing of the picture before is left in what it shares with the next."""
    left = np.zeros((40, 48), np.uint8)
    left[:, :30] = 255
    Image.fromarray(left).save("left.png")
    assert main(*photos, *more, "--quiet") == 0
    found = painted()
    assert {f"{name}.png" for name in NAMES} <= set(found)
    shutil.rmtree("out")
    Path("out").mkdir()
    for name in NAMES[1:]:
        alone = [*photos, *more, "--content", f"photos/{name}.png", "--quiet"]
        assert main(*alone, "--output", f"out/{name}.png") == 0
    assert painted().items() < found.items()


def test_a_folder_that_is_not_there_is_said_once(photos, capsys):
    shutil.rmtree("out")
    assert main(*photos) == 1
    error = "neural-style: error: the folder out does not exist: make it first\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize("more", [[], ["--optimizer", "lbfgs"]], ids=["adam", "lbfgs"])
def test_pictures_of_one_shape_share_targets_and_what_is_compiled(photos, monkeypatch, more):
    tf, traced, targets = pytest.importorskip("tensorflow"), [], []
    plain, taken = Objective.__call__, Objective.targets_of

    def counted(self, image, *given):
        if not tf.executing_eagerly():
            traced.append(self.size)
        return plain(self, image, *given)

    def counted_targets(self, *given):
        targets.append(self.size)
        return taken(self, *given)

    monkeypatch.setattr(Objective, "__call__", counted)
    monkeypatch.setattr(Objective, "targets_of", counted_targets)
    assert main(*photos, *more, "--content", "photos/a.png") == 0
    alone = len(traced)
    traced.clear(), targets.clear()
    Path("out/a.png").unlink()
    assert main(*photos, *more) == 0
    assert targets == [(40, 48), (40, 40)]
    assert len(traced) == 2 * alone > 0


def test_what_is_there_is_not_made_again_and_what_is_missing_is(photos, capsys):
    assert main(*photos) == 0
    out = capsys.readouterr().out
    assert "picture 1 of 3: photos/a.png to out/a.png\n" in out
    assert out.count("network: ") == 1 and out.endswith("3 of 3 pictures were made\n")
    whole = painted()
    Path("out/b.png").unlink()
    before = Path("out/a.png").stat().st_mtime_ns
    assert main(*photos) == 0
    assert capsys.readouterr().out.endswith("1 of 3 pictures were made, 2 were there already\n")
    assert painted() == whole and Path("out/a.png").stat().st_mtime_ns == before


def test_with_other_settings_what_is_there_is_refused_unless_it_is_to_be_overwritten(
    photos, capsys
):
    assert main(*photos) == 0
    whole = painted()
    Path("out/b.png").unlink()
    capsys.readouterr()
    other = [*photos, "--tv-weight", "7"]
    assert main(*other) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == (
        "neural-style: error: photos/a.png to out/a.png: out/a.png exists: name another, or add "
        "--overwrite"
    )
    assert painted()["a.png"] == whole["a.png"] and painted()["b.png"] != whole["b.png"]
    assert main(*other, "--overwrite") == 0
    assert json.loads(images.comment("out/a.png"))["settings"]["tv_weight"] == 7


def test_a_picture_that_fails_is_named_at_the_end_and_the_others_are_made(photos, capsys):
    Path("photos/b.png").write_bytes(Path("photos/b.png").read_bytes()[:900])
    contents = ["--content", "photos/b.png", "photos", "none.png"]
    assert main(*photos, *contents) == 1
    captured = capsys.readouterr()
    assert captured.out.endswith("2 of 4 pictures were made\n")
    first, second = captured.err.splitlines()
    assert "photos/b.png is not a picture that can be read, or it is damaged" in first
    assert "none.png: No such file or directory" in second
    assert set(painted()) == {"a.png", "c.png"}


def test_a_shell_that_leaves_patterns_alone_and_what_the_program_has_made(photos, capsys):
    assert main(*photos, "--content", "photos/[ab]*", "--output", "photos/{name}-x.png") == 0
    assert sorted(p.name for p in Path("photos").iterdir()) == [
        *("a-x.png", "a.png", "b-x.png", "b.png", "c.png")
    ]
    assert [p.name for p in many.contents(["photos"])] == ["a.png", "b.png", "c.png"]
    assert len(many.contents(["photos", "photos/a.png", "./photos/a.png"])) == 3


def test_each_style_by_itself(photos, capsys):
    both = ["--styles", "style.png", "other.png", "--each-style"]
    more = ["--content", "photos/a.png", "photos/c.png", "--output", "out/{name}-{style}.png"]
    assert main(*photos, *both, *more) == 0
    assert set(painted()) == {f"{n}-{s}.png" for n in "ac" for s in ("style", "other")}
    about = json.loads(images.comment("out/a-other.png"))
    assert [style["name"] for style in about["styles"]] == ["other.png"]
    alone = ["--styles", "other.png", "--content", "photos/a.png", "--output", "alone.png"]
    assert main(*photos, *alone) == 0
    assert Path("alone.png").read_bytes() == Path("out/a-other.png").read_bytes()
    texture = ["--content-weight", "0", "--width", "40", "--output", "out/{style}.png"]
    without = [word for word in photos if word not in ("--content", "content.png", "photos")]
    assert main(*without, *both, *texture) == 0
    assert {"style.png", "other.png"} <= set(painted())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--output", "out.png"], "several pictures would be written to out.png: let it have a"),
        (
            ["--output", "out/{nmae}.png"],
            "--output has {nmae} in it, and the places are {name} and",
        ),
        (["--output", "out/{}.png"], "--output has {} in it, and the places are"),
        (
            ["--output", "out/{name}-{style}.png", "--styles", "style.png", "other.png"],
            "add --each",
        ),
        (
            ["--styles", "style.png", "other.png", "--each-style"],
            "a place for the {style}, as 'out/",
        ),
        (
            ["--content", "photos", "more"],
            "photos/a.png and more/a.png would both be written to out",
        ),
        (["--content", "empty"], "there are no pictures in empty"),
        (["--content", "photos/*.jpeg"], "there is no picture that photos/*.jpeg matches"),
        (["--output", "photos/{name}.png"], "would be written over the input photos/a.png"),
        (["--output", "out/{name}.xyz"], "does not end as a picture that can be written"),
        (
            ["--checkpoint-output", "c%d.png", "--checkpoint-iterations", "2"],
            "c2.png would be written over another output of this run",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(photos, tmp_path, capsys, more, says):
    for folder in ("empty", "more"):
        (tmp_path / folder).mkdir()
    shutil.copy("photos/a.png", "more")
    before = everything(tmp_path)
    assert main(*photos, *more) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: ") and says in line
    assert everything(tmp_path) == before


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(photos, capsys, monkeypatch):
    assert main(*photos) == 0
    whole = painted()
    for path in Path("out").iterdir():
        path.unlink()
    capsys.readouterr()

    def stop(self, iteration):
        if self.title == "2 of 3" and iteration >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.Reporter, "step", stop)
        assert main(*photos, "--state-minutes", "0") == 130
    error = capsys.readouterr().err
    assert "the best picture so far is in out/b.png; --resume goes on" in error
    assert "stopped; 1 of 3 pictures are there; the same command goes on" in error
    assert set(painted()) == {"a.png", "b.png", "b.png.state"}
    assert painted()["a.png"] == whole["a.png"]
    assert main(*photos) == 0
    out = capsys.readouterr().out
    assert "resumed at iteration" in out and "2 of 3 pictures were made, 1 were there" in out
    assert painted() == whole


def test_a_state_of_other_settings_is_not_lost(photos, killed, capsys):
    killed(2, *photos, "--state-minutes", "0")
    assert main(*photos, "--seed", "3") == 1
    assert "out/a.png.state is the state of an interrupted run" in capsys.readouterr().err
    assert "a.png.state" in painted() and "c.png" in painted()


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_ends_in_the_same_pictures(photos, tmp_path):
    long = [*photos, "--iterations", "60", "--state-minutes", "0"]
    assert main(*long, "--quiet") == 0
    whole = painted()
    for path in Path("out").iterdir():
        path.unlink()
    run = start(*long, cwd=tmp_path)
    wait_for(tmp_path / "out" / "b.png.state", run)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    done = Path("out/a.png").stat().st_mtime_ns
    assert not Path("out/c.png").exists()
    assert main(*long, "--quiet") == 0
    assert painted() == whole and Path("out/a.png").stat().st_mtime_ns == done


@pytest.fixture
def painter(photos):
    """A painter of two styles, in p.keras."""
    about = {"styles": [{"name": "wave"}, {"name": "scream"}]}
    painter = Painter(width_factor=0.25, styles=2, about=about)
    painter.begin_with(1, np.full((4, 4, 3), 60.0))
    painters.save(painter, "p.keras")
    return ["apply", "--painter", "p.keras", "--content", "photos", "--output", "out/{name}.png"]


def test_a_painter_paints_a_folder_as_an_optimiser_does(painter, capsys):
    assert main(*painter, "--style", "wave") == 0
    assert capsys.readouterr().out.endswith("3 of 3 pictures were made\n")
    whole = painted()
    Path("out/c.png").unlink()
    assert main(*painter, "--style", "wave") == 0
    assert capsys.readouterr().out.endswith("1 of 3 pictures were made, 2 were there already\n")
    assert painted() == whole
    assert main(*painter, "--style", "scream") == 1
    assert "out/a.png exists: name another, or add --overwrite" in capsys.readouterr().err
    assert painted() == whole
    each = [*painter, "--each-style", "--output", "out/{style}-{name}.png"]
    Path("photos/b.png").write_text("no picture")
    assert main(*each) == 1
    captured = capsys.readouterr()
    assert captured.out.endswith("4 of 6 pictures were made\n")
    assert len(captured.err.splitlines()) == 2
    assert (images.read("out/wave-a.png") == images.read("out/a.png")).all()
    assert (images.read("out/scream-a.png") != images.read("out/a.png")).any()
    assert main(*painter, "--each-style") == 1
    assert "a place for the {style}" in capsys.readouterr().err


def test_many_arrays_from_python(network):
    from neural_style_keras import Settings, preset, transfer_each, transfer_style
    from neural_style_keras.runs.transfer import Networks

    contents = [picture(40, 48, seed=i) for i in range(3)]
    used, s = Networks(None, network, None), Settings(iterations=3, width=40)
    found = dict(transfer_each(iter(contents), [picture(50, 36)], s, network=used))
    assert list(found) == [0, 1, 2]
    *_, alone = transfer_style(contents[2], [picture(50, 36)], s, network=network)
    assert (found[2] == alone.image).all()
    s = preset("fast", iterations=2, width=40)
    *_, (number, found) = transfer_each(contents, [picture(50, 36)], s, network=used)
    *_, alone = transfer_style(contents[2], [picture(50, 36)], s, network=network)
    assert number == 2 and (found == alone.image).all()
    with pytest.raises(ValueError, match="see transfer_style"):
        next(transfer_each(contents, [picture(50, 36)], Settings(initial="a.png")))


def test_the_time_left_is_that_of_the_pictures_to_come():
    tally = many.Tally(5, progress.Reporter(), began=time.monotonic() - 20)
    assert tally.left() == ""
    tally.made, tally.there = 1, 2
    assert tally.left() == "; 00:40 left"
