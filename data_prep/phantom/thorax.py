"""Synthetic chest CT in Hounsfield units, with 16 labelled structures and nine axial levels.

Chance lives in `draw_patient`, which fixes every parameter (and the seeds of noise and lung
texture); `render` is a pure function of the patient.  Arrays are (x, y, z) in RAS+ order: x
grows to the patient's right, as nibabel has it.  Files may store the axes in another order; then
their affine says so.
"""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from data_prep.phantom.shapes import make_grid
from data_prep.phantom.thorax_anatomy import LABEL, STRUCTURES, parts

__all__ = [
    "LEVELS",
    "STRUCTURES",
    "RenderedThorax",
    "ThoraxPatient",
    "draw_patient",
    "render",
    "write_thorax_phantom",
]

LEVELS = (
    "thoracic_inlet",
    "lung_apex",
    "great_vessels_origin",
    "aortic_arch",
    "ascending_descending_aorta",
    "pulmonary_arteries",
    "aortic_root",
    "four_chamber",
    "ventricles_below_valves",
)
MATRIX = 160  # voxels in plane, both ways
SLICES_PER_LEVEL = 3
LOWEST_HU, HIGHEST_HU = -1024, 3071
# Mean attenuation (HU) by contrast timing: vena cava, right heart, pulmonary artery, left heart,
# aorta, inferior vena cava, myocardium; draw_patient varies each by up to 12 %.
PHASES = {
    "early": (650, 380, 370, 190, 140, 55, 70),
    "arterial": (330, 210, 250, 350, 370, 70, 105),
    "late": (165, 155, 160, 160, 160, 135, 110),
    "unenhanced": (44, 42, 42, 42, 42, 42, 48),
}
_PHASE_CHANCE = (0.25, 0.40, 0.20, 0.15)
_AXIS_CODES = ("RAS", "LPS", "LAS", "RPI", "LPI", "PLS", "SRA")


@dataclass(frozen=True)
class ThoraxPatient:
    """Every parameter of one patient and one scan; scales are relative to an average adult."""

    width_scale: float
    depth_scale: float
    height_scale: float
    torso_exponent: float  # 2: an ellipse, more: boxier
    fat_mm: float
    muscle_mm: float
    breast_mm: float  # 0: none
    gland_hu: float
    arms_down: bool
    fat_planes: tuple[tuple[float, float, float, float], ...]  # side, x, y, z in mm
    warp_modes: tuple[tuple[float, ...], ...]  # see shapes.make_grid
    roll_degrees: float
    pitch_degrees: float
    yaw_degrees: float
    offset_x_mm: float
    offset_y_mm: float
    kyphosis_mm: float
    scoliosis_mm: float
    spine_phase: float  # of one vertebra's height
    sternum_x_mm: float
    right_apex_higher_mm: float
    diaphragm_mm: float
    heart_scale: float
    heart_azimuth_degrees: float  # of the apex, from the left towards anterior
    heart_elevation_degrees: float  # of the apex, downwards
    heart_roll_degrees: float
    heart_x_mm: float
    lv_scale: float
    rv_scale: float
    la_scale: float
    ra_scale: float
    wall_mm: float
    epicardial_fat_mm: float
    aortic_root_radius_mm: float
    ascending_radius_mm: float
    arch_radius_mm: float
    descending_radius_mm: float
    aortic_unfolding_mm: float
    arch_height_mm: float
    pulmonary_radius_mm: float
    svc_radius_mm: float
    ivc_radius_mm: float
    trachea_radius_mm: float
    branch_scale: float
    lung_vessel_scale: float
    lung_hu: float
    bone_hu: float
    liver_hu: float
    stomach_hu: float
    phase: str
    svc_hu: float
    right_atrium_hu: float
    right_ventricle_hu: float
    pulmonary_hu: float
    left_heart_hu: float
    aorta_hu: float
    ivc_hu: float
    myocardium_hu: float
    mixing_hu: float  # swirls of contrast in vena cava and right atrium, standard deviation
    injected_left: bool
    oesophagus_air: bool
    effusion_right_mm: float  # 0: none
    effusion_left_mm: float
    calcifications: int
    pacemaker: bool
    pixel_mm: float
    slice_mm: float
    slices: int
    bottom_mm: float  # body z of the lowest slice
    table_z_mm: float  # scanner z of the body origin
    blur_voxels: float
    noise_hu: float
    noise_grain_voxels: float
    field_circle: bool
    axis_codes: str  # storage order of the arrays
    texture_seed: int
    noise_seed: int


