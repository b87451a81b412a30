"""Synthetic hippocampi in small T1 crops: curved tubes in two parts, laid out as the Decathlon's set."""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from data_prep.io.nifti import write_nifti
from data_prep.volume import Volume

ANTERIOR, POSTERIOR = 1, 2


def write_hippocampus_phantom(folder: Path, patients: int, seed: int, progress=None) -> None:
    """Writes images/<patient>.nii.gz and labels/<patient>.nii.gz; sizes and intensity scales vary."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for patient in range(patients):
        rng = np.random.default_rng([seed, patient])
        image, labels = draw_crop(rng)
        name = f"hip-{patient + 1:03d}.nii.gz"
        codes = ("RAS", "LPS", "LAS")[rng.integers(3)]
        write_nifti(folder / "images" / name, Volume(image, np.eye(4)), codes)
        write_nifti(folder / "labels" / name, Volume(labels, np.eye(4)), codes)
        if progress:
            progress(patient + 1, patients)


def draw_crop(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One crop: image float32 of any intensity scale, and labels uint8; both (x, y, z) in RAS."""
    shape = tuple(int(size) for size in rng.integers((31, 40, 24), (44, 60, 48)))
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    along = (y - rng.uniform(-0.1, 0.1)) / rng.uniform(0.6, 0.75)  # -1 behind, 1 in front
    bend, tilt = rng.uniform(0.2, 0.4), rng.uniform(-0.2, 0.2)
    thick = rng.uniform(0.28, 0.36) * (1 + 0.35 * along) * np.sqrt(np.clip(1 - along**2, 0, None))
    distance = np.hypot(x - tilt * along, (z + bend * along**2 - bend / 2) * 0.8)
    inside = (np.abs(along) < 1) & (distance < thick)
    border = rng.uniform(-0.05, 0.15)
    labels = np.where(inside, np.where(along > border, ANTERIOR, POSTERIOR), 0).astype(np.uint8)
    white = gaussian_filter(rng.normal(size=shape), 5)
    tissue = 0.7 + 2 * white
    tissue[labels == ANTERIOR] = 0.45
    tissue[labels == POSTERIOR] = 0.5
    image = gaussian_filter(tissue, 0.7) + rng.normal(0, 0.06, shape)
    scale = 10 ** rng.uniform(2, 6)
    return (np.clip(image, 0, None) * scale).astype(np.float32), labels
