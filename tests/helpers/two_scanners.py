"""The short-axis phantom as two scanners show it, and a third one that nobody is trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from small import write_raw, write_task_files

VARIANTS = """
    variants=dict(
        nyul={"harmonise": dict(method="nyul")},
        probe={"model": "frozen_probe",
               "model_args": dict(weights="none", cut_after="stack0", intensities="zscore")},
        combat={"harmonise": dict(method="combat", batch="scanner")},
        scratch="""
SIDES = ("train",) * 8 + ("validation",) * 3 + ("test",) * 3
SCANNERS = "ABABABAB" + "ABB" + "ABC"


def write_two_scanners(folder: Path, patients: int = 0) -> Path:
    """Writes both task files and `raw`, and returns the folder.

    Scanner B is brighter than A, with another contrast. There are 14 patients on named sides, of these
    and of a scanner C, where only the last one was; or so many `patients` of A and B, and no sides. The
    task `thirds` has variants `nyul`, `probe` and `combat`, to be put behind `scratch`.
    """
    file = write_task_files(folder)
    file.write_text(file.read_text().replace("    variants=dict(scratch=", VARIANTS.lstrip("\n")))
    scanners, sides = SCANNERS, SIDES
    if patients:
        scanners, sides = ("AB" * patients)[:patients], ("",) * patients
    raw = write_raw(folder / "raw", len(sides))
    (file,) = raw.glob("*.csv")
    table = pd.read_csv(file, dtype=str)
    names = sorted(table["patient_id"].unique())
    table["scanner"] = table["patient_id"].map(dict(zip(names, scanners, strict=True)))
    table["site"] = "S" + table["scanner"]
    if not patients:
        table["split"] = table["patient_id"].map(dict(zip(names, sides, strict=True)))
    table.to_csv(file, index=False)
    for name in table["image"][table["scanner"] == "B"]:
        values = np.asarray(Image.open(raw / name), float) / 255
        Image.fromarray(np.round(60 + 190 * values**0.6).astype(np.uint8)).save(raw / name)
    return folder


def change_images_of(folder: Path, side: str) -> None:
    """Turns the images of a side upside down and makes them darker."""
    table = pd.read_csv(next((folder / "raw").glob("*.csv")), dtype=str)
    for name in table["image"][table["split"] == side]:
        values = np.asarray(Image.open(folder / "raw" / name))
        Image.fromarray(255 - values[::-1] // 2).save(folder / "raw" / name)
