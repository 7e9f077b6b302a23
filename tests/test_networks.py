"""Networks by name, and their fetching: a server on the loopback that behaves and misbehaves."""

import hashlib
import http.server
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from neural_style_keras import files, networks, neural_style, vgg
from neural_style_keras.networks import download
from neural_style_keras.settings import PRESETS, preset

BODY = np.random.default_rng(0).bytes(300_000)
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()
FETCH = """
import sys
from pathlib import Path
from neural_style_keras import networks
from neural_style_keras.networks import download
download.BLOCK = 1000
download.fetch(networks.Source("net.mat", *sys.argv[1:3]), Path(sys.argv[3]), quiet=True)
"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves BODY in the way that the path says, and notes what it was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, asked = self.path.split("/")[1], self.headers.get("Range")
        self.server.asked.append((kind, asked))
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "redirect":
            self.answer(302, b"", Location="/well/net.mat")
            return
        start = 0 if kind == "whole" or not asked else int(asked[len("bytes=") : -1])
        if start >= len(BODY):
            self.answer(416, b"", **{"Content-Range": f"bytes */{len(BODY)}"})
            return
        body = BODY[start:]
        if kind == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if kind == "cut":
            self.close_connection = True
            self.answer(206 if start else 200, body[:100_000], length=len(body))
        elif kind == "dead":  # a part, and then never again anything
            self.close_connection = True
            self.answer(206 if start else 200, b"" if start else body[:100_000], length=len(body))
        else:
            self.answer(206 if start else 200, body, pause=0.05 if kind == "slow" else 0)

    def answer(self, status, body, length=None, pause=0, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, len(body), 30_000):
            self.wfile.write(body[at : at + 30_000])
            time.sleep(pause)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port():
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.server_close()
    return server.server_port


def source(server, kind, name="net.mat"):
    return networks.Source(name, f"{server.url}/{kind}/{name}", DIGEST)


def processes(server, kind, folder, count):
    one = source(server, kind)
    command = [sys.executable, "-c", FETCH, one.url, one.digest, str(folder)]
    return [subprocess.Popen(command) for _ in range(count)]


@pytest.mark.parametrize("kind", ["well", "slow", "redirect", "whole"])
def test_a_file_is_fetched_once(server, kind, tmp_path):
    path = download.fetch(source(server, kind), tmp_path / "new" / "cache", quiet=True)
    assert path.read_bytes() == BODY
    asked = len(server.asked)
    assert download.fetch(source(server, kind), path.parent, quiet=True) == path
    assert len(server.asked) == asked
    assert not list(path.parent.glob("*.part"))


def test_the_bar_shows_what_comes(server, tmp_path, capsys):
    download.fetch(source(server, "slow"), tmp_path)
    said = capsys.readouterr().err
    assert "fetching net.mat" in said and "300k/300k" in said


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    assert download.fetch(source(server, "cut"), tmp_path, quiet=True).read_bytes() == BODY
    starts = [int(asked[len("bytes=") : -1]) if asked else 0 for _, asked in server.asked]
    assert starts[0] == 0
    for before, after in itertools.pairwise(starts):
        assert 100_000 - download.BLOCK < after - before <= 100_000


def test_a_later_try_goes_on_too(server, tmp_path):
    with pytest.raises(OSError, match="the next try goes on where this one stopped"):
        download.fetch(source(server, "dead"), tmp_path, quiet=True)
    assert not (tmp_path / "net.mat").exists()
    assert download.fetch(source(server, "well"), tmp_path, quiet=True).read_bytes() == BODY
    assert server.asked[-1] == ("well", f"bytes={100_000 // download.BLOCK * download.BLOCK}-")


def test_a_server_that_sends_only_the_whole_is_not_appended(server, tmp_path):
    (tmp_path / "net.mat.part").write_bytes(BODY[:70_000])
    assert download.fetch(source(server, "whole"), tmp_path, quiet=True).read_bytes() == BODY


@pytest.mark.parametrize("more", [b"", b"of another version"])
def test_a_part_that_is_whole_or_too_long(server, more, tmp_path):
    (tmp_path / "net.mat.part").write_bytes(BODY + more)
    assert download.fetch(source(server, "well"), tmp_path, quiet=True).read_bytes() == BODY


def test_a_wrong_file_never_takes_the_name(server, tmp_path):
    with pytest.raises(ValueError, match="is not the file that was published"):
        download.fetch(source(server, "corrupt"), tmp_path, quiet=True)
    assert not (tmp_path / "net.mat").exists() and not (tmp_path / "net.mat.part").exists()
    assert download.fetch(source(server, "well"), tmp_path, quiet=True).read_bytes() == BODY


def test_a_file_that_is_not_there(server, tmp_path):
    with pytest.raises(OSError, match="404"):
        download.fetch(source(server, "missing"), tmp_path, quiet=True)


def test_several_processes_at_once(server, tmp_path):
    assert [p.wait(120) for p in processes(server, "slow", tmp_path, 3)] == [0, 0, 0]
    assert (tmp_path / "net.mat").read_bytes() == BODY
    assert [kind for kind, _ in server.asked] == ["slow"]


def test_a_killed_download_leaves_no_half_file_and_no_lock(server, tmp_path):
    [process] = processes(server, "slow", tmp_path, 1)
    part = tmp_path / "net.mat.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "net.mat").exists()
    assert download.fetch(source(server, "well"), tmp_path, quiet=True).read_bytes() == BODY


def stylise(pictures, tmp_path, *more):
    arguments = ["--content", pictures["content.png"], "--styles", pictures["style.png"]]
    return neural_style.main([*map(str, arguments), "--output", str(tmp_path / "o.png"), *more])


def test_offline_it_says_what_to_do(closed_port, monkeypatch, tmp_path, capsys, pictures):
    there = networks.Source("net.mat", f"http://127.0.0.1:{closed_port}/net.mat", DIGEST)
    monkeypatch.setitem(networks.SOURCES, "vgg16", (there,))
    assert stylise(pictures, tmp_path, "--network", "vgg16", "--quiet") == 1
    said = capsys.readouterr().err
    assert "the host cannot be reached" in said and "use --network compact" in said
    assert said.count("\n") == 1


def test_behind_a_proxy_it_says_what_to_do(closed_port, monkeypatch, tmp_path, capsys, pictures):
    there = networks.Source("net.mat", "http://example.invalid/net.mat", DIGEST)
    monkeypatch.setitem(networks.SOURCES, "vgg16", (there,))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    assert stylise(pictures, tmp_path, "--network", "vgg16", "--quiet") == 1
    said = capsys.readouterr().err
    assert "the proxy refuses or does not answer" in said and said.count("\n") == 1


def test_the_second_source_is_tried_when_the_first_fails(server, monkeypatch, own_cache, tmp_path):
    monkeypatch.chdir(tmp_path)
    first, second = source(server, "corrupt", "first.h5"), source(server, "well", "second.mat")
    monkeypatch.setitem(networks.SOURCES, "vgg19", (first, second))
    path = networks.find("vgg19", quiet=True)
    assert path == files.cache_folder() / "second.mat" and path.read_bytes() == BODY
    assert networks.find("vgg19", quiet=True) == path and len(server.asked) == 2
    assert networks.find("auto") == path


def test_auto_takes_the_published_network_where_there_is_one(monkeypatch, tmp_path, own_cache):
    monkeypatch.chdir(tmp_path)
    assert networks.find("auto") == networks.COMPACT == networks.find("compact")
    cache = files.cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    of_keras = cache / networks.SOURCES["vgg19"][0].name
    of_keras.write_bytes(b"")
    assert networks.find("auto") == of_keras
    (cache / networks.PUBLISHED).write_bytes(b"")
    assert networks.find("auto") == cache / networks.PUBLISHED
    Path(networks.PUBLISHED).write_bytes(b"")
    assert networks.find("auto") == Path(networks.PUBLISHED) == networks.find("vgg19")


def test_it_says_which_network_it_takes(monkeypatch, tmp_path, capsys, pictures):
    monkeypatch.chdir(tmp_path)
    assert stylise(pictures, tmp_path, "--iterations", "1") == 0
    said = capsys.readouterr().out
    assert "compact.mat" in said and "networks fetch vgg19" in said


def test_what_keras_publishes_is_read_as_the_same_network(tmp_path):
    theirs = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.h5"
    with h5py.File(path, "w") as file:  # as the published files are laid out
        file.attrs["layer_names"] = [layer.name.encode() for layer in theirs.layers]
        for layer in theirs.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{x}_1:0" for x in "Wb"][: len(layer.weights)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights()):
                group[name] = value
    parameters = vgg.load(path)
    assert np.allclose(parameters.mean_pixel, [123.68, 116.779, 103.939])
    ours = vgg.build(vgg.load(path), ["conv1_1", "relu5_3"])
    image = np.random.default_rng(0).uniform(-100, 100, (1, 32, 48, 3)).astype(np.float32)
    tap = keras.Model(theirs.input, theirs.get_layer("block5_conv3").output)
    given, wanted = np.asarray(ours(image)["relu5_3"]), np.asarray(tap(image[..., ::-1]))
    assert np.allclose(given, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("content", [None, b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_another_hdf5_file_is_refused_in_a_sentence(content, tmp_path):
    path = tmp_path / "other.h5"
    if content is None:
        h5py.File(path, "w").close()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="HDF5 file"):
        vgg.load(path)


def test_the_compact_network_is_small_and_has_the_layers():
    assert os.path.getsize(networks.COMPACT) <= 6e6
    compact = vgg.load(networks.COMPACT)
    for name in PRESETS:
        compact.up_to(preset(name).layers())
    assert compact.sized(["relu5_1"]) and compact.stride(["relu5_1"]) == 16


def command(*arguments):
    return neural_style.main(["networks", *arguments])


def test_the_command_lists_each_network_with_its_place(own_cache, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    folder = files.cache_folder()
    folder.mkdir(parents=True)
    (folder / networks.PUBLISHED).write_bytes(BODY)
    assert command() == 0
    said = capsys.readouterr().out
    assert f"{networks.COMPACT}, 4.2 MB\n    sha256 {files.sha256(networks.COMPACT)}" in said
    assert f"{folder / networks.PUBLISHED}, 0.3 MB\n    {DIGEST.replace(':', ' ')}" in said
    assert "vgg16: the published VGG-16\n    not on this machine" in said
    assert said.endswith("auto: vgg19, at present\n")


def test_the_command_fetches(server, monkeypatch, own_cache, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(networks.SOURCES, "vgg16", (source(server, "well", "a.h5"),))
    assert command("fetch", "vgg16", "--quiet") == 0
    assert capsys.readouterr().out == f"{files.cache_folder() / 'a.h5'}\n"
    assert (files.cache_folder() / "a.h5").read_bytes() == BODY


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "vgg99"], ["get", "vgg19"]])
def test_the_commands_errors_are_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command(*arguments)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("neural-style: error: ")
    assert said.count("\n") == 1


def test_each_command_helps_without_importing_the_others_or_anything_heavy():
    code = (
        "import sys\n"
        "from neural_style_keras import neural_style\n"
        "try: neural_style.main(['networks', '--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'scipy', 'neural_style_keras.runs.run'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_keras_itself_has_fetched_is_taken(own_cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    models = own_cache / "keras" / "models"
    models.mkdir(parents=True)
    theirs = models / networks.SOURCES["vgg19"][0].name
    theirs.write_bytes(b"")
    assert networks.find("auto") == theirs == networks.find("vgg19")
    assert networks.there("vgg16") is None
