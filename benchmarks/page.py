"""The page under load, over the loopback: that no job is lost or mixed up, what memory it keeps,
how long a painter's picture takes while a long job runs.

    python benchmarks/page.py [--clients 20] [--jobs 100] [--first 10]

It starts a server of its own, with the compact network.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from gradio_client import Client, handle_file
from neural_style_keras import files, pictures

SMALL = {"width": 128, "iterations": 5, "network": "compact"}
LONG = {"width": 512, "iterations": 2000, "network": "compact"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--first", type=int, default=10, help="jobs before memory is looked at")
    parser.add_argument("--pictures", type=int, default=7, help="of the painter, beside a long job")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server, address, seconds = started()
        try:
            print(f"the page is served {seconds:.1f} s after the command")
            many(address, server, Path(folder), arguments)
            beside_a_long_job(address, Path(folder), arguments.pictures)
        finally:
            began = time.perf_counter()
            server.terminate()
            server.wait(30)
            print(f"SIGTERM: {time.perf_counter() - began:.1f} s, exit code {server.returncode}")


def started() -> tuple[subprocess.Popen, str, float]:
    """A server, its address, and the seconds until it answered."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "neural_style_keras", "page", "--no-browser"]
    server = subprocess.Popen([*command, "--waiting", "200"], stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://\S+", server.stdout.readline())[0]
    urllib.request.urlopen(address).read()
    return server, address, time.perf_counter() - began


def many(address: str, server: subprocess.Popen, folder: Path, arguments) -> None:
    """Small jobs, each with a content of its own, from many clients at once."""
    contents = [content(folder / f"{i}.png", i) for i in range(arguments.jobs)]
    style = content(folder / "style.png", -1)
    clients = threading.local()
    done, first, began = [], [], time.perf_counter()

    def one(path: Path) -> float:
        if not hasattr(clients, "own"):
            clients.own = Client(address, verbose=False)
        start = time.perf_counter()
        picture, report = clients.own.predict(
            handle_file(path),
            [handle_file(style)],
            "",
            "neural-style",
            json.dumps(SMALL),
            api_name="/paint",
        )
        about = json.loads(pictures.comment(picture))
        assert about["content"]["sha256"] == files.sha256(path), "mixed up"
        assert report["state"] == "done" and pictures.size(picture) == (128, 96)
        done.append(path)
        if len(done) == arguments.first:
            first.append(memory(server))
        return time.perf_counter() - start

    with ThreadPoolExecutor(arguments.clients) as pool:
        waits = list(pool.map(one, contents))
    took, end = time.perf_counter() - began, memory(server)
    print(
        f"{len(done)} of {arguments.jobs} jobs, {arguments.clients} clients: {took:.0f} s, "
        f"{took / len(done):.2f} s a job; a client waited {statistics.median(waits):.0f} s "
        f"(median), {max(waits):.0f} s at most"
    )
    print(
        f"memory of the server and its workers: {first[0] / 1e6:.0f} MB after {arguments.first} "
        f"jobs, {end / 1e6:.0f} MB at the end ({end / first[0] - 1:+.1%})"
    )


def beside_a_long_job(address: str, folder: Path, count: int) -> None:
    """Seconds of a painter's picture of 512 pixels, from the upload to the download, alone and
    while another client's picture is optimised."""
    photo = content(folder / "photo.png", 1000, 512, 384)
    painter, other = Client(address, verbose=False), Client(address, verbose=False)

    def waits() -> list[float]:
        found = []
        for _ in range(count):
            start = time.perf_counter()
            painter.predict(
                handle_file(photo), [], "wave", "fast", '{"width": 512}', api_name="/paint"
            )
            found.append(time.perf_counter() - start)
        return found

    alone = waits()
    job = other.submit(
        handle_file(photo), [handle_file(photo)], "", "fast", json.dumps(LONG), api_name="/paint"
    )
    while not any(report["iteration"] for _, report in job.outputs()):
        time.sleep(0.5)
    beside = waits()
    assert not job.done(), "the long job was over before"
    for name, found in (("alone", alone), ("beside a long job", beside)):
        print(
            f"a painter's picture, 512 pixels, {name}: {statistics.median(found):.2f} s "
            f"({min(found):.2f} to {max(found):.2f})"
        )
    job.cancel()


def content(path: Path, seed: int, width: int = 128, height: int = 96) -> Path:
    """A picture that no other seed makes."""
    random = np.random.default_rng(seed + 2)
    coarse = random.uniform(0, 255, (6, 8, 3)).astype(np.float32)
    pictures.write(path, pictures.resize(coarse, width, height))
    return path


def memory(server: subprocess.Popen) -> float:
    """Bytes of a server and of its workers, what they share counted once for each."""
    process = psutil.Process(server.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


if __name__ == "__main__":
    main()