@dataclass(frozen=True)
class RenderedThorax:
    """hounsfield int16 (x, y, z); labels uint8 (x, y, z); affine 4x4 float64 to RAS+ mm.

    level_of_slice: for each z index the level's name, "" where a slice is between levels.
    """

    hounsfield: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    level_of_slice: tuple[str, ...]


def draw_patient(rng: np.random.Generator) -> ThoraxPatient:
    """Draw one patient; all chance comes from `rng`."""

    def around(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, spread), low, high))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    phase = str(rng.choice(list(PHASES), p=_PHASE_CHANCE))
    svc, right, pulmonary, left, aorta, ivc, muscle = (
        hu * between(0.88, 1.12) for hu in PHASES[phase]
    )
    size = around(1.0, 0.06, 0.87, 1.13)  # tall patients are also wider
    height = size * between(0.96, 1.04)
    aorta_scale = around(1.0, 0.1, 0.82, 1.25)
    dilated = between(1.2, 1.45) if chance(0.15) else 1.0
    bottom = -between(118, 150) * height
    top = (110 + between(16, 40)) * height
    # 45 to 80 slices, 3 to 6 mm apart
    slice_mm = between(max(3.0, (top - bottom) / 80), min(6.0, (top - bottom) / 45))
    lung = between(-880, -740)
    warp = [
        (
            float(axis),
            between(1.0, 2.8),
            *(2 * np.pi / rng.uniform(90, 260, 3)).tolist(),
            *rng.uniform(0, 2 * np.pi, 3).tolist(),
        )
        for axis in (0, 1, 2)
        for _ in range(2)
    ]
    return ThoraxPatient(
        width_scale=size * between(0.93, 1.07),
        depth_scale=size * between(0.9, 1.13),
        height_scale=height,
        torso_exponent=between(2.15, 2.75),
        fat_mm=4 + 36 * float(rng.beta(1.4, 2.8)),
        muscle_mm=between(9, 20),
        breast_mm=between(8, 42) if chance(0.45) else 0.0,
        gland_hu=between(-90, 40),
        arms_down=chance(0.15),
        fat_planes=tuple(
            (float(rng.choice([-1, 1])), between(15, 110), between(-88, -62), between(5, 90))
            for _ in range(10)
        ),
        warp_modes=tuple(warp),
        roll_degrees=around(0, 3.5, -8, 8),
        pitch_degrees=around(0, 3, -8, 8),
        yaw_degrees=around(0, 3, -8, 8),
        offset_x_mm=around(0, 8, -20, 20),
        offset_y_mm=around(0, 8, -18, 18),
        kyphosis_mm=between(-3, 6),
        scoliosis_mm=around(0, 3, -8, 8),
        spine_phase=between(0, 1),
        sternum_x_mm=around(0, 2.5, -6, 6),
        right_apex_higher_mm=between(-6, 6),
        diaphragm_mm=between(-14, 10),
        heart_scale=around(1.0, 0.08, 0.84, 1.2),
        heart_azimuth_degrees=around(42, 8, 25, 62),
        heart_elevation_degrees=around(30, 8, 12, 50),
        heart_roll_degrees=around(12, 8, -8, 30),
        heart_x_mm=around(-2, 4, -12, 8),
        lv_scale=around(1, 0.08, 0.84, 1.18),
        rv_scale=around(1, 0.07, 0.86, 1.16),
        la_scale=around(1, 0.1, 0.8, 1.25),
        ra_scale=around(1, 0.09, 0.82, 1.22),
        wall_mm=around(10, 2, 7, 16),
        epicardial_fat_mm=between(2.5, 7),
        aortic_root_radius_mm=15.5 * aorta_scale * (0.5 + 0.5 * dilated),
        ascending_radius_mm=14.5 * aorta_scale * dilated,
        arch_radius_mm=12.5 * aorta_scale * (0.5 + 0.5 * dilated) * between(0.94, 1.06),
        descending_radius_mm=11.3 * aorta_scale * between(0.9, 1.12),
        aortic_unfolding_mm=between(-2, 6),
        arch_height_mm=between(-5, 7),
        pulmonary_radius_mm=around(13, 1.4, 10.5, 17),
        svc_radius_mm=around(8.5, 1.2, 6.5, 11.5),
        ivc_radius_mm=around(10.5, 1.5, 8, 14),
        trachea_radius_mm=around(7.8, 0.9, 6, 10),
        branch_scale=between(0.85, 1.25),
        lung_vessel_scale=between(0.7, 1.25),
        lung_hu=lung,
        bone_hu=between(180, 330),
        liver_hu=0.5 * ivc + between(25, 50),
        stomach_hu=between(0, 70),
        phase=phase,
        svc_hu=svc,
        right_atrium_hu=right * between(0.9, 1.1),
        right_ventricle_hu=right,
        pulmonary_hu=pulmonary,
        left_heart_hu=left,
        aorta_hu=aorta,
        ivc_hu=ivc,
        myocardium_hu=muscle,
        mixing_hu=svc * between(0.0, 0.16),
        injected_left=chance(0.4),
        oesophagus_air=chance(0.4),
        effusion_right_mm=between(4, 22) if chance(0.12) else 0.0,
        effusion_left_mm=between(4, 22) if chance(0.12) else 0.0,
        calcifications=int(rng.integers(3, 14)) if chance(0.3) else 0,
        pacemaker=chance(0.08),
        pixel_mm=between(280, 420) / MATRIX,
        slice_mm=slice_mm,
        slices=int(np.clip(round((top - bottom) / slice_mm), 45, 80)),
        bottom_mm=bottom,
        table_z_mm=between(-900, 900),
        blur_voxels=between(0.4, 1.1),
        noise_hu=between(7, 38),
        noise_grain_voxels=between(0.35, 1.3),
        field_circle=chance(0.5),
        axis_codes=str(rng.choice(_AXIS_CODES)),
        texture_seed=int(rng.integers(2**31)),
        noise_seed=int(rng.integers(2**31)),
    )


