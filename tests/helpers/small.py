"""Small tasks and sets that several tests share: a user's own task files on 32 x 32 phantoms."""

from pathlib import Path

import numpy as np
import pandas as pd

from data_prep.phantom.short_axis import write_short_axis_phantom
from mri_tf.splits.sides import Sides

STRUCTURES_FILE = '''
from mri_tf.task import Task

TASK = Task(
    name="pools", kind="segmentation", channels=("cine",), image_shape=(32, 32),
    class_names=("background", "blood_pool"), model="mnet", model_args=dict(start_filters=2, levels=2),
    augment=dict(random_affine=dict(max_degrees=10.0)), augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency", batch_size=8, epochs=3, learning_rate=1e-2,
)
'''
LEVELS_FILE = '''
from mri_tf.task import Task

TASK = Task(
    name="thirds", channels=("cine",), image_shape=(32, 32),
    class_names=("basal", "mid", "apical"), prep=dict(label_column="axial_level"),
    model="feature_classifier", features_from="pools",
    model_args=dict(conv_filters=4, dense_units=8, repeats=2),
    augment=dict(random_affine=dict(max_degrees=10.0)), augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency", batch_size=16, epochs=4, learning_rate=1e-2,
    variants=dict(scratch=dict(features_from="", model="vgg",
                               model_args=dict(conv_filters=2, dense_units=8, blocks=2))),
)
'''


def write_task_files(folder: Path) -> Path:
    """Writes pools.py and thirds.py; returns the path of thirds.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pools.py").write_text(STRUCTURES_FILE, encoding="utf-8")
    (folder / "thirds.py").write_text(LEVELS_FILE, encoding="utf-8")
    return folder / "thirds.py"


def write_raw(folder: Path, patients: int = 10, seed: int = 0) -> Path:
    """The short-axis phantom: 6 slices a patient, masks and thirds."""
    folder.mkdir(parents=True, exist_ok=True)
    write_short_axis_phantom(folder, patients, seed, signal=True)
    return folder


def write_small(folder: Path) -> Path:
    """Writes both task files and `raw`; returns the folder."""
    write_task_files(folder)
    write_raw(folder / "raw")
    return folder


def name_test_side(raw: Path) -> None:
    """Puts two patients on the test side by a column `split` of the table, the others to train on."""
    (file,) = raw.glob("*.csv")
    table = pd.read_csv(file, dtype=str)
    apart = sorted(table["patient_id"].unique())[:2]
    table["split"] = np.where(table["patient_id"].isin(apart), "test", "train")
    table.to_csv(file, index=False)


def sides_of(task, prepared, records):
    """Record positions a side as `new_run` takes them."""
    natural = None
    if task.kind == "classification":
        natural = np.bincount(prepared.labels[records[0]], minlength=len(task.class_names))
    return Sides(records, "patient", natural)
