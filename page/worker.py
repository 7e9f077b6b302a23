"""A process that paints, one job at a time: what it is sent is done, what happens is sent back.

It is the command line's own run (`runs.run`, `runs.painting`, `video.film`), with a reporter that
speaks to the server instead of to a terminal. What it sends is a tuple: ("ready",), ("said", line),
("begun", iterations or frames), ("at", iteration), ("shown", report), ("warned", sentence),
("ended", stopped), ("failed", sentence).
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from ..runs.console import loading_keras, sentence
from ..runs.job import Job
from ..runs.progress import Reporter
from ..video import film

STOP = "stop"
LEAST = 1.0  # seconds from one preview to the next


def work(connection: Connection, niceness: int, painters: Sequence[str], debug: bool) -> None:
    """Do what is sent until nothing more is, or the server is gone.

    Args:
        connection: to the server.
        niceness: how much behind other processes it stays.
        painters: those to have ready before they are asked for.
        debug: print what goes wrong, and what the engine prints.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    if hasattr(os, "nice"):
        os.nice(niceness)
    if not debug:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    jobs, stops = queue.SimpleQueue(), []
    threading.Thread(target=_listen, args=(connection, jobs, stops), daemon=True).start()
    try:
        with loading_keras(debug):
            from .. import backend  # noqa: F401, which takes seconds
            from ..runs import painting, run
        for name in painters:
            _loaded(name)
        paint = functools.partial(painting.run, load=_loaded)
    except Exception as error:
        connection.send(("failed", f"the engine does not start: {sentence(error)}"))
        return
    connection.send(("ready",))
    while True:
        job = jobs.get()
        try:
            if isinstance(job, Job):
                code = run.run_one(job, reporter=Telling(connection, job.output), stops=stops)
                _leave_for_a_browser(job.content, job.output)
            elif isinstance(job, film.FilmJob):
                telling = TellingOfFilm(connection, job.output)
                code = film.run(job, telling, stops, writes_stopped=True)
            else:
                code = paint(job)
                _leave_for_a_browser(*job.contents, Path(job.output))
            connection.send(("ended", code != 0))
        except Exception as error:
            if debug:
                import traceback

                traceback.print_exc()
            connection.send(("failed", sentence(error)))


def _listen(connection: Connection, jobs: queue.SimpleQueue, stops: list) -> None:
    """Take what is sent. Where the server is gone, there is nobody to paint for."""
    try:
        while True:
            given = connection.recv()
            if given == STOP:
                stops.append(signal.SIGTERM)
            else:
                stops.clear()
                jobs.put(given)
    except (EOFError, OSError):
        os._exit(0)


def _leave_for_a_browser(content: Path | None, output: Path) -> None:
    """Beside the painting, the same as a JPEG, with its settings inside, and the photograph at its
    size: any browser shows them, and they are small."""
    if not output.exists():
        return
    from .. import pictures

    painted = pictures.read(output)
    pictures.write(output.with_name("painted.jpg"), painted, pictures.comment(output))
    if content is not None:
        before = pictures.resize(pictures.read(content), *painted.shape[1::-1])
        pictures.write(output.with_name("before.jpg"), before)


@functools.lru_cache(maxsize=4)
def _loaded(name: str):
    from .. import painters

    painter = painters.load(name)
    # Each photograph has a shape of its own, for which a compiled function is made anew: it takes
    # longer than the picture.
    painter.painted = lambda pictures, shares: painter((pictures, shares))
    return painter


class Telling(Reporter):
    """Sends what a terminal would show, and leaves the picture so far beside the output."""

    def __init__(self, connection: Connection, output: Path):
        super().__init__(quiet=True)
        self.connection, self.output = connection, output
        self.told = self.shown = 0.0

    def say(self, text: str) -> None:
        self.connection.send(("said", text))

    def begin(self, stages, layers, start: int = 0) -> None:
        super().begin(stages, layers, start)
        self.connection.send(("begun", self.iterations))

    def step(self, iteration: float) -> None:
        if time.monotonic() - self.told > LEAST / 2:
            self.told = time.monotonic()
            self.connection.send(("at", iteration))

    def update(self, progress) -> None:
        report = {
            "iteration": progress.iteration,
            "losses": {**progress.losses.terms, "total": progress.losses.total},
            "seconds_left": self.seconds_left(progress),
            "picture": None,
        }
        # The start is noise, and no picture yet.
        if progress.iteration and time.monotonic() - self.shown > LEAST and not progress.is_last:
            self.shown = time.monotonic()
            report["picture"] = _preview(self.output, progress.iteration, progress.image)
        self.connection.send(("shown", report))


class TellingOfFilm(film.Reporter):
    """As `Telling`, of a film."""

    def __init__(self, connection: Connection, output: Path):
        super().__init__(quiet=True)
        self.connection, self.output, self.shown = connection, output, 0.0

    def say(self, text: str) -> None:
        self.connection.send(("said", text))

    def warn(self, text: str) -> None:
        self.connection.send(("warned", f"{text[:1].upper()}{text[1:]}."))

    def begin(self, total: int) -> None:
        super().begin(total)
        self.connection.send(("begun", total))

    def step(self, done: int, frame) -> None:
        left = self.seconds_left(done) or 0.0
        report = {"iteration": done, "losses": {}, "seconds_left": left, "picture": None}
        if time.monotonic() - self.shown > LEAST:
            self.shown = time.monotonic()
            report["picture"] = _preview(self.output, done, frame())
        self.connection.send(("shown", report))


def _preview(output: Path, number: int, picture) -> Path | None:
    from .. import pictures

    path = output.with_name(f"preview-{number}.jpg")
    with contextlib.suppress(OSError):  # a full disk must not cost the run
        pictures.write(path, picture)
        return path
    return None
