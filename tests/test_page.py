"""The page without a browser: its controls, its limits, and what it lets through."""

import asyncio
import base64
import dataclasses
import io
import os
import shlex
import stat
import struct
import time
import zlib

import numpy as np
import pytest
from conftest import picture
from neural_style_keras.commands import page as page_command
from neural_style_keras.commands import video as video_command
from neural_style_keras.neural_style import build_parser, job_of
from neural_style_keras.neural_style import main as program
from neural_style_keras.page import controls, pieces
from neural_style_keras.page.command import command
from neural_style_keras.page.folders import PREFIX, Folders
from neural_style_keras.page.guard import COOKIE, Guard, plain_name, secret_of
from neural_style_keras.page.jobs import FAILED, FILM, RUNNING, Full, Queue, Task
from neural_style_keras.page.studio import Studio, _completed
from neural_style_keras.runs import painting
from neural_style_keras.settings import PASSWORD, PRESETS, Film, Page, Settings, preset
from neural_style_keras.video.film import FilmJob
from PIL import Image

SECRET, OTHER = "a" * 43, "b" * 43


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Folders()
    yield made
    made.close()


@pytest.fixture
def studio(folders):
    """One whose workers are not started."""
    made = Studio(Page(megapixels=0.1, upload_megabytes=0.2), folders, "compact", None, False)
    yield made
    made.close()


def uploaded(folders, name, image=None, data=None, secret=SECRET):
    path = folders.new(folders.of(secret)) / name
    if data is None:
        Image.fromarray((picture(40, 48) if image is None else image).astype("uint8")).save(path)
    else:
        path.write_bytes(data)
    return path


def png_that_claims(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


# What is chosen.


def test_every_setting_has_a_control_or_is_withheld():
    names = {field.name for field in dataclasses.fields(Settings)}
    assert set(controls.NAMES) | controls.WITHHELD == names
    assert not set(controls.NAMES) & controls.WITHHELD
    # What takes any text may name a file or a machine: each such setting is here on purpose.
    texts = {
        name
        for name in controls.NAMES
        if controls.kind(name) is str
        and not controls.FIELDS[name].metadata["choices"]
        and name not in controls.ONLY
    }
    assert texts == {"content_layers", "style_layers", "scales", "network", "tile"}
    assert len(set(controls.NAMES)) == len(controls.NAMES)


@pytest.mark.parametrize("name", PRESETS)
def test_the_controls_of_a_recipe_give_the_recipe(name):
    values = controls.shown(controls.of_recipe(name))
    assert controls.settings_of(values, 1) == preset(name, painter=None, width=controls.WIDTH)
    assert all(isinstance(values[one], (int, float)) for one in controls.SLIDERS)


def test_what_is_typed_into_the_controls_is_what_is_set():
    typed = {
        "style_layers": "relu1_1:0.5 relu2_1",
        "style_blend_weights": "2 1",
        "strength": 0.7,
        "style_scales": 0.5,
        "iterations": 30.0,
        "lbfgs_round": "",
        "feather": "2.5",
        "warm_start": "",
        "colors": "content",
    }
    settings = controls.settings_of(typed, 2)
    assert settings.style_layers == ("relu1_1:0.5", "relu2_1")
    assert settings.style_blend_weights == (2.0, 1.0) and settings.style_scales == (0.5, 0.5)
    assert (settings.strength, settings.iterations, settings.warm_start) == (0.7, 30, None)
    assert (settings.lbfgs_round, settings.feather) == (None, 2.5)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"initial": "/etc/passwd"}, "--initial is not to be chosen on the page"),
        ({"painter": "/tmp/evil.keras"}, "--painter is not to be chosen"),
        ({"normalize_network": "/home"}, "--normalize-network is off or on or auto on the page"),
        ({"warm_start": "/etc/passwd"}, "--warm-start is compact on the page"),
        ({"checkpoint_output": "/tmp/%d.png"}, "--checkpoint-output is not to be chosen"),
        ({"style_blend_weights": "much"}, "--style-blend-weights takes numbers"),
        ({"strength": 2.0}, "--strength"),
        ({"feather": "wide"}, "--feather is a number, not wide"),
        ({"iterations": 2.5}, "--iterations is a whole number"),
        ({"iterations": {"a": 1}}, "--iterations is a whole number"),
    ],
)
def test_what_is_not_to_be_chosen_is_refused_in_a_sentence(typed, said):
    with pytest.raises(ValueError, match=said):
        controls.settings_of(typed, 1)


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_line_makes_the_same_settings(name):
    others = {"strength": 0.7, "warm_start": None, "clip": True, "seed": 3}
    for changes in ({}, others, {"painter": None}, {"painter": "any"}, {"initial_noiseblend": 1}):
        settings = preset(name, width=300, **changes)
        line = command("a photo.jpg", ["b.jpg"], "painted.png", settings)
        job = job_of(build_parser().parse_args(shlex.split(line)[1:]))
        assert job.settings == settings, line
        assert str(job.content) == "a photo.jpg"


