"""Films: what is read is what was written, what is held holds, and nothing that is done is lost."""

import errno
import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import picture
from neural_style_keras.settings import Film
from PIL import Image
from test_neural_style import everything, main, start

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from films import HEIGHT, WIDTH, frames_of, make  # noqa: E402
from neural_style_keras.video import flow, reading, writing  # noqa: E402

TIMES = [0, 40, 80, 200, 240, 280]  # milliseconds: of a variable frame rate


@pytest.fixture
def clip(tmp_path):
    return make(tmp_path / "clip.mp4", frames_of(len(TIMES)), TIMES)


def sound_of(path):
    with av.open(str(path)) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]


def milliseconds(path, **cut):
    return [round(1000 * frame.time) for frame in reading.frames(reading.probe(path), **cut)]


def pictures_of(path):
    return [frame.picture for frame in reading.frames(reading.probe(path))]


def copied(source, output, film=None):
    film = film or Film()
    clip = reading.probe(source)
    codec, has_sound = writing.check_output(output, film, clip)
    frames = reading.frames(clip, film.start, film.end)
    writing.write(output, clip, frames, film, codec, has_sound, json.dumps({"a": 1}))
    return codec


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_a_film_comes_back_with_its_times_and_its_sound(clip, tmp_path, ending):
    out = tmp_path / f"out{ending}"
    assert copied(clip, out, Film(quality=1)) == "h264"
    assert milliseconds(out) == TIMES
    # A container without negative times has all later by what a codec's first sound is before 0.
    later = 1000 * float(reading.probe(out).begins - reading.probe(clip).begins)
    before, after = sound_of(clip), sound_of(out)
    assert [data for _, data in after] == [data for _, data in before]
    assert 1000 * (after[3][0] - before[3][0]) == pytest.approx(later, abs=2)
    for before, after in zip(pictures_of(clip), pictures_of(out)):
        assert np.abs(before.astype(int) - after).mean() < 6
    with av.open(str(out)) as container:
        assert '{"a": 1}' in container.metadata.values()


def test_a_part_of_a_film_has_the_sound_of_that_part(clip, tmp_path):
    assert milliseconds(clip, start=0.08, end=0.25) == [80, 200, 240]
    assert reading.count(reading.probe(clip), 0.08, 0.25) == 3
    out = tmp_path / "part.mkv"
    copied(clip, out, Film(start=0.08, end=0.25))
    assert milliseconds(out) == [0, 120, 160]
    times = [at for at, _ in sound_of(out)]
    whole = {data: at for at, data in sound_of(clip)}
    assert 0 <= times[0] < 0.07 and times[-1] < 0.24
    later = float(reading.probe(out).begins)
    for at, data in sound_of(out):  # as it was, only earlier
        assert whole[data] - (at - later) == pytest.approx(0.08, abs=2e-3)


def test_a_film_without_sound_or_whose_sound_is_left_out(clip, tmp_path):
    silent = make(tmp_path / "silent.mp4", frames_of(3), TIMES, sound=False)
    for source, film in ((silent, Film()), (clip, Film(mute=True))):
        copied(source, tmp_path / "out.mp4", film)
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert not container.streams.audio
    copied(clip, tmp_path / "out.gif")  # which has none
    assert len(milliseconds(tmp_path / "out.gif")) == len(TIMES)


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV writes no rotation"
)
@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_film_is_read_upright(tmp_path, degrees):
    [upright] = frames_of(1)
    stored = np.ascontiguousarray(np.rot90(upright, -degrees // 90))
    path = make(tmp_path / "turned.mp4", [stored], [0], rotation=degrees)
    clip = reading.probe(path)
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)
    [frame] = pictures_of(path)
    assert np.abs(frame.astype(int) - upright).mean() < 8


def test_what_is_transparent_is_refused(tmp_path):
    [opaque] = [np.dstack([one, np.full((HEIGHT, WIDTH), 255, np.uint8)]) for one in frames_of(1)]
    clear = opaque.copy()
    clear[:9, :9, 3] = 100
    path = make(tmp_path / "a.mkv", [opaque], [0], "ffv1", "bgra", sound=False)
    assert reading.probe(path).width == WIDTH
    path = make(tmp_path / "b.mkv", [clear], [0], "ffv1", "bgra", sound=False)
    with pytest.raises(ValueError, match=r"b\.mkv is transparent in part"):
        reading.probe(path)


def test_a_film_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path):
    times = list(range(0, 1600, 40))
    whole = make(tmp_path / "whole.mkv", frames_of(40), times, sound=False)
    path = tmp_path / "short.mkv"
    path.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    read = milliseconds(path)
    assert 5 < len(read) < 40 and read == times[: len(read)]
    noisy = bytearray(whole.read_bytes())
    middle = len(noisy) // 2
    noisy[middle : middle + 400] = os.urandom(400)
    path.write_bytes(noisy)
    assert len(milliseconds(path)) > 5  # what comes after the damage is not lost


