"""Where each structure of the synthetic thorax lies, as a function of the patient.

Body frame in mm, RAS+ as in nibabel: +x to the patient's RIGHT, +y anterior, +z superior, with
the tracheal carina near the origin.  So the heart apex and the descending aorta have negative x,
the venae cavae and the liver positive x.  `parts` lists solids in painting order: a later one
covers an earlier one, which is how the left ventricle comes to lie inside its wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_prep.phantom.shapes import Column, Ellipsoid, Tube, smooth_tube

if TYPE_CHECKING:
    from data_prep.phantom.thorax import ThoraxPatient

STRUCTURES = (
    "background",
    "sternum",
    "ascending_aorta",
    "descending_aorta",
    "right_pulmonary_artery",
    "vertebrae",
    "right_atrium",
    "left_atrium",
    "right_ventricle",
    "left_ventricle",
    "myocardium",
    "left_pulmonary_artery",
    "pulmonary_trunk",
    "aortic_root",
    "aortic_arch",
    "superior_vena_cava",
    "inferior_vena_cava",
)
LABEL = {name: value for value, name in enumerate(STRUCTURES)}
FAT_HU, MUSCLE_HU, AIR_HU, FLUID_HU = -100.0, 50.0, -990.0, 10.0


@dataclass(frozen=True)
class Part:
    """One solid to paint: its attenuation and label (None leaves the label that is there).

    within_lung: painted only where lung lies so far; is_lung: the solid becomes lung.
    """

    shape: Column | Ellipsoid | Tube
    hounsfield: float
    label: int | None = 0
    within_lung: bool = False
    is_lung: bool = False


def parts(patient: ThoraxPatient) -> list[Part]:
    """All solids of the patient in painting order."""
    heart, vessels = _heart(patient), _great_vessels(patient)
    # Fat between heart or vessel and lung: without it the mediastinum would have no outline.
    fat = [
        Part(part.shape.grown(patient.epicardial_fat_mm), FAT_HU, within_lung=True)
        for part in heart + vessels
    ]
    return (
        _chest_wall(patient)
        + _lungs(patient)
        + _abdomen(patient)
        + _ribs(patient)
        + _spine(patient)
        + fat
        + _lung_vessels(patient)
        + _veins_and_branches(patient)
        + heart
        + vessels
        + _airway(patient)
        + _sternum(patient)
        + _findings(patient)
    )


def _scale(patient: ThoraxPatient) -> np.ndarray:
    return np.array([patient.width_scale, patient.depth_scale, patient.height_scale])


def _lung_column(patient: ThoraxPatient, side: int, grow_mm: float = 0.0) -> Column:
    """Lung of one side (+1 right, -1 left): round laterally, flat towards the mediastinum."""
    sx, sy, sz = _scale(patient)
    z = np.array([-175, -100, -50, 0, 40, 70, 90, 103, 110]) * sz
    lateral = np.array([92, 90, 86, 78, 62, 44, 29, 16, 3]) * sx + grow_mm
    medial = np.array([43, 43, 41, 39, 34, 26, 18, 10, 3]) * sx + grow_mm
    left, right = (medial, lateral) if side > 0 else (lateral, medial)
    return Column(
        z=z + (patient.right_apex_higher_mm if side > 0 else 0.0) * np.clip(z / 100, 0, 1),
        x=side * np.array([48, 48, 46, 44, 42, 42, 42, 42, 42]) * sx,
        y=np.array([-2, -2, -2, -4, -10, -18, -24, -28, -28]) * sy,
        left=left,
        right=right,
        depth=np.array([95, 95, 91, 82, 65, 49, 33, 18, 3]) * sy + grow_mm,
        exponent_left=4.0 if side > 0 else 2.2,
        exponent_right=2.2 if side > 0 else 4.0,
    )


def _chest_wall(patient: ThoraxPatient) -> list[Part]:
    sx, sy, sz = _scale(patient)
    z = np.array([-190, -100, -50, 0, 40, 70, 90, 108, 122, 138, 190]) * sz
    half = np.array([142, 142, 137, 132, 137, 147, 154, 146, 122, 78, 50]) * sx
    deep = np.array([99, 99, 95, 90, 82, 74, 66, 58, 52, 48, 48]) * sy
    y = np.array([-4, -4, -4, -6, -10, -15, -17, -19, -20, -20, -20]) * sy
    m, f, boxy = patient.muscle_mm, patient.fat_mm, patient.torso_exponent
    muscle = Column(z, np.zeros(11), y, half + m, half + m, deep + m, boxy, boxy)
    thin = np.interp(z, [90 * sz, 140 * sz], [1.0, 0.45])  # less fat at the neck
    skin = Column(
        z,
        np.zeros(11),
        y + 0.15 * f,
        *([half + m + f * thin] * 2),
        deep + m + 0.8 * f * thin,
        boxy - 0.1,
        boxy - 0.1,
    )
    found = [Part(skin.grown(2.0), 20.0), Part(skin, FAT_HU), Part(muscle, MUSCLE_HU)]
    for grow, hu in ((15.0, -80.0), (11.5, MUSCLE_HU)):  # fat between ribs and outer muscles
        found += [Part(_lung_column(patient, side, grow), hu) for side in (1, -1)]
    for side in (1, -1):
        if patient.breast_mm > 0:
            centre = np.array([side * 72 * sx, 78 * sy + m + 0.5 * f, -35 * sz])
            radii = np.array([52.0, patient.breast_mm + 14, 48.0])
            found[1:1] = [Part(Ellipsoid(centre, radii), FAT_HU)]
            found += [
                Part(
                    Ellipsoid(centre + [0, 12 + 0.3 * patient.breast_mm, 0], radii * 0.45),
                    patient.gland_hu,
                )
            ]
        shoulder = np.array([side * (150 * sx + 0.6 * m), -12 * sy, 92 * sz])
        hand = np.array([45, 25, -190]) if patient.arms_down else np.array([70, 10, 170])
        elbow = shoulder + hand * [side, 1, 1]
        arm = Tube(np.array([shoulder, elbow]), np.array([40.0, 34.0]) + 0.4 * f)
        found[0:0] = [Part(arm, FAT_HU)]
        found += [
            Part(Tube(arm.points, arm.radii - 7 - 0.4 * f), MUSCLE_HU),
            Part(Tube(arm.points, np.array([12.0, 11.0])), patient.bone_hu * 1.6),
            Part(Ellipsoid(shoulder, np.array([23.0, 22.0, 23.0])), patient.bone_hu),
            # posterior triangle of the neck
            Part(
                Ellipsoid(
                    np.array([side * 44, -30, 134]) * [sx, sy, sz],
                    np.array([8.0, 12.0, 16.0]) + 0.3 * f,
                ),
                FAT_HU,
            ),
            # axillary fat, and the scapula with its spine and glenoid
            Part(
                Ellipsoid(
                    np.array([side * 122, 8, 48]) * [sx, sy, sz], np.array([17.0, 34.0, 36.0])
                ),
                FAT_HU,
            ),
            Part(
                Tube(
                    np.array(
                        [
                            [side * 134, -14, 90],
                            [side * 112, -62, 62],
                            [side * 92, -84, 20],
                            [side * 86, -92, -25],
                        ]
                    )
                    * [sx, sy, sz]
                    - [0, 0.5 * m, 0],
                    np.array([9.0, 6, 4.5, 3.5]),
                ),
                patient.bone_hu * 1.5,
            ),
            Part(
                smooth_tube(
                    np.array(
                        [
                            [side * 18, 48, 62],
                            [side * 60, 36, 80],
                            [side * 105, 2, 98],
                            [side * 140, -14, 108],
                        ]
                    )
                    * [sx, sy, sz]
                    + [0, 0.5 * m, 0],
                    [8, 5.5, 6, 7],
                    3,
                ),
                patient.bone_hu * 1.6,
            ),
        ]
    for side, x_mm, y_mm, z_mm in patient.fat_planes:  # fat between muscles, differs by patient
        found.append(
            Part(
                Ellipsoid(
                    np.array([side * x_mm * sx, y_mm * sy, z_mm * sz]), np.array([20.0, 3.0, 24.0])
                ),
                -70.0,
            )
        )
    return found


def _lungs(patient: ThoraxPatient) -> list[Part]:
    sx, sy, sz = _scale(patient)
    found = [Part(_lung_column(patient, s), patient.lung_hu, is_lung=True) for s in (1, -1)]
    z = np.array([-190, -60, 0, 40, 70, 100]) * sz
    wide = np.array([22, 20, 9, 16, 24, 28]) * sx
    deep = np.array([88, 84, 72, 50, 36, 26]) * sy  # fat from the sternum to the spine
    y = np.array([-2, -2, -4, -10, -16, -20]) * sy
    found.append(Part(Column(z, np.zeros(6), y, wide, wide, deep, 3.0, 3.0), FAT_HU))
    hila = np.array([26, 26, 28, 34, 36, 34]) * sx
    found.append(Part(Column(z, np.full(6, -2.0), y - 14 * sy, hila, hila, deep * 0.45), FAT_HU))
    return found


def _abdomen(patient: ThoraxPatient) -> list[Part]:
    sx, sy, sz = _scale(patient)
    down = np.array([0.0, 0.0, patient.diaphragm_mm])
    size = np.array([sx, sy, sz])

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


def _ribs(patient: ThoraxPatient) -> list[Part]:
    """Rings that fall from the spine to the front, so a slice cuts each obliquely."""
    found = []
    sz = patient.height_scale
    for side in (1, -1):
        wall = _lung_column(patient, side, grow_mm=5.0)
        for number in range(11):
            z_back = (98.0 - 24.5 * number) * sz
            angle = np.linspace(-0.47, 0.36 if number > 0 else 0.2, 15) * np.pi
            z = z_back - (0.47 * np.pi + angle) * (11 + 2.2 * min(number, 7)) * sz
            cx, cy, depth = (np.interp(z, wall.z, a) for a in (wall.x, wall.y, wall.depth))
            lateral = np.interp(z, wall.z, wall.right if side > 0 else wall.left)
            # superellipse of exponent 2.2, as the wall
            c, s = np.cos(angle), np.sin(angle)
            round_ = (np.abs(c) ** 2.2 + np.abs(s) ** 2.2) ** (-1 / 2.2)
            points = np.stack([cx + side * lateral * c * round_, cy + depth * s * round_, z], -1)
            found.append(Part(Tube(points, np.full(15, 4.6)), patient.bone_hu * 1.5))
            found.append(Part(Tube(points, np.full(15, 2.4)), patient.bone_hu * 0.8))
    return found


def _spine(patient: ThoraxPatient) -> list[Part]:
    sx, sy, sz = _scale(patient)
    found, bone, label = [], patient.bone_hu, LABEL["vertebrae"]
    step = 24.5 * sz
    for number in range(-6, 9):
        z = number * step + patient.spine_phase * step
        y = (
            float(
                np.interp(
                    z / sz, [-190, -100, -50, 0, 50, 100, 190], [-52, -60, -64, -62, -56, -44, -30]
                )
            )
            * sy
        )
        y -= patient.kyphosis_mm * np.cos(np.clip(z / (110 * sz), -1, 1) * np.pi / 2)
        x = patient.scoliosis_mm * np.sin(z / (70 * sz))
        rx, ry = (17 - 0.022 * z / sz) * sx, (14 - 0.02 * z / sz) * sy
        half = 0.39 * step

        def at(dx, dy, dz, x=x, y=y, z=z):
            return np.array([x + dx, y + dy, z + dz])

        def block(height, grow, hu, value, x=x, y=y, z=z, rx=rx, ry=ry):
            two = np.ones(2)
            shape = Column(
                np.array([z - height, z + height]),
                x * two,
                y * two,
                (rx + grow) * two,
                (rx + grow) * two,
                (ry + grow) * two,
                2.4,
                2.4,
            )
            return Part(shape, hu, value)

        back = -ry - 9.0
        found.append(block(0.5 * step, -1.0, 85.0, 0))  # disc
        for side in (1, -1):
            path = np.array(
                [
                    at(side * rx * 0.65, -ry * 0.7, 3),
                    at(side * 11.5, back, 2),
                    at(side * 3, back - 10, -4),
                ]
            )
            found.append(Part(Tube(path, np.array([4.5, 4.2, 4.0])), bone * 1.5, label))
            wing = np.array([at(side * 12, back, 2), at(side * 32 * sx, back - 8, 5)])
            found.append(Part(Tube(wing, np.array([4.5, 4.0])), bone * 1.3, label))
        thorn = np.array([at(0, back - 10, -4), at(0, back - 26 * sy, -18)])
        found.append(Part(Tube(thorn, np.array([4.2, 3.5])), bone * 1.4, label))
        found += [block(half, 0.0, bone * 1.5, label), block(half - 2.0, -2.5, bone * 0.8, label)]
        canal = np.array([at(0, back + 0.5, -step / 2), at(0, back + 0.5, step / 2)])
        found.append(Part(Tube(canal, np.array([7.5, 7.5]), True), 25.0))
    return found


def _sternum(patient: ThoraxPatient) -> list[Part]:
    sx, sy, sz = _scale(patient)
    z = np.array([-92, -80, -30, 12, 18, 30, 52, 60]) * sz
    front = [92, 91, 84, 74, 73, 67, 55, 50]
    y = np.array(front) * sy + 2.0
    half = np.array([6, 15, 17, 14, 17, 24, 29, 22]) * sx
    thick = np.array([4, 5.5, 6, 6, 6.5, 7, 8, 6.5])
    whole = Column(z, np.full(8, patient.sternum_x_mm), y, half, half, thick, 2.6, 2.6)
    label = LABEL["sternum"]
    return [
        Part(whole, patient.bone_hu * 1.4, label),
        Part(whole.grown(-2.5), patient.bone_hu * 0.65, label),
    ]


def _heart_frame(patient: ThoraxPatient) -> tuple[np.ndarray, np.ndarray, float]:
    """Base point (mm), columns (to the apex, from left to right ventricle, up), scale."""
    az, el, turn = np.radians(
        [patient.heart_azimuth_degrees, patient.heart_elevation_degrees, patient.heart_roll_degrees]
    )
    u = np.array([-np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), -np.sin(el)])
    flat = np.array([np.sin(az), np.cos(az), 0.0])
    up = np.cross(flat, u)
    v = np.cos(turn) * flat - np.sin(turn) * up  # turned: the right ventricle lies lower
    scale = patient.heart_scale * float(_scale(patient).mean())
    base = np.array([-8.0, 6.0, -62.0]) * _scale(patient) + [patient.heart_x_mm, 0, 0]
    return base, np.stack([u, v, np.cross(v, u)], axis=1), scale


def _heart(patient: ThoraxPatient) -> list[Part]:
    base, frame, h = _heart_frame(patient)
    shift = np.array([patient.heart_x_mm, 0, 0])
    p, u = patient, frame[:, 0]

    def at(a, b, c):
        return base + h * frame @ np.array([a, b, c])

    plane = (at(0, 0, 0), u)
    lv_radii = np.array([47, 23, 23]) * h * p.lv_scale
    wall = np.array([p.wall_mm * 0.8, p.wall_mm, p.wall_mm])
    lv_centre = at(31, -19, -2)
    rv = Ellipsoid(
        at(28, 17, -8), np.array([45, 27, 34]) * h * p.rv_scale, frame, (at(-2, 0, 0), u)
    )
    conus = smooth_tube(
        [at(24, 24, 6), at(12, 26, 20), np.array([-20, 43, -43]) * _scale(p) + shift],
        np.array([19, 16, p.pulmonary_radius_mm]),
        4,
    )
    ra = Ellipsoid(at(-14, 33, -9), np.array([24, 27, 33]) * h * p.ra_scale)
    la = Ellipsoid(at(-20, -11, 6), np.array([34, 20, 24]) * h * p.la_scale)
    return [
        Part(ra, p.right_atrium_hu, LABEL["right_atrium"]),
        Part(rv, p.right_ventricle_hu, LABEL["right_ventricle"]),
        Part(conus, p.right_ventricle_hu, LABEL["right_ventricle"]),
        Part(
            Ellipsoid(lv_centre, lv_radii + wall, frame, plane),
            p.myocardium_hu,
            LABEL["myocardium"],
        ),
        Part(
            Ellipsoid(lv_centre, lv_radii, frame, plane), p.left_heart_hu, LABEL["left_ventricle"]
        ),
        Part(la, p.left_heart_hu, LABEL["left_atrium"]),
    ]


def _aorta_path(patient: ThoraxPatient) -> tuple[Tube, np.ndarray]:
    """The aorta from the root down to the abdomen and, per point, its structure's label."""
    p, size = patient, _scale(patient)
    bulge, lift = p.aortic_unfolding_mm, p.arch_height_mm
    knots = (
        np.array(
            [
                [-10, 9, -52],
                [-4, 17, -40],
                [6, 23, -29],
                [16 + bulge, 27, -13],
                [20 + bulge, 27, 7],
                [16 + bulge, 24, 27],
                [4, 15, 42 + lift],
                [-10, 0, 49 + lift],
                [-20 - 0.6 * bulge, -22, 43 + lift],
                [-24 - bulge, -39, 26],
                [-23 - bulge, -42, 0],
                [-22 - 0.5 * bulge, -42, -60],
                [-14, -36, -120],
                [-8, -30, -190],
            ]
        )
        * size
    )
    knots[:, 0] += p.heart_x_mm * np.array([1, 1, 0.7, 0.4, 0.2] + [0] * 9)
    root, asc, arch, desc = (
        p.aortic_root_radius_mm,
        p.ascending_radius_mm,
        p.arch_radius_mm,
        p.descending_radius_mm,
    )
    radii = np.array(
        [
            root * 0.8,
            root,
            asc * 0.95,
            asc,
            asc,
            0.5 * (asc + arch),
            arch,
            arch,
            arch,
            desc,
            desc,
            desc,
            desc * 0.94,
            desc * 0.88,
        ]
    )
    names = (
        ["aortic_root"] * 2
        + ["ascending_aorta"] * 3
        + ["aortic_arch"] * 4
        + ["descending_aorta"] * 4
    )
    steps = 4
    labels = np.repeat([LABEL[name] for name in names], steps)
    return smooth_tube(knots, radii, steps, flat=True), labels