def _paint(patient: ThoraxPatient) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ideal HU float32, labels uint8, lung bool, all (x, y, z), and the affine; no noise yet."""
    p = patient
    half = (MATRIX - 1) / 2 * p.pixel_mm
    affine = np.diag([p.pixel_mm, p.pixel_mm, p.slice_mm, 1.0])
    affine[:3, 3] = [p.offset_x_mm - half, p.offset_y_mm - half, p.bottom_mm]
    rotation = Rotation.from_euler(
        "xyz", [p.pitch_degrees, p.roll_degrees, p.yaw_degrees], degrees=True
    ).as_matrix()
    shape = (MATRIX, MATRIX, p.slices)
    grid = make_grid(shape, affine, rotation, p.warp_modes)
    ideal = np.full(shape, -1000, np.float32)
    labels, lung = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    for part in parts(p):
        for box, mask in part.shape.pieces(grid):
            if part.within_lung:
                mask = mask & lung[box]
            ideal[box][mask] = part.hounsfield
            if part.label is not None:
                labels[box][mask] = part.label
                lung[box][mask] = part.is_lung
    # Supine: the dependent lung is denser.
    ideal += np.where(lung & (ideal < -600), -0.35 * (grid.y + 10), 0).astype(np.float32)
    affine[2, 3] += p.table_z_mm
    return ideal, labels, lung, affine


def _add_table(ideal: np.ndarray, patient: ThoraxPatient) -> None:
    """A curved table top below the back, fixed to the scanner and not to the patient."""
    body = (ideal > -300).any(axis=2)  # (x, y)
    lowest = int(np.argmax(body.any(axis=0)))  # first row from the back with tissue
    x = (np.arange(MATRIX) - MATRIX / 2) * patient.pixel_mm
    for depth_mm, thick_mm, hu in ((6, 3, -150.0), (9, 14, -930.0), (23, 3, -150.0)):
        top = lowest + (0.0011 * x**2 - depth_mm) / patient.pixel_mm
        y = np.arange(MATRIX)[None, :]
        shell = (y <= top[:, None]) & (y > top[:, None] - thick_mm / patient.pixel_mm)  # (x, y)
        ideal[shell[:, :, None] & (ideal < -980)] = hu


def _add_streaks(image: np.ndarray, dense: np.ndarray, rng: np.random.Generator) -> None:
    """Star-shaped streaks about the dense voxels (bool, x, y, z) of each slice."""
    for k in np.flatnonzero(dense.any(axis=(0, 1))):
        where = np.argwhere(dense[:, :, k])
        cx, cy = where.mean(axis=0)
        x, y = np.ogrid[:MATRIX, :MATRIX]
        angle, radius = np.arctan2(y - cy, x - cx), np.hypot(x - cx, y - cy)
        star = np.cos(7 * angle + rng.uniform(0, 6)) + np.cos(12 * angle + rng.uniform(0, 6))
        strength = min(70.0, 10.0 * np.sqrt(len(where)))
        image[:, :, k] += strength * star * np.exp(-radius / 18) * (radius > 2)


def _acquire(
    ideal: np.ndarray, labels: np.ndarray, lung: np.ndarray, patient: ThoraxPatient
) -> np.ndarray:
    """The scan of the ideal body: texture, blur, streaks, noise; int16 (x, y, z)."""
    p, rng = patient, np.random.default_rng(patient.noise_seed)
    _add_table(ideal, p)
    mottle = gaussian_filter(rng.standard_normal(ideal.shape, np.float32), (2.2, 2.2, 1.2))
    mottle /= mottle.std()
    ideal += mottle * np.where(lung, 28, np.where(ideal > -300, 9, 4)).astype(np.float32)
    swirl = np.isin(labels, [LABEL["superior_vena_cava"], LABEL["right_atrium"]])
    ideal[swirl] += p.mixing_hu * mottle[swirl]
    dense = (ideal > 2000) | ((labels == LABEL["superior_vena_cava"]) & (p.svc_hu > 500))
    image = gaussian_filter(ideal, (p.blur_voxels, p.blur_voxels, 0.35))
    _add_streaks(image, dense, rng)
    grain = (p.noise_grain_voxels, p.noise_grain_voxels, 0.0)
    noise = gaussian_filter(rng.standard_normal(ideal.shape, np.float32), grain)
    # Long paths through the shoulders starve the detector of photons.
    tissue = (ideal > -300).sum(axis=(0, 1))  # (z,)
    level = p.noise_hu * np.sqrt(np.clip(tissue / np.median(tissue), 0.7, 1.8))
    image += noise / noise.std() * level.astype(np.float32)
    if p.field_circle:
        x, y = np.ogrid[:MATRIX, :MATRIX]
        image[np.hypot(x - (MATRIX - 1) / 2, y - (MATRIX - 1) / 2) > MATRIX / 2] = LOWEST_HU
    return np.clip(np.rint(image), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def _levels(labels: np.ndarray, lung: np.ndarray, slice_mm: float) -> tuple[str, ...]:
    """The level of each slice from what the slice shows of this patient's structures."""
    area = np.stack([(labels == i).sum(axis=(0, 1)) for i in range(len(STRUCTURES))]).astype(float)
    share = area / np.maximum(area.max(axis=1, keepdims=True), 1)  # (structure, z)
    part = {name: share[i] for name, i in LABEL.items()}
    z = np.arange(labels.shape[2]) * slice_mm
    lung_area = lung.sum(axis=(0, 1))
    lung_top = z[lung_area > 15].max()
    arch_top = z[part["aortic_arch"] > 0].max()
    arteries = np.maximum.reduce(
        [part["right_pulmonary_artery"], part["left_pulmonary_artery"], part["pulmonary_trunk"]]
    )
    chambers = np.minimum.reduce(
        [
            part[name]
            for name in ("right_atrium", "left_atrium", "right_ventricle", "left_ventricle")
        ]
    )
    ventricles = np.minimum(part["right_ventricle"], part["left_ventricle"])
    branching = np.minimum(part["right_pulmonary_artery"], part["pulmonary_trunk"])
    highest_artery = z[arteries > 0.1].max()
    arch_bottom = z[part["aortic_arch"] > 0.25].min()
    middle = 0.5 * (highest_artery + arch_bottom)
    root = part["aortic_root"] * (arteries < 0.6)
    scores = (  # not negative where the slice shows the level, largest where most typical
        16 - np.abs(z - (lung_top + 17.5)),
        8 - np.abs(z - (lung_top - 14)),
        7 - np.abs(z - (arch_top + 9)),
        part["aortic_arch"] - 0.75,
        max(4.0, 0.5 * (arch_bottom - highest_artery)) - np.abs(z - middle),
        branching - 0.6 * branching.max(),
        root - 0.6 * root.max(),
        chambers - 0.65 * chambers.max(),
        np.where(
            (part["left_atrium"] < 0.05) & (part["right_atrium"] < 0.7), ventricles - 0.15, -1.0
        ),
    )
    peaks: list[int] = []  # most typical slice of each level, head to feet, 2 slices apart
    spans: list[list[int]] = []  # first and last index of each level
    for score in scores:
        below = len(z) if not peaks else peaks[-1] - 1
        peak = first = last = int(np.argmax(score[:below]))
        while last + 1 < below and score[last + 1] >= 0:
            last += 1
        while first > 0 and score[first - 1] >= 0:
            first -= 1
        peaks.append(peak)
        spans.append([first, last])
    for i in range(len(LEVELS) - 1):
        upper, lower = spans[i], spans[i + 1]
        while upper[0] - lower[1] < 2:  # an ambiguous slice between; the wider side gives way
            if lower[1] - peaks[i + 1] >= peaks[i] - upper[0]:
                lower[1] -= 1
            else:
                upper[0] += 1
    found = [""] * len(z)
    for name, (first, last) in zip(LEVELS, spans, strict=True):
        found[first : last + 1] = [name] * (last + 1 - first)
    return tuple(found)


