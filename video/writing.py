"""Frames -> films, by PyAV: each at its time, with the sound of the film that they come from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .. import files
from ..settings import Film
from .reading import Clip, Frame, opened, sound_of

# Encoders that have a constant quality by this name; the others have a constant quantiser.
WITH_CRF = ("libx264", "libx265", "libvpx", "libvpx-vp9", "libaom-av1", "libsvtav1")
LAMBDA = 118  # FF_QP2LAMBDA: FFmpeg's units of a quantiser
WORST = 51  # of --quality
PIXELS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "rgb24", "gbrp", "bgr0", "rgb8", "pal8")
FINEST = 65535  # ticks a second that MPEG-4's time base has at most
BT709, LIMITED = 1, 1  # FFmpeg's numbers of a colour space, and of a range


def check_output(path, film: Film, clip: Clip) -> tuple[str, bool]:
    """The codec of a film of this name, and whether the sound goes into it.

    Args:
        path: whose ending names the container.
        film: the codec that is asked for, and whether there is to be sound.
        clip: the film with the sound.

    Raises ValueError for a container or a codec that is not there, or that do not go together.
    """
    with tempfile.TemporaryDirectory() as folder:
        refused = ValueError(
            f"{path} does not end as a film that can be written: use .mp4, .mkv, .webm or .mov"
        )
        try:
            container = av.open(str(Path(folder) / Path(path).name), "w")
        except (ValueError, av.FFmpegError) as error:
            raise refused from error
        if container.format.name == "image2":  # a file for each frame
            raise refused
        with container:
            codec = film.codec or container.default_video_codec
            _check_codec(container, codec, path)
            has_sound = bool(clip.sound) and not film.mute
            if has_sound and container.default_audio_codec in ("none", ""):
                return codec, False
            if has_sound:
                _check_sound(container, clip, path)
            return codec, has_sound


def try_output(path, clip: Clip, film: Film, codec: str, has_sound: bool, size) -> None:
    """Write a film of one frame somewhere else, of this width and height: what is wrong with a
    codec, a container and a sound together shows itself before anything is painted.

    Raises ValueError where it cannot be written.
    """
    blank = Frame(Fraction(0), None, np.zeros((size[1], size[0], 3), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        try:
            write(Path(folder) / Path(path).name, clip, iter([blank]), film, codec, has_sound)
        except OSError as error:
            sound = f" with sound ({', '.join(clip.sound)})" if has_sound else ""
            raise ValueError(
                f"{path} cannot be written as {codec}, {size[0]}x{size[1]} pixels at "
                f"{float(clip.rate):.4g} frames a second{sound}: use .mp4 or .mkv, or another "
                "--codec"
            ) from error


def _check_codec(container, codec: str, path) -> None:
    try:
        found = av.Codec(codec, "w")
        is_video = found.type == "video"
    except (av.codec.codec.UnknownCodecError, ValueError):
        is_video = False
    if not is_video:
        raise ValueError(
            f"--codec {codec} is no codec that pictures can be written with here: h264, hevc, vp9, "
            "av1, mpeg4 or ffv1, where FFmpeg has it"
        )
    try:
        container.add_stream(codec)
    except ValueError as error:
        raise ValueError(f"{path} cannot hold --codec {codec}: use .mkv, or another") from error


def _check_sound(container, clip: Clip, path) -> None:
    with opened(clip.path) as source:
        for stream in source.streams.audio:
            try:
                container.add_stream_from_template(stream)
            except (ValueError, av.FFmpegError) as error:
                raise ValueError(
                    f"{path} cannot hold the film's sound ({sound_of(stream)}) as it is: "
                    "use .mkv, or --mute"
                ) from error


def write(
    path,
    clip: Clip,
    frames: Iterator[Frame],
    film: Film,
    codec: str,
    has_sound: bool,
    comment: str = "",
) -> None:
    """Write a film, whole or not at all.

    Args:
        path: with an ending that `check_output` knows.
        clip: the film that the frames and the sound come from.
        frames: in order, of one even width and height.
        film: the quality, and the part of the sound.
        codec, has_sound: from `check_output`.
        comment: kept in the container's metadata.

    Raises OSError if it cannot be written; what was there stays.
    """
    with files.replacing(path) as file:
        try:
            _mux(file.name, clip, frames, film, codec, has_sound, comment)
        except av.FFmpegError as error:
            reason = error.strerror or str(error)
            raise OSError(f"{path} could not be written: {reason}") from error


def _mux(path, clip, frames, film, codec, has_sound, comment) -> None:
    first = next(frames)
    # What was cut away before the first frame is cut from the sound as well.
    origin = first.time if film.start else min(first.time, Fraction(0))
    with av.open(str(path), "w") as output, opened(clip.path) as source:
        output.metadata["comment"] = comment
        stream = _video_stream(output, codec, clip, film.quality, first.picture.shape)
        sound = _Sound(output, source, film, origin, clip.begins) if has_sound else None
        for frame in _chained(first, frames):
            if sound:
                sound.mux_until(frame.time)
            output.mux(stream.encode(_encodable(frame, stream, origin)))
            last = frame
        output.mux(stream.encode(None))
        if sound:
            ends = last.time + (last.duration or 1 / clip.rate) if film.end else None
            sound.mux_until(ends)


def _chained(first, rest):
    yield first
    yield from rest


def _video_stream(output, codec: str, clip: Clip, quality: int, shape):
    encoder = av.Codec(codec, "w")
    if encoder.name in WITH_CRF:
        options = {"crf": str(quality)}
    else:
        worst = 1 + round(30 * quality / WORST)
        options = {"flags": "+qscale", "global_quality": str(LAMBDA * worst)}
    stream = output.add_stream(codec, rate=clip.rate, options=options)
    stream.height, stream.width = shape[:2]
    known = [one.name for one in encoder.video_formats or ()]
    stream.pix_fmt = next((name for name in PIXELS if name in known), (known or PIXELS)[0])
    ticks = clip.time_base
    if output.format.name == "avi":  # which has one rate for all frames
        ticks = 1 / clip.rate
    elif encoder.canonical_name == "mpeg4" and ticks.denominator > FINEST:
        ticks = Fraction(1, 60_000)
    stream.time_base = stream.codec_context.time_base = ticks
    context = stream.codec_context
    if stream.pix_fmt.startswith("yuv"):
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
    return stream


def _encodable(frame: Frame, stream, origin: Fraction):
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.picture), format="rgb24")
    ranges = {}
    if stream.pix_fmt.startswith("yuv"):
        ranges = dict(dst_colorspace="ITU709", dst_color_range="MPEG")
    picture = picture.reformat(format=stream.pix_fmt, **ranges)
    ticks = stream.codec_context.time_base
    picture.time_base = ticks
    picture.pts = round((frame.time - origin) / ticks)
    if frame.duration:
        picture.duration = round(frame.duration / ticks)
    return picture


class _Sound:
    """The packets of a film's sound, as they are, in the order of their times."""

    def __init__(self, output, source, film: Film, origin: Fraction, begins: Fraction):
        self.output, self.film = output, film
        self.origin = origin
        self.begins = begins
        streams = source.streams.audio
        self.streams = {one.index: output.add_stream_from_template(one) for one in streams}
        self.packets = source.demux(*streams)
        self.waiting = None

    def mux_until(self, time: Fraction | None) -> None:
        """Those that begin before this time of the film; None for all that are left."""
        while (packet := self.waiting or self._next()) is not None:
            begins = packet.pts * packet.time_base - self.begins
            if time is not None and begins >= time:
                self.waiting = packet
                return
            self.waiting = None
            if self.film.start and begins < self.origin:
                continue
            shift = round((self.begins + self.origin) / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self.streams[packet.stream.index]
            self.output.mux(packet)

    def _next(self):
        """The next packet; None at the end, or where the film is damaged."""
        try:
            return next((one for one in self.packets if one.size and one.pts is not None), None)
        except av.FFmpegError:
            return None
