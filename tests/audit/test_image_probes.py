"""What probes see of one image: each sees its own place, none the gain of the scanner."""

import numpy as np
import pytest
from heads import head, marked

from mri_tf.audit import image_probes
from mri_tf.audit.foreground import foreground
from mri_tf.audit.image_probes import View

NAMES = ("border", "background", "corners", "histogram", "thumbnail")


def view(image):
    image = image[None] if image.ndim == 3 else image  # (depth, rows, columns, channels)
    inside = foreground(image[..., 0], "MR").inside
    return View(image, ["t1"], inside)


def seen(image):
    return {name: getattr(image_probes, name)(view(image)) for name in NAMES}


@pytest.mark.parametrize("volume", [False, True])
def test_a_mark_in_a_corner_is_seen_there_and_not_at_the_border(volume):
    clean = head(np.random.default_rng(0), volume)
    before, after = seen(clean), seen(marked(clean))
    corners = {name for name in before["corners"]
               if abs(after["corners"][name] - before["corners"][name]) > 0.2}  # fmt: skip
    assert corners and all("bottom right" in name for name in corners)
    assert after["border"] == pytest.approx(before["border"], abs=0.05)


@pytest.mark.parametrize("volume", [False, True])
def test_a_brighter_border_is_seen_in_the_outer_shells(volume):
    clean = head(np.random.default_rng(1), volume)
    inside = view(clean).inside
    image = clean[None] if clean.ndim == 3 else clean
    # The outermost voxels of the head, found here by shifting it.
    shifted = [np.roll(inside, step, axis) for axis in (0, 1, 2) for step in (-1, 1)]
    rim = inside & ~np.logical_and.reduce(shifted if volume else shifted[2:])
    bright = image.copy()
    bright[rim] += 40
    before, after = seen(image), seen(bright)
    assert after["border"]["t1 shell 1 mean"] > before["border"]["t1 shell 1 mean"] + 2
    assert abs(after["border"]["t1 shell 2 mean"] - before["border"]["t1 shell 2 mean"]) < 1
    assert after["corners"] == pytest.approx(before["corners"], abs=0.3)


def test_ghosts_around_the_head_are_seen_in_the_background():
    clean = head(np.random.default_rng(2))
    ghost = clean.copy()
    ghost[:4] += 8  # rows in front of the head
    assert (view(ghost).inside == view(clean).inside).all()
    before, after = seen(clean)["background"], seen(ghost)["background"]
    changed = {name for name in before if abs(after[name] - before[name]) > 0.1}
    assert {"t1 background top left", "t1 background top right"} <= changed
    assert not any("bottom" in name for name in changed)


@pytest.mark.parametrize("volume", [False, True])
def test_the_gain_of_a_scanner_changes_nothing(volume):
    clean = head(np.random.default_rng(3), volume)
    for name, found in seen(clean).items():
        again = seen(clean * np.float32(7))[name]
        assert again == pytest.approx(found, abs=1e-3), name


def test_an_image_of_one_value_and_missing_sequences_give_numbers():
    blank = np.zeros((20, 20, 2), np.float32)
    of_blank = View(blank[None], ["t1", "t2"], np.zeros((1, 20, 20), bool))
    for name in NAMES:
        assert np.isfinite(list(getattr(image_probes, name)(of_blank).values())).all()
    one = blank.copy()
    one[..., 1] = np.random.default_rng(0).normal(size=(20, 20))
    of_one = View(one[None], ["t1", "t2"], np.ones((1, 20, 20), bool))
    found = image_probes.missing(of_one, {"has_t1": False})
    assert found == {"t1 missing": 1.0, "t2 missing": 0.0, "has_t1 is 0": 1.0}


