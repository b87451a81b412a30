"""Faces and burned-in text: found in heads with a nose and in pictures with words, and nowhere else."""

import numpy as np
import pytest
from heads import head
from made_up_set import MadeUpSet
from PIL import Image, ImageDraw, ImageFont

from mri_tf.audit.burned_in import CommonMarks, shows_text
from mri_tf.audit.faces import hollow_above, shows_face
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND
from mri_tf.audit.foreground import foreground
from mri_tf.audit.identity import identity_findings, shows_identity, without_identity
from mri_tf.store.record import Record

FINE, THICK, COARSE = (2.0, 2.0, 2.0), (6.0, 1.5, 1.5), (6.0, 6.0, 6.0)


def solid_head(steps, nose=True, chin_degrees=0.0):
    """(depth, rows, columns) bool: an ellipsoid of 75 x 95 x 110 mm radii, with a nose in front.

    Lengths from the middle: down, back and left. A positive angle raises the chin.
    """
    down, back, left = np.meshgrid(
        *(np.arange(-reach, reach, step) for reach, step in zip((130, 130, 95), steps, strict=True)),
        indexing="ij",
    )
    angle = np.radians(chin_degrees)
    down, back = (
        down * np.cos(angle) - back * np.sin(angle), back * np.cos(angle) + down * np.sin(angle)
    )  # fmt: skip
    inside = (down / 110) ** 2 + (back / 95) ** 2 + (left / 75) ** 2 < 1
    if nose:
        # A wedge that begins at the height of the eyes and ends 45 mm below them.
        rise = np.clip((down - 15) / 45, 0, 1)
        ridge = (np.abs(left) < 6 + 8 * rise) & (down > 15) & (down < 60)
        inside |= ridge & (back > -(84 + 30 * rise)) & (back < 0)
    return inside


@pytest.mark.parametrize("steps", [FINE, THICK])
@pytest.mark.parametrize("chin_degrees", [-12.0, 0.0, 12.0])
def test_a_head_with_a_nose_shows_a_face_and_one_without_does_not(steps, chin_degrees):
    assert shows_face(solid_head(steps, True, chin_degrees), steps)
    assert not shows_face(solid_head(steps, False, chin_degrees), steps)


def test_a_head_whose_lengths_are_not_known_counts_as_one_of_usual_width():
    assert shows_face(solid_head(FINE), None) and not shows_face(solid_head(FINE, nose=False), None)


def test_a_face_that_was_cut_off_or_is_too_coarse_or_of_a_doll_is_none():
    cut = solid_head(FINE)
    cut[:, :22] = False  # a plane behind the nose
    assert not shows_face(cut, FINE)
    assert not shows_face(solid_head(COARSE), COARSE)
    assert not shows_face(solid_head(FINE), (0.8, 0.8, 0.8))
    assert not shows_face(np.zeros((20, 20, 20), bool), FINE)


def test_a_narrow_ridge_that_recedes_as_the_base_of_a_brain_does_is_no_nose():
    inside = solid_head(FINE, nose=False)
    depth, rows, columns = np.indices(inside.shape)
    low = (depth > 65) & (np.abs(columns - inside.shape[2] / 2) > 7)
    inside[low & (rows < 60)] = False  # beside the middle everything lies far back
    assert not shows_face(inside, FINE)


def test_a_hollow_is_the_distance_from_a_straight_line():
    assert hollow_above(np.array([0.0, 10.0, 0.0]), 5.0)[2] == pytest.approx(10)
    slanted = hollow_above(np.array([0.0, 4.0 + 3.0, 8.0]), 4.0)  # 3 mm behind a line at 45 degrees
    assert slanted[2] == pytest.approx(3 / np.sqrt(2))
    ball = 100 - np.sqrt(100**2 - np.linspace(-90, 90, 37) ** 2)
    assert hollow_above(ball, 5.0).max() == 0.0


