"""The short-axis phantom as two scanners show it, and a third one that nobody is trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from small import write_raw, write_task_files

SIDES = ("train",) * 8 + ("validation",) * 3 + ("test",) * 3
SCANNERS = "ABABABAB" + "ABB" + "ABC"


def write_two_scanners(folder: Path) -> Path:
    """Writes both task files and `raw`: 14 patients on named sides, of scanners A, B and C, where only
    the last patient was; B is brighter, with another contrast. Returns the folder."""
    write_task_files(folder)
    raw = write_raw(folder / "raw", len(SIDES))
    (file,) = raw.glob("*.csv")
    table = pd.read_csv(file, dtype=str)
    names = sorted(table["patient_id"].unique())
    table["scanner"] = table["patient_id"].map(dict(zip(names, SCANNERS, strict=True)))
    table["site"] = "S" + table["scanner"]
    table["split"] = table["patient_id"].map(dict(zip(names, SIDES, strict=True)))
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
