"""Lungs with their vessels, mediastinal fat, airway, oesophagus and thyroid gland."""

import numpy as np

from data_prep.phantom.shapes import Column, Ellipsoid, Tube, smooth_tube
from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import AIR_HU, FAT_HU, Part, body_scale


def lung_column(patient: ThoraxPatient, side: int, grow_mm: float = 0.0) -> Column:
    """The lung of one side (1 right, -1 left): round laterally, flat towards the mediastinum."""
    sx, sy, sz = body_scale(patient)
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


def lungs(patient: ThoraxPatient) -> list[Part]:
    """Both lungs and the fat of the mediastinum between them."""
    sx, sy, sz = body_scale(patient)
    parts = [Part(lung_column(patient, s), patient.lung_hu, is_lung=True) for s in (1, -1)]
    z = np.array([-190, -60, 0, 40, 70, 100]) * sz
    wide = np.array([22, 20, 9, 16, 24, 28]) * sx
    deep = np.array([88, 84, 72, 50, 36, 26]) * sy  # fat from the sternum to the spine
    y = np.array([-2, -2, -4, -10, -16, -20]) * sy
    parts.append(Part(Column(z, np.zeros(6), y, wide, wide, deep, 3.0, 3.0), FAT_HU))
    hila = np.array([26, 26, 28, 34, 36, 34]) * sx
    parts.append(Part(Column(z, np.full(6, -2.0), y - 14 * sy, hila, hila, deep * 0.45), FAT_HU))
    return parts


def lung_vessels(patient: ThoraxPatient) -> list[Part]:
    """Arteries that fan out from each hilum and divide once, into three."""
    rng = np.random.default_rng(patient.texture_seed)
    size, branches = body_scale(patient), []
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
            branches.append((np.array([hilum, fork]), [thick * 1.2, thick]))
            for _ in range(3):
                turned = way + rng.normal(0, 0.45, 3)
                tip = fork + turned / np.linalg.norm(turned) * rng.uniform(25, 60) * size
                branches.append((np.array([fork, tip]), [thick * 0.8, thick * 0.35]))
    hu = 0.7 * patient.pulmonary_hu
    return [Part(Tube(points, np.array(radii)), hu, within_lung=True) for points, radii in branches]


def airway(patient: ThoraxPatient) -> list[Part]:
    """Trachea and main bronchi, the oesophagus behind them, and the thyroid gland."""
    p, size = patient, body_scale(patient)
    r = p.trachea_radius_mm
    paths = [
        ([[2, -16, 190], [3, -16, 90], [7, -18, 45], [4, -20, 0]], [r, r, r, r * 1.05]),
        ([[4, -20, 2], [18, -23, -14], [36, -28, -24], [52, -34, -44]],
         [r * 0.85, r * 0.75, r * 0.65, r * 0.4]),
        ([[4, -20, 2], [-18, -24, -16], [-42, -29, -30], [-56, -38, -52]],
         [r * 0.8, r * 0.65, r * 0.6, r * 0.4]),
    ]  # fmt: skip
    knots = [[-2, -32, 190], [-3, -34, 60], [-5, -40, 0], [-4, -42, -60], [-12, -28, -115]]
    oesophagus = smooth_tube(np.array([*knots, [-30, -12, -150]]) * size, [6, 6, 6, 6.5, 7, 8], 4)
    parts = [Part(oesophagus, 35.0)]
    if p.oesophagus_air:
        parts.append(Part(Tube(oesophagus.points, np.full(len(oesophagus.points), 2.2)), -600.0))
    tubes = [smooth_tube(np.array(knots) * size, radii, 4) for knots, radii in paths]
    parts += [Part(tube.grown(1.6), 20.0) for tube in tubes]  # their walls
    parts += [Part(tube, AIR_HU) for tube in tubes]
    for side in (1, -1):  # the thyroid gland is brighter than muscle
        lobe = Ellipsoid(np.array([side * 15, -6, 138]) * size, np.array([8.0, 9.0, 20.0]))
        parts.append(Part(lobe, p.myocardium_hu + 60))
    return parts
