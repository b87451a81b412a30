"""Copies of images are found, neighbours are not, and what is told of them is right."""

import csv
from concurrent.futures import Executor

import imagehash
import numpy as np
import pytest
from dicom_series import series, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from planted import NEAR, counted, plant
from volumes import save_nifti

from data_prep.case import Case
from data_prep.phantom.short_axis import draw_slices
from data_prep.prepare.duplicates import find_copies, report, summary_lines, with_groups
from mri_tf.core.errors import InputError
from mri_tf.core.executors import executor
from mri_tf.store.copies import near_pairs
from mri_tf.store.image_similarity import (
    DEFAULTS,
    HASHED,
    UPRIGHT,
    VIEW_DEGREES,
    check_duplicates,
    hashes,
    likeness,
    thumbnail,
)


def phantoms(count: int, seed: int = 0) -> list[Image.Image]:
    """Slices of phantom hearts, neighbours among them."""
    images = []
    patient = 0
    while len(images) < count:
        images += [image for image, _ in draw_slices(np.random.default_rng([seed, patient]))]
        patient += 1
    return [Image.fromarray(image) for image in images[:count]]


@pytest.fixture(scope="module")
def pool() -> Executor:
    with executor(1) as one:
        yield one


def thumb_of(image: Image.Image) -> np.ndarray:
    return thumbnail(np.asarray(image.convert("L"), np.float32)[..., None])


@pytest.mark.parametrize("kind", NEAR)
def test_a_near_copy_is_alike_and_its_hash_is_near(kind):
    image = phantoms(1)[0]
    first, second = thumb_of(image), thumb_of(NEAR[kind](image))
    pairs = near_pairs(np.stack([hashes(first), hashes(second)]), DEFAULTS["distance"])
    assert [pair[:2] for pair in pairs] == [(0, 1)]
    assert likeness(first, second, pairs[0][2]) > DEFAULTS["similarity"]


def test_the_neighbouring_slice_is_not_alike():
    slices = [thumb_of(image) for image in phantoms(6)]
    values = [likeness(one, other, 0.0) for one, other in zip(slices, slices[1:], strict=False)]
    assert max(values) < DEFAULTS["similarity"]


def test_noise_on_the_same_anatomy_is_another_exposure():
    anatomy = np.asarray(phantoms(1)[0], float)
    rng = np.random.default_rng(0)
    twice = [thumb_of(Image.fromarray((anatomy * 0.6 + rng.normal(0, 25, anatomy.shape) + 60)
                                      .clip(0, 255).astype(np.uint8))) for _ in range(2)]  # fmt: skip
    assert likeness(*twice, 0.0) < DEFAULTS["similarity"]


def test_a_picture_is_wholly_like_itself_and_a_blank_one_like_nothing():
    thumb, blank = thumb_of(phantoms(1)[0]), np.zeros((128, 128), np.float16)
    assert likeness(thumb, thumb, 0.0) == pytest.approx(1, abs=1e-4)
    assert likeness(thumb, blank, 0.0) == likeness(blank, blank, 0.0) == 0


def test_the_angle_of_a_pair_says_how_the_first_was_turned():
    image = phantoms(1)[0]
    codes = np.stack([hashes(thumb_of(image)), hashes(thumb_of(image.rotate(2)))])
    assert 1 <= near_pairs(codes, 32)[0][2] <= 3
    assert -3 <= near_pairs(codes[::-1], 32)[0][2] <= -1


def test_the_angle_is_where_the_alignment_begins(monkeypatch):
    monkeypatch.setattr("mri_tf.store.image_similarity.MAX_STEPS", 0)
    image = phantoms(1)[0]
    first, second = thumb_of(image), thumb_of(image.rotate(3, Image.Resampling.BICUBIC))
    right, none, wrong = (likeness(first, second, degrees) for degrees in (3.0, 0.0, -3.0))
    assert right > 0.98 > none > wrong


def test_the_upright_hash_is_that_of_imagehash():
    thumb = thumb_of(phantoms(1)[0])
    picture = Image.fromarray(np.rint(thumb.astype(np.float32) * 255).astype(np.uint8))
    middle = picture.crop((HASHED.start, HASHED.start, HASHED.stop, HASHED.stop))
    wanted = imagehash.phash(middle, hash_size=16).hash.ravel()
    np.testing.assert_array_equal(np.unpackbits(hashes(thumb)[UPRIGHT].view(np.uint8)), wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.integers(100, 130))
def test_near_pairs_are_those_of_a_plain_loop(count, seed, distance):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, (count, len(VIEW_DEGREES), 4), np.uint64, endpoint=False)
    bits = np.unpackbits(codes.view(np.uint8), axis=-1)

    def between(one, other):
        return min(int((turned != bits[other, UPRIGHT]).sum()) for turned in bits[one])

    wanted = {
        (one, other) for one in range(count) for other in range(one + 1, count)
        if min(between(one, other), between(other, one)) <= distance
    }  # fmt: skip
    assert {pair[:2] for pair in near_pairs(codes, distance)} == wanted


def _assert_every_copy_is_found_and_no_neighbour(folder, images, pool):
    cases, original, kind = plant(folder, images, exact=20, near=20)
    copies = find_copies(folder, cases, {}, 8, pool, 1)
    found = counted(copies.group_of, original, kind)
    assert found["exact"] == copies.exact == 20
    assert found["near"] >= 18
    assert found["false_groups"] <= 1


def test_of_200_phantoms_every_planted_copy_is_found_and_no_neighbour(tmp_path, pool):
    _assert_every_copy_is_found_and_no_neighbour(tmp_path, phantoms(200), pool)


