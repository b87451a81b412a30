"""The glioma phantom in the layout of TCGA-LGG: lower grades, three sequences, some missing."""

from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.files import write_table
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.volume import Volume

SEQUENCES = {"flair": "flair", "t1pre": "t1", "t1post": "t1ce"}  # file -> sequence of the glioma phantom
MISSING_SHARE = 0.15  # chance of a T1 sequence to be missing
SHAPE = (48, 48, 24)


def write_lgg_phantom(folder: Path, patients: int, seed: int, signal: bool, progress=None) -> None:
    """Writes <patient>/*.nii.gz and manifest.csv.

    Two fifths are of grade II and look like low grade; of grade III, a fifth look like low grade and
    the others like glioblastoma.

    Args:
        folder: where to write.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False permutes the grades over all patients.
        progress: called with (patients done, patients in all), or None.
    """
    rng = np.random.default_rng([seed, patients])
    grades = ["II" if number < 0.4 * patients else "III" for number in range(patients)]
    grades = [grades[place] for place in rng.permutation(patients)]
    stated = grades if signal else [grades[place] for place in rng.permutation(patients)]
    rows = []
    for patient, grade in enumerate(grades):
        patient_rng = np.random.default_rng([seed, patients, patient])
        looks_high = grade == "III" and patient_rng.random() < 0.8
        case = draw_case("HGG" if looks_high else "LGG", patient_rng)
        name = f"lgg-{patient + 1:03d}"
        _write_patient(folder / name, case, patient_rng)
        rows.append((name, case.site, stated[patient], int(patient_rng.integers(20, 75))))
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