# --- what moves


def test_the_flow_of_a_camera_that_pans():
    one, other = frames_of(2, step=3)
    back = flow.optical_flow(other, one)
    inner = back[8:-8, 8:-8]
    assert np.abs(inner - [3, 0]).mean() < 0.3
    held = flow.reliable(back, flow.optical_flow(one, other))
    assert held[8:-8, 8:-8].mean() > 0.9 and held[8:-8, -3:].mean() < 0.4
    moved = flow.warped(one.astype(np.float32), back)
    assert np.abs(moved - other)[8:-8, 8:-8].mean() < 0.3 * np.abs(one - other.astype("f4")).mean()
    assert not flow.is_cut(one, other, back, held)


def test_what_can_be_relied_on_is_the_papers_formula():
    back, forth = np.zeros((2, 9, 12, 2), np.float32)
    back[..., 0], forth[..., 0] = 2, -2
    forth[2, 5] = 0  # |(0, 0) + (2, 0)|² = 4 > 0.01 * 4 + 0.5
    forth[4, 5, 0] = -1.3  # 0.7² = 0.49 <= 0.01 (1.69 + 4) + 0.5
    back[7, 3, 1] = 0.8  # a slope of 0.4² = 0.16 > 0.01 * 4 + 0.002 beside it
    held = flow.reliable(back, forth)
    assert held[2, 3] == 0 and held[4, 3] == 1
    assert held[7, 2] == held[7, 4] == held[6, 3] == 0 and held[5, 6] == 1
    assert (held[:, -2:] == 0).all() and (held[:, 8] == 1).any()


def test_another_scene_is_a_cut():
    [one], [other] = frames_of(1), frames_of(1, scene=5)
    back, forth = flow.optical_flow(other, one), flow.optical_flow(one, other)
    assert flow.is_cut(one, other, back, flow.reliable(back, forth))


# --- how frames are painted


def test_the_temporal_term_is_its_formula_and_the_same_in_tiles(network):
    from neural_style_keras import vgg
    from neural_style_keras.losses import Temporal
    from neural_style_keras.objective import Objective
    from neural_style_keras.settings import Settings

    size = (90, 130)
    random = np.random.default_rng(0)
    before = vgg.preprocess(picture(*size, seed=3), network.mean_pixel).astype(np.float32)
    term = Temporal(7.0, before, random.integers(2, size=size).astype(np.float32))
    image = vgg.preprocess(picture(*size, seed=4), network.mean_pixel).astype(np.float32)
    content, styles = picture(*size), [picture(40, 40, seed=1)]
    whole, tiled = (
        Objective(content, styles, Settings(), network, tile, more=[term]) for tile in (0, 50)
    )
    losses, gradient = whole.gradient(image)
    squares = term.reliable[..., None] * (image - before)[0].astype("f8") ** 2
    assert losses.temporal == pytest.approx(7 * squares.mean(), rel=1e-5)
    in_tiles, parts = tiled.gradient(image)
    assert in_tiles.temporal == pytest.approx(losses.temporal, rel=1e-5)
    assert np.abs(parts - gradient).max() < 1e-4 * np.abs(gradient).max()
    plain = Objective(content, styles, Settings(), network).gradient(image)[1]
    slope = 2 * 7 * term.reliable[..., None] * (image - before)[0] / image.size
    assert np.allclose(gradient[0] - plain[0], slope, atol=1e-5 * np.abs(gradient).max())


