"""Copies of images across sides are kept together, refused, dropped, or named beside the numbers."""

import json

import numpy as np
import pytest
from heads import head
from made_up_set import MadeUpSet
from PIL import Image
from scipy.ndimage import gaussian_filter

from mri_tf.core.errors import InputError
from mri_tf.splits.known_copies import (
    copies_across,
    known_copies_note,
    settle_copies,
    tied_by_copies,
    tied_by_copies_elsewhere,
)
from mri_tf.splits.sides import Sides
from mri_tf.store import copies
from mri_tf.store.copies import copy_pairs
from mri_tf.store.image_similarity import bits_of, hashes, low_frequencies, thumbnail
from mri_tf.store.whole_turns import forms_of, inverted, turned_hashes


def blobs(seed: int, side: int = 64) -> np.ndarray:
    """(side, side, 1) uint8, smooth and like no other seed's."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 2.5)
    return np.rint(255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)[..., None]


def brighter(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 0.8 + 30, 0, 255).astype(np.uint8)


def turned(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image[..., 0]).rotate(2, Image.Resampling.BILINEAR))[..., None]


CHANGES = {"same": lambda image: image.copy(), "brighter": brighter, "turned": turned,
           "mirrored": lambda image: image[:, ::-1], "mirrored and darker": lambda i: i[:, ::-1] // 2,
           "shifted to the side": lambda image: np.roll(image, 1, axis=1),
           "shifted up by two": lambda image: np.roll(image, -2, axis=0)}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_a_copy_of_another_patient_s_image_is_found_and_nothing_else(tmp_path, kind):
    images = [blobs(seed) for seed in range(20)]
    images.append(CHANGES[kind](images[7]))
    prepared = MadeUpSet(tmp_path, images)
    pairs = copy_pairs(prepared, np.arange(21))
    assert pairs.both.tolist() == [[7, 20]]
    assert len(pairs.exact) == (kind == "same")


@pytest.mark.parametrize("axis", [1, 2])
def test_a_volume_that_is_shifted_by_a_voxel_is_a_copy_and_the_patient_beside_it_is_not(tmp_path, axis):
    volumes = [head(np.random.default_rng(seed), volume=True, noise=0) for seed in range(6)]
    texture = [gaussian_filter(np.random.default_rng(seed).normal(size=(20, 48, 48, 1)), (2, 2, 2, 0))
               for seed in range(6)]  # fmt: skip
    images = [one + 300 * more * (one > 0) for one, more in zip(volumes, texture, strict=True)]
    images.append(np.roll(images[2], 1, axis=axis))
    pairs = copy_pairs(MadeUpSet(tmp_path, images), np.arange(7))
    assert pairs.both.tolist() == [[2, 6]]


TURNS = {
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 270 degrees": lambda image: np.rot90(image, 3),
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
    "upside down": lambda image: image[::-1], "transposed": lambda image: image.swapaxes(0, 1),
    "transposed along the other diagonal": lambda image: np.rot90(image, 2).swapaxes(0, 1),
    "inverted": lambda image: 255 - image, "upside down and darker": lambda image: image[::-1] // 2,
}  # fmt: skip


@pytest.mark.parametrize("kind", TURNS)
@pytest.mark.parametrize("original", [4, 8])
def test_a_picture_that_is_turned_over_or_inverted_is_a_copy(tmp_path, kind, original):
    images = [blobs(seed) for seed in range(12)]
    images[7] = TURNS[kind](images[original])  # before or after its original
    pairs = copy_pairs(MadeUpSet(tmp_path, images), np.arange(12))
    assert pairs.near.tolist() == [sorted((7, original))] and not len(pairs.exact)


def test_the_hashes_of_turned_forms_are_those_of_the_turned_thumbnails():
    thumb, last = (thumbnail(blobs(seed, 128)) for seed in (1, 2))
    assert np.array_equal(bits_of(low_frequencies(thumb)), hashes(thumb, ((0, 0, 0),))[0])
    for shape, found in ((3, turned_hashes(thumb, None)), (4, turned_hashes(thumb, last))):
        for (name, turn), bits in zip(forms_of(shape).items(), found, strict=True):
            image = thumb if shape == 3 else np.stack([thumb, last])
            turned = inverted(image) if name == "inverted" else turn(image)
            expected = hashes(turned if shape == 3 else turned[0], ((0, 0, 0),))[0]
            assert np.bitwise_count(expected ^ bits).sum() <= 4, name


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_volume_that_is_turned_over_or_mirrored_is_a_copy(tmp_path, axes):
    texture = [gaussian_filter(np.random.default_rng(seed).normal(size=(20, 48, 48, 1)), (2, 2, 2, 0))
               for seed in range(6)]  # fmt: skip
    images = [np.float32(100 * one) for one in texture]
    images.append(np.flip(images[2], axes))
    pairs = copy_pairs(MadeUpSet(tmp_path, images), np.arange(7))
    assert pairs.near.tolist() == [[2, 6]]


def sequences(first: int, second: int) -> np.ndarray:
    """(64, 64, 3): two sequences, and a channel that says that the second one is there."""
    there = np.full((64, 64, 1), second >= 0, np.uint8)
    return np.concatenate([blobs(first), blobs(second) if second >= 0 else 0 * there, there], axis=-1)


def test_a_sequence_that_is_copied_to_another_patient_is_found_though_the_other_differs(tmp_path):
    images = [sequences(seed, seed + 50) for seed in range(8)]
    images += [sequences(3, 90), sequences(91, 55), sequences(20, -1), sequences(21, -1)]
    prepared = MadeUpSet(tmp_path, images)
    prepared.manifest |= {"channels": ["t1", "flair", "has_flair"], "separate_channels": True}
    pairs = copy_pairs(prepared, np.arange(12))
    assert pairs.sequences.tolist() == [[3, 8], [5, 9]] and not len(pairs.exact) + len(pairs.near)
    assert copy_pairs(prepared, np.arange(12)).sequences.tolist() == [[3, 8], [5, 9]]  # as stored
    assert tied_by_copies(prepared, np.arange(12))[3] == tied_by_copies(prepared, np.arange(12))[8]


def test_a_missing_sequence_is_no_copy_and_colours_are_not_compared_by_themselves(tmp_path):
    images = [sequences(seed, -1) for seed in range(6)]
    prepared = MadeUpSet(tmp_path, images)
    prepared.manifest |= {"channels": ["t1", "flair", "has_flair"], "separate_channels": True}
    assert not len(copy_pairs(prepared, np.arange(6)).both)
    coloured = MadeUpSet(tmp_path, [sequences(0, 1), sequences(0, 2)])
    coloured.manifest |= {"channels": ["red", "green", "blue"]}
    assert not len(copy_pairs(coloured, np.arange(2)).both)


def test_images_of_one_patient_are_not_compared(tmp_path):
    images = [blobs(0), blobs(0), brighter(blobs(0)), blobs(1)]
    pairs = copy_pairs(MadeUpSet(tmp_path, images), np.array([0, 0, 0, 1]))
    assert not len(pairs.both)


def test_blank_images_are_copies_of_nothing(tmp_path):
    images = [np.zeros((32, 32, 1), np.uint8)] * 3 + [np.full((32, 32, 1), 9, np.uint8)]
    assert not len(copy_pairs(MadeUpSet(tmp_path, images), np.arange(4)).both)


@pytest.mark.parametrize("mirrored", [False, True])
def test_volumes_are_compared_by_three_planes(tmp_path, mirrored):
    volumes = [np.stack([blobs(100 * seed + z, 48) for z in range(4)]) for seed in range(4)]
    volumes = [np.repeat(volume, 8, axis=0) for volume in volumes]  # (32, 48, 48, 1)
    copy = brighter(volumes[1])
    volumes.append(copy[:, :, ::-1] if mirrored else copy)
    other = volumes[2].copy()
    other[:14] = volumes[3][:14]  # the same axial plane in the middle, another volume
    volumes.append(other)
    pairs = copy_pairs(MadeUpSet(tmp_path, volumes), np.arange(6))
    assert pairs.both.tolist() == [[1, 4]]


def test_the_pairs_are_looked_for_once_and_again_when_the_set_changes(tmp_path, monkeypatch):
    images = [blobs(0), blobs(1), brighter(blobs(0))]
    first = copy_pairs(MadeUpSet(tmp_path, images), np.arange(3))
    stored = json.loads((tmp_path / copies.FILE).read_text())
    assert stored["near"] == [[0, 2]] == first.near.tolist()
    monkeypatch.setattr(copies, "_find", lambda *_: pytest.fail("looked for again"))
    np.testing.assert_array_equal(copy_pairs(MadeUpSet(tmp_path, images), np.arange(3)).near, first.near)
    monkeypatch.undo()
    assert not len(copy_pairs(MadeUpSet(tmp_path, [blobs(5), *images[1:]]), np.arange(3)).near)


@pytest.fixture
def across(tmp_path):
    """Ten patients of two images; p0's first is p8's, p1's second nearly p9's, p2's first p5's."""
    images = [blobs(seed) for seed in range(20)]
    images[16], images[19], images[10] = images[0], brighter(images[3]), images[4]
    patients = [f"p{number // 2}" for number in range(20)]
    prepared = MadeUpSet(tmp_path, images, patients)
    sides = [np.arange(0, 12), np.arange(12, 16), np.arange(16, 20)]
    return prepared, sides


def test_copies_between_sides_are_counted_and_those_within_a_side_are_not(across):
    prepared, sides = across
    found = copies_across(prepared, sides)
    assert found.pairs.tolist() == [[0, 16], [3, 19]] and found.exact == 1
    assert found.of_side(sides[2]).tolist() == [16, 19]


def test_a_supplied_split_with_copies_is_refused_naming_how_many_and_which(across):
    prepared, sides = across
    with pytest.raises(InputError) as error:
        settle_copies(prepared, sides, "", "split column")
    text = str(error.value)
    assert "1 exact and 1 near copies, of 2 of 4 test records" in text
    assert "file-0000.png (train) = file-0016.png (test)" in text
    assert "--known-copies drop" in text and "--known-copies keep" in text


def test_dropping_leaves_whole_patients_out_of_training_and_never_out_of_the_test_side(across):
    prepared, sides = across
    kept, values = settle_copies(prepared, sides, "drop", "split column")
    assert [len(side) for side in kept] == [8, 4, 4]
    assert not {"p0", "p1"} & set(prepared.patients[kept[0]])
    assert len(values["dropped"]) == 4
    assert not len(copies_across(prepared, kept).pairs)


def test_keeping_leaves_the_sides_and_names_the_held_out_records(across):
    prepared, sides = across
    kept, values = settle_copies(prepared, sides, "keep", "split file")
    assert all(np.array_equal(a, b) for a, b in zip(kept, sides, strict=True))
    assert values["held_out"] == list(prepared.record_ids[[16, 19]])
    assert known_copies_note(values, 4).startswith("KNOWN COPIES: 2 of 4 held-out records")


def test_a_split_without_copies_is_left_alone(tmp_path):
    prepared = MadeUpSet(tmp_path, [blobs(seed) for seed in range(6)])
    sides = [np.arange(2), np.arange(2, 4), np.arange(4, 6)]
    assert settle_copies(prepared, sides, "", "split column") == (sides, None)
    assert known_copies_note(None, 2) == ""


def test_dropping_everything_is_refused(tmp_path):
    images = [blobs(0), blobs(1), blobs(2), blobs(0)]
    sides = [np.array([0]), np.array([1]), np.array([2, 3])]
    with pytest.raises(InputError, match="leaves no patient on a side"):
        settle_copies(MadeUpSet(tmp_path, images), sides, "drop", "split column")


def test_copies_count_as_the_same_patient_in_splits_of_ours(across):
    prepared, _ = across
    units = np.repeat(np.arange(10), 2)
    tied = tied_by_copies(prepared, units)
    assert len(set(tied)) == 7
    for first, second in ((0, 16), (1, 17), (3, 19), (4, 10)):
        assert tied[first] == tied[second]
    assert tied[12] != tied[14]


def test_copies_of_copies_are_dropped_and_found_through_patients_of_no_side(tmp_path):
    images = [blobs(0), blobs(0), blobs(1), blobs(2), blobs(3), blobs(0), brighter(blobs(0))]
    prepared = MadeUpSet(tmp_path, images)
    sides = [np.array([0, 1, 2, 6]), np.array([3]), np.array([4, 5])]
    kept, values = settle_copies(prepared, sides, "drop", "split file")
    assert kept[0].tolist() == [2] and len(values["dropped"]) == 3
    through_nobody = [np.array([1, 2]), np.array([3]), np.array([4, 5])]
    assert copies_across(prepared, through_nobody).pairs.tolist() == [[1, 5]]


def test_groups_that_stand_for_unknown_patients_are_compared_record_by_record(tmp_path):
    images = [blobs(0), blobs(1), blobs(2), brighter(blobs(0))]
    prepared = MadeUpSet(tmp_path, images, ["g-0", "g-1", "g-2", "g-0"])
    prepared.manifest["patients_known"] = False
    sides = [np.array([0, 1]), np.array([2]), np.array([3])]
    assert copies_across(prepared, sides).pairs.tolist() == [[0, 3]]
    kept, _ = settle_copies(prepared, sides, "drop", "split column")
    assert kept[0].tolist() == [1]


def test_mirrored_volumes_of_fine_texture_are_found(tmp_path):
    from scipy.ndimage import gaussian_filter

    volumes = [
        gaussian_filter(np.random.default_rng(seed).normal(size=(32, 64, 64)), 1.2)[..., None]
        for seed in range(3)
    ]
    volumes.append(volumes[1][:, :, ::-1].copy())
    assert copy_pairs(MadeUpSet(tmp_path, volumes), np.arange(4)).both.tolist() == [[1, 3]]


def test_what_was_dropped_is_withheld_from_feature_networks():
    sides = Sides([np.array([2]), np.array([3]), np.array([4])], "column", None, {}, np.array([0, 1]))
    assert [side.tolist() for side in sides.withheld] == [[2], [3], [4, 0, 1]]
    assert Sides(sides.records, "patient", None).withheld is sides.records


def test_copies_that_only_another_preparation_shows_are_tied_too(tmp_path):
    plain = MadeUpSet(tmp_path / "a", [blobs(seed) for seed in range(4)])
    equalised = MadeUpSet(tmp_path / "b", [blobs(0), blobs(1), brighter(blobs(0)), blobs(3)])
    units = tied_by_copies_elsewhere(plain.patients, np.arange(4), [equalised])
    assert units[0] == units[2] and len(set(units)) == 3
