"""Fetching a file once: resumed where it broke off, checked, and whole or not there."""

from __future__ import annotations

from pathlib import Path

import filelock
import requests
import tqdm

from .. import files
from . import Source

ATTEMPTS = 4  # in a row without one new byte
PATIENCE = 10, 60  # seconds: for an answer, and for the next bytes
BLOCK = 1 << 15  # bytes; a broken connection loses less than that


def fetch(source: Source, folder: Path, quiet: bool = False) -> Path:
    """Fetch a file into a folder, or go on where a broken download stopped.

    What has come is kept beside the file under another name until it is whole and its digest is
    right; of several processes, one fetches and the others wait for it.

    Raises OSError if it does not come, and ValueError if what came is not what was published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / source.name, folder / f"{source.name}.part"
    with filelock.FileLock(folder / f"{source.name}.lock"):
        if path.is_file():
            return path
        failed = 0
        with tqdm.tqdm(
            desc=f"fetching {source.name}", unit="B", unit_scale=True, disable=quiet
        ) as bar:
            while failed < ATTEMPTS:
                before = _size(part)
                try:
                    _go_on(source.url, part, bar)
                    break
                except requests.HTTPError as error:
                    raise OSError(f"{source.url}: {error}") from error
                except requests.RequestException as error:
                    reason = error
                    came = _size(part)
                    failed = 0 if came > before else failed + 1
            else:
                raise OSError(
                    f"{source.url} cannot be fetched ({_reason(reason)})"
                    + ("; the next try goes on where this one stopped" if came else "")
                )
        algorithm, digest = source.digest.split(":")
        if files.digest(part, algorithm) != digest:
            part.unlink()
            raise ValueError(f"what {source.url} gave is not the file that was published")
        part.replace(path)
        return path


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _go_on(url: str, part: Path, bar) -> None:
    """Append what is missing to `part`; requests.RequestException where it breaks off."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
        if answer.status_code == 416:  # nothing is missing, or what is there is too long
            length = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if length == str(have):
                return
            part.unlink()
            raise requests.ConnectionError("the file there has changed")
        answer.raise_for_status()
        if answer.status_code != 206:  # it sends the whole
            have = 0
        length = int(answer.headers.get("Content-Length", 0))
        bar.total = have + length if length else None
        bar.n = have
        bar.refresh()
        with open(part, "ab" if have else "wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                bar.update(len(block))
        if length and _size(part) < have + length:
            raise requests.ConnectionError("the connection broke off")


def _reason(error: Exception) -> str:
    """What went wrong, without the layers of libraries that it went through."""
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refuses or does not answer"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    text = str(error)
    if "resol" in text or "getaddrinfo" in text:
        return "this machine is offline, or the name of the host is not known"
    if "refused" in text or "unreachable" in text:
        return "the host cannot be reached"
    return "the connection broke off"
