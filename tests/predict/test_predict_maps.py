"""The predict command on volumes: masks and boxes, and maps and labels on the grid of the source."""

import dataclasses
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fresh import familiar_noise
from made_up import predicted_to, run_predict, write_images
from PIL import Image
from refused import error_line
from scipy.spatial.transform import Rotation

from data_prep.cases.to_predict import list_cases_to_predict
from data_prep.io.nifti import read_nifti, write_nifti
from data_prep.layouts import (
    brats,
    labelled_volumes,
    volume_and_mask,
    volumes_with_levels,
    volumes_with_types,
)
from data_prep.ops.resample import resample_like, volume_of_grid
from data_prep.phantom.glioma.dataset import write_glioma_phantom
from data_prep.phantom.meningioma.dataset import write_meningioma_phantom
from data_prep.volume import Volume
from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.familiar_images import Limits
from mri_tf.export.reader import Exported
from mri_tf.pipeline.field_of_view import cut_function
from mri_tf.pipeline.image_files import fit_to_grid
from mri_tf.predict.__main__ import main as predict
from mri_tf.predict.answers import Model, feed_of, with_box_mask
from mri_tf.predict.files import label_picture, on_source, safe_name, write_label_image
from mri_tf.store.record import Record, encode_example, parse_examples
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values


def _glioma(folder: Path) -> tuple[Task, Path]:
    """The small task of graded gliomas, and the tumour mask of one phantom patient."""
    write_glioma_phantom(folder, 1, seed=0, shape=(24, 24, 16))
    task = with_values(
        load_task(FOLDER / "glioma_grading.py"),
        {"image_shape": (16, 24, 24), "prep": dict(crop_to_brain=True, dtype="float16"),
         "box.grid": (8, 8, 8), "box.margin_voxels": 1},
    )  # fmt: skip
    (mask,) = folder.rglob("*_seg.nii.gz")
    return task, mask


def _finder(probabilities: np.ndarray) -> Model:
    """A segmenter of gliomas that gives these probabilities."""
    tumour = Exported(load_task(FOLDER / "glioma_tumour.py"))
    return Model(tumour, lambda *_: {"probabilities": probabilities}, ())


def test_a_given_mask_is_boxed_as_a_manual_one_in_training_and_a_segmenter_s_goes_before(tmp_path):
    task, seg = _glioma(tmp_path)
    (case,) = list_cases_to_predict(brats, [seg.parent], task, mask=seg)
    (record,) = brats.read_case(case.raw, case.case, task)
    alone = Model(Exported(task), None, ())
    given = feed_of([with_box_mask(alone, record)], alone.exported)
    raw = parse_examples([encode_example(record)], record.image.shape, "float16", ("mask",))
    np.testing.assert_array_equal(given["image"], cut_function(task, training=True)(raw)["image"])

    corner = np.zeros((1, 16, 24, 24, 2), np.float32)
    corner[0, :3, :3, :3, 1] = 1
    found = with_box_mask(Model(Exported(task), None, (), _finder(corner)), record)
    np.testing.assert_array_equal(found.predicted_mask, corner[0, ..., 1] > 0)


def test_a_mask_named_on_the_command_line_is_as_good_as_one_in_the_folder(asked, tmp_path, capsys):
    write_meningioma_phantom(tmp_path, 1, seed=0)
    (mask,) = tmp_path.rglob("mask.nii.gz")
    task = load_task(FOLDER / "meningioma_grading.py")
    calls = []

    def call(signature, feed):
        calls.append((signature, feed))
        return {"probabilities": np.array([[0.3, 0.7]]), "decision": np.array([1])}

    fitted = {"pixel_mm": 1.0, "slice_mm": 4.0}
    asked(Model(Exported(task, fitted=fitted), call, ("serving_default", "slices")), volume_and_mask)
    assert run_predict("--input", mask.parent) == 0
    image = mask.with_name("t1ce.nii.gz")
    assert run_predict("--input", image, "--mask", mask.rename(tmp_path / "elsewhere.nii.gz")) == 0
    (_, by_folder), (_, by_flag) = calls
    assert {name: value.shape[0] for name, value in by_flag.items()} == dict.fromkeys(by_folder, 1)
    for name, values in by_folder.items():
        np.testing.assert_array_equal(values, by_flag[name])
    assert 1 <= by_flag["slices"].shape[1] < 40
    assert "give one with --mask" in error_line(capsys, predict, "--model", ".", "--input", image)


