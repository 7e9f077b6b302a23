import io
import struct
import zlib

import numpy as np
import pytest
from conftest import picture
from neural_style_keras import pictures as images
from PIL import Image, ImageCms

RGB = picture(20, 30).astype(np.uint8)


@pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "webp", "gif", "jpg"])
def test_each_common_format_is_read(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    lossless = {"lossless": True} if extension == "webp" else {}
    Image.fromarray(RGB).save(path, **lossless)
    got = images.read(path)
    assert got.shape == (20, 30, 3) and got.dtype == np.float32
    if extension in ("gif", "jpg"):
        assert np.abs(got - RGB).mean() < 12
    else:
        assert np.array_equal(got, RGB)


def test_grey_and_one_bit(tmp_path):
    Image.fromarray(RGB[..., 0]).save(tmp_path / "a.png")
    assert np.array_equal(images.read(tmp_path / "a.png"), np.repeat(RGB[..., :1], 3, 2))
    Image.fromarray(RGB[..., 0] > 100).save(tmp_path / "b.png")
    assert set(np.unique(images.read(tmp_path / "b.png"))) == {0, 255}


def test_transparency_is_white(tmp_path):
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:, :10, 3] = 0
    rgba[:, 10:20, 3] = 51
    Image.fromarray(rgba).save(tmp_path / "a.png")
    got = images.read(tmp_path / "a.png")
    assert (got[:, :10] == 255).all()
    assert np.allclose(got[:, 10:20], 0.2 * RGB[:, 10:20] + 0.8 * 255, atol=1)
    assert np.array_equal(got[:, 20:], RGB[:, 20:])


def test_a_palette_and_its_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    got = images.read(tmp_path / "a.png")
    assert got[0, 0].tolist() == [255] * 3 and got[1, 1].tolist() == [200, 100, 50]
    image.save(tmp_path / "b.png")
    assert images.read(tmp_path / "b.png")[0, 0].tolist() == [10, 20, 30]


def test_sixteen_bits_keep_their_fraction(tmp_path):
    grey = np.linspace(0, 65535, 600).reshape(20, 30).astype(np.uint16)
    for name in ("a.png", "a.tiff"):
        Image.fromarray(grey).save(tmp_path / name)
        got = images.read(tmp_path / name)
        assert np.allclose(got[..., 1], grey / 257, atol=1e-2) and got.max() == 255


def test_cmyk(tmp_path):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(images.read(tmp_path / "a.jpg") - RGB).mean() < 20


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for name in ("a.gif", "a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50)
        got = images.read(tmp_path / name)
        assert got.shape == (8, 8, 3) and got[0, 0, 0] > 240 and got[0, 0, 2] < 20


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path, orientation, mode):
    """As Pillow itself would turn it, whatever the picture is made of."""
    from PIL import ImageOps

    image = Image.fromarray(RGB)
    if mode == "I;16":
        image = Image.fromarray((RGB[..., 0].astype(np.uint16)) * 257)
    else:
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    turned = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    got = images.read(tmp_path / "a.png")
    assert images.size(tmp_path / "a.png") == turned.size == got.shape[1::-1]
    want = np.asarray(turned, np.float32) / 257 if mode == "I;16" else turned.convert("RGB")
    want = np.asarray(want, np.float32)
    assert np.allclose(got, want if want.ndim == 3 else want[..., np.newaxis], atol=0.01)


def test_an_embedded_profile_is_converted(tmp_path):
    """A profile whose red and green are swapped shows that it is used at all."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=swapped)
    assert np.abs(images.read(tmp_path / "a.png")[..., [1, 0, 2]] - RGB).max() <= 3
    Image.fromarray(RGB).save(tmp_path / "b.png", icc_profile=profile)
    assert np.abs(images.read(tmp_path / "b.png") - RGB).max() <= 1
    Image.fromarray(RGB).save(tmp_path / "c.png", icc_profile=b"no profile at all")
    assert np.array_equal(images.read(tmp_path / "c.png"), RGB)


def bomb(path):
    """A PNG of a few hundred bytes that says it is 50000x50000."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 50000, 50000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b""))


def test_what_is_no_picture_is_said_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError):
        images.read(tmp_path / "a.png")
    with pytest.raises(IsADirectoryError):
        images.read(tmp_path)
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(OSError, match=r"a\.png is not a picture that can be read"):
        images.read(tmp_path / "a.png")
    bomb(tmp_path / "b.png")
    for look in (images.read, images.size):
        with pytest.raises(OSError, match=r"b\.png is too large to be meant as a picture"):
            look(tmp_path / "b.png")
    for name in ("c.jpg", "c.png", "c.webp", "c.tiff"):
        buffer = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
        Image.fromarray(noise).save(buffer, {"jpg": "jpeg"}.get(name[2:], name[2:]))
        (tmp_path / name).write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
        with pytest.raises(OSError, match="is not a picture that can be read, or it is damaged"):
            images.read(tmp_path / name)


@pytest.mark.parametrize("extension", list(images.FORMATS))
def test_each_format_is_written_with_its_comment(tmp_path, extension):
    path = tmp_path / f"a{extension.upper()}"
    images.write(path, RGB.astype("f4"), "made of “love”")
    got = images.read(path)
    if extension in (".jpg", ".jpeg", ".webp"):
        assert np.abs(got - RGB).mean() < (10 if extension == ".webp" else 4)
    else:
        assert np.array_equal(got, RGB)
    if extension == ".png":
        assert images.comment(path) == "made of “love”"
    elif extension != ".bmp":
        assert images.comment(path) == "made of \\u201clove\\u201d"


def test_jpeg_keeps_all_its_chroma(tmp_path):
    images.write(tmp_path / "a.jpg", RGB)
    with Image.open(tmp_path / "a.jpg") as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3


def test_writing_rounds_and_clips(tmp_path):
    image = np.zeros((2, 2, 3), np.float32)
    image[0, 0] = [-5, 300, 99.6]
    images.write(tmp_path / "a.png", image)
    assert images.read(tmp_path / "a.png")[0, 0].tolist() == [0, 255, 100]


def test_another_extension_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"use \.jpg, \.jpeg, \.png"):
        images.write(tmp_path / "a.doc", RGB)


def test_resizing_is_pillows(tmp_path):
    want = np.asarray(Image.fromarray(RGB).resize((11, 7)))
    assert np.array_equal(images.resize(RGB.astype("f4"), 11, 7), want)


def test_preserved_colours_have_the_chroma_of_one_and_the_luma_of_the_other():
    content, stylised = picture(8, 9) * 0.2 + 100, picture(8, 9, seed=1) * 0.2 + 100

    def ycbcr(rgb):
        return np.asarray(Image.fromarray(rgb.round().astype(np.uint8)).convert("YCbCr"), int)

    got = ycbcr(images.preserve_colors(stylised, content))
    assert np.abs(got[..., 0] - ycbcr(stylised)[..., 0]).max() <= 1
    assert np.abs(got[..., 1:] - ycbcr(content)[..., 1:]).max() <= 1
