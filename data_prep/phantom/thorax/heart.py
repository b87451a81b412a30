"""The heart and the vessels to and from it; left and right are the patient's."""

import numpy as np

from data_prep.phantom.shapes import Ellipsoid, Tube, smooth_tube
from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import LABEL, Part, body_scale


def heart_frame(patient: ThoraxPatient) -> tuple[np.ndarray, np.ndarray, float]:
    """Where the heart lies and how it is turned.

    Returns:
        Base point (mm), axes as columns (to the apex, from left to right ventricle, up), scale.
    """
    az, el, turn = np.radians(
        [patient.heart_azimuth_degrees, patient.heart_elevation_degrees, patient.heart_roll_degrees]
    )
    u = np.array([-np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), -np.sin(el)])
    flat = np.array([np.sin(az), np.cos(az), 0.0])
    up = np.cross(flat, u)
    v = np.cos(turn) * flat - np.sin(turn) * up  # turned: the right ventricle lies lower
    scale = patient.heart_scale * float(body_scale(patient).mean())
    base = np.array([-8.0, 6.0, -62.0]) * body_scale(patient) + [patient.heart_x_mm, 0, 0]
    return base, np.stack([u, v, np.cross(v, u)], axis=1), scale


def heart(patient: ThoraxPatient) -> list[Part]:
    """Atria, ventricles, myocardium and the outflow tract of the right ventricle."""
    base, frame, h = heart_frame(patient)
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
        [at(24, 24, 6), at(12, 26, 20), np.array([-20, 43, -43]) * body_scale(p) + shift],
        np.array([19, 16, p.pulmonary_radius_mm]),
        4,
    )
    ra = Ellipsoid(at(-14, 33, -9), np.array([24, 27, 33]) * h * p.ra_scale)
    la = Ellipsoid(at(-20, -11, 6), np.array([34, 20, 24]) * h * p.la_scale)
    return [
        Part(ra, p.right_atrium_hu, LABEL["right_atrium"]),
        Part(rv, p.right_ventricle_hu, LABEL["right_ventricle"]),
        Part(conus, p.right_ventricle_hu, LABEL["right_ventricle"]),
        Part(Ellipsoid(lv_centre, lv_radii + wall, frame, plane), p.myocardium_hu, LABEL["myocardium"]),
        Part(Ellipsoid(lv_centre, lv_radii, frame, plane), p.left_heart_hu, LABEL["left_ventricle"]),
        Part(la, p.left_heart_hu, LABEL["left_atrium"]),
    ]


def aorta_path(patient: ThoraxPatient) -> tuple[Tube, np.ndarray]:
    """The aorta from its root down to the abdomen, and the label of each of its segments."""
    p, size = patient, body_scale(patient)
    bulge, lift = p.aortic_unfolding_mm, p.arch_height_mm
    knots = np.array([
        [-10, 9, -52], [-4, 17, -40], [6, 23, -29], [16 + bulge, 27, -13], [20 + bulge, 27, 7],
        [16 + bulge, 24, 27], [4, 15, 42 + lift], [-10, 0, 49 + lift],
        [-20 - 0.6 * bulge, -22, 43 + lift], [-24 - bulge, -39, 26], [-23 - bulge, -42, 0],
        [-22 - 0.5 * bulge, -42, -60], [-14, -36, -120], [-8, -30, -190],
    ]) * size  # fmt: skip
    knots[:, 0] += p.heart_x_mm * np.array([1, 1, 0.7, 0.4, 0.2] + [0] * 9)
    root, ascending = p.aortic_root_radius_mm, p.ascending_radius_mm
    arch, descending = p.arch_radius_mm, p.descending_radius_mm
    radii = np.array([
        root * 0.8, root, ascending * 0.95, ascending, ascending, 0.5 * (ascending + arch),
        arch, arch, arch, descending, descending, descending, descending * 0.94, descending * 0.88,
    ])  # fmt: skip
    steps = 4  # segments between two knots
    segments = {"aortic_root": 2, "ascending_aorta": 3, "aortic_arch": 4, "descending_aorta": 4}
    labels = np.repeat([LABEL[name] for name in segments], np.array([*segments.values()]) * steps)
    return smooth_tube(knots, radii, steps, flat=True), labels


