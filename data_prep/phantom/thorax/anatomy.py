"""All solids of the synthetic thorax, in painting order: a later one covers an earlier one.

This order puts the left ventricle inside its wall, for example.
"""

import numpy as np

from data_prep.phantom.shapes import Ellipsoid, smooth_tube
from data_prep.phantom.thorax.body import abdomen, chest_wall
from data_prep.phantom.thorax.bones import ribs, spine, sternum
from data_prep.phantom.thorax.heart import (
    aorta_path,
    great_vessels,
    heart,
    heart_frame,
    veins_and_branches,
)
from data_prep.phantom.thorax.lungs import airway, lung_vessels, lungs
from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import FAT_HU, FLUID_HU, Part, body_scale


def parts(patient: ThoraxPatient) -> list[Part]:
    """All solids of the patient in painting order."""
    heart_and_vessels = heart(patient) + great_vessels(patient)
    # Fat between heart or vessel and lung: without it the mediastinum would have no outline.
    fat = [
        Part(part.shape.grown(patient.epicardial_fat_mm), FAT_HU, within_lung=True)
        for part in heart_and_vessels
    ]
    return [
        *chest_wall(patient), *lungs(patient), *abdomen(patient), *ribs(patient), *spine(patient), *fat,
        *lung_vessels(patient), *veins_and_branches(patient), *heart_and_vessels, *airway(patient),
        *sternum(patient), *_effusions(patient), *_calcifications(patient), *_pacemaker(patient),
    ]  # fmt: skip


def _effusions(patient: ThoraxPatient) -> list[Part]:
    """Fluid behind the lungs, in patients who have some."""
    pools = []
    for side, thick in ((1, patient.effusion_right_mm), (-1, patient.effusion_left_mm)):
        if thick > 0:
            centre = np.array([side * 66, -98, -110]) * body_scale(patient)
            pool = Ellipsoid(centre, np.array([80.0, 20 + thick, 85 + thick]))
            pools.append(Part(pool, FLUID_HU, within_lung=True))
    return pools


def _calcifications(patient: ThoraxPatient) -> list[Part]:
    """Calcified plaques in the wall of the aorta."""
    rng = np.random.default_rng([patient.texture_seed, 1])
    aorta, _ = aorta_path(patient)
    plaques = []
    for _ in range(patient.calcifications):
        i = int(rng.integers(len(aorta.points) - 1))
        outwards = np.cross(aorta.points[i + 1] - aorta.points[i], rng.normal(size=3))
        spot = aorta.points[i] + outwards / np.linalg.norm(outwards) * aorta.radii[i]
        plaques.append(Part(Ellipsoid(spot, rng.uniform(1.5, 4.0, 3)), rng.uniform(500, 1100), None))
    return plaques


def _pacemaker(patient: ThoraxPatient) -> list[Part]:
    """A pacemaker lead to the tip of the right ventricle, in patients who have one."""
    if not patient.pacemaker:
        return []
    size = body_scale(patient)
    base, frame, scale = heart_frame(patient)
    tip = (base + scale * frame @ np.array([55, 20, -16])) / size
    knots = [[-70, 20, 96], [-26, 24, 82], [4, 34, 66], [32, 16, 45], [34, 11, -20], [28, 16, -66], tip]
    return [Part(smooth_tube(np.array(knots) * size, [1.3] * 7, 5), 3000.0, None)]
