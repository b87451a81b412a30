"""Soft tissue around the lungs: chest wall with breasts, arms and shoulders; upper abdomen."""

import numpy as np

from data_prep.phantom.shapes import Column, Ellipsoid, Tube, smooth_tube
from data_prep.phantom.thorax.lungs import lung_column
from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import AIR_HU, FAT_HU, MUSCLE_HU, Part, body_scale


def chest_wall(patient: ThoraxPatient) -> list[Part]:
    """Skin, fat, muscles, breasts, arms, shoulder blades and collar bones, in painting order."""
    sx, sy, sz = scale = body_scale(patient)
    z = np.array([-190, -100, -50, 0, 40, 70, 90, 108, 122, 138, 190]) * sz
    half = np.array([142, 142, 137, 132, 137, 147, 154, 146, 122, 78, 50]) * sx
    deep = np.array([99, 99, 95, 90, 82, 74, 66, 58, 52, 48, 48]) * sy
    y = np.array([-4, -4, -4, -6, -10, -15, -17, -19, -20, -20, -20]) * sy
    m, f, boxy = patient.muscle_mm, patient.fat_mm, patient.torso_exponent
    muscle = Column(z, np.zeros(11), y, half + m, half + m, deep + m, boxy, boxy)
    thin = np.interp(z, [90 * sz, 140 * sz], [1.0, 0.45])  # less fat at the neck
    width = half + m + f * thin
    skin = Column(
        z, np.zeros(11), y + 0.15 * f, width, width, deep + m + 0.8 * f * thin, boxy - 0.1, boxy - 0.1
    )
    parts = [Part(skin.grown(2.0), 20.0), Part(skin, FAT_HU), Part(muscle, MUSCLE_HU)]
    for grow, hu in ((15.0, -80.0), (11.5, MUSCLE_HU)):  # fat between ribs and outer muscles
        parts += [Part(lung_column(patient, side, grow), hu) for side in (1, -1)]
    for side in (1, -1):
        if patient.breast_mm > 0:
            centre = np.array([side * 72 * sx, 78 * sy + m + 0.5 * f, -35 * sz])
            radii = np.array([52.0, patient.breast_mm + 14, 48.0])
            gland = Ellipsoid(centre + [0, 12 + 0.3 * patient.breast_mm, 0], radii * 0.45)
            parts.insert(1, Part(Ellipsoid(centre, radii), FAT_HU))
            parts.append(Part(gland, patient.gland_hu))
        shoulder = np.array([side * (150 * sx + 0.6 * m), -12 * sy, 92 * sz])
        hand = np.array([45, 25, -190]) if patient.arms_down else np.array([70, 10, 170])
        elbow = shoulder + hand * [side, 1, 1]
        arm = Tube(np.array([shoulder, elbow]), np.array([40.0, 34.0]) + 0.4 * f)
        parts.insert(0, Part(arm, FAT_HU))
        to_side, half_muscle = scale * [side, 1, 1], [0, 0.5 * m, 0]
        neck_fat = Ellipsoid(np.array([44, -30, 134]) * to_side, np.array([8.0, 12.0, 16.0]) + 0.3 * f)
        armpit_fat = Ellipsoid(np.array([122, 8, 48]) * to_side, np.array([17.0, 34.0, 36.0]))
        scapula = np.array([[134, -14, 90], [112, -62, 62], [92, -84, 20], [86, -92, -25]]) * to_side
        clavicle = np.array([[18, 48, 62], [60, 36, 80], [105, 2, 98], [140, -14, 108]]) * to_side
        parts += [
            Part(Tube(arm.points, arm.radii - 7 - 0.4 * f), MUSCLE_HU),
            Part(Tube(arm.points, np.array([12.0, 11.0])), patient.bone_hu * 1.6),
            Part(Ellipsoid(shoulder, np.array([23.0, 22.0, 23.0])), patient.bone_hu),
            Part(neck_fat, FAT_HU),
            Part(armpit_fat, FAT_HU),
            Part(Tube(scapula - half_muscle, np.array([9.0, 6, 4.5, 3.5])), patient.bone_hu * 1.5),
            Part(smooth_tube(clavicle + half_muscle, [8, 5.5, 6, 7], 3), patient.bone_hu * 1.6),
        ]
    for side, x_mm, y_mm, z_mm in patient.fat_planes:  # fat between muscles, differs by patient
        centre = np.array([side * x_mm * sx, y_mm * sy, z_mm * sz])
        parts.append(Part(Ellipsoid(centre, np.array([20.0, 3.0, 24.0])), -70.0))
    return parts


def abdomen(patient: ThoraxPatient) -> list[Part]:
    """The upper organs, which reach into the lungs from below as the two domes of the diaphragm."""
    down = np.array([0.0, 0.0, patient.diaphragm_mm])
    size = body_scale(patient)

    def organ(x, y, z, rx, ry, rz, hu, within):
        shape = Ellipsoid(np.array([x, y, z]) * size + down, np.array([rx, ry, rz]) * size)
        return Part(shape, hu, within_lung=within)

    return [
        organ(70, -4, -185, 84, 92, 95, patient.liver_hu, True),  # right dome: liver
        organ(-70, -4, -190, 84, 90, 90, FAT_HU, True),  # left dome, lower than the right
        organ(-86, -48, -178, 34, 36, 60, patient.liver_hu + 12, False),  # spleen
        organ(-62, 22, -168, 42, 42, 50, patient.stomach_hu, False),
        organ(-66, 46, -166, 26, 18, 42, AIR_HU, False),  # stomach bubble, uppermost when supine
        organ(8, 34, -172, 72, 44, 46, patient.liver_hu, False),  # left lobe of the liver
    ]
