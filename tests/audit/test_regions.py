"""What is put into another image: the border's intensities, what lies around both heads, the corners."""

import numpy as np
import pytest
from heads import head, marked

from mri_tf.audit.foreground import foreground
from mri_tf.audit.image_probes import around, shells_of
from mri_tf.audit.regions import REGIONS, Pictured


def pictured(image):
    image = image if image.ndim == 4 else image[None]
    place = foreground(image[..., 0], "MR")
    return Pictured(image, place.inside, place.ends_in_image)


@pytest.fixture(params=[False, True], ids=["picture", "volume"])
def pair(request):
    rng = np.random.default_rng(3)
    return pictured(head(rng, request.param)), pictured(marked(head(rng, request.param)))


def test_the_border_takes_intensities_of_the_donor_s_border_and_nothing_else_changes(pair):
    image, donor = pair
    changed = REGIONS["border"](donor, image)
    shells, donors = shells_of(image.inside)[0], shells_of(donor.inside)[0]
    ring = np.logical_or.reduce(shells)
    np.testing.assert_array_equal(changed[~ring], image.image[~ring])
    for own, other in zip(shells, donors, strict=True):
        assert set(changed[own].ravel()) <= set(donor.image[other].ravel())
    assert (changed[ring] != image.image[ring]).mean() > 0.9


def test_the_background_is_the_donor_s_where_neither_head_is(pair):
    image, donor = pair
    changed = REGIONS["background"](donor, image)
    both = around(image.inside) & around(donor.inside)
    np.testing.assert_array_equal(changed[both], donor.image[both])
    np.testing.assert_array_equal(changed[~both], image.image[~both])
    assert changed[..., -4, -4, 0].max() == 140  # the donor's mark


def test_corners_carry_a_mark_and_leave_the_middle_of_the_sides(pair):
    image, donor = pair
    changed = REGIONS["corners"](donor, image)
    assert (changed[..., -5:-2, -5:-2, 0] == 140).all()
    middle = changed[:, :, 20:28]
    np.testing.assert_array_equal(middle, image.image[:, :, 20:28])


def test_an_image_is_not_changed_by_itself_nor_in_place(pair):
    image, donor = pair
    before = image.image.copy()
    for swap in REGIONS.values():
        np.testing.assert_array_equal(swap(image, image), image.image)
        swap(donor, image)
    np.testing.assert_array_equal(image.image, before)


def test_without_a_head_that_ends_in_the_image_only_corners_are_exchanged():
    rng = np.random.default_rng(0)
    image, donor = (pictured(100 + 10 * rng.normal(size=(32, 32, 1))) for _ in range(2))
    assert not image.ends
    for name, swap in REGIONS.items():
        changed = (swap(donor, image) != image.image).sum()
        assert changed == (4 * 4 * 4 if name == "corners" else 0)
