"""A scan in memory: the one thing readers give and operations take."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Volume:
    """An image with its place in the patient, in RAS.

    `array` is (x, y, z) with x to the patient's right, y to the front and z to the head;
    `affine` (4, 4) takes indices to RAS millimetres.
    """

    array: np.ndarray
    affine: np.ndarray
    facts: dict = field(default_factory=dict)  # acquisition facts worth auditing, no identities

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along x, y, z."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))
