"""Every transfer syntax gives the stored values, each slice scaled by its own slope and intercept."""

import functools
import re

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_series import (
    AFFINE,
    assert_same,
    each,
    multi_frame,
    noise,
    reason_of,
    series,
    volume_of,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from data_prep.case import Unreadable
from data_prep.io.dicom.pixels import stored_values
from data_prep.volume import to_ras_volume

SHAPE = (40, 48, 3)  # columns, rows, slices


def _lossless(pixels, bits, predictor):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=predictor, bitspersample=bits)


def _j2k(pixels, _bits):
    return imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)


# Transfer syntax, bits stored, largest error, encoder
SYNTAXES = {
    "JPEG, 8 bits": (uid.JPEGBaseline8Bit, 8, 12, lambda p, b: imagecodecs.jpeg8_encode(p, level=95)),
    "JPEG, 12 bits": (
        uid.JPEGExtended12Bit, 12, 12,
        lambda p, b: imagecodecs.jpeg8_encode(p, level=95, bitspersample=12),
    ),
    "JPEG lossless, predictor 1": (uid.JPEGLosslessSV1, 16, 0, lambda p, b: _lossless(p, b, 1)),
    "JPEG lossless, predictor 6": (uid.JPEGLossless, 12, 0, lambda p, b: _lossless(p, b, 6)),
    "JPEG lossless, 8 bits": (uid.JPEGLosslessSV1, 8, 0, lambda p, b: _lossless(p, b, 1)),
    "JPEG-LS": (uid.JPEGLSLossless, 12, 0, lambda p, b: imagecodecs.jpegls_encode(p)),
    "JPEG-LS, near": (uid.JPEGLSNearLossless, 16, 2, lambda p, b: imagecodecs.jpegls_encode(p, level=2)),
    "JPEG 2000": (uid.JPEG2000Lossless, 16, 0, _j2k),
    "JPEG 2000, 12 bits": (uid.JPEG2000, 12, 0, _j2k),
}  # fmt: skip


def _compressed(name: str, array: np.ndarray) -> list:
    syntax, bits, _, encode = SYNTAXES[name]

    def compress(data, number):
        frame = encode(np.ascontiguousarray(array[:, :, number].T), bits)
        data.BitsStored, data.HighBit = bits, bits - 1
        data.PixelData = encapsulate([frame])
        data["PixelData"].VR = "OB"
        data.file_meta.TransferSyntaxUID = syntax

    return each(series(array), compress)


def _values(name: str) -> np.ndarray:
    bits = SYNTAXES[name][1]
    smooth = np.add.outer(np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])), np.arange(SHAPE[2]))
    values = smooth * (2**bits - 1) // smooth.max()
    return values.astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_compressed_series_gives_the_values_that_were_stored(tmp_path, name):
    array = _values(name)
    found = volume_of(tmp_path, _compressed(name, array)).array
    error = found.astype(int) - to_ras_volume(array, AFFINE).array
    assert found.dtype == array.dtype and np.abs(error).max() <= SYNTAXES[name][2]


@pytest.mark.parametrize("name", [name for name in SYNTAXES if "12 bits" not in name])
def test_simpleitk_decodes_the_same_values(tmp_path, name):
    sitk = pytest.importorskip("SimpleITK")
    for path in write(tmp_path, _compressed(name, _values(name))):
        expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        limit = 1 if SYNTAXES[name][2] else 0  # lossy: decoders round differently
        assert np.abs(stored_values(path).astype(int) - expected).max() <= limit


def test_run_length_encoded_series_are_read(tmp_path):
    datasets = series(noise())
    each(datasets, lambda data, _: data.compress(uid.RLELossless, generate_instance_uid=False))
    assert_same(volume_of(tmp_path, datasets), noise())


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian,
                                    uid.DeflatedExplicitVRLittleEndian])  # fmt: skip
def test_uncompressed_syntaxes_give_the_same_values(tmp_path, syntax):
    def change(data, _):
        data.file_meta.TransferSyntaxUID = syntax
        if syntax == uid.ExplicitVRBigEndian:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
            data["PixelData"].VR = "OW"

    volume = volume_of(tmp_path, each(series(noise()), change))
    assert_same(volume, noise())
    assert volume.array.dtype.isnative


def test_files_from_before_part_10_have_no_prefix_and_are_read(tmp_path):
    def to_implicit(data, _):
        data.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian

    for path in write(tmp_path, each(series(noise()), to_implicit)):
        raw = path.read_bytes()
        start = raw.index(b"\x08\x00\x16\x00")  # SOPClassUID, the first element of the data set
        path.write_bytes(raw[start:])
    assert_same(volume_of(tmp_path), noise())


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_12_bit_jpeg_of_pydicoms_test_files_has_the_values_pydicoms_own_tests_state(name):
    values = stored_values(get_testdata_file(name))[0]
    assert (values[420, 140], values[230, 120]) == (244, 95)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
                                  "MR_small_RLE.dcm", "MR_small_bigendian.dcm"])  # fmt: skip
