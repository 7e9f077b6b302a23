"""The page in a real browser, and its endpoint: one server for all of it, with small pictures."""

import json
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
import zlib

import psutil
import pytest
from conftest import picture
from neural_style_keras import files, pictures
from neural_style_keras.page import controls
from neural_style_keras.settings import PASSWORD, PRESETS
from PIL import Image

pytest.importorskip("gradio", reason="the page needs Gradio: pip install '.[page]'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="the browser is driven by playwright: pip install '.[test]'"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium"
    ),
]

USER, SECRET = "ann", "sésame"
WAIT = 60_000  # milliseconds, at most, of whatever is waited for: other work may be on
FAST = {"width": 64, "iterations": 8, "network": "compact"}


@pytest.fixture(scope="module")
def servers():
    """Those that were started: one, and another where a test has ended it."""
    found = []
    yield found
    for process in found:
        process.kill()
        process.wait()


@pytest.fixture
def server(servers, tmp_path_factory):
    """A process, with its address, and the folder that its own folder is in."""
    if not servers or servers[-1].poll() is not None:
        servers.append(started(tmp_path_factory.mktemp("temporary")))
    return servers[-1]


def started(temporary):
    environment = {**os.environ, PASSWORD: SECRET, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "neural_style_keras", "page", "--no-browser", "--user", USER]
    limits = ["--megapixels", "1", "--upload-megabytes", "1", "--unwatched-seconds", "5"]
    limits += ["--film-seconds", "2"]
    process = subprocess.Popen(
        [*command, *limits], env=environment, stdout=subprocess.PIPE, text=True
    )
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found, "the page did not start"
    process.address, process.folder = found[0], temporary
    return process


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        one = p.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield one
        one.close()


@pytest.fixture
def visit(server, browser):
    """A function that opens the page as a new visitor; what was asked for is in `page.asked`."""
    contexts = []

    def open_page(width=1280, **options):
        login = {"username": USER, "password": SECRET}
        context = browser.new_context(
            http_credentials=options.pop("login", login),
            viewport={"width": width, "height": 900},
            accept_downloads=True,
            **options,
        )
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.told = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.told.append(message.text))
        page.goto(server.address)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("photo") / "photo.png", 72, 96, 1)


@pytest.fixture(scope="module")
def style(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("style") / "style.png", 64, 64, 2)


def saved(path, height, width, seed):
    Image.fromarray(picture(height, width, seed).astype("uint8")).save(path)
    return path


def set_number(page, name, value):
    page.get_by_label(f"number input for {name}").fill(str(value))


def set_more(page, **values):
    """Fill controls under "more"."""
    if not page.locator("#setting-iterations").is_visible():
        page.get_by_role("button", name="More settings").click()
    for name, value in values.items():
        page.locator(f"#setting-{name} input, #setting-{name} textarea").first.fill(str(value))


def drop(page, photo, style=None):
    page.locator("#content input[type=file]").set_input_files(photo)
    page.wait_for_selector("#content img")
    if style:
        drop_style(page, style)


def choose_recipe(page, name):
    page.locator("#recipe input").click()
    page.get_by_role("option", name=name, exact=True).click()


def drop_style(page, style):
    # One size and one network: what is compiled is what takes long.
    choose_recipe(page, "neural-style")
    page.get_by_label("none of these").check()
    page.locator("#paintings input[type=file]").first.set_input_files(style)
    page.wait_for_selector("#paintings img")


def says(page, text):
    page.locator("#status").get_by_text(text).wait_for()


def of_workers(server):
    """The workers' processes, the one that paints in one pass at the front: the other stays behind
    it. (Either may have been replaced meanwhile, so when they began does not tell them apart.)"""
    found = [
        one
        for one in psutil.Process(server.pid).children(recursive=True)
        if "spawn_main" in " ".join(one.cmdline())
    ]
    return sorted(found, key=lambda one: one.nice())


