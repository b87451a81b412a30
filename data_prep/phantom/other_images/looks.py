"""How a scanner shows a head: contrast, receive field, blur and noise, in NumPy and SciPy.

Nothing here is shared with mri_tf/pipeline, whose augmentation is judged on these images: the field is
a sum of plane waves and no polynomial, and noise is correlated along the rows.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.brain.patient import plane_waves
from data_prep.phantom.brain.scanner import bias_field, blur, rician

WAVES, WAVE_MM, WAVE_SPREAD = 4, 250.0, 0.4  # of the receive field
SPREAD = (0.8, 1.2)  # a factor on field, blur and noise of each examination
CONTRAST_SPREAD = (0.95, 1.05)


@dataclass(frozen=True)
class Look:
    """What a scanner, or an examination on it, does to a signal relative to brain."""

    contrast: float  # exponent on the signal
    field: float  # SD of the logarithm of the receive field
    blur_voxels: float  # SD of a Gaussian
    noise: float  # relative to brain


# Contrast and field differ as far as those of the scanners in data_prep/phantom/brain/scanner.py, blur
# and noise further.
HOME = Look(contrast=1.0, field=0.07, blur_voxels=0.35, noise=0.03)
AWAY = Look(contrast=0.7, field=0.22, blur_voxels=0.8, noise=0.08)
SECOND_SEQUENCE = Look(contrast=0.6, field=0.07, blur_voxels=0.35, noise=0.03)


def draw_look(usual: Look, rng: np.random.Generator) -> Look:
    """The look of one examination at a scanner."""
    field, blur_voxels, noise = rng.uniform(*SPREAD, 3)
    return Look(
        usual.contrast * float(rng.uniform(*CONTRAST_SPREAD)), usual.field * field,
        usual.blur_voxels * blur_voxels, usual.noise * noise,
    )  # fmt: skip


def seen(
    signal: np.ndarray, look: Look, spacing_mm: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """The image of a signal: contrast, times the field, blurred, with Rician noise.

    Args:
        signal: float32 (columns, rows, slices) relative to brain, 0 or more.
        look: of the examination.
        spacing_mm: of each axis.
        rng: draws the field and the noise.

    Returns:
        float32 of that shape.
    """
    waves = plane_waves(rng, WAVES, WAVE_MM, WAVE_SPREAD)
    field = bias_field(waves, look.field, signal.shape, np.array(spacing_mm))
    return rician(blur(signal**look.contrast * field, look.blur_voxels), look.noise, rng)