def _great_vessels(patient: ThoraxPatient) -> list[Part]:
    p, size = patient, _scale(patient)
    shift = np.array([patient.heart_x_mm, 0, 0])
    aorta, labels = _aorta_path(p)
    pa, svc = p.pulmonary_radius_mm, p.svc_radius_mm

    def tube(knots, radii, hu, name, moved=0.0, flat=True):
        points = np.array(knots) * size + moved * shift
        return Part(smooth_tube(points, radii, 4, flat), hu, LABEL[name])

    base, frame, h = _heart_frame(p)
    inlet = (base + h * frame @ np.array([-14, 30, -24])) / size  # IVC enters the right atrium
    cap = (base + h * frame @ np.array([-16, 32, 10])) / size  # SVC, its roof
    found = [
        tube(
            [[22, -14, -190], [22, -10, -130], inlet],
            [1.1 * p.ivc_radius_mm] * 2 + [p.ivc_radius_mm],
            p.ivc_hu,
            "inferior_vena_cava",
        ),
        tube(
            [cap, [34, 11, -14], [35, 12, 15], [32, 17, 50]],
            [svc * 1.1, svc, svc, svc * 0.9],
            p.svc_hu,
            "superior_vena_cava",
        ),
        tube(
            [[-22, 16, -13], [-4, 1, -13], [20, -7, -17], [40, -10, -21], [58, -15, -32]],
            [0.85 * pa, 0.78 * pa, 0.74 * pa, 0.66 * pa, 0.45 * pa],
            p.pulmonary_hu,
            "right_pulmonary_artery",
        ),
        tube(
            [[-24, 18, -12], [-34, 0, -5], [-45, -20, -7], [-51, -35, -22]],
            [0.85 * pa, 0.75 * pa, 0.68 * pa, 0.5 * pa],
            p.pulmonary_hu,
            "left_pulmonary_artery",
        ),
        tube(
            [[-20, 43, -43], [-26, 36, -26], [-25, 20, -13], [-22, 11, -11]],
            [pa, pa, pa, 0.8 * pa],
            p.pulmonary_hu,
            "pulmonary_trunk",
            moved=0.5,
        ),
    ]
    for value in ("descending_aorta", "aortic_arch", "ascending_aorta", "aortic_root"):
        chosen = np.flatnonzero(labels == LABEL[value])
        span = slice(chosen[0], chosen[-1] + 2)
        piece = Tube(aorta.points[span], aorta.radii[span], True)
        found.append(Part(piece, p.aorta_hu, LABEL[value]))
    return found