def optimiser(network, optimizer="lbfgs", weight=50.0, **chosen):
    from neural_style_keras.pictures import Masks
    from neural_style_keras.runs.transfer import Networks
    from neural_style_keras.settings import Settings
    from neural_style_keras.video.artists import Optimiser

    settings = Settings(optimizer=optimizer, iterations=6, tile="0", scales="auto", **chosen)
    film = Film(temporal_weight=weight, frame_iterations=8)
    shapes = [(WIDTH, HEIGHT), (36, 50)]
    used = Networks(None, network, None)
    style = picture(50, 36, seed=1)
    first = frames_of(1)[0]
    return Optimiser([style], settings, film, used, Masks(), shapes, first)


@pytest.mark.parametrize("choice", [{"optimizer": "lbfgs"}, {"optimizer": "adam", "average": 0.5}])
def test_later_frames_compile_nothing_and_are_what_a_new_optimiser_makes_of_them(
    network, monkeypatch, choice
):
    from neural_style_keras.objective import Objective, Statistics
    from neural_style_keras.video.artists import held_to

    traced, built = [], []
    losses, begin = Objective._losses, Statistics.__init__
    monkeypatch.setattr(Objective, "_losses", lambda self, *s: traced.append(1) or losses(self, *s))
    monkeypatch.setattr(
        Statistics, "__init__", lambda self, *a, **k: built.append(1) or begin(self, *a, **k)
    )
    frames, artist = frames_of(4), optimiser(network, **choice)
    painted, counts = [], []
    for i, content in enumerate(frames):
        held = held_to(painted[-1], frames[i - 1], content) if i else None
        painted.append(artist(content, held))
        counts.append((len(traced), len(built)))
    # An evaluation is not compiled, and so is traced each time: as many of them in each frame.
    steps = np.diff([number for number, _ in counts])
    assert steps[1] == steps[2] <= 2
    assert counts[1][1] == counts[-1][1]  # the first frame has a schedule of its own
    again = optimiser(network, **choice)(frames[3], held_to(painted[2], frames[2], frames[3]))
    assert (again == painted[3]).all()


def test_a_frame_that_is_held_is_nearer_to_the_one_before(network):
    from neural_style_keras.video.artists import held_to

    one, other = frames_of(2)
    apart = {}
    for weight in (0.0, 1e8):
        artist = optimiser(network, "adam", weight)
        held = held_to(picture(HEIGHT, WIDTH, seed=7), one, other)
        squares = (artist(other, held, initial=other) - held.before) ** 2
        apart[weight] = squares[held.reliable > 0].mean()
    assert apart[1e8] < 0.5 * apart[0.0]


def test_a_painted_frame_is_the_least_of_both_terms(monkeypatch):
    from neural_style_keras.settings import Settings
    from neural_style_keras.video import artists

    monkeypatch.setattr(artists, "with_contrast", lambda blended, painted: blended)
    painted = picture(HEIGHT, WIDTH, seed=1)
    monkeypatch.setattr(artists, "choose_tile", lambda *a: 0)
    monkeypatch.setattr(artists, "paint", lambda *a, **k: painted)
    artist = artists.Painting(None, {}, Settings(), Film(temporal_weight=3.0), (WIDTH, HEIGHT))
    assert artist(painted) is painted
    where = np.zeros((HEIGHT, WIDTH), np.float32)
    where[:, :20] = 1
    before = picture(HEIGHT, WIDTH, seed=2)
    found = artist(painted, artists.Held(before, where))
    assert (found[:, 20:] == painted[:, 20:]).all()
    assert np.allclose(found[:, :20], (painted + 3 * before)[:, :20] / 4, atol=1e-4)


