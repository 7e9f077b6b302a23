"""The jobs of the visitors in their turn, each on a worker: a process that paints."""

from __future__ import annotations

import collections
import multiprocessing
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..runs.job import Job
from ..runs.painting import PaintingJob
from ..video.film import FilmJob
from .worker import STOP, work

PATIENCE = 10.0  # seconds that an abandoned job is given to stop by itself
KEPT = 1200e6  # bytes: how much more than at first a worker may keep before it is replaced
PREVIEWS = 3  # of a job that are left for a browser that is late

WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"


@dataclass(frozen=True)
class Words:
    """What is said of a kind of task."""

    unit: str  # what is counted
    given: str  # what is read first
    least: str  # without which nothing comes of it
    so_far: str  # what there is of it when it is stopped


PICTURE = Words("iteration", "the pictures", "a picture", "the best so far")
FILM = Words("frame", "the film", "a frame", "the film as far as it goes")


@dataclass(eq=False)
class Task:
    """What a visitor has asked for, and how far it is."""

    work: Job | PaintingJob | FilmJob
    visitor: Path
    output: Path
    seconds: float  # that it may take
    patience: float  # seconds without anybody who watches, after which it is of no use any more
    words: Words = PICTURE
    state: str = WAITING
    says: str = ""  # why it has failed, or ended early
    note: str = ""  # what else is to be known of what comes of it
    lines: list[str] = field(default_factory=list)
    iteration: float = 0.0
    iterations: int = 0
    seconds_left: float = 0.0
    rows: list[tuple[int, dict]] = field(default_factory=list)  # iteration, losses by name
    previews: list[Path] = field(default_factory=list)
    stopping: bool = False
    queue: Queue | None = None  # that it has been put into
    watched: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        return self.state in (DONE, STOPPED, FAILED)

    def watch(self) -> None:
        """Let it be known that somebody waits for it."""
        self.watched = time.monotonic()

    def stop(self) -> None:
        """Let it end with the best so far, or not begin."""
        self.stopping = True

    @property
    def abandoned(self) -> bool:
        return time.monotonic() - self.watched > self.patience

    @property
    def place(self) -> int:
        """How many are before it."""
        return self.queue.place(self) if self.queue and self.state == WAITING else 0

    def end(self, state: str, says: str = "") -> None:
        self.says, self.state = says or self.says, state

    def hear(self, kind: str, *values) -> None:
        """Take what the worker tells."""
        if kind == "said":
            self.lines.append(values[0])
        elif kind == "warned":
            self.note = f"{self.note} {self._plainly(values[0])}".strip()
        elif kind == "begun":
            [self.iterations] = values
        elif kind == "at":
            [self.iteration] = values
        elif kind == "shown":
            [report] = values
            self.iteration, self.seconds_left = report["iteration"], report["seconds_left"]
            if report["losses"]:
                self.rows.append((report["iteration"], report["losses"]))
            if report["picture"]:
                self.previews.append(report["picture"])
                for old in self.previews[:-PREVIEWS]:
                    old.unlink(missing_ok=True)
                del self.previews[:-PREVIEWS]
        elif kind == "ended":
            [stopped] = values
            if not self.output.exists():
                self.end(STOPPED, f"It was stopped before there was {self.words.least}.")
            else:
                self.end(STOPPED if stopped else DONE)
        elif kind == "failed":
            # What went wrong may have left something, and says so by a path.
            left = "; (?:the best picture before is in|the frames that are done are kept)"
            said = re.split(left, values[0])[0]
            self.end(FAILED, self._plainly(said))

    def _plainly(self, said: str) -> str:
        """Without the folders in which its files lie, which are nobody's to know."""
        return re.sub(rf"{re.escape(str(self.output.parent))}/(?:\d+/)?", "", said)


class Full(ValueError):
    """So many wait already that another one would not be served."""


