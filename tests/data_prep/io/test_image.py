"""Image files as users have them: any format under any name, palettes, CMYK, rotated, damaged."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from data_prep.case import Unreadable
from data_prep.io.image import read_image
from mri_tf.pipeline.image_files import decode_png_or_jpeg, exif_orientation

ORIENTATION = 0x0112


def picture(rows: int = 20, columns: int = 30) -> Image.Image:
    """Smooth colours without any symmetry."""
    y, x = np.mgrid[:rows, :columns]
    red, green, blue = 3 * x + 40, 5 * y + 60, 2 * x + 4 * y + 20
    return Image.fromarray(np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8))


def saved(folder, image: Image.Image, name: str, format: str, **options):
    path = folder / name
    image.save(path, format, **options)
    return path


def exif(orientation: int, endian: str = "<") -> Image.Exif:
    values = Image.Exif()
    values.endian = endian
    values[ORIENTATION] = orientation
    return values


def difference(first, second) -> float:
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "JPEG", "WEBP"])
@pytest.mark.parametrize("name", ["scan.jpg", "scan.png", "scan", "scan.txt"])
def test_the_format_is_that_of_the_content_whatever_the_file_is_called(tmp_path, format, name):
    path = saved(tmp_path, picture(), name, format)
    assert difference(read_image(path, 3), picture()) < 6  # JPEG, WEBP and GIF's palette lose a little


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_is_looked_up(tmp_path, format):
    drawn = picture().quantize(16)
    path = saved(tmp_path, drawn, "x", format)
    np.testing.assert_array_equal(read_image(path, 3), np.asarray(drawn.convert("RGB")))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_opacity_is_ignored(tmp_path, format):
    whole = picture()
    transparent = whole.copy()
    transparent.putalpha(Image.fromarray(np.tile(np.arange(30, dtype=np.uint8) + 100, (20, 1))))
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    path = saved(tmp_path, transparent, "x", format, **options)
    np.testing.assert_array_equal(read_image(path, 3), np.asarray(whole))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_cmyk_becomes_rgb_or_grey(tmp_path, format, channels):
    options = {"quality": 98} if format == "JPEG" else {}
    path = saved(tmp_path, picture().convert("CMYK"), "x.jpg", format, **options)
    expected = np.asarray(picture().convert("L" if channels == 1 else "RGB"), float)
    assert difference(read_image(path, channels), expected.reshape(20, 30, -1)) < 2


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bits_are_scaled_to_8_where_the_task_asks_for_it(tmp_path, format):
    deep = np.linspace(0, 65535, 20 * 30).reshape(20, 30).astype(np.uint16)
    path = saved(tmp_path, Image.fromarray(deep), "x", format)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], deep)
    np.testing.assert_allclose(read_image(path, 1, bits=8)[..., 0], deep / 257, atol=1e-4)


def test_8_bit_values_are_kept_where_16_bits_are_scaled_to_8(tmp_path):
    path = saved(tmp_path, picture(), "x", "PNG")
    np.testing.assert_array_equal(read_image(path, 3, bits=8), np.asarray(picture()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_a_jpeg_lies_as_its_exif_block_says(tmp_path, orientation, endian):
    data = io.BytesIO()
    picture().save(data, "JPEG", quality=98, exif=exif(orientation, endian))
    path = tmp_path / "x.jpg"
    path.write_bytes(data.getvalue())
    assert int(exif_orientation(tf.constant(data.getvalue()))) == orientation
    upright = np.asarray(ImageOps.exif_transpose(Image.open(data)), float)
    pixels = read_image(path, 3)
    assert pixels.shape == upright.shape
    assert difference(pixels, upright) < 1


@pytest.mark.parametrize("format", ["WEBP", "TIFF"])
def test_other_formats_lie_as_their_exif_block_says(tmp_path, format):
    options = {"lossless": True} if format == "WEBP" else {}
    path = saved(tmp_path, picture(), "x", format, exif=exif(6), **options)
    np.testing.assert_array_equal(read_image(path, 3), np.rot90(np.asarray(picture()), -1))


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"],
)
def test_a_truncated_exif_block_leaves_the_picture_as_stored(block):
    assert int(exif_orientation(tf.constant(b"\xff\xd8\xff\xe1" + block))) == 1


def test_orientation_is_read_in_a_graph_as_it_is_served():
    data = io.BytesIO()
    picture().save(data, "JPEG", exif=exif(8))
    decode = tf.function(
        lambda data: decode_png_or_jpeg(data, 1), input_signature=[tf.TensorSpec((), tf.string)]
    )
    assert decode(tf.constant(data.getvalue())).shape == (30, 20, 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_truncated_file_of_any_format_is_reported(tmp_path, format):
    path = saved(tmp_path, Image.effect_noise((64, 64), 60).convert("RGB"), "x", format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read_image(path, 3)


def test_a_file_that_is_not_an_image_is_reported(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not an image at all, but some words", encoding="utf-8")
    with pytest.raises(Unreadable, match="no PNG, JPEG"):
        read_image(path, 3)


def test_a_file_of_several_images_is_refused(tmp_path):
    path = tmp_path / "x.gif"
    picture().save(path, save_all=True, append_images=[picture().rotate(90)])
    with pytest.raises(Unreadable, match="2 images"):
        read_image(path, 3)