def test_pydicoms_mr_image_is_the_same_in_every_syntax(name):
    expected = stored_values(get_testdata_file("MR_small.dcm"))
    np.testing.assert_array_equal(stored_values(get_testdata_file(name)), expected)


def test_signed_jpeg_2000_whose_header_and_stream_differ_is_signed():
    assert stored_values(get_testdata_file("J2K_pixelrep_mismatch.dcm")).min() == -2000


@given(st.sampled_from(sorted(SYNTAXES)), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=100, deadline=2000)
def test_a_damaged_stream_is_an_image_or_a_reason(tmp_path_factory, name, seed, changes):
    # The libraries below are C: what they do not catch would end the process.
    draw = np.random.default_rng(seed)
    data = _compressed(name, _values(name)[:, :, :1])[0]
    folder = tmp_path_factory.mktemp("damaged")
    (path,) = write(folder, [data], ["a"])
    raw = bytearray(path.read_bytes())
    start = len(raw) - len(data.PixelData)
    end = draw.choice([len(raw), min(len(raw), start + 150)])  # half of them in the stream's header
    for _ in range(changes):
        raw[draw.integers(start, end)] = draw.integers(256)
    path.write_bytes(raw if draw.random() < 0.8 else raw[: draw.integers(start, len(raw))])
    try:
        assert stored_values(path).shape == (1, SHAPE[1], SHAPE[0])
    except Unreadable as reason:
        assert str(folder) not in str(reason)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path):
    slopes, intercepts = [0.5, 1, 2, 1.25, 3, 0.1], [0, -10, 5, 0, 1.5, 100]

    def scale(data, number):
        data.RescaleSlope, data.RescaleIntercept = slopes[number], intercepts[number]

    volume = volume_of(tmp_path, each(series(noise()), scale))
    assert volume.array.dtype == np.float32
    expected = to_ras_volume(noise() * np.array(slopes) + np.array(intercepts), AFFINE).array
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)


def test_frames_of_one_file_have_their_own_slopes(tmp_path):
    slopes = [0.5, 1, 2, 1.25, 3, 0.1]
    volume = volume_of(tmp_path, [multi_frame(noise(), slopes=slopes)])
    expected = to_ras_volume(noise() * np.array(slopes), AFFINE).array
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("intercept", "dtype"),
    [(0, np.uint16), (-1000, np.int16), (60_000, np.uint16), (70_000, np.int32), (-0.5, np.float32)],
)
def test_values_stay_integers_of_the_smallest_type_that_holds_them(tmp_path, intercept, dtype):
    def shift(data, _):
        data.RescaleIntercept = intercept

    volume = volume_of(tmp_path, each(series(noise()), shift))
    assert volume.array.dtype == dtype
    assert_same(volume, noise() + float(intercept))


@pytest.mark.parametrize("value", ["1\\2", "abc"])
def test_a_slope_that_is_no_number_is_a_reason_and_not_1(tmp_path, value):
    paths = write(tmp_path, each(series(noise()), lambda data, _: setattr(data, "RescaleSlope", 7)))
    for path in paths:
        raw = path.read_bytes()
        at = raw.index(b"\x28\x00\x53\x10DS")
        assert raw[at + 8 : at + 12] == b"7.0 "
        path.write_bytes(raw[: at + 8] + value.ljust(4).encode() + raw[at + 12 :])
    assert "RescaleSlope is not a number" in reason_of(tmp_path)


def test_signed_stored_values_and_unused_high_bits_are_read_as_stored(tmp_path):
    array = (noise(high=4096).astype(np.int32) - 2048).astype(np.int16)

    def keep_12_bits(data, number):
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 1
        # Old scanners kept overlays in the four bits above: they are no part of the value.
        bits = (array[:, :, number].T.astype(np.uint16) & 0x0FFF) | 0x5000
        data.PixelData = np.ascontiguousarray(bits).tobytes()

    assert_same(volume_of(tmp_path, each(series(noise()), keep_12_bits)), array)


@pytest.mark.parametrize("signed", [False, True])
def test_values_above_bits_stored_stay_whole_where_the_header_is_wrong(tmp_path, signed):
    wave = 2000 * np.sin(np.linspace(0, 6, SHAPE[0]))[:, None, None]  # 12 bits end at 4095, or 2047
    array = (2500 + wave + 20 * np.arange(SHAPE[1])[:, None] + np.arange(SHAPE[2])).astype(np.uint16)

    def say_12_bits(data, number):
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, int(signed)

    found = volume_of(tmp_path, each(series(array), say_12_bits))
    assert_same(found, array.astype(np.int16 if signed else np.uint16))


