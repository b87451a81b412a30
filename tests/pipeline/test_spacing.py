"""Slices of any spacing on the network's pixels: millimetres are kept, what lies beyond is the mean."""

import numpy as np
import pytest
import tensorflow as tf

from mri_tf.pipeline.spacing import fit_spacing, spaced_slices

SPACINGS = [(0.21, 0.21), (1.0, 1.0), (0.9, 0.3), (0.35, 1.0), (0.54, 0.54)]  # rows, columns
GRID = (96, 128)
PIXEL_MM = 0.54


def _disc(spacing, radius_mm, centre_mm, field_mm=60.0):
    """1 inside a disc, with soft edges of a pixel, and its mask; the image begins at 0 mm."""
    rows, columns = (int(round(field_mm / step)) for step in spacing)
    y = np.arange(rows)[:, None] * spacing[0] - centre_mm[0]
    x = np.arange(columns)[None, :] * spacing[1] - centre_mm[1]
    image = np.clip(0.5 + (radius_mm - np.hypot(y, x)) / max(spacing), 0, 1)
    return image.astype(np.float32), (image >= 0.5).astype(np.int32)


def _spaced(image, mask, spacing, beyond=0.0, margin_mm=6.0, grid=GRID, pixel_mm=PIXEL_MM):
    return spaced_slices(
        tf.constant(image[None, ..., None]), tf.constant(mask[None]),
        tf.constant([spacing], tf.float32), tf.constant([[beyond]], tf.float32),
        pixel_mm, grid, margin_mm,
    ).numpy()[0, ..., 0]  # fmt: skip


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius_mm", [5.0, 14.0])
def test_a_disc_keeps_its_radius_in_mm_along_rows_and_columns(spacing, radius_mm):
    image, mask = _disc(spacing, radius_mm, (27.0, 33.0))
    found = _spaced(image, mask, spacing)
    assert found.shape == GRID
    area_mm2 = found.sum() * PIXEL_MM**2
    assert np.sqrt(area_mm2 / np.pi) == pytest.approx(radius_mm, rel=0.02)
    for axis in range(2):
        across_mm = found.sum(axis=axis).max() * PIXEL_MM
        assert across_mm == pytest.approx(2 * radius_mm, abs=max(spacing))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_middle_of_the_masks_box_becomes_the_grids(spacing):
    image, mask = _disc(spacing, 9.0, (22.0, 36.0))
    found = _spaced(image, mask, spacing)
    for axis, size in enumerate(GRID):
        profile = found.sum(axis=1 - axis)
        middle = (profile * np.arange(size)).sum() / profile.sum()
        # The box's middle is the disc's to half a source pixel.
        assert abs(middle - (size - 1) / 2) * PIXEL_MM <= 0.51 * max(spacing)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_what_is_linear_in_mm_stays_so(spacing):
    rows, columns = (int(round(60 / step)) for step in spacing)
    y, x = np.mgrid[:rows, :columns] * np.array(spacing)[:, None, None]
    mask = np.zeros((rows, columns), np.int32)
    mask[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3] = 1
    found = _spaced((3 * y - 2 * x).astype(np.float32), mask, spacing, grid=(40, 40))
    places = [np.nonzero(mask.any(axis=1 - axis))[0] for axis in range(2)]
    middle = [(place[0] + place[-1]) / 2 * step for place, step in zip(places, spacing, strict=True)]
    apart = (np.arange(40) - 19.5) * PIXEL_MM
    wanted = 3 * (middle[0] + apart)[:, None] - 2 * (middle[1] + apart)[None, :]
    # A triangle of no whole number of pixels errs by a few hundredths of a pixel.
    np.testing.assert_allclose(found, wanted, atol=0.05 * (3 * spacing[0] + 2 * spacing[1]))
    assert np.polyfit(apart, found.mean(axis=1), 1)[0] == pytest.approx(3, rel=2e-3)
    assert np.polyfit(apart, found.mean(axis=0), 1)[0] == pytest.approx(-2, rel=2e-3)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_what_is_constant_stays_so_to_the_slices_border(spacing):
    mask = np.ones([int(round(30 / step)) for step in spacing], np.int32)
    found = _spaced(np.full(mask.shape, 7, np.float32), mask, spacing, beyond=-1)
    np.testing.assert_allclose(found[found != -1], 7, rtol=1e-6)
    assert (found != -1).sum() * PIXEL_MM**2 == pytest.approx(30**2, rel=0.06)


def test_the_image_ends_the_margin_beyond_the_mask_and_the_mean_follows():
    spacing = (0.5, 0.8)
    mask = np.zeros((120, 80), np.int32)
    mask[50:70, 30:50] = 1  # 10 mm x 16 mm
    found = _spaced(np.ones((120, 80), np.float32), mask, spacing, beyond=5.0, margin_mm=6.0)
    kept = found < 1.5
    np.testing.assert_allclose(found, np.where(kept, 1, 5), rtol=1e-6)
    rows, columns = (np.nonzero(kept.any(axis=1 - axis))[0] for axis in range(2))
    assert len(rows) * PIXEL_MM == pytest.approx(10 + 12, abs=2 * PIXEL_MM)
    assert len(columns) * PIXEL_MM == pytest.approx(16 + 12, abs=2 * PIXEL_MM)
    assert kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_beyond_the_slice_is_the_mean_as_well():
    mask = np.zeros((40, 40), np.int32)
    mask[0:10, 15:25] = 1  # at the first row
    found = _spaced(np.ones((40, 40), np.float32), mask, (1.0, 1.0), beyond=5.0, pixel_mm=1.0)
    rows = np.nonzero((found < 1.5).any(axis=1))[0]
    middle = (GRID[0] - 1) / 2
    assert rows[0] - middle == pytest.approx(-5, abs=1) and rows[-1] - middle == pytest.approx(11, abs=1)


def test_an_empty_mask_is_one_of_the_whole_slice():
    image, _ = _disc((0.7, 0.7), 12.0, (30.0, 30.0))
    found = [_spaced(image, np.full(image.shape, value, np.int32), (0.7, 0.7)) for value in (0, 1)]
    np.testing.assert_array_equal(*found)


def test_averaging_keeps_what_linear_interpolation_alone_would_miss():
    """A chessboard of single pixels is grey where pixels are four times as large."""
    board = (np.indices((160, 160)).sum(axis=0) % 2).astype(np.float32)
    found = _spaced(board, np.ones((160, 160), np.int32), (0.2, 0.2), grid=(32, 32), pixel_mm=0.8)
    np.testing.assert_allclose(found, 0.5, atol=0.01)


def test_slices_of_a_batch_do_not_depend_on_each_other():
    parts = [_disc((0.6, 0.6), radius, (30.0, 30.0)) for radius in (4.0, 9.0, 15.0)]
    spacings = [(0.6, 0.6), (0.3, 0.9), (1.0, 0.5)]
    images, masks = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    together = spaced_slices(
        tf.constant(images[..., None]), tf.constant(masks), tf.constant(spacings, tf.float32),
        tf.zeros((3, 1)),
        PIXEL_MM, GRID, 6.0,
    ).numpy()[..., 0]  # fmt: skip
    alone = [_spaced(*part, spacing) for part, spacing in zip(parts, spacings, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_fitted_spacing_is_the_median_over_studies():
    spacings = np.array([(4.0, 0.5, 0.5), (1.0, 0.2, 0.8), (5.0, 0.9, 0.9)])
    assert fit_spacing(spacings) == pytest.approx({"pixel_mm": 0.5, "slice_mm": 4.0})