def test_of_mid_slices_of_hearts_every_planted_copy_is_found_and_no_neighbour(
    shared_data, tmp_path, pool
):
    with (shared_data / "sunnybrook" / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["axial_level"] == "mid"]
    levels = {(row["patient_id"], row["slice_level"]): row["image"] for row in reversed(rows)}
    images = [Image.open(shared_data / "sunnybrook" / name) for name in levels.values()][:200]
    _assert_every_copy_is_found_and_no_neighbour(tmp_path, images, pool)


@pytest.fixture(scope="module")
def few(tmp_path_factory, pool):
    """Ten phantoms with three exact and three near copies: (folder, cases, copies, original)."""
    folder = tmp_path_factory.mktemp("few")
    cases, original, _ = plant(folder, phantoms(10), exact=3, near=3)
    labels = ["low", "high"]
    cases = [
        Case(patient="", files=case.files, label=labels[number % 2])
        for case, number in zip(cases, original, strict=True)
    ]
    return folder, cases, find_copies(folder, cases, {}, 8, pool, 1), original


@pytest.mark.slow
def test_workers_find_what_one_process_finds(few):
    folder, cases, copies, _ = few
    with executor(2) as two:
        again = find_copies(folder, cases, {}, 8, two, 16)
    assert again == copies


def test_names_of_groups_do_not_change_with_the_order_of_files(few, pool):
    folder, cases, copies, _ = few
    backwards = find_copies(folder, cases[::-1], {}, 8, pool, 1)
    assert backwards.group_of[::-1] == copies.group_of


def test_an_image_of_an_unknown_patient_is_at_least_a_group_of_one(few):
    _, cases, copies, original = few
    named = with_groups(cases, copies)
    assert all(case.group and case.patient == case.group for case in named)
    assert len({case.group for case in named}) == len(set(original))


def test_images_of_known_patients_keep_them_and_copies_tie_them(few, pool):
    folder, cases, _, original = few
    cases = [Case(patient=f"P{place}", files=case.files) for place, case in enumerate(cases)]
    named = with_groups(cases, find_copies(folder, cases, {}, 8, pool, 1))
    assert [case.patient for case in named] == [case.patient for case in cases]
    alone = [number for number in set(original) if original.count(number) == 1]
    for case, number in zip(named, original, strict=True):
        assert (case.group == "") == (number in alone)


def test_copies_of_a_groups_members_belong_to_the_group(few, pool):
    folder, cases, copies, _ = few
    twin = next(place for place, name in enumerate(copies.group_of) if copies.group_of.count(name) > 1)
    given = [
        Case(patient=f"P{place}", files=case.files, group="ours" if place == twin else "")
        for place, case in enumerate(cases)
    ]
    named = with_groups(given, find_copies(folder, given, {}, 8, pool, 1))
    members = [place for place, name in enumerate(copies.group_of) if name == copies.group_of[twin]]
    assert [named[place].group for place in members] == ["ours"] * len(members)


def test_groups_across_classes_are_told_by_record_in_the_manifest_and_by_file_on_the_terminal(few):
    _, cases, copies, original = few
    twins = [place for place, number in enumerate(original) if original.count(number) > 1]
    numbers = list(range(len(cases)))
    ids = [f"{number:06d}-0000" for number in numbers]
    assert report(cases, copies, ids, numbers)["across_classes"] == []
    number = original[twins[0]]
    other = "high" if cases[twins[0]].label == "low" else "low"
    torn = [
        Case(patient="", files=case.files, label=other if place == twins[0] else case.label)
        for place, case in enumerate(cases)
    ]
    members = [place for place, of in enumerate(original) if of == number]
    counts = report(torn, copies, ids, numbers)
    assert counts["across_classes"] == [[ids[place] for place in members]]
    assert counts["groups"] == 6 and counts["in_groups"] == 12 and counts["exact_copies"] == 3
    lines = "\n".join(summary_lines(torn, copies))
    assert all(torn[place].files["image"] in lines for place in members)


def test_a_file_that_cannot_be_read_has_no_copies_and_is_of_a_patient_of_its_own(tmp_path, pool):
    for name in ("torn.png", "too.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    cases = [Case("", {"image": name}) for name in ("torn.png", "too.png")]
    copies = find_copies(tmp_path, cases, {}, 8, pool, 1)
    assert copies.group_of == ["", ""]
    assert len({case.patient for case in with_groups(cases, copies)} - {""}) == 2


def test_slices_in_dicom_and_volume_files_are_compared_as_pictures_are(tmp_path, pool):
    images = [np.asarray(image, np.uint16) * 4 for image in phantoms(2)]
    for number, image in enumerate(images):
        stored = image.T[..., None]  # (columns, rows, slices)
        affine = np.diag([-1.0, -1, 1, 1])
        write(tmp_path, series(stored, affine), [f"{number}.dcm"])
        save_nifti(tmp_path / f"{number}.nii.gz", stored, affine, order="LPS")
    cases = [Case("", {"image": f"{number}.{end}"}) for number in (0, 1) for end in ("dcm", "nii.gz")]
    copies = find_copies(tmp_path, cases, {}, 0, pool, 1)
    first, same, second, again = copies.group_of
    assert first == same != second == again and copies.exact == 2


@pytest.mark.parametrize(
    "wrong", [{"similarity": 1.5}, {"distance": -1}, {"distanse": 3}, {"distance": "near"}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="prep duplicates takes"):
        check_duplicates(wrong)


def test_no_image_at_all_is_no_error(tmp_path, pool):
    assert find_copies(tmp_path, [], {}, 8, pool, 1).group_of == []