def test_a_photograph_is_painted_watched_and_downloaded(server, visit, photo, style, tmp_path):
    page = visit()
    drop(page, photo)
    says(page, "A first picture, painted in one pass.")  # by the painter, nothing being pressed
    page.wait_for_selector("#compare img")
    before = page.locator("#compare img").first.get_attribute("src")
    drop_style(page, style)  # and at once there is a picture in that style
    page.wait_for_function(
        "before => ![null, before].includes(document.querySelector('#compare img')?.src ?? null)",
        arg=before,
    )
    first = tmp_path / "first.png"
    with page.expect_download() as download:
        page.locator("#png").click()
    download.value.save_as(first)
    assert json.loads(pictures.comment(first))["styles"] == [files.named(style)]
    set_number(page, "Size", 96)
    set_more(page, iterations=40)
    page.get_by_role("button", name="Paint", exact=True).click()
    page.wait_for_selector("#curve svg")
    page.reload()  # in the middle: it goes on
    says(page, "Done: 40 iterations.")
    assert "The loss fell from" in page.locator("#curve svg").get_attribute("aria-label")
    for name in ("png", "jpeg"):
        with page.expect_download() as download:
            page.locator(f"#{name}").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        about = json.loads(pictures.comment(path))
        assert about["content"] == files.named(photo) and about["settings"]["width"] == 96
        assert pictures.size(path) == (96, 72)
    line = page.locator("#command").inner_text()
    assert "--content photo.png --styles style.png" in line and "--iterations 40" in line
    # What it was painted with is what another page takes from it.
    other = visit()
    with other.expect_file_chooser() as chooser:
        other.get_by_role("button", name="Take the settings of a painted picture").click()
    chooser.value.set_files(tmp_path / "painted.png")
    says(other, "These are the settings of that picture now.")
    assert other.get_by_label("number input for Size").input_value() == "96"
    outside = [
        url
        for one in (page, other)
        for url in one.asked
        if not url.startswith((server.address, "data:", "blob:"))
    ]
    assert outside == [] and len(page.asked) > 20


def test_the_server_listens_on_this_machine_only_and_calls_nobody(server):
    connections = psutil.Process(server.pid).net_connections(kind="inet")
    listening = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    for one in (psutil.Process(server.pid), *of_workers(server)):
        far = [c.raddr.ip for c in one.net_connections(kind="inet") if c.raddr]
        assert set(far) <= {"127.0.0.1"}


def test_two_people_paint_at_once_and_see_their_own(server, visit, photo, style, tmp_path):
    other_photo = saved(tmp_path / "other.png", 64, 96, 7)
    pages = [visit(), visit()]
    for page, content in zip(pages, (photo, other_photo)):
        drop(page, content, style)
        set_number(page, "Size", 64)
        set_more(page, iterations=20)
    for page in pages:
        page.get_by_role("button", name="Paint", exact=True).click()
    addresses = []
    for page, content in zip(pages, (photo, other_photo)):
        says(page, "Done: 20 iterations.")
        with page.expect_download() as download:
            page.locator("#png").click()
        path = tmp_path / "one.png"
        download.value.save_as(path)
        assert json.loads(pictures.comment(path))["content"] == files.named(content)
        addresses.append(download.value.url)
    first, second = pages
    assert first.request.get(addresses[0]).status == 200
    assert second.request.get(addresses[0]).status == 403
    assert second.request.get(f"{server.address}gradio_api/file=/etc/passwd").status == 403


def test_stop_keeps_the_best_and_a_place_in_the_queue_is_told(server, visit, photo, style):
    first, second = visit(), visit()
    for page in (first, second):
        drop(page, photo, style)
        set_number(page, "Size", 96)
        set_more(page, iterations=1900)
        page.get_by_role("button", name="Paint", exact=True).click()
        if page is first:
            page.wait_for_selector("#curve svg")
    says(second, "Waiting: 1 before yours.")
    second.get_by_role("button", name="Stop").click()
    says(second, "It was stopped before its turn.")
    first.get_by_role("button", name="Stop").click()
    says(first, "this is the best so far")
    first.wait_for_selector("#compare img")
    assert first.locator("#png").is_visible()


def test_a_page_that_is_closed_ends_its_job(server, visit, photo, style):
    page = visit()
    drop(page, photo, style)
    set_more(page, iterations=1900)
    page.get_by_role("button", name="Paint", exact=True).click()
    page.wait_for_selector("#curve svg")
    page.context.close()
    other = visit()
    drop(other, photo, style)
    set_number(other, "Size", 64)
    set_more(other, iterations=5)
    other.get_by_role("button", name="Paint", exact=True).click()
    says(other, "Done: 5 iterations.")  # its turn has come


def test_a_recipe_is_there_at_once_however_late_the_server_answers(visit):
    """In every control, and in what is asked for when Paint is pressed."""
    page = visit()
    set_number(page, "Size", 96)
    page.route("**/queue/join*", lambda route: None)  # it never answers
    for recipe in ("neural-style", "gatys", "alpha-beta", "wasserstein", "fast"):
        choose_recipe(page, recipe)
        set_more(page, seed=7)
        with page.expect_request("**/queue/join*") as asked:
            page.get_by_role("button", name="Paint", exact=True).click()
        sent = asked.value.post_data_json["data"][4:]  # after the pictures and the style
        wanted = controls.shown(controls.of_recipe(recipe))
        wanted |= {"width": 96, "network": "auto", "seed": 7}
        assert dict(zip(controls.NAMES, sent)) == wanted
        told = page.get_by_text(f"{PRESETS[recipe].about[1:]}. The settings below")
        playwright.expect(told).to_be_visible()


