"""The person at the terminal: what they are told, and what their Ctrl-C does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from .. import memory


def open_standard_streams() -> None:
    """Let what is closed (`2>&-`, `>&-`) go nowhere instead: Python has None for it, and the next
    file that is opened would be given its number, and be written into."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115


@contextlib.contextmanager
def silenced(debug: bool = False):
    """Keep what TensorFlow's libraries write while they load off the person's screen: it goes
    past Python to the standard error, and no log level stops it."""
    if debug or sys.stderr is None:  # a program without a console, or one that has closed it
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextlib.contextmanager
def hidden(*modules: str):
    """Let optional modules that are not loaded yet look as if they were not installed."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def loading_keras(debug: bool = False):
    """Where Keras is imported: silently, and without what takes a second for nothing. It would
    load matplotlib, and TensorFlow JAX, if they are there."""
    unused = {"matplotlib", "jax"} - {_keras_backend()}
    with silenced(debug), hidden(*unused):
        yield


def _keras_backend() -> str:
    """The backend that Keras will take, by its own rules."""
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        configured = json.loads(file.read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        configured = "tensorflow"
    return os.environ.get("KERAS_BACKEND") or configured


@contextlib.contextmanager
def stop_signals():
    """Gives a list that Ctrl-C and SIGTERM fill with their numbers, so that the run can end in good
    order: an exception raised wherever the backend happens to be may be lost in it. The first is
    acknowledged at once, the second raises KeyboardInterrupt."""
    received = []
    asking = [signal.SIGINT, signal.SIGTERM]

    def handle(number, _):
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    def acknowledge(reader):
        # Python's own handler has to wait until a long computation returns to Python; the number
        # of the signal arrives here at once.
        with reader:
            while (byte := reader.recv(1)) and byte[0] not in asking:
                pass
            if byte:
                said = "\nstopping after this step; again to stop at once"
                tell(said, sys.stderr)

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    threading.Thread(target=acknowledge, args=[reader], daemon=True).start()
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    previous = [signal.signal(number, handle) for number in asking]
    try:
        yield received
    finally:
        for number, handler in zip(asking, previous):
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writer.close()  # which ends the thread


def tell(text: str, stream=None) -> None:
    """Print a line. Where nobody reads any more, as of `| tee` after a Ctrl-C, which ends tee too,
    it is not worth losing the picture for: that stream goes nowhere from then on."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def sentence(error: Exception) -> str:
    """What an error says, in one line."""
    if memory.ran_out(error):
        return "out of memory: choose a smaller --width or --tile"
    if isinstance(error, OSError) and error.strerror:
        where = error.filename2 or error.filename
        return f"{where}: {error.strerror}" if where else error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return text
    return f"{type(error).__name__}: {text} (this should not happen; --debug shows where)"