def render(patient: ThoraxPatient) -> RenderedThorax:
    """The patient's scan: the same patient gives the same bytes."""
    ideal, labels, lung, affine = _paint(patient)
    levels = _levels(labels, lung, patient.slice_mm)
    return RenderedThorax(_acquire(ideal, labels, lung, patient), labels, affine, levels)


def _levels_of(patient: ThoraxPatient) -> tuple[str, ...]:
    """The levels alone, without the cost of noise: for patients whose volume is there already."""
    _, labels, lung, _ = _paint(patient)
    return _levels(labels, lung, patient.slice_mm)


def _level_rows(patient_id: str, levels: tuple[str, ...], patient: ThoraxPatient) -> list[tuple]:
    """(patient_id, z_mm, level) of at most SLICES_PER_LEVEL evenly chosen slices of each level."""
    rows = []
    for name in LEVELS:
        index = np.array([k for k, level in enumerate(levels) if level == name])
        count = min(SLICES_PER_LEVEL, len(index))
        # centres of `count` equal parts, so that the level's rim is not preferred
        for k in index[((np.arange(count) + 0.5) * len(index) / count).astype(int)][::-1]:
            z_mm = patient.table_z_mm + patient.bottom_mm + k * patient.slice_mm
            rows.append((patient_id, f"{z_mm:.3f}", name))
    return rows