def great_vessels(patient: ThoraxPatient) -> list[Part]:
    """The labelled vessels: venae cavae, pulmonary arteries and the four parts of the aorta."""
    p, size = patient, body_scale(patient)
    shift = np.array([patient.heart_x_mm, 0, 0])
    aorta, labels = aorta_path(p)
    pa, svc = p.pulmonary_radius_mm, p.svc_radius_mm

    def tube(knots, radii, hu, name, moved=0.0):
        points = np.array(knots) * size + moved * shift
        return Part(smooth_tube(points, radii, 4, flat=True), hu, LABEL[name])

    base, frame, h = heart_frame(p)
    inlet = (base + h * frame @ np.array([-14, 30, -24])) / size  # of the IVC into the right atrium
    cap = (base + h * frame @ np.array([-16, 32, 10])) / size  # the atrium's roof, under the SVC
    parts = [
        tube([[22, -14, -190], [22, -10, -130], inlet],
             [1.1 * p.ivc_radius_mm] * 2 + [p.ivc_radius_mm], p.ivc_hu, "inferior_vena_cava"),
        tube([cap, [34, 11, -14], [35, 12, 15], [32, 17, 50]],
             [svc * 1.1, svc, svc, svc * 0.9], p.svc_hu, "superior_vena_cava"),
        tube([[-22, 16, -13], [-4, 1, -13], [20, -7, -17], [40, -10, -21], [58, -15, -32]],
             [0.85 * pa, 0.78 * pa, 0.74 * pa, 0.66 * pa, 0.45 * pa],
             p.pulmonary_hu, "right_pulmonary_artery"),
        tube([[-24, 18, -12], [-34, 0, -5], [-45, -20, -7], [-51, -35, -22]],
             [0.85 * pa, 0.75 * pa, 0.68 * pa, 0.5 * pa], p.pulmonary_hu, "left_pulmonary_artery"),
        tube([[-20, 43, -43], [-26, 36, -26], [-25, 20, -13], [-22, 11, -11]],
             [pa, pa, pa, 0.8 * pa], p.pulmonary_hu, "pulmonary_trunk", moved=0.5),
    ]  # fmt: skip
    for name in ("descending_aorta", "aortic_arch", "ascending_aorta", "aortic_root"):
        chosen = np.flatnonzero(labels == LABEL[name])
        span = slice(chosen[0], chosen[-1] + 2)
        piece = Tube(aorta.points[span], aorta.radii[span], True)
        parts.append(Part(piece, p.aorta_hu, LABEL[name]))
    return parts


def veins_and_branches(patient: ThoraxPatient) -> list[Part]:
    """Unlabelled vessels: branches of the arch, brachiocephalic and pulmonary veins, azygos vein."""
    p, size = patient, body_scale(patient)
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
        tube([[-8, 4, 50 + lift], [-13, 0, 80 + lift], [-19, -6, 130], [-22, -8, 190]],
             [5, 4.2, 3.8, 3.5], p.aorta_hu),
        tube([[-18, -16, 48 + lift], [-25, -18, 80 + lift], [-40, -10, 108], [-84, 2, 112]],
             [6, 5.2, 4.8, 4], p.aorta_hu),
        tube([[32, 17, 50], [32, 20, 76], [38, 18, 98], [75, 18, 98]], [7, 6.5, 5.5, 5], right_arm),
        tube([[31, 20, 54], [4, 34, 66], [-26, 24, 82], [-40, 18, 98], [-76, 18, 98]],
             [6.5, 5.5, 6, 5.5, 5], left_arm),
        tube([[38, 18, 98], [32, -4, 140], [34, -6, 190]], [5, 5.5, 5.5], 0.5 * right_arm + 30),
        tube([[-38, 18, 98], [-32, -4, 140], [-34, -6, 190]], [5, 5, 5], 0.5 * left_arm + 30),
        tube([[10, -36, -150], [8, -42, -20], [10, -38, 8], [24, -18, 16], [34, 6, 18]],
             [3, 3.5, 4, 4, 4], 0.5 * p.ivc_hu + 25),
        tube([[14, -14, -40], [40, -6, -42], [62, 4, -36]], [8, 6, 3.5], venous),
        tube([[12, -20, -54], [40, -30, -60], [64, -42, -72]], [8, 6, 3.5], venous),
        tube([[-24, -10, -36], [-46, -6, -32], [-62, 6, -24]], [7.5, 5.5, 3], venous),
        tube([[-22, -20, -52], [-46, -32, -56], [-66, -44, -68]], [7.5, 5.5, 3], venous),
    ]  # fmt: skip