def test_a_mask_that_is_not_drawn_is_the_rest():
    left = np.zeros((2, 4), np.float32)
    left[:, :2] = 1
    first, second = _completed([left, None])
    assert (first == left).all() and (second == 1 - left).all()


# What a visitor gives.


def test_the_picture_of_this_program_gives_its_settings(studio, folders):
    import json

    from neural_style_keras import pictures
    from neural_style_keras.settings import PROGRAM, VERSION

    settings = preset("gatys", width=320, strength=0.3)
    about = {PROGRAM: VERSION, "network": {"name": "compact.mat"}, "settings": settings.picture()}
    about["settings"] |= {"initial": "/etc/passwd", "painter": None}
    path = uploaded(folders, "old.png")
    pictures.write(path, picture(40, 48), json.dumps(about))
    found = studio.like(path, folders.of(SECRET))
    assert (found.width, found.strength, found.optimizer) == (320, 0.3, "lbfgs")
    assert found.initial is None and found.network == "compact"
    with pytest.raises(ValueError, match=r"^plain.png holds no settings: it was not made by"):
        studio.like(uploaded(folders, "plain.png"), folders.of(SECRET))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bomb.png", png_that_claims(40_000, 40_000), "too large to be meant as a picture"),
        ("wide.png", png_that_claims(4000, 4000), r"4000x4000 pixels, more than the 0\.1 mega"),
        ("no.png", b"this is no picture", "no.png is not a picture that can be read"),
        ("empty.jpg", b"", "empty.jpg is not a picture that can be read"),
        ("heavy.png", b"\x89PNG" + bytes(300_000), r"heavy.png has over 0\.2 MB"),
        ("run.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a EPS file"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused_in_a_sentence(
    studio, folders, name, data, said
):
    path = uploaded(folders, name, data=data)
    began = time.process_time()
    with pytest.raises((ValueError, OSError), match=said) as error:
        studio.check(path, folders.of(SECRET))
    assert str(folders.root) not in str(error.value)
    assert time.process_time() - began < 1  # nothing was decoded


def test_only_ones_own_uploads_are_painted(studio, folders):
    mine, theirs = uploaded(folders, "a.png"), uploaded(folders, "b.png", secret=OTHER)
    assert studio.check(mine, folders.of(SECRET)) == mine
    link = mine.with_name("link.png")
    link.symlink_to(theirs)
    for path in (theirs, link, mine.parent / ".." / ".." / theirs.relative_to(folders.root)):
        with pytest.raises(ValueError, match="not there any more: upload it again"):
            studio.check(path, folders.of(SECRET))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iterations": 9999}, "9999 iterations are more than the 2000"),
        ({"network": "/etc/passwd"}, "the network is one of compact"),
        ({"width": 100_000}, "more than the 0.1 megapixels"),
        ({"width": None}, "how large the picture is to be"),
        ({"style_blend_weights": (1, 2, 3)}, "--style-blend-weights has 3 numbers for 1 style"),
    ],
)
def test_the_limits_of_a_job_are_said_before_it_waits(studio, folders, changes, said):
    values = controls.shown(controls.of_recipe("fast")) | {"network": "compact"} | changes
    folder, mine = folders.of(SECRET), uploaded(folders, "a.png")
    with pytest.raises(ValueError, match=said):
        studio.paint(folder, mine, [mine], None, values)
    assert not studio.slow.waiting and not studio.quick.waiting


def test_a_style_without_its_painting_is_painted_in_one_pass(studio, folders):
    values = controls.shown(controls.of_recipe("fast")) | {"network": "compact", "width": 48}
    folder, mine = folders.of(SECRET), uploaded(folders, "a.png")
    asked = studio.paint(folder, mine, [], "wave", values)
    [task] = asked.tasks
    assert "apply --painter paintbox --style wave --content a.png --width 48" in asked.command
    assert list(studio.quick.waiting) == [task] and not studio.slow.waiting
    asked = studio.paint(folder, mine, [], "swirls", values)
    quick, slow = asked.tasks
    assert list(studio.quick.waiting) == [task, quick] and list(studio.slow.waiting) == [slow]
    assert slow.work.settings.painter == "paintbox" and slow.work.settings.style == ("swirls",)
    assert "--painter paintbox --style swirls" in asked.command
    assert str(folders.root) not in asked.command