def _save_volume(path: Path, array: np.ndarray, affine: np.ndarray, axis_codes: str) -> None:
    """Write array (x, y, z, RAS+) with its axes reordered to `axis_codes`, all at once or not."""
    image = nib.Nifti1Image(array, affine)
    image.set_data_dtype(array.dtype)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(axis_codes)
    )
    partial = path.with_name("." + path.name)  # the suffix tells nibabel the format
    try:
        nib.save(image.as_reoriented(turn), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _patients_named(table: Path) -> list[str]:
    """Patient ids of a levels.csv in the order of their first row; none if there is no table."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(dict.fromkeys(row["patient_id"] for row in csv.DictReader(file)))


def write_thorax_phantom(
    folder: Path,
    pretraining_patients: int,
    classification_patients: int,
    seed: int,
    signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write volumes/, labels/ (pre-training patients `seg-...`) and levels.csv (`lev-...`).

    Patient k of a kind depends on the seed and k alone.  Files that are there are kept, so an
    interrupted call is continued by repeating it; a folder therefore belongs to one seed and one
    value of `signal`.  signal=False permutes the levels over all rows of levels.csv.
    progress: called with (patients done, patients in all).
    """
    folder = Path(folder)
    for name in ("volumes", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    total = pretraining_patients + classification_patients
    table = folder / "levels.csv"
    wanted = [f"lev-{k + 1:03d}" for k in range(classification_patients)]
    table_is_there = _patients_named(table) == wanted and classification_patients > 0
    rows: list[tuple] = []
    for done in range(total):
        kind = 0 if done < pretraining_patients else 1
        index = done if kind == 0 else done - pretraining_patients
        patient_id = f"seg-{index + 1:03d}" if kind == 0 else wanted[index]
        patient = draw_patient(np.random.default_rng([seed, kind, index]))
        volume, label_map = (
            folder / name / f"{patient_id}.nii.gz" for name in ("volumes", "labels")
        )
        levels = None
        if not volume.exists() or (kind == 0 and not label_map.exists()):
            scan = render(patient)
            levels = scan.level_of_slice
            if kind == 0:
                _save_volume(label_map, scan.labels, scan.affine, patient.axis_codes)
            _save_volume(volume, scan.hounsfield, scan.affine, patient.axis_codes)
        if kind == 1 and not table_is_there:
            rows += _level_rows(patient_id, levels or _levels_of(patient), patient)
        if progress is not None:
            progress(done + 1, total)
    if classification_patients == 0 or table_is_there:
        return
    if not signal:
        order = np.random.default_rng([seed, 2]).permutation(len(rows))
        rows = [(*row[:2], rows[k][2]) for row, k in zip(rows, order, strict=True)]
    partial = table.with_name(".levels.csv")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("patient_id", "z_mm", "level"))
        writer.writerows(rows)
    os.replace(partial, table)