def test_a_blend_has_the_contrast_of_what_is_painted():
    from neural_style_keras.video.artists import with_contrast

    random = np.random.default_rng(0)
    painted, other = random.normal(128, 30, (2, 60, 80, 3)).astype(np.float32)
    blended = (painted + other) / 2
    found = with_contrast(blended, painted)
    assert blended.std() < 0.8 * painted.std() and found.std() > 0.95 * painted.std()
    assert np.allclose(found.mean((0, 1)), blended.mean((0, 1)), atol=0.5)
    assert np.allclose(with_contrast(painted, painted), painted, atol=1e-3)
    blank = np.full((60, 80, 3), 99, np.float32)
    assert np.allclose(with_contrast(blank, painted), blank, atol=1e-3)


# --- the command


@pytest.fixture
def arguments(clip, pictures, mat, tmp_path, monkeypatch):
    """A film of a moment; a later argument wins."""
    monkeypatch.chdir(tmp_path)
    return [
        *("video", "--content", "clip.mp4", "--styles", "style.png", "--output", "out.mp4"),
        *("--network", str(mat), "--iterations", "4", "--frame-iterations", "3"),
        *("--warm-start", str(mat), "--precision", "float32"),
    ]


# Films are compared as they are painted: of frames 64 pixels wide x264's mb-tree in AVX-512 makes
# another film now and then, of wider ones it does not.
LOSSLESS = ["--output", "out.mkv", "--codec", "ffv1"]


def test_a_film_goes_on_after_a_full_disk_and_is_the_same(arguments, monkeypatch, capsys, tmp_path):
    from neural_style_keras.video.keeping import Kept

    arguments += LOSSLESS
    assert main(*arguments, "--output", "whole.mkv") == 0
    assert capsys.readouterr().out.endswith("wrote whole.mkv, 6 frames\n")
    assert milliseconds("whole.mkv") == TIMES
    assert [data for _, data in sound_of("whole.mkv")] == [data for _, data in sound_of("clip.mp4")]
    assert not (tmp_path / "whole.mkv.frames").exists()
    write, painted = Kept.write, []

    def full(self, which, number, one):
        if number == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        painted.append(number)
        write(self, which, number, one)

    monkeypatch.setattr(Kept, "write", full)
    assert main(*arguments) == 1
    said = capsys.readouterr().err
    assert "No space left on device; the frames that are done are kept in out.mkv.fr" in said
    assert sorted(p.name for p in (tmp_path / "out.mkv.frames").glob("*.png")) == [
        f"1-{number:06}.png" for number in range(3)
    ]
    monkeypatch.setattr(Kept, "write", lambda *a: painted.append(a[2]) or write(*a))
    assert main(*arguments) == 1  # neither --resume nor --overwrite
    assert "is the state of an interrupted run: add --resume" in capsys.readouterr().err
    assert main(*arguments, "--resume", "--strength", "0.7") == 1
    assert "cannot resume: settings strength was null" in capsys.readouterr().err
    assert main(*arguments, "--resume") == 0
    assert painted == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(pictures_of("out.mkv"), pictures_of("whole.mkv"))
    capsys.readouterr()
    assert main(*arguments, "--resume") == 0
    assert "out.mkv is complete" in capsys.readouterr().out
    assert main(*arguments) == 1
    assert "out.mkv exists: name another, or add --overwrite" in capsys.readouterr().err


@pytest.mark.slow
def test_a_film_that_is_killed_goes_on_and_is_the_same(arguments, tmp_path):
    arguments += [*LOSSLESS, "--frame-iterations", "40"]
    assert main(*arguments, "--output", "whole.mkv", "--quiet") == 0
    process = start(*arguments)
    kept = tmp_path / "out.mkv.frames"
    until = time.monotonic() + 200
    while not (kept / "1-000001.png").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {p: p.stat().st_mtime_ns for p in kept.glob("*.png")}
    assert before and not (tmp_path / "out.mkv").exists()
    process = start(*arguments, "--resume")
    while process.poll() is None:
        times = {p: p.stat().st_mtime_ns for p in before if p.exists()}
        assert times.items() <= before.items()  # nothing is done twice
        time.sleep(0.05)
    assert process.returncode == 0, process.communicate()
    assert np.array_equal(pictures_of("out.mkv"), pictures_of("whole.mkv"))


