"""Synthetic chest CT in Hounsfield units, with 16 labelled structures and nine axial levels.

Everything random is drawn by `draw_patient`; `render` is a pure function of the patient. Rendered
arrays are (x, y, z) in RAS+ order; files may store the axes in another order, as their affine says.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.files import write_table
from data_prep.phantom.thorax.levels import LEVELS, level_rows
from data_prep.phantom.thorax.patient import PHASES, ThoraxPatient, draw_patient
from data_prep.phantom.thorax.render import RenderedThorax, levels_of, render
from data_prep.phantom.thorax.structures import STRUCTURES
from data_prep.volume import Volume

__all__ = [
    "LEVELS", "PHASES", "STRUCTURES", "RenderedThorax", "ThoraxPatient", "draw_patient", "render",
    "write_thorax_phantom",
]  # fmt: skip


def _patients_in(table: Path) -> list[str]:
    """Patient ids of a levels.csv in the order of their first row; none if there is no table."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(dict.fromkeys(row["patient_id"] for row in csv.DictReader(file)))


def write_thorax_phantom(
    folder: Path,
    pretraining_patients: int,
    classification_patients: int,
    seed: int,
    signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes volumes/, labels/ and levels.csv.

    Patient k of either kind depends on the seed and k alone. Existing files are kept, so an
    interrupted call is continued by repeating it with the same seed and `signal`.

    Args:
        folder: where to write.
        pretraining_patients: `seg-...`, with a label map and without levels.
        classification_patients: `lev-...`, with rows of levels.csv.
        seed: of everything that is drawn.
        signal: False permutes the levels over all rows of levels.csv.
        progress: called with (patients done, patients in all).
    """
    folder = Path(folder)
    for name in ("volumes", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    total = pretraining_patients + classification_patients
    table = folder / "levels.csv"
    names = [f"lev-{k + 1:03d}" for k in range(classification_patients)]
    needs_table = classification_patients > 0 and _patients_in(table) != names
    rows: list[tuple] = []
    for done in range(total):
        kind = 0 if done < pretraining_patients else 1
        index = done if kind == 0 else done - pretraining_patients
        patient_id = f"seg-{index + 1:03d}" if kind == 0 else names[index]
        patient = draw_patient(np.random.default_rng([seed, kind, index]))
        volume, label_map = (
            folder / name / f"{patient_id}.nii.gz" for name in ("volumes", "labels")
        )
        levels = None
        if not volume.exists() or (kind == 0 and not label_map.exists()):
            scan = render(patient)
            levels = scan.level_of_slice
            if kind == 0:
                write_nifti(label_map, Volume(scan.labels, scan.affine), patient.axis_codes)
            write_nifti(volume, Volume(scan.hounsfield, scan.affine), patient.axis_codes)
        if kind == 1 and needs_table:
            rows += level_rows(patient_id, levels or levels_of(patient), patient)
        if progress is not None:
            progress(done + 1, total)
    if not needs_table:
        return
    if not signal:
        order = np.random.default_rng([seed, 2]).permutation(len(rows))
        rows = [(*row[:2], rows[k][2]) for row, k in zip(rows, order, strict=True)]
    write_table(table, ("patient_id", "z_mm", "level"), rows)