def _veins_and_branches(patient: ThoraxPatient) -> list[Part]:
    """Unlabelled vessels: branches of the arch, brachiocephalic and pulmonary veins, azygos."""
    p, size = patient, _scale(patient)
    lift, f = p.arch_height_mm, p.branch_scale

    def tube(knots, radii, hu):
        return Part(smooth_tube(np.array(knots) * size, np.array(radii) * f, 3), hu)

    left_arm = p.svc_hu if p.injected_left else 0.5 * p.svc_hu + 30
    right_arm = 0.5 * p.svc_hu + 30 if p.injected_left else p.svc_hu
    venous = p.left_heart_hu
    return [
        tube([[7, 16, 46 + lift], [13, 12, 76 + lift], [20, 4, 98]], [7, 6.5, 6], p.aorta_hu),
        tube([[20, 4, 98], [46, 0, 114], [84, 2, 112]], [5.5, 4.5, 4], p.aorta_hu),
        tube([[20, 4, 98], [21, -6, 130], [22, -8, 190]], [4.5, 3.8, 3.5], p.aorta_hu),
        tube(
            [[-8, 4, 50 + lift], [-13, 0, 80 + lift], [-19, -6, 130], [-22, -8, 190]],
            [5, 4.2, 3.8, 3.5],
            p.aorta_hu,
        ),
        tube(
            [[-18, -16, 48 + lift], [-25, -18, 80 + lift], [-40, -10, 108], [-84, 2, 112]],
            [6, 5.2, 4.8, 4],
            p.aorta_hu,
        ),
        tube([[32, 17, 50], [32, 20, 76], [38, 18, 98], [75, 18, 98]], [7, 6.5, 5.5, 5], right_arm),
        tube(
            [[31, 20, 54], [4, 34, 66], [-26, 24, 82], [-40, 18, 98], [-76, 18, 98]],
            [6.5, 5.5, 6, 5.5, 5],
            left_arm,
        ),
        tube([[38, 18, 98], [32, -4, 140], [34, -6, 190]], [5, 5.5, 5.5], 0.5 * right_arm + 30),
        tube([[-38, 18, 98], [-32, -4, 140], [-34, -6, 190]], [5, 5, 5], 0.5 * left_arm + 30),
        tube(
            [[10, -36, -150], [8, -42, -20], [10, -38, 8], [24, -18, 16], [34, 6, 18]],
            [3, 3.5, 4, 4, 4],
            0.5 * p.ivc_hu + 25,
        ),
        tube([[14, -14, -40], [40, -6, -42], [62, 4, -36]], [8, 6, 3.5], venous),
        tube([[12, -20, -54], [40, -30, -60], [64, -42, -72]], [8, 6, 3.5], venous),
        tube([[-24, -10, -36], [-46, -6, -32], [-62, 6, -24]], [7.5, 5.5, 3], venous),
        tube([[-22, -20, -52], [-46, -32, -56], [-66, -44, -68]], [7.5, 5.5, 3], venous),
    ]