def test_what_is_dropped_while_another_is_painted_is_painted_too(visit, photo, style, tmp_path):
    page, wrong = visit(), tmp_path / "wrong.png"
    other = saved(tmp_path / "other.png", 64, 64, 3)
    drop(page, photo, style)
    add = page.locator("#paintings input[type=file]").first
    add.set_input_files(other)

    def styles():
        with page.expect_download() as download:
            page.locator("#png").click()
        download.value.save_as(tmp_path / "painted.png")
        return json.loads(pictures.comment(tmp_path / "painted.png"))["styles"]

    wanted, until = [files.named(style), files.named(other)], time.monotonic() + 60
    while (found := styles()) != wanted and time.monotonic() < until:
        page.wait_for_timeout(500)
    assert found == wanted
    # One that is refused is a sentence, and keeps nobody from the next.
    wrong.write_text("text")
    add.set_input_files(wrong)
    says(page, "is not a picture")
    page.get_by_label("the scream").check()
    says(page, "A first picture, painted in one pass.")


def test_a_worker_that_dies_is_a_sentence_and_not_the_end(server, visit, photo, style):
    page = visit()
    drop(page, photo, style)
    set_more(page, iterations=1900)
    page.get_by_role("button", name="Paint", exact=True).click()
    page.wait_for_selector("#curve svg")
    of_workers(server)[-1].kill()
    page.get_by_text("ended unexpectedly (signal 9)").wait_for()
    set_number(page, "Size", 64)
    set_more(page, iterations=5)
    page.get_by_role("button", name="Paint", exact=True).click()
    says(page, "Done: 5 iterations.")


