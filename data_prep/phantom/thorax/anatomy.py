"""All solids of the synthetic thorax, as a function of the patient.

`parts` lists solids in painting order: a later one covers an earlier one, which is how the left
ventricle comes to lie inside its wall.
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
    return (
        chest_wall(patient)
        + lungs(patient)
        + abdomen(patient)
        + ribs(patient)
        + spine(patient)
        + fat
        + lung_vessels(patient)
        + veins_and_branches(patient)
        + heart_and_vessels
        + airway(patient)
        + sternum(patient)
        + findings(patient)
    )


def findings(patient: ThoraxPatient) -> list[Part]:
    """What only some patients have: effusions, calcifications, a pacemaker lead."""
    p, size, found = patient, body_scale(patient), []
    for side, thick in ((1, p.effusion_right_mm), (-1, p.effusion_left_mm)):
        if thick > 0:
            pool = Ellipsoid(
                np.array([side * 66, -98, -110]) * size, np.array([80.0, 20 + thick, 85 + thick])
            )
            found.append(Part(pool, FLUID_HU, within_lung=True))
    rng = np.random.default_rng([p.texture_seed, 1])
    aorta, labels = aorta_path(p)
    for _ in range(p.calcifications):
        i = int(rng.integers(len(aorta.points) - 1))
        way = np.cross(aorta.points[i + 1] - aorta.points[i], rng.normal(size=3))
        spot = aorta.points[i] + way / np.linalg.norm(way) * aorta.radii[i]
        found.append(Part(Ellipsoid(spot, rng.uniform(1.5, 4.0, 3)), rng.uniform(500, 1100), None))
    if p.pacemaker:
        base, frame, h = heart_frame(p)
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
