"""Drawn masks that lie among the images of a raw folder are never given to the network."""

import nibabel
import numpy as np
import pytest
from PIL import Image
from refused import refusal

from data_prep.layout import find_layout
from data_prep.layout_calls import ListOptions
from data_prep.prepare.listed_cases import cases_to_prepare
from mri_tf.plan.planned import plan_folder

NONE = ListOptions()
SHAPE = (24, 24, 12)


def write_volume(path, seed, mask=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 800, SHAPE, dtype=np.int16)
    if mask:
        values = np.zeros(SHAPE, np.uint8)
        values[8 : 12 + seed % 6, 8:16, 3:8] = 1
    nibabel.save(nibabel.Nifti1Image(values, np.diag([4.0, 4.0, 5.0, 1.0])), path)


def write_picture(path, seed, mask=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 250, (40, 40), dtype=np.uint8)
    if mask:
        pixels = np.zeros((40, 40), np.uint8)
        pixels[10 : 20 + seed, 10:20] = 255
    Image.fromarray(pixels).save(path)


def table_of_volumes(raw, column):
    """Eight patients with an image, and a drawn mask in a column of this name."""
    rows = []
    for number in range(8):
        write_volume(raw / "a" / f"{number}.nii.gz", number)
        write_volume(raw / "b" / f"{number}.nii.gz", number, mask=True)
        rows.append(f"P{number},{'ab'[number % 2]},a/{number}.nii.gz,b/{number}.nii.gz")
    (raw / "cases.csv").write_text("\n".join([f"patient_id,grade,image_path,{column}", *rows]))
    return raw


@pytest.mark.parametrize("column", ["mask_path", "Seg_File", "tumour", "lesion_path", "brainmask"])
def test_a_column_of_masks_is_no_channel_whatever_word_of_its_name_says_so(here, column):
    planned = plan_folder(table_of_volumes(here / "raw", column), NONE)
    assert planned.task.image_channels == ("image_path",)
    assert f"left out as masks: {column.lower()}" in planned.facts.how_recognised


def test_a_table_whose_only_files_are_named_as_masks_is_refused_with_their_column(here):
    raw = table_of_volumes(here / "raw", "mask")
    (raw / "cases.csv").write_text((raw / "cases.csv").read_text().replace("image_path", "label_file"))
    message = refusal(plan_folder, raw, NONE)
    assert "the columns of files of cases.csv are named as masks: label_file, mask" in message


def test_files_of_masks_in_the_folders_of_patients_are_no_channels(here):
    raw, rows = here / "raw", ["patient_id,grade"]
    for number in range(8):
        write_volume(raw / f"P{number}" / "t1.nii.gz", number)
        for name in ("tumor", "brainmask", "wholeTumorSeg"):
            write_volume(raw / f"P{number}" / f"{name}.nii.gz", number, mask=True)
        rows.append(f"P{number},{'ab'[number % 2]}")
    (raw / "manifest.csv").write_text("\n".join(rows))
    assert plan_folder(raw, NONE).task.image_channels == ("t1",)


def test_a_probability_map_in_a_bids_folder_is_no_channel(here):
    raw, rows = here / "raw", ["participant_id\tgrade"]
    for number in range(8):
        anat = raw / f"sub-{number}" / "anat"
        write_volume(anat / f"sub-{number}_T1w.nii.gz", number)
        write_volume(anat / f"sub-{number}_label-GM_probseg.nii.gz", number + 50)
        rows.append(f"sub-{number}\t{'ab'[number % 2]}")
    (raw / "participants.tsv").write_text("\n".join(rows))
    assert plan_folder(raw, NONE).task.image_channels == ("t1w",)


def test_a_channel_of_few_whole_numbers_is_asked_about_whatever_it_is_called(here):
    message = refusal(plan_folder, table_of_volumes(here / "raw", "second"), NONE)
    assert "The channel second looks like a drawn mask" in message and "0, 1 in the 8 cases" in message
    assert not list(here.glob("*.toml"))


def test_masks_beside_the_pictures_of_class_folders_are_left_out_and_counted(here, capsys):
    raw = here / "raw"
    for number in range(12):
        name = ("benign", "tumor")[number % 2]  # which is a word for a mask elsewhere
        write_picture(raw / name / f"{name} ({number}).png", number)
        write_picture(raw / name / f"{name} ({number})_mask.png", number, mask=True)
        write_picture(raw / name / f"{name} ({number})_mask_1.png", number, mask=True)
    planned = plan_folder(raw, NONE)
    assert planned.facts.classes == {"benign": 6, "tumor": 6}
    said = capsys.readouterr().err
    assert "12 files in the class folder benign are named as drawn masks and left out" in said
    cases = cases_to_prepare(find_layout(planned.task, planned.file), raw, planned.task, NONE)
    assert not [case for case in cases if "mask" in case.files["image"]]


def test_masks_in_the_folders_of_patients_below_classes_are_left_out(here, capsys):
    raw = here / "raw"
    for number in range(12):
        folder = raw / ("benign", "malignant")[number % 2] / f"P{number}"
        write_picture(folder / "image.png", number)
        write_picture(folder / "mask.png", number, mask=True)
    planned = plan_folder(raw, NONE)
    assert planned.facts.cases == planned.facts.patients == 12
    assert "6 files in the class folder malignant" in capsys.readouterr().err


def test_a_class_whose_files_all_have_a_word_for_a_mask_keeps_them(here):
    raw = here / "raw"
    for number in range(12):
        write_picture(raw / ("healthy", "ill")[number % 2] / f"lesion{number}.png", number)
    assert plan_folder(raw, NONE).facts.cases == 12


def test_a_folder_of_masks_beside_one_of_images_makes_no_two_classes(here):
    raw = here / "raw"
    for number in range(6):
        write_picture(raw / "images" / f"{number}.png", number)
        write_picture(raw / "masks" / f"{number}.png", number, mask=True)
    assert "No known layout fits" in refusal(plan_folder, raw, NONE)