def test_paintings_of_ones_own_are_first_painted_in_one_pass(studio, folders):
    values = controls.shown(controls.of_recipe("fast")) | {"network": "compact", "width": 48}
    folder, names = folders.of(SECRET), ["a.png", "b.png", "c.png"]
    mine, *paintings = (uploaded(folders, name) for name in names)
    quick, slow = studio.paint(folder, mine, paintings, None, values).tasks
    assert list(studio.quick.waiting) == [quick] and list(studio.slow.waiting) == [slow]
    assert quick.work.painter == "any" and quick.work.style is None
    assert [path.name for path in quick.work.styles] == names[1:]
    assert painting.asked(quick.work)  # which is how it will be begun
    # The optimised one begins with that, in as few steps as the command line takes from there.
    begun = slow.work.settings
    assert (begun.painter, begun.scales, begun.warm_start, begun.iterations) == (
        *("any", "off", None),
        preset("fast", painter="any").iterations,
    )
    asked = studio.paint(folder, mine, paintings, None, {**values, "iterations": 7})
    assert asked.tasks[1].work.settings.warm_start is None
    assert "--preset fast --width 48 --iterations 7" in asked.command
    task = studio.first(folder, mine, None, 48, paintings)
    assert task.work.styles[0].read_bytes() == paintings[0].read_bytes()
    with pytest.raises(ValueError, match="up to 4 paintings"):
        studio.first(folder, mine, None, 48, [mine] * 5)


# A film.


@pytest.fixture
def clip(folders):
    """A function that uploads a film of frames at these milliseconds."""
    pytest.importorskip("cv2", reason="films need OpenCV")
    films = pytest.importorskip("films", reason="films need PyAV")

    def upload(times=(0, 40, 80, 120, 160), name="clip.mp4", secret=SECRET, larger=1):
        path = folders.new(folders.of(secret)) / name
        frames = [
            np.kron(one, np.ones((larger, larger, 1), np.uint8))
            for one in films.frames_of(len(times))
        ]
        return films.make(path, frames, times)

    return upload


def test_a_film_waits_in_the_queue_of_what_takes_long(studio, folders, clip):
    folder, mine = folders.of(SECRET), clip()
    asked = studio.film(folder, mine, "wave", 96, "content")
    [task] = asked.tasks
    assert list(studio.slow.waiting) == [task] and not studio.quick.waiting
    assert task.work.content.read_bytes() == mine.read_bytes() and task.work.content != mine
    assert task.output.is_relative_to(folder) and not task.work.film.mute
    assert asked.command == (
        "neural-style video --content clip.mp4 --painter paintbox --style wave --width 96 "
        "--colors content --output painted.mp4"
    )
    given = video_command.build_parser().parse_args(shlex.split(asked.command)[2:])
    again = video_command.job_of(vars(given))
    assert again.settings == task.work.settings and again.film == task.work.film


def test_sound_that_no_browser_plays_is_left_out_and_that_is_said(
    studio, folders, clip, monkeypatch
):
    mine = clip()
    _, extent = studio.check_film(mine, folders.of(SECRET))
    other = dataclasses.replace(extent, sound=("pcm_s16le",))
    monkeypatch.setattr(studio, "check_film", lambda *_: (mine, other))
    asked = studio.film(folders.of(SECRET), mine, "wave", 96, "style")
    assert asked.tasks[0].work.film.mute and " --mute " in asked.command
    assert "Its sound (pcm_s16le) is left out" in asked.tasks[0].note