def test_passes_go_back_and_forth(arguments, monkeypatch):
    from neural_style_keras.video.keeping import Kept

    write, order = Kept.write, []
    monkeypatch.setattr(
        Kept, "write", lambda self, *a: order.append(a[:2]) or write(self, *a), raising=True
    )
    assert main(*arguments, "--passes", "3", "--end", "0.1", "--quiet") == 0
    forth, back = [0, 1, 2], [2, 1, 0]
    assert [one for one in order if one[0]] == [
        *((1, i) for i in forth),
        *((2, i) for i in back),
        *((3, i) for i in forth),
    ]
    assert milliseconds("out.mp4") == TIMES[:3]


def test_a_film_by_a_painter_with_the_photographs_colours(arguments, tmp_path, capsys):
    source = frames_of(len(TIMES))
    arguments = ["video", "--content", "clip.mp4", "--painter", "paintbox", "--style", "wave"]
    arguments += ["--preserve-colors", "--end", "0.1", "--mute"]
    assert main(*arguments, "--output", "out.webm") == 0
    assert main(*arguments, "--output", "alone.mkv", "--temporal-weight", "0", "--quiet") == 0
    assert milliseconds("out.webm") == TIMES[:3]
    [first, *_] = pictures_of("out.webm")
    assert np.abs(first.mean((0, 1)) - source[0].mean((0, 1))).max() < 60
    held = flow.optical_flow(source[1], source[0])
    apart = {}
    for name in ("alone.mkv", "out.webm"):
        before, after = pictures_of(name)[:2]
        apart[name] = np.abs(flow.warped(before.astype("f4"), held) - after).mean()
    assert apart["out.webm"] < apart["alone.mkv"]


def test_a_film_that_ends_early_is_painted_as_far_as_it_goes(arguments, tmp_path, capsys):
    times = list(range(0, 1200, 40))
    whole = make(tmp_path / "whole.mkv", frames_of(30), times, sound=False)
    size = whole.stat().st_size
    (tmp_path / "clip.mkv").write_bytes(whole.read_bytes()[: int(0.7 * size)])
    painter = ["--painter", "paintbox", "--style", "wave"]
    assert main("video", "--content", "clip.mkv", *painter, "--output", "out.mkv") == 0
    said = capsys.readouterr()
    number = len(milliseconds("out.mkv"))
    assert 0 < number < 30 and f"wrote out.mkv, {number} frames" in said.out
    assert "clip.mkv is cut short, at 0." in said.err and said.err.count("\n") == 1


def test_a_film_that_is_stopped_is_written_as_far_as_it_goes_where_that_is_asked_for(
    arguments, tmp_path
):
    from neural_style_keras.commands.video import job_of
    from neural_style_keras.video import film

    class Stopping(film.Reporter):
        def step(self, done, frame):
            seen.append(frame())
            if done == 3:
                stops.append(signal.SIGTERM)

    seen, stops = [], []
    chosen = {"content": "clip.mp4", "styles": [], "output": "out.mp4", "preset": None}
    for more in ({}, {"preset": "fast"}, {"painter": "none"}):
        optimised = job_of({**chosen, "styles": ["style.jpg"], **more})
        assert optimised.is_optimised and optimised.settings.painter is None
        assert optimised.settings.iterations == 240
    job = job_of({**chosen, "painter": "paintbox", "style": ("wave",), "colors": "content"})
    code = film.run(job, Stopping(quiet=True), stops, writes_stopped=True)
    assert code == 128 + signal.SIGTERM and not job.state.exists()
    assert milliseconds("out.mp4") == TIMES[:3]
    assert (
        max(at for at, _ in sound_of("out.mp4")) < 0.12 < max(at for at, _ in sound_of("clip.mp4"))
    )
    written = pictures_of("out.mp4")  # with the film's colours, as was shown
    assert all(np.abs(a - b.astype("f4")).mean() < 8 for a, b in zip(seen, written, strict=True))


