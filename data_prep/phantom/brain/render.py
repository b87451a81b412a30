"""Draws a synthetic patient and renders the T1 scan.

Rendered arrays are (x, y, z): x grows to the patient's right, y to the front, z to the head,
along axes that may be tilted in the scanner.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from data_prep.phantom.brain.paint import Painted, paint_brain
from data_prep.phantom.brain.patient import Head, draw_head
from data_prep.phantom.brain.scanner import (
    SCANNERS,
    Scan,
    bias_field,
    blur,
    draw_scan,
    rician,
)  # fmt: skip
from data_prep.phantom.brain.structures import SEQUENCES, TISSUE
from data_prep.phantom.brain.tumor import Tumor, draw_tumor
from data_prep.phantom.shapes import make_grid

AGENT_CHANCE = 0.9  # of contrast agent, the same for every class


@dataclass(frozen=True)
class BrainPatient:
    """A head, its tumour or none, and the scan."""

    head: Head
    tumor: Tumor | None
    scan: Scan


@dataclass(frozen=True)
class RenderedBrain:
    """A scan with its ground truth; arrays are (x, y, z), the affine is (4, 4).

    image: in the scanner's dtype. labels: uint8, values of STRUCTURES, of the anatomy under the
    tumour (displaced by its mass effect). tumor: uint8, 1 necrosis and non-enhancing tumour, 2 oedema,
    4 what enhances where contrast agent is given. brain: bool.
    """

    image: np.ndarray
    labels: np.ndarray
    tumor: np.ndarray
    brain: np.ndarray
    affine: np.ndarray


def draw_brain_patient(kind: str | None, rng: np.random.Generator) -> BrainPatient:
    """Draws one patient. Head and scan of a seed are the same whatever the tumour.

    Args:
        kind: of `tumor.KINDS`; None for no tumour.
        rng: decides everything that is random, the scanner too.
    """
    scanner = SCANNERS[rng.integers(len(SCANNERS))]
    scan = draw_scan(scanner, len(TISSUE), AGENT_CHANCE, rng)
    return BrainPatient(draw_head(rng), draw_tumor(kind, rng) if kind else None, scan)


def _paint_scan(patient: BrainPatient) -> Painted:
    scan, scale = patient.scan, np.array(patient.head.scale)
    steps = np.array(scan.substeps())
    spacing = np.array(scan.scanner.spacing_mm) / steps
    affine = np.diag([*(spacing / scale), 1.0])  # to reference mm
    affine[:3, 3] = (np.array(scan.origin_mm) - (steps - 1) / 2 * spacing) / scale
    turn = Rotation.from_euler("xyz", scan.pose_degrees, degrees=True).as_matrix()
    shape = tuple(int(n) for n in np.array(scan.shape) * steps)
    grid = make_grid(shape, affine, turn, patient.head.warp_modes)
    return paint_brain(patient.head, patient.tumor, grid, float(spacing.mean()))


def _slice_means(array: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
    for axis, count in enumerate(steps):
        if count > 1:
            shape = (*array.shape[:axis], -1, count, *array.shape[axis + 1 :])
            array = array.reshape(shape).mean(axis=axis + 1)
    return array


def _slice_middles(array: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
    return array[tuple(slice(count // 2, None, count) for count in steps)]


def render(patient: BrainPatient) -> RenderedBrain:
    """The patient's scan: the same patient gives the same bytes."""
    scan, steps = patient.scan, patient.scan.substeps()
    painted = _paint_scan(patient)
    sequence = SEQUENCES.index("t1ce" if scan.contrast_agent else "t1")
    ideal = painted.signal(sequence, np.array(scan.tissue_spread)) ** np.float32(scan.contrast)
    image = blur(_slice_means(ideal, steps), scan.blur_voxels)
    spacing = np.array(scan.scanner.spacing_mm)
    image *= bias_field(scan.bias_waves, scan.bias, image.shape, spacing)
    image = rician(image, scan.noise, np.random.default_rng(scan.noise_seed))
    image *= np.float32(scan.white_level)
    if scan.scanner.dtype != "float32":
        image = np.clip(np.rint(image), 0, np.iinfo(scan.scanner.dtype).max)
    tumor = np.zeros(painted.tissue.shape, np.uint8)
    if painted.tumor is not None:
        tumor = painted.tumor[1].brats_labels()
    labels, tumor, brain = (
        _slice_middles(array, steps) for array in (painted.labels, tumor, painted.brain)
    )
    return RenderedBrain(image.astype(scan.scanner.dtype), labels, tumor, brain, scan.affine())