@pytest.mark.parametrize(
    ("film", "said"),
    [
        (
            {"times": (0, 20_500)},
            r"clip.mp4 lasts 2\d\.\d+ seconds or longer, and this page allows 20 ",
        ),
        ({"times": range(5)}, "clip.mp4 has more than the 3 frames that"),
        ({"larger": 8}, r"clip.mp4 is 512x384 pixels, more than the 0\.1 megapixels"),
        ({"secret": OTHER}, "not there any more: upload it again"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "clip.mp4 is no film that is read here"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", "clip.mp4 is n.* film that"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300_000), r"clip.mp4 has over 0\.2 MB"),
        (b"", "clip.mp4 is not a film that can be read"),
    ],
)
def test_what_is_no_film_or_too_long_or_too_large_is_refused_in_a_sentence(
    studio, folders, clip, film, said
):
    is_film = not isinstance(film, bytes)
    path = clip(**film) if is_film else uploaded(folders, "clip.mp4", data=film)
    if film == {"times": range(5)}:
        studio.page = dataclasses.replace(studio.page, film_seconds=0.05)
    with pytest.raises((ValueError, OSError), match=said) as error:
        studio.film(folders.of(SECRET), path, "wave", 96, "style")
    assert str(folders.root) not in str(error.value) and not studio.slow.waiting


@pytest.mark.parametrize(
    ("style", "width", "colors", "said"),
    [
        ("/etc/passwd", 96, "style", "there is no style /etc/passwd"),
        ("wave", 10**6, "style", "a film is from 64 to 1280 pixels wide here, not 1000000"),
        ("wave", "96", "style", "a film is from 64"),
        ("wave", float("nan"), "style", "a film is from 64"),
        ("wave", 640, "style", "the painted film is 640x480 pixels, more than the 0.1"),
        ("wave", 304, "style", "the painted film is 304x405 pixels"),  # if it is upright
        ("wave", 96, "none", "--colors is style or content"),
        ("wave", 96, None, "--colors is"),
    ],
)
def test_what_is_chosen_for_a_film_is_checked(studio, folders, clip, style, width, colors, said):
    with pytest.raises(ValueError, match=said):
        studio.film(folders.of(SECRET), clip(), style, width, colors)
    assert not studio.slow.waiting


def test_what_a_worker_tells_of_a_film_is_what_is_shown(tmp_path):
    work = FilmJob(tmp_path / "0" / "a.mp4", [], tmp_path / "out.mp4", Settings(), Film(), False)
    task = Task(work, tmp_path, work.output, 60.0, 60.0, FILM, state=RUNNING)
    assert "loads and reads the film" in pieces.of(task)
    report = {"iteration": 2, "losses": {}, "seconds_left": 7.0, "picture": None}
    task.hear("begun", 5)
    task.hear("shown", report)
    assert "Frame 2 of 5, 7 s left" in pieces.of(task) and task.rows == []
    task.hear("ended", True)
    assert "It was stopped before there was a frame." in pieces.of(task)
    work.output.touch()
    task.hear("ended", True)
    task.says = ""
    assert "Stopped at frame 2; this is the film as far as it goes." in pieces.of(task)
    task.hear("warned", f"{tmp_path}/0/a.mp4 is cut short.")
    assert "the film as far as it goes. a.mp4 is cut short." in pieces.of(task)
    task.hear("ended", False)
    assert "Done: 5 frames. a.mp4 is cut short." in pieces.of(task)
    task.hear("failed", f"full; the frames that are done are kept in {tmp_path}/x, and --resume")
    assert pieces.of(task) == pieces.error("full")
    task.hear("failed", f"{tmp_path}/0/a.mp4 is transparent")
    assert pieces.of(task) == pieces.error("a.mp4 is transparent")


def test_where_films_cannot_be_painted_the_tab_says_what_to_install(studio, monkeypatch):
    gr = pytest.importorskip("gradio")
    from neural_style_keras.page import layout

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with gr.Blocks() as blocks:
        layout.film(studio, blocks)
    [shown] = [one.value for one in blocks.blocks.values() if isinstance(one, gr.HTML)]
    assert "pip install &#x27;neural-style-keras[video]&#x27;" in shown
    with pytest.raises(ValueError, match="films need PyAV"):
        studio.film(studio.folders.of(SECRET), "a.mp4", "wave", 96, "style")


# The queue.


def test_so_many_wait_and_no_more(tmp_path):
    queue = Queue(0, waiting=2)

    def task(patience=60.0):
        return Task(None, tmp_path, tmp_path / "out.png", 60.0, patience)

    first, second = task(), task(patience=-1)
    queue.put(first)
    queue.put(second)
    queue.put(third := task())  # the second is of no use any more
    assert second.over and [one.place for one in (first, third)] == [0, 1]
    with pytest.raises(Full, match="2 pictures wait already"):
        queue.put(task())
    first.stop()
    assert third.place == 0 and first.over


def test_what_a_worker_tells_is_what_is_shown(tmp_path):
    task = Task(None, tmp_path, tmp_path / "out.png", 60.0, 60.0)
    task.hear(
        "failed", f"{tmp_path}/0/<b>.png is damaged; the best picture before is in {tmp_path}"
    )
    assert task.state == FAILED
    assert pieces.of(task) == pieces.error("<b>.png is damaged")
    assert "<b>" not in pieces.of(task) and "&lt;b&gt;" in pieces.of(task)


def test_the_curve_has_a_line_for_each_loss():
    rows = [(i, {"content": 0.0, "style": 10.0**-i, "total": 10.0**-i}) for i in range(4)]
    drawn = pieces.curve(rows)
    assert drawn.count("<polyline") == 2 and "nan" not in drawn
    assert "The loss fell from 1 to 0.001 in 3 iterations." in drawn
    assert pieces.curve(rows[:1]) == ""


# Where it lies.


def test_the_folder_is_its_owners_alone_and_goes_at_the_end(folders):
    path = uploaded(folders, "a.png")
    for folder in (folders.root, folders.of(SECRET), path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert SECRET not in str(path)
    folders.close()
    assert not folders.root.exists()


def test_what_is_an_hour_old_is_deleted(folders):
    old, new = uploaded(folders, "old.png"), uploaded(folders, "new.png")
    hour = time.time() - 3700
    os.utime(old, (hour, hour))
    os.utime(old.parent, (hour, hour))
    folders.sweep(60)
    assert not old.exists() and new.exists()
    os.utime(old.parent, (hour, hour))
    folders.sweep(60)
    assert not old.parent.exists() and folders.root.exists()


def test_what_a_killed_server_left_goes_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"{PREFIX}9999999-abc"
    living = tmp_path / f"{PREFIX}{os.getpid()}-abc"
    others = tmp_path / f"{PREFIX}of-somebody"
    for folder in (left, living, others):
        folder.mkdir()
    Folders().close()
    assert not left.exists() and living.exists() and others.exists()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".bashrc", "bashrc"),
        ("$(rm -rf ~).png", "_rm_-rf_.png"),
        ("<img src=x>.jpg", "_img_src_x_.jpg"),
        ("-rf.png", "rf.png"),
        ("", "picture"),
        (None, "picture"),
        ("é" * 300 + ".jpeg", "é" * 60 + ".jpeg"),
    ],
)
def test_names_lead_nowhere(name, plain):
    assert plain_name(name) == plain


