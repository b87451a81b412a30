"""Image files whose values or position decoders change: deep, signed, inverted, turned, with a gamma."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from data_prep.case import Unreadable
from data_prep.io.image import read_image, read_label_image
from mri_tf.pipeline.image_files import LUMA_PER_MILLE, decode_png_or_jpeg

ORIENTATION = 274
RNG = np.random.default_rng(0)


def drawn(shape, dtype) -> np.ndarray:
    """Values over the whole range of the type, or normal ones."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def tiff(path, array: np.ndarray, orientation: int = 1, **options):
    tifffile.imwrite(path, array, extratags=[(ORIENTATION, 3, 1, orientation, True)], **options)
    return path


def luma(pixels: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B, exact, and then rounded."""
    return np.round(pixels.astype(int) @ LUMA_PER_MILLE / 1000)[..., None]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_tiff_lies_as_its_orientation_says(tmp_path, orientation, dtype, colours):
    stored = drawn((20, 16, *colours), dtype)
    path = tiff(tmp_path / "x.tif", stored, orientation, photometric="rgb" if colours else "minisblack")
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: stored.swapaxes(0, 1), 6: np.rot90(stored, -1), 7: np.rot90(stored, 2).swapaxes(0, 1),
        8: np.rot90(stored),
    }[orientation]  # fmt: skip
    found = read_image(path, 3 if colours else 1)
    np.testing.assert_array_equal(found, upright.reshape(*upright.shape[:2], -1))


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_label_map_lies_as_its_image(tmp_path, orientation, mode):
    labels = RNG.integers(0, 4, (20, 16)).astype(np.uint8)
    image = Image.fromarray(labels, "L")
    if mode == "P":
        image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10, 90, 90, 90])
    image.save(tmp_path / "m.tif", tiffinfo={ORIENTATION: orientation})
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO((tmp_path / "m.tif").read_bytes())))
    np.testing.assert_array_equal(read_label_image(tmp_path / "m.tif", 4), np.asarray(turned))


@pytest.mark.parametrize("dtype", ["uint16", "int8", "int16", "float16", "float32"])
@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_deep_tiff_gives_its_stored_values(tmp_path, dtype, samples, planar):
    stored = drawn((20, 16, samples), dtype)
    array = stored[..., 0] if samples == 1 else stored
    if samples > 1 and planar == "separate":
        array = np.moveaxis(stored, -1, 0)
    kind = "minisblack" if samples == 1 else "rgb"
    options = {"planarconfig": planar} if samples > 1 else {}
    if samples == 4:
        options["extrasamples"] = ["unassalpha"]
    path = tiff(tmp_path / "x.tif", array, photometric=kind, **options)
    found = read_image(path, 1 if samples == 1 else 3)
    np.testing.assert_array_equal(found, stored[..., :3].astype(np.float32))


def test_whole_numbers_that_float32_does_not_hold_are_a_reason(tmp_path):
    small = RNG.integers(0, 2**24, (20, 16), dtype=np.uint32)
    np.testing.assert_array_equal(read_image(tiff(tmp_path / "a.tif", small), 1)[..., 0], small)
    large = small + np.uint32(2**31 + 1)
    with pytest.raises(Unreadable, match="16,777,216, which float32 does not hold"):
        read_image(tiff(tmp_path / "b.tif", large), 1)
    with pytest.raises(Unreadable, match="no known range to scale to 0..255"):
        read_image(tiff(tmp_path / "a.tif", small), 1, bits=8)


def test_doubles_are_rounded_to_single_precision_and_infinite_ones_refused(tmp_path):
    stored = RNG.normal(size=(20, 16))
    found = read_image(tiff(tmp_path / "a.tif", stored), 1)[..., 0]
    np.testing.assert_array_equal(found, stored.astype(np.float32))
    with pytest.raises(Unreadable, match="infinite"):
        read_image(tiff(tmp_path / "b.tif", stored * 1e300), 1)


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535)])
def test_where_white_is_zero_the_values_are_turned_over(tmp_path, dtype, white):
    stored = drawn((20, 16), dtype)
    found = read_image(tiff(tmp_path / "x.tif", stored, photometric="miniswhite"), 1)[..., 0]
    np.testing.assert_array_equal(found, white - stored.astype(float))


def test_signed_values_of_which_white_is_zero_are_a_reason(tmp_path):
    path = tiff(tmp_path / "x.tif", drawn((20, 16), "int16"), photometric="miniswhite")
    with pytest.raises(Unreadable, match="white is 0"):
        read_image(path, 1)


def test_a_tiff_of_several_pages_is_refused(tmp_path):
    path = tiff(tmp_path / "x.tif", drawn((3, 20, 16), "uint16"), photometric="minisblack")
    with pytest.raises(Unreadable, match="3 images"):
        read_image(path, 1)


def portable(kind: bytes, highest: int, values: np.ndarray) -> bytes:
    rows, columns = values.shape[:2]
    head = f"\n# made by a test\n{columns} {rows}\n{highest}\n".encode()
    return kind + head + values.astype(">u2").tobytes()


def test_a_deep_portable_map_gives_its_values_or_a_reason(tmp_path):
    grey, colour = drawn((20, 16), "uint16"), drawn((20, 16, 3), "uint16")
    (tmp_path / "grey.pgm").write_bytes(portable(b"P5", 65535, grey))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.pgm", 1)[..., 0], grey)
    in_8_bits = read_image(tmp_path / "grey.pgm", 1, bits=8)[..., 0]
    np.testing.assert_allclose(in_8_bits, grey / 257, atol=1e-4)
    (tmp_path / "colour.ppm").write_bytes(portable(b"P6", 65535, colour))
    (tmp_path / "twelve.pgm").write_bytes(portable(b"P5", 4095, grey // 16))
    for name, highest in (("colour.ppm", 65535), ("twelve.pgm", 4095)):
        with pytest.raises(Unreadable, match=f"values up to {highest}: convert"):
            read_image(tmp_path / name, 3)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with a chunk after its header."""
    check = zlib.crc32(kind + data)
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
    return png[:33] + chunk + png[33:]


CHUNKS = {"sRGB": b"\0", "gAMA": struct.pack(">I", 45455)}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("chunk", [None, *CHUNKS])
def test_colour_becomes_grey_by_one_luma_in_every_format(tmp_path, mode, chunk):
    colours = Image.fromarray(drawn((20, 16, 3), "uint8"))
    image = colours.quantize(16) if mode == "P" else colours.convert(mode)
    expected = luma(np.asarray(image.convert("RGB")))
    image.save(tmp_path / "x.png")
    if chunk:
        data = with_chunk((tmp_path / "x.png").read_bytes(), chunk.encode(), CHUNKS[chunk])
        (tmp_path / "x.png").write_bytes(data)
    image.convert("RGB").save(tmp_path / "x.bmp")
    image.convert("RGB").save(tmp_path / "x.tif")
    image.convert("RGB").save(tmp_path / "x.webp", lossless=True)
    for name in ("x.png", "x.bmp", "x.tif", "x.webp"):
        np.testing.assert_array_equal(read_image(tmp_path / name, 1), expected, err_msg=name)


def test_deep_colours_become_grey_by_the_same_luma(tmp_path):
    stored = drawn((20, 16, 3), "uint16")
    found = read_image(tiff(tmp_path / "x.tif", stored, photometric="rgb"), 1)
    np.testing.assert_array_equal(found, luma(stored))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    header = struct.pack(">IIBBBBB", 16, 20, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "x.png").write_bytes(with_chunk(png, b"gAMA", CHUNKS["gAMA"]))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", 1), found)


def test_a_jpeg_of_colours_becomes_grey_by_the_luma_of_its_colours(tmp_path):
    Image.fromarray(drawn((20, 16, 3), "uint8")).save(tmp_path / "x.jpg", quality=90)
    colours = read_image(tmp_path / "x.jpg", 3)
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg", 1), luma(colours))


def test_an_animated_png_is_refused_and_one_frame_is_not(tmp_path):
    frames = [Image.fromarray(drawn((20, 16), "uint8")) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(Unreadable, match="3 images"):
        read_image(tmp_path / "a.png", 1)
    notes = PngInfo()
    notes.add_text("Comment", "acTL is only a word here")
    frames[0].save(tmp_path / "b.png", pnginfo=notes)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png", 1)[..., 0], np.asarray(frames[0]))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("before", [0, 3000, 5000, 65_000, 200_000])
def test_the_orientation_of_a_jpeg_is_found_behind_any_segments(tmp_path, orientation, before):
    values = Image.Exif()
    values[ORIENTATION] = orientation
    plain = io.BytesIO()
    Image.fromarray(drawn((24, 32), "uint8")).save(plain, "JPEG", exif=values)
    data, pieces = plain.getvalue(), b""
    while before > 0:
        text = b"http://ns.adobe.com/xap/1.0/\0" + bytes(min(before, 60_000))
        pieces += b"\xff\xe1" + struct.pack(">H", len(text) + 2) + text
        before -= 60_000
    # The text may hold what looks like an EXIF block that says something else.
    data = data[:2] + pieces + data[2:]
    (tmp_path / "x.jpg").write_bytes(data)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    found = read_image(tmp_path / "x.jpg", 1)[..., 0]
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 2
    served = decode_png_or_jpeg(tf.constant(data), 1)
    np.testing.assert_array_equal(served[..., 0], found)