def test_an_empty_mask_is_a_reason_and_a_tumour_that_is_not_found_is_said(asked, tmp_path, capsys):
    task, seg = _glioma(tmp_path)
    mask = nibabel.load(seg)
    empty = tmp_path / "empty.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine), empty)
    graded = {"probabilities": np.array([[0.3, 0.7]]), "decision": np.array([1])}
    nothing = np.zeros((1, 16, 24, 24, 2), np.float32)
    nothing[..., 0] = 1
    familiar = dataclasses.replace(
        familiar_noise(task), limits=Limits(Limit(1e9, 0.05, 30), None)
    )
    signatures = ("serving_default",)
    asked(Model(Exported(task, familiar=familiar), lambda *_: graded, signatures), brats)
    line = error_line(capsys, predict, "--model", ".", "--input", seg.parent, "--mask", empty)
    assert "tumour mask is empty" in line
    finder = _finder(nothing)
    asked(Model(Exported(task, familiar=familiar), lambda *_: graded, signatures, finder), brats)
    assert run_predict("--input", seg.parent) == 0
    (row,) = json.loads(capsys.readouterr().out)["answers"]
    assert row["out_of_distribution"] and "no tumour was found" in row["reasons"][0]


def _oblique(shape=(20, 16, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ellipsoid off the middle of an anisotropic, turned volume; (x, y, z) and its affine."""
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    inside = (((place - (6, 9, 5)) / (4, 3, 3)) ** 2).sum(axis=-1) < 1
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (8, -6, 12), True).as_matrix() @ np.diag((1, 1.2, 2.5))
    affine[:3, 3] = (-30, 12, 44)
    return np.where(inside, 200, 20).astype(np.int16), affine


def test_a_segmentation_s_labels_lie_on_the_voxels_of_the_file(asked, tmp_path):
    array, affine = _oblique()
    write_nifti(tmp_path / "head.nii.gz", Volume(array, affine), "LPS")
    task = with_values(load_task(FOLDER / "hippocampus.py"), {"image_shape": (48, 48, 48)})

    def call(signature, feed):
        bright = (feed["image"][..., 0] > 110).astype(np.float32)
        return {"probabilities": np.stack([1 - bright, bright, 0 * bright], axis=-1)}

    asked(Model(Exported(task), call, ("serving_default",)), labelled_volumes)
    out = tmp_path / "labels"
    assert run_predict("--input", tmp_path / "head.nii.gz", "--out", out) == 0
    (row,) = json.loads((out / "answers.json").read_text())["answers"]
    given, found = nibabel.load(tmp_path / "head.nii.gz"), nibabel.load(out / row["label_map"])
    np.testing.assert_allclose(found.affine, given.affine, atol=1e-5)
    labels, wanted = np.asarray(found.dataobj), np.asarray(given.dataobj) > 110
    overlap = 2 * np.sum((labels == 1) & wanted) / (np.sum(labels == 1) + np.sum(wanted))
    assert labels.shape == given.shape and overlap > 0.93
    assert row["voxels"]["anterior"] == np.sum(labels == 1)
    assert row["volume_ml"]["anterior"] == pytest.approx(row["voxels"]["anterior"] * 3 / 1000, rel=1e-4)


def test_slices_maps_are_put_into_the_slices_of_the_file_they_were_cut_from(asked, tmp_path):
    array, affine = _oblique((16, 16, 6))
    write_nifti(tmp_path / "chest.nii.gz", Volume(array, affine), "RAS")
    task = with_values(load_task(FOLDER / "cardiac_levels.py"), {"image_shape": (32, 32)})

    def call(signature, feed):
        count, one_hot = len(feed["image"]), np.eye(9)[[4]]
        found = {"probabilities": np.repeat(one_hot, count, axis=0), "decision": np.full(count, 4)}
        return found | ({"map": feed["image"][..., 0]} if signature == "explain" else {})

    asked(Model(Exported(task), call, ("serving_default", "explain")), volumes_with_levels)
    flags = ("--input", tmp_path / "chest.nii.gz", "--explain")
    rows = predicted_to(tmp_path / "x.json", *flags)["answers"]
    assert [row["slice"] for row in rows] == [1, 2, 3, 4, 5, 6]
    (name,) = {row["map"] for row in rows}
    written = read_nifti(tmp_path / "x_maps" / name)
    given = read_nifti(tmp_path / "chest.nii.gz")
    np.testing.assert_allclose(written.affine, given.affine, atol=1e-4)
    inner = np.s_[2:-2, 2:-2]
    with Image.open(tmp_path / "x_maps" / name.replace(".nii.gz", ".png")) as picture:
        assert picture.width > 1500  # a sheet of the slices, three in a row
    errors = np.abs(written.array[inner] - given.array[inner])
    assert np.median(errors) < 1 and errors.mean() < 12  # blurred at the ellipsoid's border only


@pytest.mark.parametrize("inside", [True, False])
def test_a_map_that_lies_outside_the_brain_is_warned_of(asked, tmp_path, capsys, inside):
    array, affine = _oblique()
    write_nifti(tmp_path / "head.nii.gz", Volume(array - 20, affine), "LPS")  # 0 but for the ellipsoid
    task = load_task(FOLDER / "brain_tumor_type.py")
    as_they_are = dict(method="range", low=0.0, high=255.0)
    task = with_values(task, {"image_shape": (16, 24, 24), "prep": {}, "normalize": as_they_are})

    def call(signature, feed):
        bright = feed["image"][..., 0] > 90
        found = {"probabilities": np.array([[0.2, 0.5, 0.3]]), "decision": np.array([1])}
        return found | {"map": (bright if inside else ~bright).astype(np.float32)}

    asked(Model(Exported(task), call, ("serving_default", "explain")), volumes_with_types)
    flags = ("--input", tmp_path / "head.nii.gz", "--explain")
    (row,) = predicted_to(tmp_path / "x.json", *flags)["answers"]
    warned = "of its map lies outside the brain" in capsys.readouterr().err
    assert warned is not inside and (row["map_outside_brain"] > 0.5) is not inside
    assert row["map"] == "head_gradcam.nii.gz" and (tmp_path / "x_maps/head_gradcam.png").is_file()


def test_parts_are_put_where_resampling_the_whole_would_put_them(tmp_path):
    """Turned and shifted grids, some of them beside the volume: only their surroundings are touched."""
    rng, affine = np.random.default_rng(3), _oblique()[1]
    facts = {"source_shape": [20, 16, 12], "source_affine": affine.ravel().tolist()}
    record = Record("", "p", np.zeros((2, 2, 1), np.float32), facts=facts)
    reference = Volume(np.zeros((20, 16, 12), np.uint8), affine)
    for turn, shift, depth in ((0, 0, 1), (20, 5, 1), (-35, -8, 4), (10, 300, 2)):
        place = affine @ np.diag([-1.3, -0.8, -1.1, 1.0])
        place[:3, :3] = Rotation.from_euler("y", turn, True).as_matrix() @ place[:3, :3]
        place[:3, 3] = (affine @ [14, 13, 7, 1])[:3] + shift
        values = rng.uniform(1, 2, (depth, 9, 11)).astype(np.float32)
        written, _ = on_source([(values, place)], record, labels=False)
        wanted = resample_like(volume_of_grid(values, place), reference)
        np.testing.assert_allclose(written.array, wanted.array, atol=1e-5)
        assert (written.array.max() > 0) == (shift < 100)


def test_a_map_of_an_image_file_is_a_picture(bright, tmp_path):
    folder = write_images(tmp_path / "in", a=51)
    (row,) = predicted_to(tmp_path / "x.json", "--input", folder, "--explain")["answers"]
    assert Image.open(tmp_path / "x_maps" / row["map"]).size[0] > 500


def test_labels_of_a_picture_come_back_to_its_pixels(tmp_path):
    rng = np.random.default_rng(0)
    for shape in ((20, 12), (7, 31), (16, 16)):
        labels = np.kron(rng.integers(0, 4, (-(-shape[0] // 4), -(-shape[1] // 4))), np.ones((4, 4)))
        labels = labels[: shape[0], : shape[1]].astype(np.uint8)
        fitted = fit_to_grid(labels[..., None].astype(np.float32), (96, 96), "nearest").numpy()[..., 0]
        written = label_picture(fitted.astype(np.uint8), shape)
        write_label_image(written, tmp_path / "l.png")
        assert np.mean(written == labels) > 0.97
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "l.png")), written)


def test_a_record_of_unknown_source_is_written_on_its_own_grid(tmp_path):
    record = Record("", "p", np.zeros((4, 5, 6, 1), np.float32), affine=np.diag([-2.0, -2, -3, 1]))
    values = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    written, _ = on_source([(values, record.affine)], record, labels=False)
    assert written.array.shape == (6, 5, 4) and written.array.max() == 119


def test_names_of_inputs_become_names_of_files():
    assert safe_name("test/00012") == "test_00012" and safe_name("a b/ü.nii.gz") == "a_b_ü"
    assert safe_name("../..") == "input" and safe_name("s.1.png") == "s.1"