def _airway(patient: ThoraxPatient) -> list[Part]:
    p, size = patient, _scale(patient)
    r = p.trachea_radius_mm
    found = []
    paths = [
        ([[2, -16, 190], [3, -16, 90], [7, -18, 45], [4, -20, 0]], [r, r, r, r * 1.05]),
        (
            [[4, -20, 2], [18, -23, -14], [36, -28, -24], [52, -34, -44]],
            [r * 0.85, r * 0.75, r * 0.65, r * 0.4],
        ),
        (
            [[4, -20, 2], [-18, -24, -16], [-42, -29, -30], [-56, -38, -52]],
            [r * 0.8, r * 0.65, r * 0.6, r * 0.4],
        ),
    ]
    gullet = smooth_tube(
        np.array(
            [
                [-2, -32, 190],
                [-3, -34, 60],
                [-5, -40, 0],
                [-4, -42, -60],
                [-12, -28, -115],
                [-30, -12, -150],
            ]
        )
        * size,
        [6, 6, 6, 6.5, 7, 8],
        4,
    )
    found.append(Part(gullet, 35.0))
    if p.oesophagus_air:
        found.append(Part(Tube(gullet.points, np.full(len(gullet.points), 2.2)), -600.0))
    tubes = [smooth_tube(np.array(knots) * size, radii, 4) for knots, radii in paths]
    found += [Part(tube.grown(1.6), 20.0) for tube in tubes]
    found += [Part(tube, AIR_HU) for tube in tubes]
    # thyroid at the inlet, brighter than muscle
    for side in (1, -1):
        found.append(
            Part(
                Ellipsoid(np.array([side * 15, -6, 138]) * size, np.array([8.0, 9.0, 20.0])),
                p.myocardium_hu + 60,
            )
        )
    return found