# Who comes in.


class Answer:
    """What a guard sends."""

    def __init__(self, guard, path="/", headers=None, method="GET", body=(b"",), query=b""):
        self.status, self.headers, self.body = None, {}, b""
        given = {"host": "127.0.0.1:7860", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
        }
        parts = [
            {"type": "http.request", "body": part, "more_body": i < len(body) - 1}
            for i, part in enumerate(body)
        ]

        async def receive():
            return parts.pop(0)

        async def send(message):
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                self.body += message["body"]

        asyncio.run(guard(scope, receive, send))


async def echo(scope, receive, send):
    """Answers with what it was given; a request that breaks off with 400."""
    taken, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            await send({"type": "http.response.start", "status": 400, "headers": []})
            return
        taken, more = taken + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": taken})


@pytest.fixture
def guard(folders):
    return Guard(echo, folders, {"localhost", "127.0.0.1"}, None, 1000)


def test_a_visitor_gets_a_cookie_of_their_own_and_nothing_from_elsewhere(guard):
    first, second = Answer(guard), Answer(guard)
    cookies = [secret_of(one.headers["set-cookie"]) for one in (first, second)]
    assert cookies[0] and cookies[1] and cookies[0] != cookies[1]
    assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
    assert "default-src 'self'" in first.headers["content-security-policy"]
    again = Answer(guard, headers={"cookie": f"{COOKIE}={cookies[0]}"})
    assert again.status == 200 and "set-cookie" not in again.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": None}, 421),
        ({"host": "localhost:1"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:7860"}, 200),
    ],
)
def test_other_sites_are_turned_away(guard, headers, status):
    assert Answer(guard, headers=headers).status == status


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/proxy=https://example.org/",
        "/proxy=https://example.org/",
        "/gradio_api/vibe-edit/",
        "/gradio_api/vibe-code",
        "/gradio_api/deep_link",
        "/gradio_api/stream/x/1/2/playlist.m3u8",
        "/gradio_api/file/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/custom_component/a/b/c/d",
        "/gradio_api/run/paint",
        "/gradio_api/process_recording",
        "/gradio_api/runs",
        "/docs",
        "//",
        "/gradio_api/../file=/etc/passwd",
    ],
)
def test_routes_that_nobody_needs_are_not_there(guard, path):
    assert Answer(guard, path).status == 404


