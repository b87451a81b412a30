"""Synthetic short-axis cine MR: a left ventricle that narrows to its apex, with mask and level.

Same layout as the Sunnybrook folder of the tasks sax_levels and sax_blood_pool: RGB PNG images with
equal channels, masks of 0 and 255, and manifest.csv.
"""

import csv
import os
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

LEVELS = ("basal", "mid", "apical")
SIDE = 160  # rows and columns
SLICES = 6  # a patient, base first
COLUMNS = ("image", "mask", "patient_id", "slice_level", "cardiac_phase", "axial_level")
PHASE = 0  # the only one: a heart at one time


def write_short_axis_phantom(
    folder: Path, patients: int, seed: int, signal: bool, progress=None
) -> None:
    """Writes images/, masks/ and manifest.csv.

    Args:
        folder: where to write.
        patients: number of patients, each with SLICES images.
        seed: of everything that is drawn.
        signal: False permutes the levels over all images.
        progress: called with (patients done, patients in all), or None.
    """
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for patient in range(patients):
        rng = np.random.default_rng([seed, patient])
        rows += _write_patient(folder, f"sax-{patient + 1:03d}", rng)
        if progress:
            progress(patient + 1, patients)
    if not signal:
        levels = [row["axial_level"] for row in rows]
        order = np.random.default_rng([seed, patients]).permutation(len(levels))
        rows = [{**row, "axial_level": levels[place]} for row, place in zip(rows, order, strict=True)]
    scratch = folder / ".manifest.csv"
    with scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(scratch, folder / "manifest.csv")


def draw_slices(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """One patient's slices from base to apex: (image, mask), both (rows, columns) uint8."""
    centre = SIDE / 2 + rng.uniform(-15, 15, 2)
    base_radius, wall = rng.uniform(17, 24), rng.uniform(7, 12)
    blood, muscle, fat, lung = rng.uniform((170, 70, 120, 10), (230, 110, 200, 40))
    noise, blur = rng.uniform(4, 12), rng.uniform(0.6, 1.4)
    angle = rng.uniform(-0.4, 0.4)  # direction of the right ventricle, radians
    rows, columns = np.mgrid[:SIDE, :SIDE]
    slices = []
    for number in range(SLICES):
        depth = (number + rng.uniform(0.0, 0.4)) / SLICES  # 0 at the base, towards 1 at the apex
        radius = base_radius * (1 - 0.75 * depth**1.5)
        middle = centre + depth * np.array([8.0, -6.0])
        distance = np.hypot(rows - middle[0], columns - middle[1])
        right = middle + (radius + wall + 8) * np.array([np.sin(angle), -np.cos(angle)])
        from_right = np.hypot((rows - right[0]) / 1.6, columns - right[1])
        image = np.full((SIDE, SIDE), fat)
        image[np.hypot(rows - SIDE / 2, columns - SIDE / 2) < 62] = lung
        image[from_right < (14 * (1 - depth)) + 2] = blood
        image[distance < radius + wall] = muscle
        mask = distance < radius
        image[mask] = blood
        image = gaussian_filter(image, blur) + rng.normal(0, noise, image.shape)
        slices.append((np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8) * 255))
    return slices


def _write_patient(folder: Path, patient: str, rng: np.random.Generator) -> list[dict]:
    rows = []
    for number, (image, mask) in enumerate(draw_slices(rng)):
        name = f"{patient}-{number:02d}.png"
        for kind, pixels in (("images", image), ("masks", mask)):
            scratch = folder / kind / f".{name}"
            Image.fromarray(np.repeat(pixels[..., None], 3, axis=-1)).save(scratch, format="PNG")
            os.replace(scratch, folder / kind / name)
        level = LEVELS[number * len(LEVELS) // SLICES]
        values = (f"images/{name}", f"masks/{name}", patient, number, PHASE, level)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows
