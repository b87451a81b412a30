"""Labels, attenuations and the solid to paint, shared by all files of the thorax phantom.

Body frame in mm, RAS+ as in nibabel: +x to the patient's RIGHT, +y anterior, +z superior, with
the tracheal carina near the origin.  So the heart apex and the descending aorta have negative x,
the venae cavae and the liver positive x.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.shapes import Column, Ellipsoid, Tube
from data_prep.phantom.thorax.patient import ThoraxPatient

STRUCTURES = (
    "background", "sternum", "ascending_aorta", "descending_aorta", "right_pulmonary_artery",
    "vertebrae", "right_atrium", "left_atrium", "right_ventricle", "left_ventricle", "myocardium",
    "left_pulmonary_artery", "pulmonary_trunk", "aortic_root", "aortic_arch", "superior_vena_cava",
    "inferior_vena_cava",
)  # fmt: skip
LABEL = {name: value for value, name in enumerate(STRUCTURES)}
FAT_HU, MUSCLE_HU, AIR_HU, FLUID_HU = -100.0, 50.0, -990.0, 10.0


@dataclass(frozen=True)
class Part:
    """One solid to paint: its attenuation and its label (None: the label below stays).

    within_lung: paint only where there is lung so far. is_lung: the solid is lung.
    """

    shape: Column | Ellipsoid | Tube
    hounsfield: float
    label: int | None = 0
    within_lung: bool = False
    is_lung: bool = False


def body_scale(patient: ThoraxPatient) -> np.ndarray:
    """Size (x, y, z) relative to an average adult."""
    return np.array([patient.width_scale, patient.depth_scale, patient.height_scale])
