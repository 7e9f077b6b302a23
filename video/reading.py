"""Films -> frames, by PyAV: upright, with square pixels, each with its time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from .. import pictures

HIGH = 720  # rows from which on a film that does not say so is in BT.709, as players take it
SHORT = 4  # frames that a film may end before its length, lest a rounded length be damage
UNSPECIFIED = 2  # the colour space of such a film
# Pixels of a frame from which on it is no film but a decompression bomb; 8K has half as many.
LARGEST = {"max_pixels": str(2**26)}
# What a stranger's film may be in: of all that FFmpeg reads, playlists would have it read others.
CONTAINERS = ("mov", "mp4", "m4a", "3gp", "matroska", "webm", "avi", "mpeg", "mpegts", "ogg", "gif")


@dataclass(frozen=True)
class Clip:
    """What a film is, from its headers and its first frame."""

    path: str
    width: int  # upright, with square pixels
    height: int
    rate: Fraction  # frames a second, on average
    time_base: Fraction
    begins: Fraction  # when its pictures do by its own clock, in seconds
    length: Fraction | None  # of its pictures, in seconds, as its headers say it, where they do
    sound: tuple[str, ...]  # the codec of each stream of it


@dataclass(frozen=True)
class Extent:
    """How much a film is, as its headers and its packets say it."""

    width: int  # with square pixels, and not upright yet
    height: int
    frames: int
    seconds: float
    sound: tuple[str, ...]  # as that of `Clip`


@dataclass(frozen=True)
class Frame:
    """One picture of a film."""

    time: Fraction  # seconds since the film's beginning
    duration: Fraction | None  # seconds, where the container says
    picture: np.ndarray  # (H, W, 3) uint8 RGB


class Damage:
    """What of a film could not be read, known once it has been."""

    def __init__(self):
        self.packets = 0
        self.reason = ""
        self.ended = None  # the second at which the last frame began; None before its end

    def found(self, clip: Clip) -> str:
        """What is wrong with a film, in words; empty where nothing is."""
        if self.packets:
            return f"is damaged ({self.reason})"
        if clip.length and self.ended is not None and clip.length - self.ended > SHORT / clip.rate:
            return f"is cut short, at {float(self.ended):.1f} of {float(clip.length):.1f} seconds"
        return ""

    def count(self, error: Exception) -> None:
        self.packets += 1
        self.reason = _words(error)


def probe(path) -> Clip:
    """What a film is.

    Raises OSError, in one sentence, if there is no such file, or it is no film or holds no frame
    that can be read; and ValueError for one that is transparent.
    """
    with opened(path) as container:
        stream = moving(container, path)
        damage = Damage()
        first = next(_decoded(container, stream, damage), None)
        if first is None:
            why = f": {damage.reason}" if damage else ""
            raise OSError(f"{path} holds no frame that can be read{why}")
        height, width = _picture(first, stream, path).shape[:2]
        return Clip(
            str(path),
            width,
            height,
            stream.average_rate or stream.guessed_rate or Fraction(25),
            stream.time_base,
            (first.pts or 0) * first.time_base,
            _length(stream),
            tuple(map(sound_of, container.streams.audio)),
        )


def frames(
    clip: Clip, start: float | None = None, end: float | None = None, damage: Damage | None = None
) -> Iterator[Frame]:
    """The frames of a film in order; those that cannot be read are left out.

    Args:
        clip: from `probe`.
        start, end: seconds since its beginning; those from `start` on and before `end`.
        damage: what is told of packets that could not be read.

    Raises OSError and ValueError as `probe` does.
    """
    damage = Damage() if damage is None else damage
    start, end = _exactly(start), _exactly(end)
    with opened(clip.path) as container:
        stream = moving(container, clip.path)
        if start:
            # To the key frame before it, from which on frames can be decoded.
            with contextlib.suppress(av.FFmpegError):
                container.seek(int((clip.begins + start) * av.time_base))
        for number, frame in enumerate(_decoded(container, stream, damage)):
            time = number / clip.rate
            if frame.pts is not None:
                time = frame.pts * frame.time_base - clip.begins
            if end is not None and time >= end:
                damage.ended = None
                return
            if start is None or time >= start:
                duration = frame.duration * frame.time_base if frame.duration else None
                yield Frame(time, duration, _picture(frame, stream, clip.path))
            damage.ended = time


def count(clip: Clip, start: float | None = None, end: float | None = None) -> int:
    """How many frames there are from `start` on and before `end`, as the packets say it without
    being decoded."""
    number, start, end = 0, _exactly(start), _exactly(end)
    with opened(clip.path) as container, contextlib.suppress(av.FFmpegError):
        for packet in container.demux(moving(container, clip.path)):
            if not packet.size:
                continue
            # Some containers have no times of their own, or those of decoding alone.
            time = number / clip.rate
            if (ticks := packet.dts if packet.pts is None else packet.pts) is not None:
                time = ticks * packet.time_base - clip.begins
            number += (start is None or time >= start) and (end is None or time < end)
    return number


def extent(path, most: int) -> Extent:
    """How large and how long a stranger's film is, by its headers and its packets: it may be in one
    of `CONTAINERS`, and nothing of it is decoded but what FFmpeg looks at to know what it is.

    Args:
        path: of the film.
        most: frames, after which no more are counted.

    Raises OSError and ValueError, in one sentence, where it is none.
    """
    try:
        return _extent(path, most)
    except OSError as error:
        if isinstance(error.__cause__, av.ArgumentError):  # what is in no such container
            raise OSError(
                f"{path} is no film that is read here: use .mp4, .mov, .webm, .mkv or .avi"
            ) from error
        raise


def _extent(path, most: int) -> Extent:
    only = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    number, first, last = 0, None, None  # the ticks at which it begins and ends
    with opened(path, only) as container:
        stream = moving(container, path)
        with contextlib.suppress(av.FFmpegError):
            for packet in container.demux(stream):
                if packet.size:
                    number += 1
                    ticks = packet.dts if packet.pts is None else packet.pts
                    if ticks is not None:
                        ends = ticks + (packet.duration or 0)
                        first = ticks if first is None else min(first, ticks)
                        last = ends if last is None else max(last, ends)
                if number > most:
                    break
        width = round(stream.width * (stream.sample_aspect_ratio or 1))
        if not (number and width and stream.height):
            raise OSError(f"{path} holds no frame that can be read")
        seconds = number / (stream.average_rate or stream.guessed_rate or 25)
        if first is not None:
            seconds = max((last - first) * stream.time_base, seconds)
        sound = tuple(map(sound_of, container.streams.audio))
        return Extent(width, stream.height, number, float(seconds), sound)


@contextlib.contextmanager
def opened(path, options: dict | None = None):
    """A film opened by PyAV, with more options of FFmpeg's; OSError, in a sentence, where it is
    none."""
    with open(path, "rb"):  # a missing file, or a folder, in the system's own words
        pass
    try:
        container = av.open(str(path), options=LARGEST | (options or {}))
    except (av.FFmpegError, ValueError) as error:
        raise OSError(
            f"{path} is not a film that can be read, or it is damaged: {_words(error)}"
        ) from error
    with container:
        yield container


def moving(container, path):
    """The stream of the film's pictures, which the cover of a record is not.

    Raises ValueError if there is none.
    """
    name = container.format.name
    if name == "image2" or name.endswith("_pipe"):
        raise ValueError(f"{path} is a picture, not a film: leave the word video out to paint it")
    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover:
            if stream.codec_context is None:
                raise ValueError(f"{path}: FFmpeg has no decoder for its pictures")
            stream.thread_type = "AUTO"
            stream.codec_context.options = LARGEST
            return stream
    raise ValueError(f"{path} holds no pictures" + (", only sound" * bool(container.streams.audio)))


def sound_of(stream) -> str:
    """What a stream of sound is in; FFmpeg knows not all that telephones record."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _length(stream) -> Fraction | None:
    """What a stream says of its own length: in a number, or in a tag, as Matroska does."""
    if stream.duration:
        return stream.duration * stream.time_base
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def _exactly(seconds: float | None) -> Fraction | None:
    """The number that was meant: 0.08 is not a little more than two frames of 25 a second."""
    return None if seconds is None else Fraction(seconds).limit_denominator(10**6)


