"""The manifest of a prepared set."""

from collections import Counter
from importlib.metadata import version
from types import ModuleType

import mri_tf
from data_prep.layout import operations_of
from data_prep.ops.skull_strip import PROGRAMS, program_version
from data_prep.prepare.shards import ShardWriter
from mri_tf.store.record import SCHEMA_VERSION
from mri_tf.task import Task

LIBRARIES = (
    "tensorflow", "numpy", "scipy", "scikit-image", "nibabel", "pillow", "pydicom", "imagecodecs",
    "SimpleITK",
)  # fmt: skip


def tools_of(task: Task) -> dict[str, str]:
    """The version of the program that finds the brain, where the task names one."""
    program = task.prep.get("brain_mask", "")
    return {program: program_version(program)} if program in PROGRAMS else {}


def manifest_of(
    task: Task, layout: ModuleType, identity: dict, writer: ShardWriter, about: dict
) -> dict:
    """What the manifest holds beside the index.

    Args:
        task: what was prepared.
        layout: which read the raw folder.
        identity: what the set depends on.
        writer: after its last case.
        about: what else is to be known of the set.
    """
    labels = Counter(writer.index["label"])
    return {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "class_names": list(task.class_names),
        "channels": list(task.image_channels),
        "operations": list(operations_of(layout, task)),
        "settings": dict(task.prep),
        "modality": task.modality,
        "label_from_position": task.label_from_position,
        **about,
        "versions": {"mri_tf": mri_tf.__version__, **{name: version(name) for name in LIBRARIES}},
        "counts": {
            "cases": len(set(writer.case_of)),
            "records": len(writer.case_of),
            "patients": len(set(writer.index["patient"])),
            "skipped": len(writer.skipped),
            "per_class": {
                name: labels[number] for number, name in enumerate(task.class_names)
            } if task.kind == "classification" else {},
        },
    }  # fmt: skip
