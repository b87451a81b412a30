"""Every parameter of one synthetic chest CT: the patient and the scan, and how they are drawn."""

from dataclasses import dataclass

import numpy as np

MATRIX = 160  # columns and rows
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


def draw_patient(rng: np.random.Generator) -> ThoraxPatient:
    """Draws one patient, with the seeds of noise and lung texture; `rng` decides all that is random."""

    def around(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, spread), low, high))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    phase = str(rng.choice(list(PHASES), p=_PHASE_CHANCE))
    svc, right, pulmonary, left, aorta, ivc, muscle = (  # HU
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