def test_a_histogram_and_a_thumbnail_are_of_the_whole_image():
    clean = head(np.random.default_rng(4), volume=True)
    found = seen(clean)
    assert len(found["histogram"]) == 16 and sum(found["histogram"].values()) == pytest.approx(1)
    assert len(found["thumbnail"]) == 3 * 16 * 16
    assert len(seen(head(np.random.default_rng(4)))["thumbnail"]) == 16 * 16
    small = np.arange(36.0).reshape(6, 6)  # smaller than the thumbnail: its own pixels
    tiny = View(small[None, ..., None].astype(np.float32), ["t1"], np.ones((1, 6, 6), bool))
    values = list(image_probes.thumbnail(tiny).values())
    assert np.corrcoef(values, small.ravel())[0, 1] == pytest.approx(1)


def test_the_volume_of_a_mask_is_in_cubic_millimetres_where_the_spacing_is_known():
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1, 2, :3] = 2
    found = image_probes.mask_volume(mask, (2.0, 1.0, 0.5))
    assert found == {"mask 1": 0.0, "mask 2": pytest.approx(np.log1p(3.0))}
    assert image_probes.mask_volume(mask, None)["mask 2"] == pytest.approx(np.log1p(3))


def test_the_body_in_ct_is_found_by_hounsfield_units_with_its_lungs_and_without_the_table():
    image = np.full((5, 40, 40), -1000.0)
    image[:, 8:32, 6:34] = 40
    image[:, 14:24, 12:20] = -850  # a lung
    image[:, 36, 18:22] = 100  # a part of the table
    found = foreground(image, "CT")
    assert found.method == "threshold in HU" and found.ends_in_image
    assert found.inside[:, 14:24, 12:20].all() and not found.inside[:, 36].any()
    assert found.inside.sum() == 5 * 24 * 28
    assert foreground(image / 4 + 260, "CT").method != "threshold in HU"  # pictures of CT in grey


def test_an_image_that_is_filled_has_no_border():
    rng = np.random.default_rng(0)
    filled = 100 + 10 * rng.normal(size=(1, 40, 40))
    filled[0, 15:25, 15:25] = 5
    assert not foreground(filled, "MR").ends_in_image
    assert foreground(head(rng)[None, ..., 0], "MR").ends_in_image
    assert not foreground(np.zeros((1, 10, 10)), "MR").ends_in_image


def test_a_lesion_that_is_bright_changes_little_of_what_border_and_background_show():
    """It covers 36 pixels of the head, at three times their brightness."""
    clean = head(np.random.default_rng(2))
    with_lesion = clean.copy()
    with_lesion[20:26, 20:26] = 3 * np.median(clean[20:26, 20:26])
    before, after = seen(clean), seen(with_lesion)
    for name in ("border", "background"):
        for feature, value in before[name].items():
            assert after[name][feature] == pytest.approx(value, rel=0.15, abs=0.15), feature


def test_a_large_lesion_in_a_small_head_with_empty_air_changes_neither_background_nor_corners():
    depth, rows, columns = np.ogrid[-6:6, -16:16, -16:16]
    distance = np.sqrt((depth * 2.4) ** 2 + rows**2 + columns**2)
    noise = np.random.default_rng(5).normal(size=distance.shape)
    of_sizes = []
    for radius in (2, 7):
        image = np.where(distance < 14, 100 + 5 * noise, 0)
        image = np.where(distance < radius, 160 + 5 * noise, image).astype(np.float32)[..., None]
        of_sizes.append(seen(image))
    for name in ("background", "corners"):
        assert of_sizes[0][name] == of_sizes[1][name], name
        assert not any(of_sizes[0][name][one] for one in of_sizes[0][name] if not one.endswith("zeros"))


def test_the_value_of_an_empty_background_is_told_as_it_is():
    clean = head(np.random.default_rng(6))
    filled = [np.where(view(clean).inside[0, ..., None], clean, value) for value in (0, 3)]
    found = [seen(image.astype(np.float32))["background"] for image in filled]
    assert found[0]["t1 background if of one value"] == 0
    assert found[1]["t1 background if of one value"] == 3