class Queue:
    """Jobs of one kind in their turn, so many at once, each on a worker of its own.

    A worker that has died, or keeps much more memory than at first, is replaced.
    """

    def __init__(
        self,
        size: int,
        waiting: int,
        niceness: int = 0,
        painters: Sequence[str] = (),
        debug: bool = False,
    ):
        self.most = waiting
        self.of_worker = (niceness, painters, debug)
        self.waiting: collections.deque[Task] = collections.deque()
        self.running: list[Task] = []
        self.changed = threading.Condition()
        self.closed = False
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(size)]

    def start(self) -> None:
        """Start the workers, which takes them seconds; until then, tasks wait."""
        for thread in self.threads:
            thread.start()

    def put(self, task: Task) -> None:
        """Let a task wait for its turn. Raises Full where too many do."""
        with self.changed:
            self._drop_abandoned()
            if self.closed or len(self.waiting) >= self.most + len(self.threads):
                raise Full(
                    f"{len(self.waiting)} pictures wait already, and the page takes no more: try "
                    "again in a few minutes"
                )
            task.queue = self
            self.waiting.append(task)
            self.changed.notify()

    def place(self, task: Task) -> int:
        """How many are before it, those that are being painted included."""
        with self.changed:
            self._drop_abandoned()
            before = list(self.waiting).index(task) if task in self.waiting else 0
            return before + len(self.running)

    def tasks(self) -> list[Task]:
        """Those that wait or are being done."""
        with self.changed:
            return [*self.waiting, *self.running]

    def ask_to_close(self) -> None:
        """Let every job end, and every worker."""
        with self.changed:
            self.closed = True
            for task in (*self.waiting, *self.running):
                task.stop()
            self.changed.notify_all()

    def close(self) -> None:
        """Wait until all have ended; what has not after a second is ended."""
        self.ask_to_close()
        until = time.monotonic() + 2.5
        for thread in filter(threading.Thread.is_alive, self.threads):
            thread.join(max(0, until - time.monotonic()))

    def _drop_abandoned(self) -> None:
        for task in [task for task in self.waiting if task.abandoned or task.stopping]:
            self.waiting.remove(task)
            task.end(STOPPED, "It was stopped before its turn.")

    def _next(self, worker: Worker) -> Task | None:
        """The next task; None where there will be none, or the worker has died meanwhile."""
        with self.changed:
            while not self.closed and worker.alive:
                self._drop_abandoned()
                if self.waiting:
                    task = self.waiting.popleft()
                    task.state = RUNNING
                    self.running.append(task)
                    return task
                self.changed.wait(1)
        return None

    def _serve(self) -> None:
        """What one thread does: a worker, and task after task on it."""
        failures = 0
        while not self.closed:
            with Worker(*self.of_worker) as worker:
                while (task := self._next(worker)) is not None:
                    try:
                        worker.do(task, lambda: self.closed)
                    finally:
                        if not task.over:
                            task.end(FAILED, worker.says())
                        with self.changed:
                            self.running.remove(task)
                    if worker.has_grown():
                        break
                failures = 0 if worker.has_been_ready else failures + 1
            # One that does not even start would otherwise be started for ever, and at once.
            time.sleep(min(30, 2**failures - 1) if not self.closed else 0)


class Worker:
    """The server's end of a process that paints."""

    def __init__(self, niceness: int, painters: Sequence[str], debug: bool):
        context = multiprocessing.get_context("spawn")  # a fork would share Gradio's threads' locks
        self.connection, theirs = context.Pipe()
        given = (theirs, niceness, painters, debug)
        self.process = context.Process(target=work, args=given, daemon=True)
        self.process.start()
        theirs.close()
        self.settled = None  # its memory before the first job; None until it is ready

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()  # which ends it
        self.process.join(0.5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(5)

    @property
    def alive(self) -> bool:
        if self.process.is_alive():
            self._hear_ready()
        return self.process.is_alive()

    @property
    def has_been_ready(self) -> bool:
        return self.settled is not None

    def do(self, task: Task, is_closed: Callable[[], bool]) -> None:
        """Have a task done, and tell it what happens meanwhile."""
        began, told = time.monotonic(), None
        try:
            self.connection.send(task.work)
            while not task.over:
                if self.connection.poll(0.2):
                    kind, *values = self.connection.recv()
                    if kind == "ready":
                        began, self.settled = time.monotonic(), self._memory()
                        told = told and began  # it is to have its time from here on
                    else:
                        task.hear(kind, *values)
                    continue
                late = time.monotonic() - began > task.seconds
                if told is None and (task.stopping or task.abandoned or late or is_closed()):
                    if late and not task.stopping:
                        task.says = (
                            f"It ended with {task.words.so_far} after {task.seconds / 60:g} "
                            "minutes, which are the most that this page gives to one."
                        )
                    task.stopping, told = True, time.monotonic()
                    self.connection.send(STOP)
                waited = time.monotonic() - told if told else 0.0
                if (is_closed() and waited > 1) or (task.abandoned and waited > PATIENCE):
                    self.process.kill()
                    task.end(STOPPED, "It was stopped, since nobody waited for it any more.")
        except (EOFError, OSError):  # it has died, which is said by who called
            self.process.join(2)

    def says(self) -> str:
        """What to say of a process that has ended."""
        code = self.process.exitcode
        how = f" (signal {-code})" if code and code < 0 else ""
        return (
            f"The process that painted this ended unexpectedly{how}, perhaps for want of memory: "
            "try a smaller size. The page goes on."
        )

    def has_grown(self) -> bool:
        """Whether it has died, or keeps so much memory that a new one is better."""
        if not self.process.is_alive():
            return True
        if self.settled is None:
            self.settled = self._memory()
        return self._memory() - self.settled > KEPT

    def _hear_ready(self) -> None:
        """Between the tasks, all that a worker tells is that it is ready, or cannot be."""
        try:
            while self.connection.poll():
                if self.connection.recv()[0] == "ready":
                    self.settled = self._memory()
        except (EOFError, OSError):
            self.process.join(2)

    def _memory(self) -> float:
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:
            return 0.0