def test_float_pixel_data_with_nan_is_a_reason(tmp_path):
    def to_float(data, number, nan=False):
        del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
        data.BitsAllocated = 32
        values = noise()[:, :, number].T.astype(np.float32)
        values[0, 0] = np.nan if nan else 0
        data.FloatPixelData = np.ascontiguousarray(values).tobytes()

    finite, with_nan = (
        each(series(noise()), functools.partial(to_float, nan=nan)) for nan in (False, True)
    )
    assert volume_of(tmp_path / "finite", finite).array.dtype == np.float32
    assert "NaN" in reason_of(tmp_path / "nan", with_nan)


def test_no_other_decoder_is_used(tmp_path, monkeypatch):
    (path, *_) = write(tmp_path, _compressed("JPEG 2000", _values("JPEG 2000")))
    calls = []
    monkeypatch.setattr(
        imagecodecs, "jpeg2k_decode", lambda data: calls.append(data) or np.zeros((48, 40), np.uint16)
    )
    assert stored_values(path).max() == 0 and len(calls) == 1
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == uid.JPEG2000Lossless


RAW_AND_PACKED = [
    uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless, uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
]  # fmt: skip


@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", RAW_AND_PACKED)
def test_bits_above_those_stored_are_not_part_of_the_value(tmp_path, syntax, signed, stored):
    """Overlay planes lie there in old files; the reader of raw data leaves them out as well."""
    values = np.random.default_rng(0).integers(-900, 900, (7, 5, 6)) if signed else noise(high=2000)
    bits = (values & (2**stored - 1)).astype(np.uint16)
    overlay = 0x9000 if stored == 12 else 0
    with_overlay = bits | np.where(np.random.default_rng(1).random(bits.shape) < 0.5, overlay, 0)
    datasets = series(with_overlay.astype(np.uint16))
    for data in datasets:
        data.BitsStored, data.HighBit, data.PixelRepresentation = stored, stored - 1, int(signed)
        if syntax == uid.ExplicitVRBigEndian:
            data.PixelData = np.frombuffer(data.PixelData, np.uint16).byteswap().tobytes()
            data.file_meta.TransferSyntaxUID = syntax
        elif syntax != uid.ExplicitVRLittleEndian:
            _compress_bits(data, syntax)
    volume = volume_of(tmp_path, datasets)
    assert_same(volume, values.astype(np.int16 if signed else np.uint16))


def _compress_bits(data, syntax) -> None:
    """Compresses all 16 bits of each pixel, whatever BitsStored says."""
    plane = np.frombuffer(data.PixelData, np.uint16).reshape(data.Rows, data.Columns)
    if syntax == uid.RLELossless:
        stored, signed = data.BitsStored, data.PixelRepresentation
        data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 15, 0
        data.compress(syntax, generate_instance_uid=False)
        data.BitsStored, data.HighBit, data.PixelRepresentation = stored, stored - 1, signed
        return
    encode = imagecodecs.jpegls_encode if syntax == uid.JPEGLSLossless else lambda p: _j2k(p, 16)
    data.PixelData = encapsulate([encode(plane)])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax


@pytest.mark.parametrize(
    "keyword", ["PhotometricInterpretation", "SamplesPerPixel", "BitsStored", "HighBit"]
)
def test_what_a_grey_image_can_only_mean_is_filled_in(tmp_path, keyword):
    datasets = series(noise())
    for data in datasets:
        delattr(data, keyword)
    assert_same(volume_of(tmp_path, datasets), noise())


@pytest.mark.parametrize("keyword", ["BitsAllocated", "PixelRepresentation", "BitsStored"])
def test_a_missing_field_of_the_pixels_is_named(tmp_path, keyword):
    datasets = series(noise())
    for data in datasets:
        delattr(data, keyword)
        if keyword == "BitsStored":  # which HighBit would tell
            del data.HighBit
    assert reason_of(tmp_path, datasets) == f"the header lacks {keyword}"


def test_an_unknown_transfer_syntax_and_one_that_cannot_be_decoded_are_named(tmp_path):
    for folder, syntax, reason in (
        ("private", "1.2.840.113619.5.2", "not a known one"),
        ("video", uid.MPEG2MPML, "MPEG2 .* cannot be"),
    ):
        datasets = series(noise())
        for data in datasets:
            data.PixelData = encapsulate([data.PixelData])
            data["PixelData"].is_undefined_length = True
            data.file_meta.TransferSyntaxUID = syntax
        write(tmp_path / folder, datasets)
        assert re.search(reason, reason_of(tmp_path / folder))


def test_a_series_whose_low_values_are_shown_bright_says_so_and_keeps_its_values(tmp_path):
    def shown(data, number, how):
        data.PhotometricInterpretation = how

    for how, known in (("MONOCHROME1", True), ("MONOCHROME2", None)):
        volume = volume_of(tmp_path / how, each(series(noise()), functools.partial(shown, how=how)))
        assert volume.facts.get("low_is_white") is known
        assert_same(volume, noise())