def _decoded(container, stream, damage: Damage) -> Iterator:
    """The decoded frames; a packet that cannot be read is counted, and the rest goes on."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
        except av.FFmpegError as error:  # the container itself is damaged: there it ends
            damage.count(error)
            return
        if packet.is_corrupt:
            damage.count(ValueError("a part of it is missing"))
        try:
            yield from packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError as error:
            damage.count(error)


def _picture(frame, stream, path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright and with square pixels; ValueError for one with alpha."""
    if _is_transparent(frame, stream):
        raise ValueError(
            f"{path} is transparent in part, which a painted film cannot be: put it on a "
            "background first"
        )
    space = None
    if frame.colorspace == UNSPECIFIED and not frame.format.is_rgb:
        space = "ITU709" if frame.height >= HIGH else "ITU601"
    picture = frame.reformat(format="rgb24", src_colorspace=space).to_ndarray()
    aspect = stream.sample_aspect_ratio or 1
    if aspect != 1:
        width = max(1, round(picture.shape[1] * aspect))
        picture = pictures.resize(picture, width, picture.shape[0]).astype(np.uint8)
    return np.rot90(picture, round(frame.rotation / 90) % 4)


def _is_transparent(frame, stream) -> bool:
    if stream.metadata.get("alpha_mode") == "1":  # of VP8 and VP9, beside the pictures themselves
        return True
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return frame.reformat(format="rgba").to_ndarray()[..., 3].min() < 255


def _words(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error).split())