def _lung_vessels(patient: ThoraxPatient) -> list[Part]:
    """Arteries fanning out from each hilum: one parent, then three children."""
    rng = np.random.default_rng(patient.texture_seed)
    size, found = _scale(patient), []
    for side in (1, -1):
        hilum = np.array([side * 46.0, -18.0, -22.0]) * size
        for _ in range(44):
            angle, lean = rng.uniform(-2.2, 2.2), rng.uniform(-1.35, 1.25)
            way = np.array(
                [side * np.cos(angle) * np.cos(lean), np.sin(angle) * np.cos(lean), np.sin(lean)]
            )
            length = rng.uniform(30, 60) * (1.5 if lean < -0.7 else 1.0)
            fork = hilum + way * length * size
            thick = rng.uniform(1.6, 3.4) * patient.lung_vessel_scale
            found.append((np.array([hilum, fork]), [thick * 1.2, thick]))
            for _ in range(3):
                turned = way + rng.normal(0, 0.45, 3)
                tip = fork + turned / np.linalg.norm(turned) * rng.uniform(25, 60) * size
                found.append((np.array([fork, tip]), [thick * 0.8, thick * 0.35]))
    hu = 0.7 * patient.pulmonary_hu
    return [Part(Tube(points, np.array(r)), hu, within_lung=True) for points, r in found]


