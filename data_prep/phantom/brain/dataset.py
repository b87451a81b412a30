"""Synthetic T1 MR of heads: 19 labelled structures, and no tumour, a low grade or a ring.

Writes the raw layout of brain_tumor_type and brain_structures, and is where the other code finds
the phantom's public names.  Chance lives in `draw_brain_patient`; `render` is a pure function of
the patient.  Rendered arrays are (x, y, z) in RAS order; files store the axes as their scanner
does, and their affine says so.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.brain.render import BrainPatient, RenderedBrain, draw_brain_patient, render
from data_prep.phantom.brain.scanner import SCANNERS, VOLUMETRIC
from data_prep.phantom.brain.structures import STRUCTURES
from data_prep.phantom.files import write_table
from data_prep.volume import Volume

__all__ = [
    "COLUMNS",
    "SCANNERS",
    "STRUCTURES",
    "TYPES",
    "VOLUMETRIC",
    "BrainPatient",
    "RenderedBrain",
    "draw_brain_patient",
    "render",
    "type_of",
    "write_brain_phantom",
    "write_brain_structures_phantom",
    "write_brain_type_phantom",
]
TYPES = ("no_tumor", "lgg", "gbm")
COLUMNS = ("patient_id", "label", "site", "scanner")
# T1 alone, a whole head on a coarse grid and few patients: only large tumours can be learned there.
TYPE_TUMOR_SCALE = 1.7
MAX_PRETRAINING = 48  # patients with label maps beside those with types
_KIND = {"no_tumor": None, "lgg": "low_grade", "gbm": "glioblastoma"}


def type_of(index: int, seed: int) -> str:
    """The type of classification patient `index` (from 0): of eight in a row 2, 3 and 3 are of
    TYPES, and the first three are one of each."""
    rng = np.random.default_rng([seed, 2, index // 8])
    block = [*rng.permutation(TYPES), *rng.permutation(TYPES), *rng.permutation(TYPES[1:])]
    return str(block[index % 8])


def write_brain_phantom(
    folder: Path,
    pretraining_patients: int,
    classification_patients: int,
    seed: int,
    signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write volumes/, labels/ (pre-training patients `seg-...`, no tumour) and types.csv
    (`typ-...`, columns COLUMNS).

    Patient k of a kind depends on the seed and k alone.  Files that are there are kept, so an
    interrupted call is continued by repeating it; a folder therefore belongs to one seed and one
    value of `signal`.  signal=False permutes the labels over all rows of types.csv.
    progress: called with (patients done, patients in all).
    """
    folder = Path(folder)
    for name in ("volumes", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    total = pretraining_patients + classification_patients
    rows = []
    for done in range(total):
        if done < pretraining_patients:
            patient = draw_brain_patient(None, np.random.default_rng([seed, 0, done]), True)
            _write_scan(folder, f"seg-{done + 1:03d}", patient, with_labels=True)
        else:
            index = done - pretraining_patients
            label = type_of(index, seed)
            rng = np.random.default_rng([seed, 1, index])
            patient = draw_brain_patient(_KIND[label], rng, tumor_scale=TYPE_TUMOR_SCALE)
            patient_id = f"typ-{index + 1:03d}"
            _write_scan(folder, patient_id, patient, with_labels=False)
            scanner = patient.scan.scanner
            rows.append((patient_id, label, scanner.site, scanner.name))
        if progress is not None:
            progress(done + 1, total)
    if not rows:
        return
    if not signal:
        order = np.random.default_rng([seed, 3]).permutation(len(rows))
        rows = [
            (row[0], rows[k][1], *row[2:]) for row, k in zip(rows, order, strict=True)
        ]  # fmt: skip
    write_table(folder / "types.csv", COLUMNS, rows)


def _write_scan(folder: Path, patient_id: str, patient: BrainPatient, with_labels: bool) -> None:
    """Render and write what is not there yet; the volume last, so that it stands for both."""
    volume, label_map = (folder / name / f"{patient_id}.nii.gz" for name in ("volumes", "labels"))
    if volume.exists() and (label_map.exists() or not with_labels):
        return
    scan = render(patient)
    codes = patient.scan.scanner.codes
    if with_labels:
        write_nifti(label_map, Volume(scan.labels, scan.affine), codes)
    write_nifti(volume, Volume(scan.image, scan.affine), codes)


def write_brain_type_phantom(
    folder: Path, patients: int, seed: int, signal: bool, progress=None
) -> None:
    """`patients` with types, and others with label maps: two thirds as many, or MAX_PRETRAINING."""
    others = min(max(3, 2 * patients // 3), MAX_PRETRAINING)
    write_brain_phantom(folder, others, patients, seed, signal, progress)


def write_brain_structures_phantom(
    folder: Path, patients: int, seed: int, signal: bool, progress=None
) -> None:
    """`patients` with label maps, none with a type."""
    write_brain_phantom(folder, patients, 0, seed, signal, progress)
