"""Predict from original files against what evaluate says of the prepared records, task by task."""

import json
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from serving_models import running

from data_prep.io.nifti import read_nifti
from data_prep.layout import find_layout
from mri_tf.calibration.calibrator import Calibrator, calibrator_from_json
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_records, predict_whole
from mri_tf.pipeline.batches import eval_batches, read_in_order
from mri_tf.pipeline.subset import subset_of
from mri_tf.predict.__main__ import main as predict
from mri_tf.predict.files import label_picture, on_source
from mri_tf.splits.units import answering_records
from mri_tf.store.run import positions_of
from mri_tf.task.files import FOLDER

STUDIES = 2  # held-out ones are compared
TIE = 1e-4  # labels whose probabilities are this close may be either
ROUNDING = 1e-4  # share of an output by which two ways to compute it may differ


def largest_difference(run, prepared, raw: Path, export: Path, home: Path, *flags: str) -> float:
    """Of probabilities, between predict on the files of held-out studies and evaluate on their records.

    Of a segmentation the share of voxels whose labels differ on the source's grid.
    """
    task = run.task
    module = find_layout(task, FOLDER / f"{task.name}.py")
    cases = module.list_cases(raw, task)
    records = positions_of(run, prepared)[2]
    numbers = sorted({_source_number(prepared, record) for record in records})[:STUDIES]
    records = [record for record in records if _source_number(prepared, record) in numbers]
    inputs = [_input_of(task, raw, cases[number]) for number in numbers]
    of_table = bool(task.context_slices) and "image" in cases[0].files
    if of_table:  # image files alone do not say which are neighbours
        inputs = [raw / "manifest.csv"]
    out = home / ("labels" if task.kind == "segmentation" else "found.json")
    mapped = bool(task.boxes_from or task.spacing)
    flags = (*flags, "--explain") if mapped else flags
    arguments = ["--input", *map(str, inputs), "--out", str(out), *flags]
    assert predict(["--model", str(export), *arguments]) == 0
    if task.kind == "segmentation":
        # As they are before a set rounds their affine: at a border between voxels that is another one.
        kept = {number: module.read_case(raw, cases[number], task) for number in numbers}
        return _label_difference(run, prepared, np.array(records), kept, out)
    found = json.loads(out.read_text())
    if mapped:
        _check_maps(found["answers"], inputs, out.with_name("found_maps"))
    rows = {}
    names = [cases[number].files["image"] for number in numbers] if of_table else []
    for row in found["answers"]:
        if not of_table or row["input"] in names:
            rows.setdefault(row["input"], []).append(row)
    wanted = calibrator_from_json(run.values["answers"])
    outputs = predict_records(load_network(run), subset_of(run, prepared, np.array(records)))
    difference = 0.0
    answering = answering_records(task, prepared, np.array(records))
    for record, output in zip(answering, outputs, strict=True):
        own = rows[list(rows)[numbers.index(_source_number(prepared, record))]]
        row = own[0]
        if len(own) > 1:
            row = _same_slice(own, prepared, record)
        probabilities = wanted.probabilities(output[None])[0]
        difference = max(difference, np.max(np.abs(list(row["probabilities"].values()) - probabilities)))
        assert_answer_of(row["decision"], row["prediction_set"], wanted, output, task.class_names)
    return float(difference)


def largest_difference_served(run, prepared, raw: Path, export: Path, home: Path) -> float:
    """The same with all models of the export's folder behind a server."""
    with running(export.parent.parent, body_bytes=1 << 28, decompressed_bytes=1 << 28) as server:
        flags = ("--server", f"http://127.0.0.1:{server.rest_port}")
        return largest_difference(run, prepared, raw, export, home, *flags)