def _findings(patient: ThoraxPatient) -> list[Part]:
    """What only some patients have: effusions, calcifications, a pacemaker lead."""
    p, size, found = patient, _scale(patient), []
    for side, thick in ((1, p.effusion_right_mm), (-1, p.effusion_left_mm)):
        if thick > 0:
            pool = Ellipsoid(
                np.array([side * 66, -98, -110]) * size, np.array([80.0, 20 + thick, 85 + thick])
            )
            found.append(Part(pool, FLUID_HU, within_lung=True))
    rng = np.random.default_rng([p.texture_seed, 1])
    aorta, labels = _aorta_path(p)
    for _ in range(p.calcifications):
        i = int(rng.integers(len(aorta.points) - 1))
        way = np.cross(aorta.points[i + 1] - aorta.points[i], rng.normal(size=3))
        spot = aorta.points[i] + way / np.linalg.norm(way) * aorta.radii[i]
        found.append(Part(Ellipsoid(spot, rng.uniform(1.5, 4.0, 3)), rng.uniform(500, 1100), None))
    if p.pacemaker:
        base, frame, h = _heart_frame(p)
        tip = (base + h * frame @ np.array([55, 20, -16])) / size
        lead = smooth_tube(
            np.array(
                [
                    [-70, 20, 96],
                    [-26, 24, 82],
                    [4, 34, 66],
                    [32, 16, 45],
                    [34, 11, -20],
                    [28, 16, -66],
                    tip,
                ]
            )
            * size,
            [1.3] * 7,
            5,
        )
        found.append(Part(lead, 3000.0, None))
    return found
