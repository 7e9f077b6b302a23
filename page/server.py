"""Listens, and ends in order."""

from __future__ import annotations

import contextlib
import gc
import getpass
import inspect
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser

from ..runs.console import tell
from ..settings import DISTRIBUTION, PASSWORD, PROGRAM, Page

PORT, TRIES = 7860, 100  # the first port that is tried, and how many
SWEEP = 60.0  # seconds from one look for what is too old to the next
GRACE = 1  # seconds that open connections are given at the end

# What Gradio would do elsewhere than on this machine; before it is imported.
_OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_SHARE": "False",
}


def serve(page: Page, network: str, device: str | None, debug: bool) -> int:
    """Serve the page until Ctrl-C or SIGTERM. Returns the exit code.

    Raises OSError where it cannot listen, and ValueError where no password is given.
    """
    check_gradio()
    password = page.user and _password()
    # Whoever comes from now on waits for the page, and is not turned away.
    listening = _listen(page)
    address = _address(listening, page)
    os.environ.update(_OFFLINE)
    with contextlib.closing(listening), _stopping() as stops:
        from .folders import Folders

        folders = Folders()
        os.environ["GRADIO_TEMP_DIR"] = str(folders.root)
        try:
            from .studio import Studio

            studio = Studio(page, folders, network, device, debug)
            try:
                return _serve(page, studio, listening, address, password, stops, debug)
            finally:
                studio.close()
        finally:
            folders.close()
            gc.freeze()  # the interpreter's last look for garbage takes seconds, for nothing


def check_gradio() -> None:
    """Raise ValueError where Gradio is not installed, without importing it."""
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise ValueError(f"the page needs Gradio: pip install '{DISTRIBUTION}[page]'")


def _serve(page, studio, listening, address: str, password, stops: list, debug: bool) -> int:
    with _quick_import():  # while the socket listens already
        import uvicorn

        from .application import application

    config = uvicorn.Config(
        application(page, studio, password),
        log_level="info" if debug else "error",
        access_log=debug,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig, frame):
            # The jobs end while the connections do; in a thread, since this one may hold the lock.
            threading.Thread(target=studio.ask_to_close, daemon=True).start()
            if not debug:  # that streams are cut off is meant
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(sig, frame)

    server = Server(config)
    stops.append(server)
    studio.start()  # once the page is there: the engine takes seconds, and both cores
    threading.Thread(target=_sweep, args=(studio,), daemon=True).start()
    tell(f"{PROGRAM}: the page is at {address} (Ctrl-C ends it)")
    if page.browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    server.run(sockets=[listening])
    tell(f"{PROGRAM}: the page is closed; what was uploaded is deleted")
    return 0


@contextlib.contextmanager
def _quick_import():
    """Where Gradio is imported: without the stubs for editors that it writes beside each of its
    components, which take half of the time, and a folder that may be written."""
    getfile = inspect.getfile

    def without_components(found):
        if type(found).__name__ == "ComponentMeta":
            raise OSError("it has no file that a stub could lie beside")
        return getfile(found)

    inspect.getfile = without_components
    try:
        yield
    finally:
        inspect.getfile = getfile


def _listen(page: Page) -> socket.socket:
    """A socket that listens on the port, or on the next that is free.

    Raises OSError, in one sentence, where there is none.
    """
    ports = [page.port] if page.port else range(PORT, PORT + TRIES)
    for port in ports:
        try:
            family = socket.getaddrinfo(page.host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((page.host, port), family=family, backlog=128)
        except OSError as error:
            last = error
    where = f"port {page.port}" if page.port else f"ports {PORT} to {PORT + TRIES - 1}"
    raise OSError(f"the page cannot listen on {page.host}, {where}: {last.strerror}") from last


def _address(listening: socket.socket, page: Page) -> str:
    host, port = page.host, listening.getsockname()[1]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _password() -> str:
    """The password of the visitors. Raises ValueError where there is none."""
    password = os.environ.pop(PASSWORD, "")  # and no worker gets to know it
    if not password and sys.stdin is not None and sys.stdin.isatty():
        password = getpass.getpass(f"{PROGRAM}: the password that visitors are asked for: ")
    if not password:
        raise ValueError(f"--user needs a password: type it when asked, or set {PASSWORD}")
    return password


@contextlib.contextmanager
def _stopping():
    """Gives a list; a server in it is told to end by Ctrl-C and SIGTERM. A signal before there is
    one, or a second one, raises KeyboardInterrupt."""
    stops = []

    def handle(*_):
        if not stops or stops[-1] is None:
            raise KeyboardInterrupt
        stops[-1].should_exit = True
        stops.append(None)

    asking = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, handle) for number in asking]
    try:
        yield stops
    finally:
        for number, handler in zip(asking, before):
            signal.signal(number, handler)


def _sweep(studio) -> None:
    """Delete what is too old, for as long as the server runs."""
    from time import sleep

    while True:
        sleep(min(SWEEP, 60 * studio.page.keep_minutes / 2))
        with contextlib.suppress(OSError):  # whatever it was, the next look is not to be missed
            studio.sweep()