def test_nobody_gets_a_file_that_is_not_theirs(guard, folders):
    mine, theirs = uploaded(folders, "a.png"), uploaded(folders, "b.png", secret=OTHER)
    link = mine.with_name("link.png")
    link.symlink_to(theirs)
    (mine.with_name("folder")).symlink_to("/etc")

    def status(path, cookie=SECRET):
        headers = {"cookie": f"{COOKIE}={cookie}"} if cookie else {}
        return Answer(guard, f"/gradio_api/file={path}", headers).status

    assert status(mine) == 200
    assert status(mine, OTHER) == 403 and status(mine, None) == 403
    assert status(mine, folders.of(SECRET).name) == 403  # the name of the folder is not the secret
    attempts = [
        theirs,
        link,
        mine.with_name("folder") / "passwd",
        "/etc/passwd",
        "//etc/passwd",
        "etc/passwd",
        "../../etc/passwd",
        f"{mine.parent}/../../../../etc/passwd",
        f"{mine.parent}/../../{theirs.relative_to(folders.root)}",
        f"{mine}/../{link.name}",
        mine.parent,
        folders.root,
        f"{mine}%00.png",
        f"{mine}\0",
        "%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/a.png",
        "~/.ssh/id_rsa",
        "/proc/self/environ",
        "",
    ]
    assert [path for path in attempts if status(path) != 403] == []


def test_no_more_is_taken_than_is_allowed_whatever_the_headers_say(guard):
    upload = "/gradio_api/upload"
    told = Answer(guard, upload, {"content-length": "9000000"}, "POST")
    assert told.status == 413 and b"over 0.001 MB, the most" in told.body
    assert Answer(guard, upload, method="POST", body=[bytes(40_000)] * 3).status == 400
    assert Answer(guard, upload, method="POST", body=[bytes(500)] * 2).body == bytes(1000)


def test_the_password_is_asked_for_everywhere(folders):
    guard = Guard(echo, folders, None, ("ann", "sésame"), 1000)

    def status(path, given=None):
        text = given and "Basic " + base64.b64encode(given.encode()).decode()
        return Answer(guard, path, {"authorization": text} if text else {}).status

    for path in ("/", "/config", "/static/a.js", "/gradio_api/heartbeat/abc", "/gradio_api/info"):
        assert status(path) == 401 and status(path, "ann:sésame") == 200
    began = time.monotonic()
    assert status("/", "ann:wrong") == 401 and time.monotonic() - began >= 1
    assert Answer(guard, headers={"authorization": "Basic \x01"}).status == 401
    assert 'Basic realm="neural-style"' in Answer(guard).headers["www-authenticate"]


def test_anothers_stream_is_not_to_be_had(guard):
    def status(cookie):
        headers = {"cookie": f"{COOKIE}={cookie}"}
        return Answer(guard, "/gradio_api/queue/data", headers, query=b"session_hash=abc").status

    assert [status(one) for one in (SECRET, OTHER, SECRET)] == [200, 403, 200]


# The command.


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in"),
        (["--host", "192.168.1.2"], "needs --user NAME"),
        (["--port", "70000"], "--port"),
        (["--jobs", "0"], "--jobs"),
        (["--megapixels", "-1"], "--megapixels"),
        (["--film-seconds", "0"], "--film-seconds"),
        (["--prot", "1"], "did you mean --port"),
    ],
)
def test_wrong_flags_exit_with_2_and_a_sentence(capsys, flags, said):
    with pytest.raises(SystemExit) as left:
        page_command.main(flags)
    assert left.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machines_own_addresses_need_no_password(host):
    assert Page(host=host).is_private()


def test_without_a_password_or_gradio_it_says_what_to_do(capsys, monkeypatch):
    monkeypatch.delenv(PASSWORD, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    pytest.importorskip("gradio")
    assert program(["page", "--user", "ann"]) == 1
    assert (
        f"--user needs a password: type it when asked, or set {PASSWORD}" in capsys.readouterr().err
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert program(["page"]) == 1
    assert "pip install 'neural-style-keras[page]'" in capsys.readouterr().err
