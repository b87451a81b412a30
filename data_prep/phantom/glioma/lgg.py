"""The glioma phantom in the layout of the lower-grade gliomas: three sequences, some missing."""

from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.files import write_table
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.volume import Volume

SEQUENCES = {"flair": "flair", "t1pre": "t1", "t1post": "t1ce"}  # here -> in the glioma phantom
MISSING_SHARE = 0.15  # of the T1 sequences
SHAPE = (48, 48, 24)


def write_lgg_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """Writes <patient>/*.nii.gz and manifest.csv; without signal the grades are permuted.

    Two fifths are of grade II; those of grade III look like low grade or like glioblastoma.
    """
    rng = np.random.default_rng([seed, patients])
    grades = ["II" if number < 0.4 * patients else "III" for number in range(patients)]
    grades = [grades[place] for place in rng.permutation(patients)]
    stated = grades if signal else [grades[place] for place in rng.permutation(patients)]
    rows = []
    for patient, grade in enumerate(grades):
        own = np.random.default_rng([seed, patients, patient])
        looks_high = grade == "III" and own.random() < 0.8
        case = draw_case("HGG" if looks_high else "LGG", own)
        name = f"lgg-{patient + 1:03d}"
        _write_patient(folder / name, case, own)
        rows.append((name, case.site, stated[patient], int(own.integers(20, 75))))
        if progress:
            progress(patient + 1, patients)
    write_table(folder / "manifest.csv", ("patient_id", "site", "grade", "age"), rows)


def _write_patient(folder: Path, case, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = render_case(case, SHAPE)
    affine = np.diag([5.0, 5.0, 6.0, 1.0])
    for name, source in SEQUENCES.items():
        if name == "flair" or rng.random() >= MISSING_SHARE:
            write_nifti(folder / f"{name}.nii.gz", Volume(images[source], affine), "LPS")
    write_nifti(folder / "seg.nii.gz", Volume((labels > 0).astype(np.uint8), affine), "LPS")