def test_a_mask_is_brushed(server, visit, style, tmp_path):
    page, photo = visit(), saved(tmp_path / "large.png", 192, 256, 1)  # for a brush of many pixels
    drop(page, photo, style)
    page.get_by_label("Paint where each style goes").check()
    canvas = page.locator("#mask-1 canvas").first
    canvas.wait_for()
    page.wait_for_timeout(1500)  # until the editor has laid itself out
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    set_number(page, "Size", 256)
    set_more(page, iterations=5, style_layers="relu1_1 relu2_1")
    page.get_by_role("button", name="Paint", exact=True).click()
    says(page, "Done: 5 iterations.")
    with page.expect_download() as download:
        page.locator("#png").click()
    download.value.save_as(tmp_path / "painted.png")
    assert "--masks mask-1.png" in page.locator("#command").inner_text()
    painted, before = pictures.read(tmp_path / "painted.png"), pictures.read(photo)
    same = (painted == before).all(2)
    assert 0.1 < same.mean() < 0.99  # where nothing was brushed, the photograph to the pixel


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb():
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(2501) * 20_000))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bad.png", b"this is no picture", "bad.png is not a picture that can be read"),
        ("bomb.png", bomb(), "20000x20000 pixels"),
        ("heavy.png", b"\x89PNG" + bytes(1_040_000), "exceed the maximum allowed size"),
    ],
)
def test_what_cannot_be_painted_is_refused_in_a_sentence(visit, tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    page = visit()
    page.locator("#content input[type=file]").set_input_files(path)
    page.get_by_text(said).first.wait_for()


def test_paint_without_a_photograph_says_what_is_missing(visit):
    page = visit()
    page.get_by_role("button", name="Paint", exact=True).click()
    page.get_by_role("alert").get_by_text("There is no photograph: drop one").wait_for()


def test_a_wrong_password_opens_nothing(server, browser):
    for login in ({"username": USER, "password": "wrong"}, None):
        context = browser.new_context(http_credentials=login)
        page = context.new_page()
        for path in ("", "config", "gradio_api/info", "thumbnails/wave.jpg"):
            assert page.request.get(server.address + path).status == 401
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit, photo, scheme):
    page = visit(390, color_scheme=scheme, is_mobile=True, has_touch=True)
    drop(page, photo)
    says(page, "A first picture")
    for tab in ("Painters", "Film", "Paint"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        beyond = page.evaluate(
            """() => [...document.querySelectorAll('main button, main input, main img, main label')]
                .filter(e => e.offsetParent && !e.closest('[aria-hidden=true]'))
                .filter(e => e.getBoundingClientRect().right > 391 && e.type != 'file')
                .map(e => e.outerHTML.slice(0, 90))"""
        )
        assert beyond == []
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")


def test_everything_has_a_name_and_is_reached_by_the_keyboard(visit, photo):
    page = visit()
    drop(page, photo)
    nameless = page.evaluate(  # but for Gradio's own pictures, which have no text in their place
        """() => [...document.querySelectorAll('main button, main input, main textarea')]
            .filter(e => e.offsetParent && e.type != 'file')
            .filter(e => !(e.innerText || e.alt || e.ariaLabel || e.title || e.labels?.length
                || e.getAttribute('aria-labelledby')))
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    assert page.locator("#content img").get_attribute("alt") == "Photograph"
    page.get_by_label("embers").focus()
    page.keyboard.press("Space")
    for key, style in (("ArrowRight", "shipwreck"), ("ArrowLeft", "embers")):
        page.keyboard.press(key)
        playwright.expect(page.get_by_label(style)).to_be_checked()
    for _ in range(40):  # forward to the button, and on it
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id || document.activeElement.innerText") in (
            "paint",
            "Paint",
        ):
            break
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()


def test_every_style_of_the_painter_at_a_look(visit, photo):
    page = visit()
    page.get_by_role("tab", name="Painters", exact=True).click()
    assert page.locator("#gallery-sheet img").count() == 8
    page.locator("#gallery-content input[type=file]").set_input_files(photo)
    page.wait_for_selector("#gallery-content img")
    page.get_by_role("button", name="Paint in every style").click()
    page.locator("#gallery-status").get_by_text("Done.").wait_for()
    shown = page.evaluate(
        "[...document.querySelectorAll('#gallery-sheet img')].map(e => [e.src, e.naturalWidth])"
    )
    assert all("file=" in src and width > 0 for src, width in shown)


def test_a_film_is_painted_watched_and_downloaded(server, visit, tmp_path):
    pytest.importorskip("cv2", reason="films need OpenCV")
    films = pytest.importorskip("films", reason="films need PyAV")
    from neural_style_keras.video import reading

    clip = films.make(tmp_path / "clip.mp4", films.frames_of(5), range(0, 200, 40))
    long = films.make(tmp_path / "long.mp4", films.frames_of(2), [0, 3000])
    page, other = visit(), visit()
    page.get_by_role("tab", name="Film", exact=True).click()
    status = page.locator("#film-status")

    def drop_film(path):
        page.locator("#film-content input[type=file]").set_input_files(path)

    drop_film(long)
    status.get_by_text("long.mp4 lasts").wait_for()
    drop_film(clip)
    page.wait_for_selector("#film-content video")
    page.locator("#film-style").get_by_label("wave").check()
    set_number(page, "Width", 640)  # so that a frame is seen before the last one is there
    page.get_by_role("button", name="Paint the film").click()
    page.wait_for_selector("#film-picture img")  # a frame, while the next is painted
    status.get_by_text("Done: 5 frames.").wait_for()
    page.wait_for_function("document.querySelector('#film-painted video').readyState > 2")
    with page.expect_download() as download:
        page.locator("#film-mp4").click()
    painted = tmp_path / "painted.mp4"
    download.value.save_as(painted)
    assert [round(1000 * frame.time) for frame in reading.frames(reading.probe(painted))] == [
        *range(0, 200, 40)
    ]
    address = download.value.url
    assert page.request.get(address).status == 200 and other.request.get(address).status == 403
    outside = [u for u in page.asked if not u.startswith((server.address, "data:", "blob:"))]
    assert outside == []


def test_a_script_paints_by_the_endpoint(server, photo, style):
    from gradio_client import Client, handle_file

    headers = {"Authorization": "Basic YW5uOnPDqXNhbWU="}
    client = Client(server.address, headers=headers, verbose=False)
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/paint"]
    painted, report = client.predict(
        content=handle_file(photo),
        styles=[handle_file(style)],
        style="",
        recipe="neural-style",
        settings=json.dumps(FAST),
        api_name="/paint",
    )
    about = json.loads(pictures.comment(painted))
    assert about["content"] == files.named(photo) and about["styles"] == [files.named(style)]
    assert report["state"] == "done" and report["losses"]["total"] > 0
    assert "--iterations 8" in report["command"]
    with pytest.raises(Exception, match="--initial is not to be chosen on the page"):
        client.predict(
            handle_file(photo),
            [],
            "swirls",
            "fast",
            '{"initial": "/etc/passwd"}',
            api_name="/paint",
        )


def test_the_folder_is_private_and_a_signal_ends_all_within_five_seconds(
    server, visit, photo, style
):
    page = visit()
    drop(page, photo, style)
    set_more(page, iterations=1900)
    page.get_by_role("button", name="Paint", exact=True).click()
    page.wait_for_selector("#curve svg")
    [folder] = server.folder.glob("neural-style-page-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    workers = of_workers(server)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    assert time.monotonic() - began < 5
    assert not list(server.folder.iterdir()) and not any(one.is_running() for one in workers)
