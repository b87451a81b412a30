"""Our readers beside others: the same values at the same places?

    python benchmarks/readers.py

Reads what pydicom and nibabel ship for their tests, and series that this script generates, with our
readers, SimpleITK and (where Debian's dcm2niix is installed) dcm2niix. Prints for each source how many
volumes agree in every value and, to 0.01 mm, in place; and each difference on a line of its own, for a
person to say which reader is right.
"""

import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK

from data_prep.case import Unreadable
from data_prep.io.dicom.series import Series, find_series
from data_prep.io.nifti import read_nifti
from data_prep.volume import Volume, to_ras_volume

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
from dicom_series import multi_frame, noise, series, write  # noqa: E402

PLACE_MM = 1e-2
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
EQUAL, DIFFERENT, NOT_READ = "equal", "different", "not read"


def main() -> None:
    warnings.simplefilter("ignore")
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    differences = []
    print("| source | volumes of ours | SimpleITK: equal, different, not read | dcm2niix: the same |")
    print("|---|---:|---|---|")
    with tempfile.TemporaryDirectory() as home:
        for name, folder in {
            "pydicom's DICOM files": Path(pydicom.__file__).parent / "data",
            "generated series": generated(Path(home, "generated")),
        }.items():
            print(row(name, *compare_dicom(folder, Path(home, "converted"), differences)))
    print(row("nibabel's NIfTI and MGH files", *compare_nifti(differences)))
    print("\nDifferences:")
    print("\n".join(f"- {line}" for line in differences) or "- none")


def row(name: str, volumes: int, itk: Counter, dcm2niix: Counter | None) -> str:
    """A line of the table."""
    cells = [
        "–" if counts is None else ", ".join(str(counts[kind]) for kind in (EQUAL, DIFFERENT, NOT_READ))
        for counts in (itk, dcm2niix)
    ]
    return f"| {name} | {volumes} | {cells[0]} | {cells[1]} |"


def compare_dicom(folder: Path, converted: Path, differences: list[str]):
    """(volumes, counts of SimpleITK, counts of dcm2niix) over the series of a folder."""
    volumes, itk, dcm2niix = 0, Counter(), Counter()
    for item in find_series(folder).series:
        try:
            ours = item.read()
        except Unreadable:
            continue
        volumes += 1
        label = item.label.split(" (")[0]
        itk[verdict(ours, by_simpleitk(item), f"{label}, SimpleITK", differences)] += 1
        others = by_dcm2niix(item, converted)
        if others is not None:
            dcm2niix[verdict(ours, others, f"{label}, dcm2niix", differences)] += 1
    return volumes, itk, dcm2niix if shutil.which("dcm2niix") else None


def compare_nifti(differences: list[str]):
    """The same for nibabel's files, of which dcm2niix reads none."""
    volumes, itk = 0, Counter()
    for path in sorted(Path(nibabel.__file__).parent.rglob("*")):
        if not path.name.endswith((".nii", ".nii.gz", ".mgz")):
            continue
        try:
            ours = read_nifti(path)
        except Unreadable:
            continue
        volumes += 1
        itk[verdict(ours, _itk_volumes([path]), f"{path.name}, SimpleITK", differences)] += 1
    return volumes, itk, None


def verdict(ours: Volume, others: list[Volume], label: str, differences: list[str]) -> str:
    """Whether one of another reader's volumes is ours; a line for each that is not."""
    if not others:
        return NOT_READ
    told = [_difference(ours, other) for other in others]
    if "" in told:
        return EQUAL
    differences.append(f"{label}: {told[0]}")
    return DIFFERENT


def _difference(ours: Volume, other: Volume) -> str:
    if ours.array.shape != other.array.shape:
        return f"shape {other.array.shape}, ours {ours.array.shape}"
    apart_mm = float(np.abs(ours.affine - other.affine).max())
    values = float(np.abs(ours.array.astype(float) - other.array.astype(float)).max())
    scale = max(1.0, float(np.abs(ours.array).max()))
    if apart_mm <= PLACE_MM and values <= 1e-6 * scale:
        return ""
    return f"affine off by {apart_mm:.3g} mm, values by {values:.3g}"


def by_simpleitk(item: Series) -> list[Volume]:
    """The series as SimpleITK reads its files, in the order of ours."""
    return _itk_volumes(list(item.files))


def _itk_volumes(files: list[Path]) -> list[Volume]:
    names = [str(file) for file in files]
    try:
        if len(names) == 1:
            image = SimpleITK.ReadImage(names[0])
        else:
            reader = SimpleITK.ImageSeriesReader()
            reader.SetFileNames(names)
            image = reader.Execute()
    except RuntimeError:
        return []
    array = SimpleITK.GetArrayFromImage(image)
    if image.GetDimension() == 2:
        return []
    axes = tuple(range(image.GetDimension()))[::-1]
    array = array.transpose(*axes, *range(len(axes), array.ndim))  # (i, j, k, ...)
    affine = np.eye(4)
    directions = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:3, :3]
    affine[:3, :3] = directions @ np.diag(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    try:
        return [to_ras_volume(array, LPS_TO_RAS @ affine)]
    except Unreadable:
        return []


def by_dcm2niix(item: Series, converted: Path) -> list[Volume] | None:
    """The volumes that dcm2niix makes of the files of a series; None where it is not installed."""
    program = shutil.which("dcm2niix")
    if program is None:
        return None
    shutil.rmtree(converted, ignore_errors=True)
    (converted / "in").mkdir(parents=True)
    for number, file in enumerate(item.files):
        shutil.copy(file, converted / "in" / f"{number:04d}.dcm")
    command = [program, "-b", "n", "-z", "n", "-m", "n", "-o", converted, converted / "in"]
    subprocess.run(command, capture_output=True, check=False)
    found = []
    for path in sorted(converted.glob("*.nii")):
        try:
            found.append(read_nifti(path))
        except Unreadable:
            continue
    return found


def generated(folder: Path) -> Path:
    """Plain, oblique, tilted, scaled and enhanced series."""
    turn = np.eye(4)
    turn[:3, :3] = [[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]
    oblique = turn @ np.diag([-0.8, -1.25, 3, 1.0])
    oblique[:3, 3] = 40, 55, -20
    tilted = oblique.copy()
    tilted[:3, 2] += 0.4 * tilted[:3, 1]
    for name, datasets in {
        "plain": series(noise((20, 16, 12))),
        "oblique": series(noise((20, 16, 12), 1), oblique),
        "tilted": series(noise((20, 16, 12), 2), tilted),
        "enhanced": [multi_frame(noise((20, 16, 12), 3), oblique)],
        "scaled": series(noise((20, 16, 12), 4)),
    }.items():
        for data in datasets if name == "scaled" else ():
            data.RescaleSlope, data.RescaleIntercept = 2.5, -100
        write(folder / name, datasets)
    return folder


if __name__ == "__main__":
    main()
