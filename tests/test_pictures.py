import io
import struct
import sys
import types
import warnings
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


def test_sixteen_bits_in_colour_keep_their_fraction(tmp_path):
    pixels = deep(20, 30, 3)
    for path in (
        deep_png(tmp_path / "a.png", pixels),
        deep_tiff(tmp_path / "little.tif", pixels, "<"),
        deep_tiff(tmp_path / "big.tif", pixels, ">"),
        deep_tiff(tmp_path / "little-apart.tif", pixels, "<", apart=True),
        deep_tiff(tmp_path / "big-apart.tif", pixels, ">", apart=True),
    ):
        got = images.read(path)
        assert got.dtype == np.float32 and np.allclose(got, pixels / 257, atol=1e-4), path
        assert images.size(path) == (30, 20) and images.alpha(path) is None


def test_sixteen_bits_with_alpha_are_composited_with_their_fraction(tmp_path):
    pixels = deep(20, 30, 4)
    pixels[:5, :, 3], pixels[5:9, :, 3] = 0, 65535
    grey = deep(20, 30, 2, seed=1)
    opaque = pixels[..., 3:] / 65535
    for path in (
        deep_png(tmp_path / "a.png", pixels),
        deep_tiff(tmp_path / "little.tif", pixels, "<"),
        deep_tiff(tmp_path / "big.tif", pixels, ">"),
        deep_tiff(tmp_path / "apart.tif", pixels, "<", apart=True),
    ):
        want = pixels[..., :3] / 257 * opaque + 255 * (1 - opaque)
        assert np.allclose(images.read(path), want, atol=1e-3), path
        assert np.allclose(images.alpha(path), pixels[..., 3] / 257, atol=1e-4)
    path = deep_png(tmp_path / "grey.png", grey)
    opaque = grey[..., 1:] / 65535
    want = grey[..., :1] / 257 * opaque + 255 * (1 - opaque)
    assert np.allclose(images.read(path), np.repeat(want, 3, 2), atol=1e-3)
    assert np.allclose(images.alpha(path), grey[..., 1] / 257, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_sixteen_bits_is_one_of_65536(tmp_path, channels):
    """Its neighbour, which has the same high byte, is opaque."""
    pixels = np.full((4, 5, channels), 1000, np.uint16)
    pixels[0, 0], pixels[0, 1] = 30000, 30001
    clear = (b"tRNS", struct.pack(">H", 30000) * channels)
    path = deep_png(tmp_path / "a.png", pixels, before=[clear])
    got = images.read(path)
    assert got[0, 0].tolist() == [255] * 3
    assert np.allclose(got[0, 1], 30001 / 257) and np.allclose(got[1:], 1000 / 257)
    alpha = images.alpha(path)
    assert alpha[0, 0] == 0 and (alpha.ravel()[1:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_in_colour_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    coarse, pixels = tmp_path / "coarse.png", deep(20, 30, 3)
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(coarse, exif=exif)
    path = deep_png(tmp_path / "a.png", pixels, before=[(b"eXIf", exif.tobytes()[6:])])
    got = images.read(path)
    assert images.size(path) == images.size(coarse) == got.shape[1::-1]
    assert np.array_equal((got * 257).round() // 256, images.read(coarse))
    assert (got != got.round()).mean() > 0.9


def test_the_profile_of_sixteen_bits_keeps_the_fraction(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = deep(20, 30, 3)
    chunk = (b"iCCP", b"name\0\0" + zlib.compress(profile))
    got = images.read(deep_png(tmp_path / "a.png", pixels, before=[chunk]))
    assert np.abs(got - pixels / 257).max() <= 1
    assert len(np.unique(got)) > 1000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_no_pixels(tmp_path, value):
    grey = np.full((20, 30), 0.5, np.float32)
    grey[3, 4] = value
    Image.fromarray(grey).save(tmp_path / "a.tif")
    with pytest.raises(OSError, match=r"a\.tif is not .* it holds NaN or infinity"):
        images.read(tmp_path / "a.tif")
    image = RGB.astype("f4")
    image[3, 4, 1] = value
    with pytest.raises(ValueError, match=r"b\.png holds NaN or infinity"):
        images.write(tmp_path / "b.png", image)
    assert not (tmp_path / "b.png").exists()


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


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("extension", ["tif", "jpg", "webp"])
def test_the_size_is_that_of_the_upright_picture_in_each_format(tmp_path, extension, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{extension}"
    Image.fromarray(RGB).save(path, exif=exif)
    want = (20, 30) if orientation == 6 else (30, 20)
    assert images.size(path) == images.read(path).shape[1::-1] == want


def test_the_size_of_a_png_is_found_without_decoding_it(tmp_path, monkeypatch):
    """Even where its orientation stands behind the pixels, as some programs write it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = np.pad(RGB.reshape(20, -1), ((0, 0), (1, 0))).tobytes()
    path = png(tmp_path / "a.png", 30, 20, 8, 2, data, after=[(b"eXIf", exif.tobytes()[6:])])
    assert images.read(path).shape == (30, 20, 3)
    images.write(tmp_path / "b.png", RGB, "a comment")

    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    assert images.size(path) == (20, 30)
    assert images.size(tmp_path / "b.png") == (30, 20)
    assert images.comment(tmp_path / "b.png") == "a comment"
    assert images.alpha(path) is None


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


def png(path, width, height, depth, colour, data, *, before=(), after=()):
    """A PNG as the standard has it: `data` are its bytes with a filter's number before each row."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    chunks = [header, *(chunk(*c) for c in before), chunk(b"IDAT", zlib.compress(data))]
    chunks += [*(chunk(*c) for c in after), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def deep_png(path, pixels, **chunks):
    """A PNG of 16 bits from (H, W, channels) integers."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    data = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    return png(path, width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], data, **chunks)


def deep_tiff(path, pixels, order, apart=False):
    """A TIFF of 16 bits, not compressed, from (H, W, 3 or 4) integers; `order` is < or >, and the
    channels may be apart."""
    height, width, channels = pixels.shape
    strips, place = (channels, 170) if apart else (1, 300)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, 150), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, strips, place), (277, 3, 1, channels), (278, 4, 1, height)]
    tags += [(279, 4, strips, 200 if apart else pixels.size * 2), (284, 3, 1, 1 + apart)]
    tags += [(338, 3, 1, 2)] if channels == 4 else []
    data = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        data += struct.pack(order + ("HHIHxx" if short else "HHII"), tag, kind, count, value)
    data = data.ljust(150, b"\0") + struct.pack(order + "4H", 16, 16, 16, 16)
    length = pixels.size * 2 // strips
    offsets = struct.pack(order + "4I", *(300 + i * length for i in range(4)))
    data = data.ljust(170, b"\0") + offsets
    data = data.ljust(200, b"\0") + struct.pack(order + "4I", *[length] * 4)
    pixels = pixels.transpose(2, 0, 1) if apart else pixels
    path.write_bytes(data.ljust(300, b"\0") + pixels.astype(order + "u2").tobytes())
    return path


def deep(height, width, channels, seed=0):
    """A picture of 16 bits: any number in any place."""
    numbers = np.random.default_rng(seed).integers(0, 65536, (height, width, channels))
    numbers[0, 0], numbers[0, 1] = 0, 65535
    return numbers.astype(np.uint16)


def bomb(path, side=50000):
    """A PNG of a few hundred bytes that says it is 50000x50000."""
    png(path, side, side, 8, 2, bytes(1000))


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


def test_a_picture_of_180_megapixels_is_no_bomb(tmp_path, recwarn):
    """Nor is there a warning from 89 on. Solid white, as the strictest case: 8000 pixels a byte."""
    path = tmp_path / "large.png"
    with Image.new("1", (15000, 12100), 1) as image:
        image.save(path)
    assert images.size(path) == (15000, 12100)
    assert images.alpha(path) is None and images.comment(path) == ""
    assert not recwarn.list


@pytest.mark.parametrize("limit", [100, 400])
def test_the_limit_of_pillow_is_not_that_of_the_program_and_is_left_as_it_was(
    tmp_path, recwarn, monkeypatch, limit
):
    """600 pixels would be refused by the one limit and warned of by the other."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for name in ("a.png", "a.tif", "a.jpg"):
        images.write(tmp_path / name, RGB, "a comment")
        assert images.read(tmp_path / name).shape == (20, 30, 3)
        assert images.size(tmp_path / name) == (30, 20)
        assert images.comment(tmp_path / name) == "a comment"
    assert not recwarn.list and limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("side", [5000, 10000, 14000, 2**31 - 1])
def test_a_bomb_is_one_by_what_its_bytes_can_hold(tmp_path, side):
    bomb(tmp_path / "a.png", side)
    with pytest.raises(OSError, match=rf"too large .* it says that it is {side}x{side} pixels"):
        images.size(tmp_path / "a.png")


def test_heic_is_read_with_pillow_heif_or_says_how(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for look in (images.read, images.size):
        with pytest.raises(OSError, match=r"a\.heic is a HEIC picture: pip install pillow-heif"):
            look(path)
    called = []
    heif = types.SimpleNamespace(register_heif_opener=lambda: called.append(True))
    monkeypatch.setitem(sys.modules, "pillow_heif", heif)
    with pytest.raises(OSError, match=r"a\.heic is not a picture that can be read"):
        images.read(path)
    assert called


def test_a_format_that_is_not_known_is_said_without_pythons_own_names(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(OSError, match=r"it is in no format of pictures that is known$") as error:
        images.read(tmp_path / "a.jpg")
    assert "<" not in str(error.value) and str(error.value).count("a.jpg") == 1


def test_an_address_is_not_looked_for_on_the_disk():
    for look in (images.read, images.size, images.alpha):
        with pytest.raises(ValueError, match=r"https://a\.org/b\.jpg is an address"):
            look("https://a.org/b.jpg")


@pytest.mark.parametrize("extension", images.WITH_16_BITS)
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_are_written_to_the_last_one(tmp_path, extension, channels):
    """A picture of more than one block of rows, and with what made it."""
    path, pixels = tmp_path / f"a{extension}", deep(150, 30, channels)
    image = pixels[..., :3] / np.float32(257)
    alpha = pixels[..., 3] / np.float32(257) if channels == 4 else None
    images.write(path, image, "made of “love”", alpha, depth=16)
    with Image.open(path) as opened:  # its high bytes, by Pillow's own way
        assert opened.mode == ("RGBA" if alpha is not None else "RGB")
        assert np.array_equal(np.asarray(opened), pixels >> 8)
    if alpha is None:
        assert np.array_equal((images.read(path) * 257).round(), pixels)
    else:
        assert np.allclose(images.alpha(path), alpha, atol=1e-4)
    assert images.comment(path).startswith("made of ") and "love" in images.comment(path)


def test_sixteen_bits_clip_and_leave_nothing_where_they_cannot_be(tmp_path):
    images.write(tmp_path / "a.png", [[[-5, 300, 99.6]]], depth=16)
    assert np.allclose(images.read(tmp_path / "a.png"), [[[0, 255, 99.6]]], atol=2e-3)
    for name in ("a.jpg", "a.webp", "a.bmp"):
        with pytest.raises(ValueError, match=r"cannot hold 16 bits a channel: use \.png, \.tif"):
            images.write(tmp_path / name, RGB, depth=16)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("extension", list(images.FORMATS))
def test_transparency_is_written_where_the_format_can_hold_it(tmp_path, extension):
    path, alpha = tmp_path / f"a{extension}", picture(20, 30, seed=3)[..., 0]
    if extension not in images.WITH_ALPHA:
        with pytest.raises(ValueError, match=r"cannot hold transparency: use \.png, \.webp, \.tif"):
            images.write(path, RGB, alpha=alpha)
        return
    images.write(path, RGB, alpha=alpha)
    assert np.array_equal(images.alpha(path), alpha)
    images.write(path, RGB, alpha=np.full_like(alpha, 255))
    assert images.alpha(path) is None


def test_a_bmp_keeps_its_comment_behind_its_pixels(tmp_path):
    images.write(tmp_path / "a.bmp", RGB, "made of “love”")
    assert images.comment(tmp_path / "a.bmp") == "made of “love”"
    assert np.array_equal(images.read(tmp_path / "a.bmp"), RGB)
    data = (tmp_path / "a.bmp").read_bytes()
    assert struct.unpack_from("<I", data, 2)[0] == len(data)
    Image.fromarray(RGB).save(tmp_path / "b.bmp")
    assert images.comment(tmp_path / "b.bmp") == ""


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


@pytest.mark.parametrize("space", ["luv", "lab"])
def test_preserved_colours_in_cies_spaces(space):
    """The one's lightness and the other's chroma, with the fraction that 16 bits hold."""
    color = pytest.importorskip("skimage.color")
    there = getattr(color, f"rgb2{space}")
    content = 120 + 0.2 * (picture(300, 20) - 128) + 0.3
    stylised = 120 + 0.2 * (picture(300, 20, seed=1) - 128)
    got = images.preserve_colors(stylised, content, space)
    assert got.dtype == np.float32 and got.shape == content.shape
    assert np.abs(there(got / 255)[..., 0] - there(stylised / 255)[..., 0]).max() < 0.01
    wanted = there(content / 255)
    if space == "luv":  # where it is darker, the same chromaticity
        dimmer = there(stylised / 255)[..., :1] / wanted[..., :1]
        wanted[..., 1:] *= np.minimum(dimmer, 1)
    assert np.abs(there(got / 255)[..., 1:] - wanted[..., 1:]).max() < 0.02
    if space == "luv":
        saturated = np.zeros((2, 2, 3), "f4") + np.float32([255, 0, 255])
        dark = images.preserve_colors(np.full((2, 2, 3), 10, "f4"), saturated, space)
        assert dark.max() < 60 and dark[..., 1].max() < 1  # dim, of the same hue
    assert np.abs(images.preserve_colors(content, content, space) - content).max() < 0.01
    # A blue as light as a yellow is there no more: it is clipped, without a warning.
    blue, white = np.zeros((2, 2, 3), "f4") + [0, 0, 255], np.full((2, 2, 3), 250, "f4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clipped = images.preserve_colors(white, blue.astype("f4"), space)
    assert np.isfinite(clipped).all() and clipped.min() >= 0 and clipped.max() <= 255


def test_a_colour_space_that_is_not_installed_is_said(monkeypatch):
    images.check_color_space("ycbcr")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    images.check_color_space("ycbcr")
    with pytest.raises(ValueError, match=r"--color-space lab needs scikit-image: pip install 'neu"):
        images.preserve_colors(picture(4, 4), picture(4, 4), "lab")


def test_matched_colours_have_the_mean_and_the_covariance_of_the_other():
    random = np.random.default_rng(0)
    mix = np.array([[20, 5, 0], [5, 12, 4], [0, 4, 9.0]])
    one = (random.normal(size=(60, 50, 3)) @ mix + [100, 120, 140]).astype("f4")
    other = (random.normal(size=(40, 70, 3)) * [10, 15, 20] + [130, 110, 120]).astype("f4")
    got = images.match_colors(one, other)
    for statistic in (lambda x: x.mean(0), lambda x: np.cov(x.T)):
        a, b = statistic(got.reshape(-1, 3)), statistic(other.reshape(-1, 3))
        assert np.abs(a - b).max() < 0.01 * np.abs(b).max()
    # The known pair of scaled axes: with the symmetric root each channel keeps its own axis.
    flat = random.normal(size=(80, 80, 3)) * [10, 20, 30]
    flat -= flat.mean((0, 1))
    values, vectors = np.linalg.eigh(np.cov(flat.reshape(-1, 3).T, bias=True))
    white = (flat.reshape(-1, 3) @ vectors / np.sqrt(values)).reshape(flat.shape)
    pair = [white * [8, 16, 24] + 128, white * [16, 8, 12] + 120]
    assert np.abs(images.match_colors(*pair) - pair[1]).max() < 1e-2
    # The order of the channels makes no difference.
    turned = images.match_colors(one[..., [2, 0, 1]], other[..., [2, 0, 1]])
    assert np.abs(turned - got[..., [2, 0, 1]]).max() < 1e-2


def test_a_grey_picture_has_its_colours_matched_along_grey():
    grey = np.repeat(picture(30, 40)[..., :1], 3, axis=2)
    got = images.match_colors(grey, picture(30, 40, seed=3))
    assert np.isfinite(got).all() and got.std() > 1
    flat = images.match_colors(np.full((8, 8, 3), 7, "f4"), picture(30, 40, seed=3))
    assert np.abs(flat - picture(30, 40, seed=3).mean((0, 1))).max() < 0.1
