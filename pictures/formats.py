"""What each format of picture can hold."""

from __future__ import annotations

from pathlib import Path

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
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
WITH_16_BITS = (".png", ".tif", ".tiff")


def check_extension(path, depth: int = 8) -> str:
    """The extension, in lower case.

    Raises ValueError if no picture can be written under it, or not with `depth` bits a channel.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise ValueError(
            f"{path} does not end as a picture that can be written: use {', '.join(FORMATS)}"
        )
    if depth == 16 and extension not in WITH_16_BITS:
        raise ValueError(
            f"{path} cannot hold 16 bits a channel: use {', '.join(WITH_16_BITS)}, or --depth 8"
        )
    return extension
