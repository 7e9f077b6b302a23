"""Picture files -> arrays: (H, W, 3) float32 RGB in 0..255, in sRGB."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from .. import files
from . import sixteen_bits
from .masks import as_mask
from .resizing import eight_bits
from .writing import BMP_COMMENT

# A file of a few hundred bytes can say that it is a picture of a billion pixels. Any file may say
# that it has up to SMALL; beyond, a byte of it is DENSEST pixels at most (deflate makes a byte of
# 8256, of one bit each), and no picture is over LARGEST, which would be 13 GB as float32.
SMALL, DENSEST, LARGEST = 2**24, 10_000, 2**30

_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_pillows_limit = threading.RLock()


def read(path) -> np.ndarray:
    """Read any picture that Pillow knows as (H, W, 3) float32 RGB in 0..255.

    The EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency
    composited on white; 16 bits, of a PNG or TIFF, become 8 with their fraction kept; of an
    animation, the first frame is taken. HEIC is read where pillow-heif is installed.

    Raises:
        OSError: in one sentence, if there is no such file or it is no picture, damaged, holds NaN
            or infinity, or is so large that it must be a decompression bomb.
        ValueError: for an address of the web.
    """
    image, alpha = _decoded(path)
    if alpha is not None:
        image += (255 - image) * (1 - alpha[..., np.newaxis] / 255)
    return image


def alpha(path) -> np.ndarray | None:
    """How opaque a picture is, (H, W) float32 in 0..255, upright; None if it is so everywhere.

    Raises OSError and ValueError as `read` does.
    """
    with _opened(path) as image:
        if image.mode not in _TRANSPARENT and "transparency" not in image.info:
            return None
    alpha = _decoded(path)[1]
    return None if alpha is None or alpha.min() == 255 else alpha


def mask(path) -> np.ndarray:
    """Read a picture as a mask, (H, W) float32 in 0..1: white is 1, black and transparent are 0.

    Raises OSError and ValueError as `read` does, and ValueError for one that is black all over.
    """
    image, alpha = _decoded(path)
    grey = image.mean(2)
    if alpha is not None:
        grey *= alpha / 255
    return as_mask(grey / 255, str(path))


def size(path) -> tuple[int, int]:
    """Width and height as `read` would give them, without decoding the picture.

    Raises OSError and ValueError as `read` does, as far as the header shows it.
    """
    with _opened(path, header=True) as image:
        # Not the method of PNG's own class, which decodes the pixels to look behind them.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
        width, height = image.size
        if image.format == "TIFF":  # whose size some versions of Pillow have turned already
            width, height = (
                image.tag_v2[tag] for tag in (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)
            )
    return (height, width) if orientation >= 5 else (width, height)


def comment(path) -> str:
    """The comment that `write` left in a picture; empty if there is none."""
    try:
        with _opened(path, header=True) as image:
            if image.format == "BMP":
                return _bmp_comment(path)
            if "Comment" in image.info:
                return str(image.info["Comment"])
            exif = Image.Image.getexif(image)
            if described := exif.get(ExifTags.Base.ImageDescription):
                return str(described)
            raw = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
            raw = raw if isinstance(raw, bytes) else raw.encode()
            return raw.removeprefix(b"ASCII\0\0\0").decode("ascii", "replace")
    except (OSError, ValueError):
        return ""


def _decoded(path) -> tuple[np.ndarray, np.ndarray | None]:
    """The colours (H, W, 3) and the alpha (H, W), if there is one; both float32 in 0..255."""
    with _opened(path) as image:
        profile, colour = image.info.get("icc_profile"), image.info.get("transparency")
        if (deep := sixteen_bits.colour(path, image)) is not None:
            channels = deep.shape[2] - (deep.shape[2] % 2 == 0)
            pixels, alpha = deep[..., :channels], deep[..., channels:]
            if not alpha.size:
                alpha = None if colour is None else _opaque_but(pixels, colour)
            return _deep(pixels / np.float32(257), alpha, profile)
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode[0] == "I":
            grey = np.asarray(image.convert("I"), np.float32)[..., np.newaxis]
            alpha = None if colour is None else _opaque_but(grey, colour)
            return _deep(np.clip(grey / 257, 0, 255), alpha, profile)
        if image.mode == "F":
            grey = np.array(image)[..., np.newaxis]
            if not np.isfinite(grey).all():
                raise ValueError("it holds NaN or infinity where a picture has numbers")
            return _deep(np.clip(grey * (255 if grey.max() <= 1 else 1), 0, 255), None, profile)
        if colour is not None or image.mode in _TRANSPARENT:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"), np.float32)
            image = image.convert("RGB")
        else:
            alpha = None
            if image.mode not in ("RGB", "CMYK", "L"):
                image = image.convert("L" if image.mode == "1" else "RGB")
        return np.array(_to_srgb(image, profile), np.float32), alpha


def _opaque_but(pixels: np.ndarray, colour) -> np.ndarray:
    """The alpha of a picture (H, W, channels) of which one colour is transparent."""
    return (pixels != colour).any(2, keepdims=True) * np.uint16(65535)


def _deep(pixels: np.ndarray, alpha: np.ndarray | None, profile: bytes | None):
    """As `_decoded`, from (H, W, 1 or 3) in 0..255 with a fraction and (H, W, 1) in 0..65535.

    A profile is applied to 8 bits; the fraction is carried along, as if its slope were 1.
    """
    if profile:
        eight = eight_bits(pixels)
        image = Image.fromarray(eight if eight.shape[2] == 3 else eight[..., 0])
        pixels = pixels - eight + np.asarray(_to_srgb(image, profile), np.float32)
        pixels = np.clip(pixels, 0, 255)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels, None if alpha is None else alpha[..., 0] / np.float32(257)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):  # a profile that is broken, or of another mode
            pass
    return image.convert("RGB")


@contextlib.contextmanager
def _opened(path, header: bool = False) -> Iterator[Image.Image]:
    """A picture opened by Pillow; whatever goes wrong with it meanwhile is said in a sentence.

    With `header`, it may have all but its pixels.
    """
    # A missing file, or a folder, is said in the system's own words.
    with open(files.local(path), "rb") as file:
        start = file.read(16)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
        _expect_heif(path)
    try:
        with _without_pillows_limit():
            is_png = header and start.startswith(b"\x89PNG")
            with Image.open(_png_without_pixels(path) if is_png else path) as image:
                _check_plausible(image, os.path.getsize(path))
                yield image
    except MemoryError:
        raise
    except Exception as error:  # each format's decoder fails in its own way
        raise _unreadable(path, error) from error


@contextlib.contextmanager
def _without_pillows_limit():
    """Pillow refuses pictures of over 179 million pixels and warns from half of that. Its limit is
    a global variable: for one thread at a time, it is lifted and put back."""
    with _pillows_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_plausible(image: Image.Image, length: int) -> None:
    pixels = image.width * image.height
    if pixels > min(LARGEST, max(SMALL, DENSEST * length)):
        raise Image.DecompressionBombError(
            f"it says that it is {image.width}x{image.height} pixels, in a file of {length} bytes"
        )


def _png_without_pixels(path) -> io.BytesIO:
    """A PNG less its pixels, whose EXIF and text may stand behind them."""
    kept = io.BytesIO()
    with open(path, "rb") as file:
        kept.write(file.read(8))
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                break
            # The last three are those of an animation.
            if kind in (b"IDAT", b"fdAT", b"fcTL", b"acTL"):
                file.seek(length + 4, os.SEEK_CUR)
            else:
                kept.write(head + file.read(length + 4))
    for kind in (b"IDAT", b"IEND"):
        kept.write(struct.pack(">I4sI", 0, kind, zlib.crc32(kind)))
    kept.seek(0)
    return kept


def _bmp_comment(path) -> str:
    """What `write` has put behind the pixels."""
    with open(path, "rb") as file:
        start, length = struct.unpack_from("<10xI20xI", file.read(38))
        file.seek(start + length)
        behind = file.read(len(BMP_COMMENT))
        return file.read().decode() if behind == BMP_COMMENT else ""


def _expect_heif(path) -> None:
    """Have Pillow read HEIC; OSError that says how where it cannot."""
    try:
        import pillow_heif
    except ImportError:
        raise OSError(
            f"{path} is a HEIC picture: pip install pillow-heif, or save it as a JPEG"
        ) from None
    pillow_heif.register_heif_opener()


def _unreadable(path, error: BaseException) -> OSError:
    first = error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__
    reason = " ".join(str(first).split())
    if isinstance(first, Image.DecompressionBombError):
        return OSError(f"{path} is too large to be meant as a picture: {reason}")
    if isinstance(first, UnidentifiedImageError):
        reason = "it is in no format of pictures that is known"
    return OSError(f"{path} is not a picture that can be read, or it is damaged: {reason}")
