"""Predict from original files against what evaluate says of the prepared records, task by task."""

import json
from pathlib import Path

import nibabel
import numpy as np
from serving_models import running

from data_prep.find import prep_module
from mri_tf.answered import answered
from mri_tf.answers import from_values
from mri_tf.assemble import load_network
from mri_tf.fitting import positions_of
from mri_tf.predict import main as predict
from mri_tf.predicting import predict_records, predicted_masks
from mri_tf.prediction_files import write_on_source
from mri_tf.tasks import FOLDER

STUDIES = 2  # held-out ones are compared


def largest_difference(run, prepared, raw: Path, export: Path, home: Path, *flags: str) -> float:
    """Of probabilities, between predict on the files of held-out studies and evaluate on their records.

    Of a segmentation the share of voxels that differ in the label maps on the source's grid.
    """
    task = run.task
    module = prep_module(FOLDER / f"{task.name}.py")
    sources = module.list_sources(raw, task)
    records = positions_of(run, prepared)[2]
    numbers = sorted({_source_number(prepared, record) for record in records})[:STUDIES]
    records = [record for record in records if _source_number(prepared, record) in numbers]
    inputs = [_input_of(task, raw, sources[number]) for number in numbers]
    out = home / ("labels" if task.kind == "segmentation" else "found.json")
    flags = (*flags, "--explain") if task.boxes_from else flags
    arguments = ["--input", *map(str, inputs), "--out", str(out), *flags]
    assert predict(["--model", str(export), *arguments]) == 0
    if task.kind == "segmentation":
        return _label_difference(run, prepared, np.array(records), out, home)
    found = json.loads(out.read_text())
    if task.boxes_from:
        _check_maps(found["answers"], inputs, out.with_name("found_maps"))
    rows = {}
    for row in found["answers"]:
        rows.setdefault(row["input"], []).append(row)
    wanted = from_values(run.values["answers"])
    outputs = predict_records(load_network(run), run, prepared, np.array(records))
    difference = 0.0
    for record, output in zip(answered(task, prepared, np.array(records)), outputs, strict=True):
        own = rows[list(rows)[numbers.index(_source_number(prepared, record))]]
        row = own[0]
        if len(own) > 1:
            row = _same_slice(own, prepared, record)
        probabilities = wanted.probabilities(output[None])[0]
        difference = max(difference, np.max(np.abs(list(row["probabilities"].values()) - probabilities)))
        assert row["decision"] == task.class_names[wanted.decisions(output[None])[0]]
        held = wanted.sets(output[None])[0]
        assert row["prediction_set"] == [n for n, one in zip(task.class_names, held, strict=True) if one]
    return float(difference)


def largest_difference_served(run, prepared, raw: Path, export: Path, home: Path) -> float:
    """The same with all models of the export's folder behind a server."""
    with running(export.parent.parent, body_bytes=1 << 28, decompressed_bytes=1 << 28) as server:
        flags = ("--server", f"http://127.0.0.1:{server.rest_port}")
        return largest_difference(run, prepared, raw, export, home, *flags)


def _source_number(prepared, record: int) -> int:
    return int(prepared.record_ids[record].partition("-")[0])


def _input_of(task, raw: Path, source) -> Path:
    """What a user would name: a file, or the folder of a study."""
    files = [raw / path for role, path in source.files.items() if role not in ("mask", "seg", "labels")]
    if "sequences" in task.prep:
        return files[0].parent.parent
    folder = files[0].name.endswith(".nii.gz") and (len(files) > 1 or "mask" in source.files)
    return files[0].parent if folder else files[0]


def _same_slice(rows: list[dict], prepared, record: int) -> dict:
    kept = prepared.record(record)
    rows_and_columns = np.array(kept.image.shape[:2])
    place = kept.affine @ [*(rows_and_columns[::-1] - 1) / 2, 0, 1]
    return min(rows, key=lambda row: abs(row["z_mm"] - place[2]))


def _check_maps(rows: list[dict], inputs: list[Path], folder: Path) -> None:
    """Maps lie on the voxels of the file that was given."""
    for row, study in zip(rows, inputs, strict=True):
        found, given = nibabel.load(folder / row["map"]), nibabel.load(next(study.glob("*_t1.nii*")))
        assert found.shape == given.shape
        np.testing.assert_allclose(found.affine, given.affine, atol=1e-4)


def _label_difference(run, prepared, records, out: Path, home: Path) -> float:
    found = json.loads((out / "answers.json").read_text())["answers"]
    masks = [predicted for _, predicted in predicted_masks(load_network(run), run, prepared, records)]
    studies: dict[int, list] = {}
    for record, mask in zip(records, masks, strict=True):
        kept = prepared.record(int(record))
        studies.setdefault(_source_number(prepared, record), []).append((mask.astype(np.uint8), kept))
    shares = []
    for row, parts in zip(found, studies.values(), strict=True):
        written = nibabel.load(out / row["label_map"])
        wanted = home / "wanted.nii.gz"
        pairs = [(mask, kept.affine) for mask, kept in parts]
        write_on_source(pairs, parts[0][1], wanted, labels=True)
        again = nibabel.load(wanted)
        np.testing.assert_allclose(written.affine, again.affine, atol=1e-4)
        shares.append(np.mean(np.asarray(written.dataobj) != np.asarray(again.dataobj)))
    return float(max(shares))
