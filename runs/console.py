"""The person at the terminal: what they are told, and what their Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from .. import memory

INTERRUPTED = 128 + signal.SIGINT  # the exit code


@contextlib.contextmanager
def silenced(debug: bool = False):
    """Keep what TensorFlow's libraries write while they load off the person's screen: it goes
    past Python to the standard error, and no log level stops it."""
    if debug:
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
def deferred_interrupt():
    """Gives a list that the first Ctrl-C fills, so that the run can end in good order: an exception
    raised wherever the backend happens to be may be lost in it. The second Ctrl-C is impatient."""
    interrupts = []

    def note(*_):
        interrupts.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)


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
