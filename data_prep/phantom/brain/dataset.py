"""Synthetic T1 MR of heads: 19 labelled structures, and no tumour, a low grade or a glioblastoma.

Writes the raw data of brain_tumor_type and brain_structures. Everything random is drawn by
`draw_brain_patient`; `render` is a pure function of the patient. Rendered arrays are (x, y, z) in
RAS order; files store the axes in the scanner's order, as their affine says.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.brain.render import BrainPatient, RenderedBrain, draw_brain_patient, render
from data_prep.phantom.brain.scanner import SCANNERS
from data_prep.phantom.brain.structures import STRUCTURES
from data_prep.phantom.files import write_table
from data_prep.volume import Volume

__all__ = [
    "COLUMNS", "SCANNERS", "STRUCTURES", "TYPES", "BrainPatient", "RenderedBrain",
    "draw_brain_patient", "render", "type_of", "write_brain_phantom",
]  # fmt: skip
TYPES = ("no_tumor", "lgg", "gbm")
COLUMNS = ("patient_id", "label", "site", "scanner")
_KIND = {"no_tumor": None, "lgg": "low_grade", "gbm": "glioblastoma"}


def type_of(index: int, seed: int) -> str:
    """The type (of TYPES) of classification patient `index`, counted from 0.

    Of eight in a row 2, 3 and 3 are of each type, and the first three are one of each.
    """
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
    """Writes volumes/, labels/ and types.csv.

    Patient k of either kind depends on the seed and k alone. Both kinds are scanned by all SCANNERS, so
    that a network which is trained on the one knows the scanners of the other. Existing files are
    kept, so an interrupted call is continued by repeating it with the same seed and `signal`.

    Args:
        folder: where to write.
        pretraining_patients: `seg-...`, with a label map and without tumour.
        classification_patients: `typ-...`, with a row of types.csv (COLUMNS).
        seed: of everything that is drawn.
        signal: False permutes the labels over all rows of types.csv.
        progress: called with (patients done, patients in all).
    """
    folder = Path(folder)
    for name in ("volumes", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    total = pretraining_patients + classification_patients
    rows = []
    for done in range(total):
        if done < pretraining_patients:
            patient = draw_brain_patient(None, np.random.default_rng([seed, 0, done]))
            _write_scan(folder, f"seg-{done + 1:03d}", patient, with_labels=True)
        else:
            index = done - pretraining_patients
            label = type_of(index, seed)
            patient = draw_brain_patient(_KIND[label], np.random.default_rng([seed, 1, index]))
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
        rows = [(row[0], rows[k][1], *row[2:]) for row, k in zip(rows, order, strict=True)]
    write_table(folder / "types.csv", COLUMNS, rows)


def _write_scan(folder: Path, patient_id: str, patient: BrainPatient, with_labels: bool) -> None:
    """Renders and writes what does not exist yet; the volume last, so that it shows both are whole."""
    volume, label_map = (folder / name / f"{patient_id}.nii.gz" for name in ("volumes", "labels"))
    if volume.exists() and (label_map.exists() or not with_labels):
        return
    scan, codes = render(patient), patient.scan.scanner.codes
    if with_labels:
        write_nifti(label_map, Volume(scan.labels, scan.affine), codes)
    write_nifti(volume, Volume(scan.image, scan.affine), codes)
