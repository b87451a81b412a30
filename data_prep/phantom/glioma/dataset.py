"""Synthetic gliomas in four sequences, laid out as the BraTS training sets.

Images are co-registered, skull-stripped (0 outside the brain), int16, with 1 mm in the header. Label
maps are uint8: 1 necrosis and non-enhancing tumour, 2 oedema, 4 enhancing tumour. A volume smaller
than 240 x 240 x 155 shows the same anatomy in fewer voxels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from data_prep.io.nifti import write_nifti
from data_prep.phantom.brain.paint import Painted, paint_brain
from data_prep.phantom.brain.patient import Head, draw_head, plane_waves
from data_prep.phantom.brain.scanner import bias_field, rician
from data_prep.phantom.brain.structures import SEQUENCES, TISSUE
from data_prep.phantom.brain.tumor import Tumor, draw_tumor
from data_prep.phantom.files import write_table
from data_prep.phantom.shapes import make_grid
from data_prep.volume import Volume

GRADES = ("LGG", "HGG")
LAYOUTS = ("2017", "2020", "2021")
FIELD_MM = (240.0, 240.0, 155.0)
SMALL = (60, 60, 40)
MAPPING_COLUMNS = (
    "Grade", "BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID",
    "BraTS_2019_subject_ID", "BraTS_2020_subject_ID",
)  # fmt: skip
_KIND = {"LGG": "low_grade", "HGG": "glioblastoma"}
# Site, stored value of white matter in T1, spread of the bias field, noise, exponent on T1.
_SCANNERS = (
    ("SYA", 300.0, 0.20, 0.02, 1.1),
    ("SYA", 520.0, 0.10, 0.03, 0.9),
    ("SYB", 140.0, 0.06, 0.06, 0.7),
    ("SYB", 900.0, 0.14, 0.04, 0.8),
    ("SYC", 2200.0, 0.26, 0.025, 1.0),
)


@dataclass(frozen=True)
class GliomaCase:
    """One patient: head, tumour, and the look of each of SEQUENCES.

    thickness_mm: of the slices in which each sequence was acquired, before registration.
    """

    head: Head
    tumor: Tumor
    site: str
    pose_degrees: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    contrast: float
    gains: tuple[float, float, float, float]
    bias: float
    bias_waves: tuple[tuple[tuple[float, ...], ...], ...]
    noise: float
    thickness_mm: tuple[float, float, float, float]
    tissue_spread: tuple[float, ...]
    noise_seed: int


def draw_case(grade: str, rng: np.random.Generator) -> GliomaCase:
    """Draws one patient of a grade of GRADES; `rng` decides everything that is random."""
    site, gain, bias, noise, contrast = _SCANNERS[rng.integers(len(_SCANNERS))]
    gains = gain * np.exp(rng.normal(0, 0.25, 4))
    waves = tuple(plane_waves(rng, 4, 330.0, 0.4) for _ in SEQUENCES)
    thick = np.where(rng.random(4) < 0.5, rng.uniform(3, 6, 4), 1.0)
    return GliomaCase(
        site=site,
        pose_degrees=tuple(rng.normal(0, 1.5, 3).tolist()),
        shift_mm=tuple(rng.normal(0, 1.5, 3).tolist()),
        contrast=contrast * float(rng.uniform(0.92, 1.08)),
        gains=tuple(gains.tolist()),
        bias=bias * float(rng.uniform(0.7, 1.3)),
        bias_waves=waves,
        noise=noise * float(rng.uniform(0.8, 1.3)),
        thickness_mm=tuple(thick.tolist()),
        tissue_spread=tuple(np.exp(rng.normal(0, 0.03, len(TISSUE))).tolist()),
        noise_seed=int(rng.integers(2**31)),
        head=draw_head(rng),
        tumor=draw_tumor(_KIND[grade], rng),
    )


def _paint_case(case: GliomaCase, shape: tuple[int, int, int]) -> Painted:
    steps = np.array(FIELD_MM) / shape
    scale = np.array(case.head.scale)
    middle = np.array([0.0, -16.0, 12.0]) + case.shift_mm
    affine = np.diag([*(steps / scale), 1.0])  # to reference mm
    affine[:3, 3] = (middle - (np.array(shape) - 1) / 2 * steps) / scale
    turn = Rotation.from_euler("xyz", case.pose_degrees, degrees=True).as_matrix()
    grid = make_grid(shape, affine, turn, case.head.warp_modes)
    return paint_brain(case.head, case.tumor, grid, float(steps.mean()))


def render_case(
    case: GliomaCase, shape: tuple[int, int, int] = SMALL
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images (int16) by name of SEQUENCES and the label map (uint8), all (x, y, z) in RAS."""
    painted = _paint_case(case, shape)
    steps = np.array(FIELD_MM) / shape
    images = {}
    for number, name in enumerate(SEQUENCES):
        image = painted.signal(number, np.array(case.tissue_spread))
        if name in ("t1", "t1ce"):
            image **= np.float32(case.contrast)
        for axis, size in enumerate(steps):
            blur_mm = 0.4 * case.thickness_mm[number] if axis == 2 else 0.4
            if blur_mm / size > 0.15:
                image = gaussian_filter1d(image, blur_mm / size, axis=axis, truncate=3.0)
        image *= bias_field(case.bias_waves[number], case.bias, shape, steps)
        image = rician(image, case.noise, np.random.default_rng([case.noise_seed, number]))
        image = np.clip(np.rint(image * case.gains[number]), 1, np.iinfo(np.int16).max)
        images[name] = (image * painted.brain).astype(np.int16)
    return images, painted.tumor[1].brats_labels() * painted.brain


