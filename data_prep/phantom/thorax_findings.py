"""What only some of the synthetic patients have."""

import numpy as np

from data_prep.phantom.shapes import Ellipsoid, smooth_tube
from data_prep.phantom.thorax_heart import aorta_path, heart_frame
from data_prep.phantom.thorax_parts import FLUID_HU, Part, body_scale
from data_prep.phantom.thorax_patient import ThoraxPatient


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
