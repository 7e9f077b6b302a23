"""What comes in, before Gradio sees it: from whom, how much, and to which of its routes.

Gradio serves every file of its folder to whoever names it, and has routes that nobody needs here.
Here a visitor is told apart by a cookie, sees the files of one folder only, and reaches no route
that is not listed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextvars
import hmac
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from .folders import Folders

COOKIE = "neural-style-visitor"
API = "/gradio_api/"
FILE = f"{API}file="
UPLOAD = f"{API}upload"
DATA = f"{API}queue/data"
# What the page and `gradio_client` ask for; a route that is not here is not there.
ROUTES = re.compile(
    r"/|/config/?|/(theme\.css|robots\.txt|manifest\.json|favicon\.ico)"
    r"|/(static|assets|svelte|thumbnails)/.*"
    r"|/gradio_api/(info/?|app_id/?|startup-events|theme\.css|upload|upload_progress|cancel"
    r"|component_server/?|queue/(join|data|status)|heartbeat/[\w-]+|call/(v2/)?\w+(/[\w-]+)?|file=.*)"
)
SLACK = 64 * 1024  # bytes of a request around the file in it
# Nothing from elsewhere, whatever a component may ask for. The front end makes functions of texts.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}

secret = contextvars.ContextVar("secret")  # of the visitor whose request is being answered


def secret_of(cookies: str) -> str | None:
    """A visitor's secret from the request's cookies; None where there is none."""
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    return found.value if found and re.fullmatch(r"[\w-]{43}", found.value) else None


class Guard:
    """An ASGI application around another one.

    Args:
        app: what answers what is let through.
        folders: those of the visitors.
        hosts: names that the page is reached by: another one is a site elsewhere that has had its
            name point here. None for any.
        login: the name and the password that are asked for; None for nobody.
        most: bytes of a request.
    """

    def __init__(self, app, folders: Folders, hosts: set[str] | None, login, most: int):
        self.app, self.folders, self.hosts, self.most = app, folders, hosts, most
        self.login = login and ":".join(login).encode()
        self.failing = asyncio.Lock()
        self.sessions: dict[str, str] = {}  # of Gradio -> the secret of the visitor who began it

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None
        headers = {key.decode("latin1"): value.decode("latin1") for key, value in scope["headers"]}
        known = secret_of(headers.get("cookie", ""))
        own = known or secrets.token_urlsafe(32)
        refusal = await self._refusal(scope, headers, own)
        if refusal:
            return await _answer(send, *refusal)
        secret.set(own)
        if not known:  # for whoever reads the request's cookies behind this
            given = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
            cookies = "; ".join(filter(None, [headers.get("cookie"), f"{COOKIE}={own}"]))
            scope = {**scope, "headers": [*given, (b"cookie", cookies.encode("latin1"))]}
        return await self._bounded(scope, receive, _marked(send, None if known else own))

    async def _refusal(self, scope, headers: dict, own: str) -> tuple | None:
        """Status, text and headers of what is not let through; None for what is."""
        host = urlsplit(f"//{headers.get('host', '')}")
        if self.hosts is not None and host.hostname not in self.hosts:
            return 421, "This page is not at this address."
        origin = headers.get("origin")
        if origin and urlsplit(origin).netloc != headers.get("host"):
            return 403, "Another site may not ask this page for anything."
        if self.login and not self._is_right(headers.get("authorization", "")):
            if headers.get("authorization"):
                async with self.failing:  # one wrong password a second, from all together
                    await asyncio.sleep(1)
            asks = {"www-authenticate": 'Basic realm="neural-style", charset="UTF-8"'}
            return 401, "The name and the password are needed.", asks
        path = scope["path"]
        if not ROUTES.fullmatch(path):
            return 404, "There is nothing here."
        if path.startswith(FILE):
            name = unquote(path.removeprefix(FILE)) if "%" in path else path.removeprefix(FILE)
            if not self.folders.belongs(name, self.folders.of(own)):
                return 403, "There is no such file of yours."
        if path == DATA:
            [session] = parse_qs(scope["query_string"].decode("latin1")).get("session_hash", [""])
            if self.sessions.setdefault(session, own) != own:
                return 403, "This is another visitor's."
            while len(self.sessions) > 10_000:
                del self.sessions[next(iter(self.sessions))]
        if int(headers.get("content-length") or 0) > self.most + SLACK:
            return 413, f"This is over {self.most / 1e6:g} MB, the most that this page takes."
        return None

    def _is_right(self, authorization: str) -> bool:
        kind, _, given = authorization.partition(" ")
        try:
            return kind.lower() == "basic" and hmac.compare_digest(
                base64.b64decode(given, validate=True), self.login
            )
        except (binascii.Error, ValueError):
            return False

    async def _bounded(self, scope, receive, send):
        """Let the application read no more than is allowed, whatever the headers say."""
        taken = 0

        async def counted():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most + SLACK:
                return {"type": "http.disconnect"}
            return message

        return await self.app(scope, counted, send)


def _marked(send, new: str | None):
    """Send with the headers that every answer has, and the cookie of a visitor who is new."""

    async def marked(message):
        if message["type"] == "http.response.start":
            more = dict(HEADERS)
            if new:
                more["set-cookie"] = f"{COOKIE}={new}; Path=/; HttpOnly; SameSite=Strict"
            added = [(key.encode(), value.encode()) for key, value in more.items()]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return marked


async def _answer(send, status: int, text: str, headers: dict | None = None) -> None:
    body = text.encode()
    given = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        **HEADERS,
        **(headers or {}),
    }
    start = {"type": "http.response.start", "status": status}
    start["headers"] = [(key.encode(), value.encode()) for key, value in given.items()]
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def take_uploads(request, folders: Folders, visitor: Path) -> list[str]:
    """Write the files of an upload to new folders of a visitor's, as Gradio's own route would.

    Returns their paths. Names are reduced to what cannot lead anywhere.
    """
    paths = []
    async with request.form(max_files=16, max_fields=16) as form:
        for upload in form.getlist("files"):
            if isinstance(upload, str):
                continue
            path = folders.new(visitor) / plain_name(upload.filename)
            with open(path, "xb") as file:
                while block := await upload.read(1 << 20):
                    file.write(block)
            paths.append(str(path))
    return paths


def plain_name(name: str | None) -> str:
    """A file's name without anything that a path, a shell or a page could take for more."""
    name = re.sub(r"[^\w.-]+", "_", re.split(r"[/\\]", name or "")[-1]).lstrip(".-")
    stem, dot, ending = name.rpartition(".")
    return f"{(stem or 'picture')[:60]}{dot}{ending[:10]}" if dot else name[:60] or "picture"