def test_a_strangers_film_is_known_before_it_is_decoded(clip, tmp_path):
    assert reading.extent(clip, 99).sound == ("aac",)
    assert reading.sound_of(SimpleNamespace(codec_context=None)) == "unknown"
    for ending, codec in ((".mp4", "libx264"), (".webm", "libvpx"), (".avi", "mpeg4")):
        path = make(tmp_path / f"clip{ending}", frames_of(5), TIMES[:5], codec, sound=False)
        found = reading.extent(path, 99)
        assert (found.width, found.height, found.frames, found.sound) == (WIDTH, HEIGHT, 5, ())
        assert found.seconds == pytest.approx(0.24, abs=0.05)
        assert reading.extent(path, most=2).frames == 3  # and no further
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    assert reading.probe(tmp_path / "list.mp4").width == WIDTH  # FFmpeg itself would follow it
    Image.fromarray(frames_of(1)[0]).save(tmp_path / "one.png")
    for name in ("list.mp4", "one.png"):
        with pytest.raises(OSError, match=f"{name} is no film that is read here: use .mp4"):
            reading.extent(tmp_path / name, 99)


def test_a_frame_that_is_a_bomb_is_not_decoded(clip, monkeypatch):
    monkeypatch.setitem(reading.LARGEST, "max_pixels", str(WIDTH * HEIGHT // 2))
    with pytest.raises(OSError, match=r"clip\.mp4 holds no frame that can be read"):
        reading.probe(clip)


@pytest.mark.parametrize(
    ("code", "says", "changes"),
    [
        (1, "none.mp4: No such file or directory", ["--content", "none.mp4"]),
        (1, "style.png is a picture, not a film", ["--content", "style.png"]),
        (1, "text.mp4 is not a film that can be read", ["--content", "text.mp4"]),
        (1, "sound.mka holds no pictures, only sound", ["--content", "sound.mka"]),
        (1, "--codec h265x is no codec", ["--codec", "h265x"]),
        (1, "--codec aac is no codec", ["--codec", "aac"]),
        (1, "out.webm cannot hold --codec h264", ["--output", "out.webm", "--codec", "h264"]),
        (1, "out.webm cannot hold the film's sound (aac)", ["--output", "out.webm"]),
        (1, "out.png does not end as a film", ["--output", "out.png", "--codec", "h264"]),
        (1, "clip.mp4 has no frames from --start to --end", ["--start", "60"]),
        (2, "--end 1 is not after --start 2", ["--start", "2", "--end", "1"]),
        (2, "clip.mp4 would be written over the input", ["--output", "clip.mp4"]),
        (1, "the folder away does not exist", ["--output", "away/out.mp4"]),
        (2, "--refine changes nothing without --painter", ["--refine", "2"]),
        (2, "--quality must be at most 51", ["--quality", "52"]),
        (2, "--passes hold frames", ["--passes", "2", "--temporal-weight", "0"]),
        (2, "did you mean --temporal-weight", ["--temporal-wieght", "0"]),
        (2, "https://a.b/c.mp4 is an address", ["--content", "https://a.b/c.mp4"]),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(arguments, tmp_path, capsys, code, says, changes):
    (tmp_path / "text.mp4").write_text("no film\n" * 1000)
    if "sound.mka" in changes:
        with av.open("clip.mp4") as source, av.open("sound.mka", "w") as output:
            stream = output.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(audio=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    before = everything(tmp_path)
    assert main(*arguments, *changes) == code
    said = capsys.readouterr().err
    assert said.startswith("neural-style: error: ") and said.count("\n") == 1
    assert says in said
    assert everything(tmp_path) == before


def test_what_is_not_installed_is_said_to_be(arguments, monkeypatch, capsys):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "av" else found(name, *a)
    )
    assert main(*arguments) == 2
    assert "films need PyAV: pip install 'neural-style-keras[video]'" in capsys.readouterr().err
