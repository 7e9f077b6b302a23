"""Picture files <-> arrays: (H, W, 3) float32 RGB in 0..255, in sRGB."""

from __future__ import annotations

import io
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from .. import files
from .resizing import eight_bits

# What can be written, and the longest side that the format allows.
FORMATS = {
    ".jpg": 65535,
    ".jpeg": 65535,
    ".png": 2**31 - 1,
    ".webp": 16383,
    ".tif": 2**32 - 1,
    ".tiff": 2**32 - 1,
    ".bmp": 2**31 - 1,
}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(path) -> np.ndarray:
    """Read any picture that Pillow knows as (H, W, 3) float32 RGB in 0..255.

    The EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency
    composited on white; 16 bits become 8 with their fraction kept; of an animation, the first
    frame is taken.

    Raises OSError, in one sentence, if there is no such file or it is no picture, damaged, or
    so large that it must be a decompression bomb.
    """
    with open(path, "rb"):  # a missing file, or a folder, in the system's own words
        pass
    try:
        with iio.imopen(path, "r", plugin="pillow") as file:
            about = file.metadata(index=0, exclude_applied=False)
            mode = about["mode"]
            if "transparency" in about or mode in ("LA", "La", "PA", "RGBA", "RGBa"):
                mode = "RGBA"
            elif mode not in ("RGB", "CMYK", "I", "I;16", "I;16B", "F"):
                mode = "L" if mode == "1" or mode == "L" else "RGB"
            # Turned below: imageio turns the channels of a palette picture, not its rows.
            pixels = file.read(index=0, mode=mode, rotate=False)
    except MemoryError:
        raise
    except Exception as error:  # each format's decoder fails in its own way
        raise _unreadable(path, error) from error
    turn = _UPRIGHT.get(about.get("Orientation"))
    if mode in ("I", "I;16", "I;16B", "F"):
        grey = pixels.astype(np.float32)
        if mode != "F":
            grey /= 257
        elif grey.max(initial=0) <= 1:
            grey *= 255
        grey = Image.fromarray(np.clip(grey, 0, 255))
        grey = grey if turn is None else grey.transpose(turn)
        return np.repeat(np.asarray(grey)[..., np.newaxis], 3, axis=2)
    image = Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    image = image if turn is None else image.transpose(turn)
    alpha = image.getchannel("A") if mode == "RGBA" else None
    image = _to_srgb(image.convert("RGB") if alpha else image, about.get("icc_profile"))
    if alpha:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, alpha)
    return np.asarray(image, np.float32)


def size(path) -> tuple[int, int]:
    """Width and height as `read` would give them, without decoding the picture.

    Raises OSError as `read` does, as far as the header shows it.
    """
    with open(path, "rb"):
        pass
    try:
        with iio.imopen(path, "r", plugin="pillow") as file:
            about = file.metadata(index=0, exclude_applied=False)
    except Exception as error:
        raise _unreadable(path, error) from error
    width, height = about["shape"]
    return (height, width) if about.get("Orientation", 1) >= 5 else (width, height)


def write(path, image: np.ndarray, comment: str = "") -> None:
    """Write a picture, whole or not at all, in the format of its extension.

    Args:
        path: with one of the extensions of `FORMATS`.
        image: (H, W, 3) in 0..255, rounded to 8 bits.
        comment: kept in the picture: PNG text, TIFF description or EXIF user comment; a BMP
            has no place for it.

    Raises:
        ValueError: for another extension.
        OSError: if it cannot be written; what was there stays.
    """
    extension = check_extension(path)
    options = {}
    if extension in (".jpg", ".jpeg"):
        options = dict(quality=95, subsampling=0)
    elif extension == ".webp":
        options = dict(quality=95)
    elif extension in (".tif", ".tiff"):
        options = dict(compression="tiff_deflate")
    if comment and extension == ".png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", comment)
    elif comment and extension in (".tif", ".tiff"):
        options["description"] = _ascii(comment).decode()
    elif comment and extension != ".bmp":
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + _ascii(
            comment
        )
        options["exif"] = exif
    buffer = iio.imwrite(
        "<bytes>", eight_bits(image), extension=extension, plugin="pillow", **options
    )
    with files.replacing(path) as file:
        file.write(buffer)


def comment(path) -> str:
    """The comment that `write` left in a picture; empty if there is none."""
    try:
        with Image.open(path) as image:
            if "Comment" in image.info:
                return str(image.info["Comment"])
            exif = image.getexif()
            if described := exif.get(ExifTags.Base.ImageDescription):
                return str(described)
            raw = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
            raw = raw if isinstance(raw, bytes) else raw.encode()
            return raw.removeprefix(b"ASCII\0\0\0").decode("ascii", "replace")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""


def check_extension(path) -> str:
    """The extension, in lower case; ValueError if no picture can be written under it."""
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise ValueError(
            f"{path} does not end as a picture that can be written: use {', '.join(FORMATS)}"
        )
    return extension


def _ascii(comment: str) -> bytes:
    return comment.encode("ascii", "backslashreplace")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):  # a profile that is broken, or of another mode
            pass
    return image.convert("RGB")


def _unreadable(path, error: BaseException) -> OSError:
    first = error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__
    reason = " ".join(str(first).split())
    if isinstance(first, Image.DecompressionBombError):
        return OSError(f"{path} is too large to be meant as a picture: {reason}")
    return OSError(f"{path} is not a picture that can be read, or it is damaged: {reason}")
