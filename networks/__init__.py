"""Networks by name: the one in the package, and the published ones, fetched once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import filelock
import requests
import tqdm

import files

COMPACT = Path(__file__).with_name("compact.mat")
PUBLISHED = "imagenet-vgg-verydeep-19.mat"
NAMES = ("auto", "compact", "vgg19", "vgg16")

ATTEMPTS = 4  # in a row without one new byte
PATIENCE = 10, 60  # seconds: for an answer, and for the next bytes
BLOCK = 1 << 15  # bytes; a broken connection loses less than that
WAY_OUT = "use --network compact, or fetch {url} by hand and name it with --network"


@dataclass(frozen=True)
class Source:
    """A file as it is published, and what tells that it is that file."""

    name: str
    url: str
    digest: str  # `algorithm:hexadecimal`


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"

# The smaller file first: the convolutional part as Keras publishes it, with the digests that are
# in keras.applications. The other one's host has had an expired certificate for years: the digest
# is what counts.
SOURCES = {
    "vgg19": (
        Source(
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:253f8cb515780f3b799900260a226db6",
        ),
        Source(
            PUBLISHED,
            f"http://www.vlfeat.org/matconvnet/models/{PUBLISHED}",
            "sha256:abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695",
        ),
    ),
    "vgg16": (
        Source(
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:6d6bbae143d832006294945121d1f1fc",
        ),
    ),
}


def find(name: str, quiet: bool = False) -> Path:
    """The file of a network; a published one is fetched if it is not there yet.

    Args:
        name: one of `NAMES`, or a path, which is looked for in the cache folder as well.
        quiet: show no progress bar.

    Raises OSError, in a sentence that says what to do, if there is no such file or it cannot be
    fetched.
    """
    cache = files.cache_folder()
    if name == "compact":
        return COMPACT
    if name == "auto":
        return _there("vgg19") or COMPACT
    if name in SOURCES:
        return _there(name) or _fetch_any(SOURCES[name], cache, quiet)
    named = Path(name)
    cached = cache / named.name
    for path in (named, cached):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"there is no network at {named}, nor at {cached}: name one that is there, or "
        f"--network {' or '.join(NAMES[1:])}"
    )


def _there(name: str) -> Path | None:
    """The file of a published network in the working folder or in the cache folder."""
    places = [files.cache_folder() / source.name for source in SOURCES[name]]
    if name == "vgg19":
        places = [Path(PUBLISHED), files.cache_folder() / PUBLISHED, *places]
    return next((path for path in places if path.is_file()), None)


def _fetch_any(sources, folder: Path, quiet: bool) -> Path:
    reasons = []
    for source in sources:
        try:
            return fetch(source, folder, quiet)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise OSError(f"{'; '.join(reasons)}: " + WAY_OUT.format(url=sources[-1].url))


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
                before = part.stat().st_size if part.exists() else 0
                try:
                    _go_on(source.url, part, bar)
                    break
                except requests.HTTPError as error:
                    raise OSError(f"{source.url}: {error}") from error
                except requests.RequestException as error:
                    reason = error
                    came = part.stat().st_size if part.exists() else 0
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


def _go_on(url: str, part: Path, bar) -> None:
    """Append what is missing to `part`; requests.RequestException where it breaks off."""
    have = part.stat().st_size if part.exists() else 0
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
        if length and part.stat().st_size < have + length:
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