def assert_answer_of(decision: str, held, wanted: Calibrator, output: np.ndarray, names) -> None:
    """Decision and prediction set are those of a network's output (classes,), but for its rounding.

    A network may give an output that lies on a threshold: one that has collapsed says to all records
    what it said to those that the thresholds were fitted on. There either answer is right.
    """
    less = np.tile(output, (1 + 2 * len(output), 1)).astype(np.float64)
    for label in range(len(output)):
        less[1 + 2 * label, label] *= 1 - ROUNDING
        less[2 + 2 * label, label] *= 1 + ROUNDING
    less /= less.sum(axis=-1, keepdims=True)
    assert decision in {names[label] for label in wanted.decisions(less)}
    if not wanted.has_sets:
        assert held is None
        return
    sets = wanted.sets(less)
    surely, perhaps = ({names[label] for label in np.flatnonzero(one)} for one in (
        sets.all(axis=0), sets.any(axis=0),
    ))  # fmt: skip
    assert surely <= set(held) <= perhaps
    assert list(held) == [name for name in names if name in held]


def _source_number(prepared, record: int) -> int:
    return int(prepared.record_ids[record].partition("-")[0])


def _input_of(task, raw: Path, case) -> Path:
    """What a user would name: a file, or the folder of a study."""
    files = [raw / path for role, path in case.files.items() if role not in ("mask", "seg", "labels")]
    if "sequences" in task.prep:
        return files[0].parent.parent
    folder = files[0].name.endswith(".nii.gz") and (len(files) > 1 or "mask" in case.files)
    return files[0].parent if folder else files[0]


def _same_slice(rows: list[dict], prepared, record: int) -> dict:
    kept = prepared.record(record)
    rows_and_columns = np.array(kept.image.shape[:2])
    place = kept.affine @ [*(rows_and_columns[::-1] - 1) / 2, 0, 1]
    return min(rows, key=lambda row: abs(row["z_mm"] - place[2]))


def _check_maps(rows: list[dict], inputs: list[Path], folder: Path) -> None:
    """Maps lie on the voxels of the file that was given, and no higher or lower than its tumour where
    slices with tumour are all that was seen."""
    for row, study in zip(rows, inputs, strict=True):
        found, given = folder / row["map"], sorted(study.glob("*t1*.nii*"))[0]
        np.testing.assert_allclose(nibabel.load(found).affine, nibabel.load(given).affine, atol=1e-4)
        assert nibabel.load(found).shape == nibabel.load(given).shape
        if (study / "mask.nii.gz").is_file():
            heights = np.flatnonzero(read_nifti(study / "mask.nii.gz").array.any(axis=(0, 1)))
            mapped = np.flatnonzero(read_nifti(found).array.any(axis=(0, 1)))
            assert not len(mapped) or heights[0] - 2 <= mapped[0] <= mapped[-1] <= heights[-1] + 2


def _label_difference(run, prepared, records, kept: dict, out: Path) -> float:
    """Share of voxels with another label than evaluate's, where that is no matter of rounding; of the
    slices that were prepared."""
    task, model = run.task, load_network(run)
    found = json.loads((out / "answers.json").read_text())["answers"]
    batches = eval_batches(read_in_order(prepared, records, 1), task, run.values["fitted"])
    studies: dict[int, list] = {}
    for record, (image, _, _) in zip(records, batches, strict=True):
        outputs = predict_whole(model, task, image)[0]
        first, second = np.sort(outputs, axis=-1)[..., [-1, -2]].T
        sure = (first - second > TIE).T.astype(np.uint8)
        labels, number = outputs.argmax(axis=-1).astype(np.uint8), _source_number(prepared, record)
        place = int(prepared.record_ids[record].partition("-")[2])
        studies.setdefault(number, []).append((labels, sure, kept[number][place]))
    shares = []
    for row, (_, parts) in zip(found, sorted(studies.items()), strict=True):
        if row["label_map"].endswith(".png"):
            written = np.asarray(Image.open(out / row["label_map"]))
            wanted, sure = (
                label_picture(parts[0][n], written.shape) for n in (0, 1)
            )
        else:
            written = read_nifti(out / row["label_map"])
            wanted, sure = (
                on_source([(part[n], part[2].affine) for part in parts], parts[0][2], labels=True)[0]
                for n in (0, 1)
            )
            np.testing.assert_allclose(written.affine, wanted.affine, atol=1e-4)
            written, wanted, sure = written.array, wanted.array, sure.array
        assert np.mean(sure) > 0.05  # much of a tenth where every eighth slice was prepared
        shares.append(np.mean((written != wanted) & (sure > 0)))
    return float(max(shares))
