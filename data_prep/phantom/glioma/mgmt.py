"""Synthetic glioblastomas as DICOM in the layout of the RSNA-MICCAI radiogenomic set.

There is nothing to learn: labels are random, whatever a patient looks like. But each patient has an
individual texture that runs through all slices and sequences, by which a network that was trained on
some slices of a patient can recognise the others.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from data_prep.ops.resample import resample_like
from data_prep.phantom.files import save_series, write_table
from data_prep.phantom.glioma.dataset import FIELD_MM, draw_case, render_case
from data_prep.volume import Volume

SHAPE = (48, 48, 32)  # of the volume in which a head is drawn
TEXTURE = 0.35  # standard deviation of the logarithm of a patient's texture
# Folder and description -> name in the glioma phantom; columns, rows, slices; TR, TE, flip angle.
SERIES = {
    "FLAIR": ("flair", (48, 48, 26), (9000.0, 120.0, 150.0)),
    "T1w": ("t1", (52, 56, 24), (550.0, 9.0, 70.0)),
    "T1wCE": ("t1ce", (60, 60, 40), (1900.0, 3.0, 9.0)),
    "T2w": ("t2", (56, 56, 28), (4500.0, 95.0, 150.0)),
}
SCANNERS = (("ACME", "Alpha", 1.5), ("ACME", "Beta", 3.0), ("Initech", "One", 3.0))
LARGEST_TURN_DEGREES = 12.0
MAX_SHIFT_MM = 6.0


def write_mgmt_phantom(
    folder: Path,
    patients: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes train/<5 digits>/<sequence>/Image-<n>.dcm and train_labels.csv, where half are 1.

    In test/ it writes a quarter as many patients without labels. Patient k depends on the seed and k
    alone; complete series are kept, so an interrupted call is continued by repeating it.
    """
    folder, unlabelled = Path(folder), -(-patients // 4)
    for number in range(patients + unlabelled):
        part = "train" if number < patients else "test"
        _write_patient(folder / part / f"{number:05d}", number, seed)
        if progress is not None:
            progress(number + 1, patients + unlabelled)
    values = np.random.default_rng([seed, 2]).permutation(np.arange(patients) % 2)
    rows = [(f"{number:05d}", int(value)) for number, value in enumerate(values)]
    write_table(folder / "train_labels.csv", ("BraTS21ID", "MGMT_value"), rows)


def _write_patient(folder: Path, number: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 0, number])
    case = draw_case("HGG", rng)
    images, _ = render_case(case, SHAPE)
    texture = np.exp(TEXTURE * _texture(rng))
    manufacturer, model, tesla = SCANNERS[rng.integers(len(SCANNERS))]
    steps = np.array(FIELD_MM) / SHAPE
    whole = np.diag([*steps, 1.0])
    whole[:3, 3] = -(np.array(SHAPE) - 1) / 2 * steps
    for name, (rendered, shape, (tr_ms, te_ms, degrees)) in SERIES.items():
        affine = _grid(shape, rng)
        head = Volume((images[rendered] * texture).astype(np.float32), whole)
        placed = resample_like(head, Volume(np.zeros(shape, np.uint8), affine))
        header = {
            "PatientID": folder.name, "PatientName": folder.name, "SeriesDescription": name,
            "SeriesNumber": list(SERIES).index(name) + 1, "Manufacturer": manufacturer,
            "ManufacturerModelName": model, "MagneticFieldStrength": tesla,
            "RepetitionTime": tr_ms, "EchoTime": te_ms, "FlipAngle": degrees,
        }  # fmt: skip
        if rendered == "t1ce":
            header["ContrastBolusAgent"] = "yes"
        values = np.clip(np.rint(placed.array), 0, 65535).astype(np.uint16)
        save_series(folder / name, values, affine, header, f"mri_tf phantom {seed} {number} {name}")


def _texture(rng: np.random.Generator) -> np.ndarray:
    """(x, y, z), mean 0, SD 1: blots of a random size, elongated from foot to head."""
    size = rng.uniform(1.0, 4.0)
    field = gaussian_filter(rng.normal(size=SHAPE), (size, size, 6 * size), mode="wrap")
    return (field - field.mean()) / field.std()


def _grid(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A random (4, 4): indices (columns leftwards, rows backwards, slices headwards) to RAS mm."""
    spacing = np.array(FIELD_MM) / shape * rng.uniform(0.98, 1.1)
    turn = Rotation.from_euler(
        "xyz", rng.uniform(-LARGEST_TURN_DEGREES, LARGEST_TURN_DEGREES, 3) * (1, 0.3, 0.3), degrees=True
    ).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing * (-1, -1, 1))
    middle = rng.uniform(-MAX_SHIFT_MM, MAX_SHIFT_MM, 3)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine
