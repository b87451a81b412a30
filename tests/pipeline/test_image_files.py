"""Image files give the pixels that Pillow reads, and the grid keeps their shape and labels."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.case import Unreadable
from data_prep.io.image import read_image, read_label_image
from mri_tf.pipeline.image_files import decode_png_or_jpeg, fit_to_grid, to_record_values


def _encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _written(folder, image: Image.Image, name: str, **options):
    path = folder / name
    image.save(path, **options)
    return path


def _noise(shape, dtype=np.uint8, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def _smooth(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return np.rint(127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)).astype(np.uint8)


def _decode(data: bytes, channels: int) -> np.ndarray:
    return decode_png_or_jpeg(tf.constant(data), channels).numpy()


def _decoded_png(pixels: np.ndarray, channels: int) -> np.ndarray:
    return _decode(_encoded(Image.fromarray(pixels), "PNG"), channels)


def _file_of(tmp_path_factory, data: bytes) -> Path:
    path = tmp_path_factory.mktemp("bytes") / "image.bin"
    path.write_bytes(data)
    return path


# PNG and JPEG, as served


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_gives_its_stored_values(dtype):
    pixels = _noise((7, 11), dtype)
    decoded = _decoded_png(pixels, 1)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded[..., 0], pixels)


def test_an_8_bit_png_keeps_0_to_255_where_a_16_bit_one_gives_0_to_65535():
    pixels = np.array([[0, 1, 254, 255]], np.uint8)
    assert _decoded_png(pixels, 1).ravel().tolist() == [0, 1, 254, 255]
    sixteen = _decoded_png(pixels.astype(np.uint16) * 257, 1)
    assert sixteen.ravel().tolist() == [0, 257, 254 * 257, 65535]


def test_a_colour_png_gives_its_channels_and_equal_channels_give_the_same_grey():
    grey = _noise((9, 6))
    colour = _noise((9, 6, 3), seed=1)
    equal = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(_decoded_png(colour, 3), colour)
    np.testing.assert_array_equal(_decoded_png(equal, 1)[..., 0], grey)
    np.testing.assert_array_equal(_decoded_png(grey, 3), equal)


def test_unequal_channels_become_grey_by_luminance_within_one_level_of_pillow():
    colour = _noise((9, 6, 3), seed=2)
    by_pillow = np.asarray(Image.fromarray(colour).convert("L"), np.float32)
    assert np.abs(_decoded_png(colour, 1)[..., 0] - by_pillow).max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_decodes_within_two_levels_of_pillow(mode, channels):
    pixels = _smooth(40, 56)
    image = Image.fromarray(pixels if mode == "L" else np.stack([pixels] * 3, axis=-1))
    data = _encoded(image, "JPEG", quality=95)
    by_pillow = Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB")
    expected = np.asarray(by_pillow, np.float32).reshape(40, 56, channels)
    assert np.abs(_decode(data, channels) - expected).max() <= 2


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("format", ["png", "jpg", "tif", "webp", "gif", "bmp"])
def test_every_mode_pillow_can_write_is_read_to_the_channels_asked_for(tmp_path, mode, channels, format):
    image = Image.fromarray(_noise((8, 10, 3), seed=3)).convert("RGBA" if mode == "LA" else mode)
    image = image.convert(mode)
    try:
        path = _written(tmp_path, image, f"image.{format}")
    except OSError:
        pytest.skip(f"{format} has no mode {mode}")
    assert read_image(path, channels).shape == (8, 10, channels)


def test_a_grey_palette_image_gives_the_greys_of_its_palette(tmp_path):
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(indices, "L").convert("P")
    image.putpalette([level for index in range(256) for level in (255 - index,) * 3])
    for name in ("palette.png", "palette.tif"):
        stored = read_image(_written(tmp_path, image, name), 1)[..., 0]
        np.testing.assert_array_equal(stored, 255.0 - np.asarray(image))


def test_an_opaque_image_with_alpha_has_the_values_of_the_one_without(tmp_path):
    grey = _noise((5, 4))
    image = Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)]))
    for name in ("alpha.png", "alpha.tif"):
        np.testing.assert_array_equal(read_image(_written(tmp_path, image, name), 1)[..., 0], grey)


# Formats that preparation reads by itself


def test_a_lossless_webp_gives_its_stored_values(tmp_path):
    colour = _noise((6, 7, 3))
    path = _written(tmp_path, Image.fromarray(colour), "image.webp", lossless=True)
    np.testing.assert_array_equal(read_image(path, 3), colour)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_gives_its_stored_values_in_every_channel(tmp_path, dtype, channels):
    pixels = _noise((6, 7), dtype)
    stored = read_image(_written(tmp_path, Image.fromarray(pixels), "image.tif"), channels)
    assert stored.shape == (6, 7, channels)
    np.testing.assert_array_equal(stored, np.repeat(pixels[..., None], channels, axis=-1))


def test_a_big_endian_16_bit_tiff_gives_its_stored_values(tmp_path):
    pixels = _noise((5, 6), np.uint16)
    image = Image.frombytes("I;16B", (6, 5), pixels.astype(">u2").tobytes())
    path = _written(tmp_path, image, "image.tif")
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], pixels)


def test_a_float_tiff_with_nan_is_a_reason_and_not_a_number(tmp_path):
    pixels = np.array([[1.0, np.nan], [2.0, 3.0]], np.float32)
    path = _written(tmp_path, Image.fromarray(pixels), "nan.tif")
    with pytest.raises(Unreadable):
        read_image(path, 1)


@given(
    st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]),
    st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=120, deadline=None)
def test_a_file_cut_anywhere_is_an_image_or_a_reason(tmp_path_factory, format, kept):
    whole = _encoded(Image.fromarray(_smooth(24, 30)), format)
    path = _file_of(tmp_path_factory, whole[: int(kept * len(whole))])
    try:
        assert read_image(path, 1).shape == (24, 30, 1)
    except Unreadable as reason:
        assert "image.bin" not in str(reason)


@given(st.sampled_from(["PNG", "JPEG"]), st.floats(0, 0.95))
@settings(max_examples=60, deadline=None)
def test_a_png_or_jpeg_that_lost_its_end_is_never_read(tmp_path_factory, format, kept):
    whole = _encoded(Image.fromarray(_noise((24, 30))), format)
    with pytest.raises(Unreadable):
        read_image(_file_of(tmp_path_factory, whole[: int(kept * len(whole))]), 1)


@given(
    st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
@example("TIFF", [(0.009765625, 6)])  # a TypeError of Pillow's
@settings(max_examples=150, deadline=None)
def test_a_file_with_changed_bytes_is_an_image_or_a_reason(tmp_path_factory, format, changes):
    data = bytearray(_encoded(Image.fromarray(_smooth(24, 30)), format))
    for place, value in changes:
        data[int(place * len(data))] = value
    with contextlib.suppress(Unreadable):
        assert read_image(_file_of(tmp_path_factory, data), 1).shape[2] == 1


# Label maps


def test_a_mask_of_0_and_255_is_0_and_1_where_there_are_two_labels(tmp_path):
    mask = np.array([[0, 255], [255, 0]], np.uint8)
    path = _written(tmp_path, Image.fromarray(mask), "mask.png")
    np.testing.assert_array_equal(read_label_image(path, 2), mask // 255)
    with pytest.raises(Unreadable, match="255"):
        read_label_image(path, 3)


def test_a_mask_saved_with_a_palette_gives_its_indices(tmp_path):
    # ITK-SNAP, labelme and PASCAL VOC save label maps so: the index is the label, colours are for show.
    labels = np.array([[0, 1], [2, 1]], np.uint8)
    image = Image.fromarray(labels, "L").convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    np.testing.assert_array_equal(read_label_image(_written(tmp_path, image, "mask.png"), 3), labels)


# The grid


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_the_grid_keeps_the_aspect_and_centres(rows, columns, grid_rows, grid_columns):
    covered = fit_to_grid(tf.ones((rows, columns, 1)), (grid_rows, grid_columns), "nearest")
    covered = covered.numpy()[..., 0]
    assert covered.shape == (grid_rows, grid_columns)
    filled_rows, filled_columns = covered.any(axis=1), covered.any(axis=0)
    assert covered.sum() == filled_rows.sum() * filled_columns.sum()  # one whole rectangle
    assert filled_rows.all() or filled_columns.all()  # as large as the grid lets it be
    scale = min(grid_rows / rows, grid_columns / columns)
    for filled, size in ((filled_rows, rows), (filled_columns, columns)):
        assert abs(filled.sum() - max(1, size * scale)) <= 0.5 + 1e-4
        before, after = np.argmax(filled), np.argmax(filled[::-1])
        assert 0 <= after - before <= 1


@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 3), st.sampled_from(["bilinear", "nearest"])
)
@settings(max_examples=40, deadline=None)
def test_an_image_of_the_grids_shape_stays_as_it_is(rows, columns, channels, method):
    whole = _noise((rows, columns, channels), np.uint16).astype(np.float32)
    for image in (whole, whole / 777 - 40):  # whole numbers; fractions, some below zero
        np.testing.assert_array_equal(fit_to_grid(tf.constant(image), (rows, columns), method), image)


def test_nearest_doubling_repeats_every_pixel_and_pads_with_zero():
    labels = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)  # (4, 2) onto (8, 8)
    fitted = fit_to_grid(tf.constant(labels[..., None]), (8, 8), "nearest").numpy()[..., 0]
    np.testing.assert_array_equal(fitted[:, 2:6], labels.repeat(2, 0).repeat(2, 1))
    assert not fitted[:, :2].any() and not fitted[:, 6:].any()


@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_nearest_gives_only_labels_that_exist(rows, columns, grid_rows, grid_columns, seed):
    labels = np.random.default_rng(seed).choice([3, 7, 250], (rows, columns, 1)).astype(np.float32)
    fitted = fit_to_grid(tf.constant(labels), (grid_rows, grid_columns), "nearest").numpy()
    assert set(np.unique(fitted)) <= set(np.unique(labels)) | {0}


def test_what_an_image_does_not_cover_takes_its_smallest_value():
    image = np.full((4, 8, 1), 100, np.float32)
    image[:, :, 0][1, 3] = 40
    fitted = fit_to_grid(tf.constant(image), (8, 8), "bilinear").numpy()[..., 0]
    assert (fitted[:2] == 40).all() and (fitted[6:] == 40).all()
    np.testing.assert_array_equal(fitted[2:6], image[..., 0])


def test_halving_averages_instead_of_dropping_pixels():
    stripes = np.tile([0.0, 200.0], (32, 16)).astype(np.float32)[..., None]
    fitted = fit_to_grid(tf.constant(stripes), (16, 16), "bilinear").numpy()
    assert np.abs(fitted[2:-2, 2:-2] - 100).max() < 1


# What a record holds


def test_record_values_are_rounded_and_clipped_to_their_dtype():
    values = tf.constant([-3.5, 0.4, 0.6, 254.6, 255.4, 300.0])
    assert to_record_values(values, 1.0, 0.0, "uint8").numpy().tolist() == [0, 0, 1, 255, 255, 255]
    assert to_record_values(values, 1.0, 0.0, "float32").numpy().tolist() == values.numpy().tolist()
    wide = tf.constant([-1e6, 1e6])
    assert to_record_values(wide, 1.0, 0.0, "int16").numpy().tolist() == [-32768, 32767]
    assert to_record_values(wide, 1.0, 0.0, "uint16").numpy().tolist() == [0, 65535]


def test_slope_and_intercept_lead_from_a_16_bit_png_to_hounsfield_units():
    stored = np.array([[0, 1024, 4095]], np.uint16)
    decoded = tf.constant(_decoded_png(stored, 1))
    assert to_record_values(decoded, 1.0, -1024.0, "int16").numpy().ravel().tolist() == [-1024, 0, 3071]
    assert to_record_values(decoded, 0.5, -1.0, "float32").numpy().ravel().tolist() == [-1, 511, 2046.5]


@pytest.mark.parametrize("sides", [(12_000, 12_000), (2**31 - 1, 2**31 - 1)])
def test_a_small_file_of_very_many_pixels_is_refused_before_they_are_unpacked(tmp_path, sides):
    data = bytearray(_encoded(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = sides[0].to_bytes(4, "big") + sides[1].to_bytes(4, "big")
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 33554432 pixels"):
        decode_png_or_jpeg(tf.constant(bytes(data)), 1)
    (tmp_path / "large.png").write_bytes(data)
    with pytest.raises(Unreadable, match="more than 33554432 pixels"):
        read_image(tmp_path / "large.png", 1)
