"""Pictures of 16 bits a channel: (H, W, channels) uint16. Pillow keeps 8 of them in colour."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

_ROWS = 64  # at a time: a picture may be large
# Pillow's names for how numbers lie in a file, less the last letter, their byte order.
_LAYOUTS = ("RGB;16", "RGBA;16", "RGBX;16", "R;16", "G;16", "B;16", "A;16")
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}  # N: native


def colour(path, image: Image.Image) -> np.ndarray | None:
    """The channels of a PNG or TIFF of 16 bits in colour, upright; None for any other picture.

    Pillow's decoders give the high byte of each number. They are run a second time as if the bytes
    of a number stood the other way around, which gives the low one. (Of a TIFF that is compressed
    with each channel apart, they give the high one again.)

    Args:
        path: the file.
        image: the same, opened, of which nothing is decoded yet.

    Returns:
        (H, W, channels) uint16: RGB, RGB and alpha, or grey and alpha.
    """
    names = _raw_modes(image)
    if names == ["LA;16B"]:  # its four bytes, as they are
        four = _decoded_as(path, ["RGBA"]).astype(np.uint16)
        return four[..., ::2] << 8 | four[..., 1::2]
    if not names or any(name[:-1] not in _LAYOUTS for name in names):
        return None
    low = _decoded_as(path, [name[:-1] + _OTHER_ORDER[name[-1]] for name in names])
    high = _decoded_as(path, names).astype(np.uint16)
    high <<= 8
    high |= low
    return high


def _raw_modes(image: Image.Image) -> list[str]:
    """How the numbers of each tile of the file lie in it."""
    if image.format not in ("PNG", "TIFF"):
        return []
    # The last of what a tile is made of: a raw mode, or several arguments of which it is the first.
    names = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in image.tile]
    # Where each channel of a TIFF is apart, Pillow forgets that its numbers may have 16 bits.
    if image.format == "TIFF" and set(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, ())) == {16}:
        order = "L" if image.tag_v2.prefix == b"II" else "B"
        names = [name + ";16" + order if name in ("R", "G", "B", "A") else name for name in names]
    return names


def _decoded_as(path, names: list[str]) -> np.ndarray:
    """The picture as if its numbers lay as `names` say, by Pillow's raw modes."""
    with Image.open(path) as image:
        image.tile = [_with_raw_mode(tile, name) for tile, name in zip(image.tile, names)]
        return _upright(image)


def _with_raw_mode(tile: tuple, name: str) -> tuple:
    args = name if isinstance(tile[3], str) else (name, *tile[3][1:])
    # A plain tuple before Pillow 11.1.
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def _upright(image: Image.Image) -> np.ndarray:
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(image)


def write_png(file, pixels: np.ndarray, text: PngImagePlugin.PngInfo | None) -> None:
    """Write a PNG of 16 bits (ISO/IEC 15948), each row less what is to its left.

    Args:
        file: open for bytes.
        pixels: (H, W, 3 or 4) uint16.
        text: what goes before the pixels.
    """
    height, width, channels = pixels.shape
    sizes = b"".join(length.to_bytes(4, "big") for length in (width, height))
    file.write(b"\x89PNG\r\n\x1a\n")
    PngImagePlugin.putchunk(file, b"IHDR", sizes + bytes([16, {3: 2, 4: 6}[channels], 0, 0, 0]))
    for kind, data, *_ in text.chunks if text else ():
        PngImagePlugin.putchunk(file, kind, data)

    def rows(block):
        values = block.astype(">u2").view(np.uint8).reshape(len(block), -1)
        filtered = np.empty((len(block), 1 + values.shape[1]), np.uint8)
        filtered[:, 0] = 1  # the filter Sub
        filtered[:, 1:] = values
        filtered[:, 1 + 2 * channels :] -= values[:, : -2 * channels]
        return filtered

    for data in _compressed(pixels, rows):
        PngImagePlugin.putchunk(file, b"IDAT", data)
    PngImagePlugin.putchunk(file, b"IEND", b"")


def write_tiff(file, pixels: np.ndarray, description: str) -> None:
    """Write a TIFF 6.0 of 16 bits, deflated, each row less what is to its left.

    Args:
        file: open for bytes.
        pixels: (H, W, 3 or 4) uint16; a fourth channel is alpha that is not multiplied in.
        description: in ASCII; empty for none.

    Raises OSError beyond the four gigabytes that the format allows.
    """
    height, width, channels = pixels.shape

    def rows(block):
        less = block.astype("<u2")
        less[:, 1:] -= block[:, :-1]
        return less

    strip = b"".join(_compressed(pixels, rows))
    if len(strip) >= 2**32 - 2**16:
        raise OSError("a .tif holds four gigabytes at most: use .png")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.IMAGEWIDTH] = width
    tags[TiffImagePlugin.IMAGELENGTH] = tags[TiffImagePlugin.ROWSPERSTRIP] = height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (16,) * channels
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.COMPRESSION] = 8  # deflate
    tags[TiffImagePlugin.PREDICTOR] = 2  # horizontal differences
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 2  # RGB
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
    if channels == 4:
        tags[TiffImagePlugin.EXTRASAMPLES] = 2
    if description:
        tags[TiffImagePlugin.IMAGEDESCRIPTION] = description
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # from the end of the tags
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = len(strip)
    tags.save(file)
    file.write(strip)


def _compressed(pixels: np.ndarray, rows) -> Iterator[bytes]:
    """zlib's stream of `rows` of a block of the picture, one block after the other."""
    stream = zlib.compressobj()
    for top in range(0, len(pixels), _ROWS):
        yield stream.compress(rows(pixels[top : top + _ROWS]))
    yield stream.flush()