def grades_of(patients: int, seed: int) -> list[str]:
    """The grade of each patient: of four in a row one is LGG, about as in BraTS 2017."""
    grades = []
    for block in range(-(-patients // 4)):
        low = np.random.default_rng([seed, 1, block]).integers(4)
        grades += ["LGG" if k == low else "HGG" for k in range(4)]
    return grades[:patients]


def write_glioma_phantom(
    folder: Path,
    patients: int,
    seed: int,
    signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
    *,
    shape: tuple[int, int, int] = SMALL,
    layout: str = "2017",
) -> None:
    """Writes <case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz.

    Patient k depends on the seed and k alone. Complete cases are kept, so an interrupted call is
    continued by repeating it.

    Args:
        folder: where to write.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False permutes the grades over all cases.
        progress: called with (patients done, patients in all), or None.
        shape: of the volumes, (x, y, z).
        layout: of LAYOUTS: "2017" has cases in LGG/ and HGG/, "2020" a name_mapping.csv with the
            grades, "2021" no grades.

    Raises:
        ValueError: for another layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}. Received: {layout!r}")
    grades = grades_of(patients, seed)
    stated = grades
    if not signal:
        stated = [grades[k] for k in np.random.default_rng([seed, 2]).permutation(patients)]
    rows = []
    for index, grade in enumerate(grades):
        case = draw_case(grade, np.random.default_rng([seed, 0, index]))
        name = {
            "2017": f"Brats17_{case.site}_{index + 1:03d}_1",
            "2020": f"BraTS20_Training_{index + 1:03d}",
            "2021": f"BraTS2021_{index:05d}",
        }[layout]
        parent = Path(folder) / stated[index] if layout == "2017" else Path(folder)
        _write_case(parent / name, case, shape)
        rows.append((stated[index], *["NA"] * 4, name))
        if progress is not None:
            progress(index + 1, patients)
    if layout == "2020":
        write_table(Path(folder) / "name_mapping.csv", MAPPING_COLUMNS, rows)


def _write_case(folder: Path, case: GliomaCase, shape: tuple[int, int, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{folder.name}_{name}.nii.gz" for name in (*SEQUENCES, "seg")}
    if all(path.exists() for path in paths.values()):
        return
    images, labels = render_case(case, shape)
    affine = np.eye(4)
    affine[0, 3] = 1 - shape[0]  # stored as LPS with the first voxel at (0, y, 0), as in BraTS
    for name, array in {**images, "seg": labels}.items():
        write_nifti(paths[name], Volume(array, affine), "LPS")