def picture(words="", size=14, noise=3.0, seed=0, value=255):
    """(160, 160) of a head in air, with words in its corner."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((160, 160)) - 79.5
    inside = (rows / 55) ** 2 + (columns / 45) ** 2 < 1
    image = np.where(inside, 120 + 20 * np.sin(rows / 5 + rng.uniform(0, 6)), 0)
    drawn = Image.fromarray(np.abs(image + noise * rng.normal(size=image.shape)).astype(np.uint8))
    ImageDraw.Draw(drawn).text((3, 3), words, fill=value, font=ImageFont.load_default(size))
    return np.asarray(drawn, np.float32)[None]


def is_read(image):
    return shows_text(image, foreground(image, "MR").inside)


@pytest.mark.parametrize("words", ["DOE JOHN", "12.03.1961", "St. Mary"])
def test_words_in_air_are_found_in_white_and_in_grey(words):
    assert is_read(picture(words)) and is_read(picture(words, value=150))


def test_heads_noise_single_letters_and_marks_are_no_text():
    for noise in (0.0, 3.0, 20.0):
        assert not any(is_read(picture(noise=noise, seed=seed)) for seed in range(5))
    assert not is_read(picture("R")) and not is_read(picture("L", size=20))
    squares = picture()
    for column in (5, 15, 25, 35, 45):
        squares[:, 5:12, column : column + 7] = 255  # full, as letters are not
    assert not is_read(squares)


def test_a_mark_on_tissue_that_all_patients_have_is_found_and_not_if_one_lacks_it():
    rng = np.random.default_rng(0)
    for lacking, expected in ((False, True), (True, False)):
        marks = CommonMarks()
        for number in range(9):
            image = 100 + 20 * rng.normal(size=(1, 64, 64))
            if number or not lacking:
                image[:, 30, 10:40] = 255
            marks.add(image.clip(0, 255), f"p{number}")
        assert marks.found is expected


def test_marks_of_few_patients_or_of_one_patient_with_many_records_are_not_common():
    marks = CommonMarks()
    for number in range(20):
        marks.add(picture("DOE JOHN", seed=3), f"p{number % 7}")
    assert not marks.found


def of(prepared, modality="MR"):
    return {one.name: one for one in identity_findings(prepared, modality)}


def test_records_with_words_are_named_and_left_out_of_pictures(tmp_path):
    images = [picture("DOE JOHN" if number in (2, 5) else "", seed=number)[0][..., None]
              for number in range(6)]  # fmt: skip
    prepared = MadeUpSet(tmp_path, images)
    found = of(prepared)
    assert found["burned-in text"].status == FOUND and found["burned-in text"].records == (2, 5)
    assert found["burned-in text"].what_to_do and found["burned-in text"].meaning
    assert not found["burned-in text"].certain
    assert found["faces"].status == NOT_APPLICABLE
    assert without_identity(prepared, np.arange(6), "MR").tolist() == [0, 1, 3, 4]


def head_record(nose, steps=FINE):
    inside = solid_head(steps, nose)
    image = np.where(inside, 100, 0) + 3 * np.random.default_rng(0).normal(size=inside.shape)
    affine = np.diag([*steps[::-1], 1])
    return Record("r", "p", np.abs(image)[..., None].astype(np.float32), affine=affine)


def test_a_record_with_a_face_may_not_be_shown_but_of_a_heart_nobody_asks():
    assert shows_identity(head_record(True), "MR") == ("face",)
    assert shows_identity(head_record(False), "MR") == ()
    assert shows_identity(head_record(True), "US") == ()


class Volumes(MadeUpSet):
    """Records with a spacing."""

    steps = FINE

    def record(self, position):
        one = super().record(position)
        return Record(one.record_id, one.patient, one.image, affine=np.diag([*self.steps[::-1], 1]))


def test_a_set_of_volumes_names_the_records_with_a_face(tmp_path):
    images = [head_record(nose).image for nose in (False, True)]
    prepared = Volumes(tmp_path, images)
    found = of(prepared)["faces"]
    assert found.status == FOUND and found.records == (1,) and "1 of 2 records" in found.evidence
    assert of(Volumes(tmp_path, images[:1]))["faces"].status == NOT_FOUND
    assert of(prepared, "US")["faces"].status == NOT_APPLICABLE


def test_of_coarse_volumes_nobody_can_tell(tmp_path):
    rng = np.random.default_rng(0)
    prepared = Volumes(tmp_path, [head(rng, volume=True) for _ in range(2)])
    prepared.steps = COARSE
    assert of(prepared)["faces"].status == CANNOT_TELL
