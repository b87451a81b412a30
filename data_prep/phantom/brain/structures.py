"""Structures and tissues of the synthetic brain, and their signal in each MR sequence.

Body frame in reference millimetres, RAS+: +x to the patient's right, +y to the front, +z to the
head; the origin is near the anterior commissure, as in the usual brain atlases.
"""

from dataclasses import dataclass

from data_prep.phantom.shapes import Column, Ellipsoid, Tube

STRUCTURES = (
    "background", "cerebral_grey", "third_ventricle", "fourth_ventricle", "brainstem",
    "cvl_1_5", "cvl_6_7", "cvl_8_10",  # cerebellar vermal lobules I-V, VI-VII, VIII-X
    "accumbens", "amygdala", "caudate", "cerebellar_grey", "cerebellar_white", "cerebral_white",
    "hippocampus", "inferior_lateral_ventricle", "lateral_ventricle", "pallidum", "putamen", "thalamus",
)  # fmt: skip
LABEL = {name: value for value, name in enumerate(STRUCTURES)}
SEQUENCES = ("t1", "t1ce", "t2", "flair")
# Signal of a tissue relative to cerebral white matter in T1, in the order of SEQUENCES.
_CSF = (0.22, 0.23, 1.60, 0.16)
_GREY = (0.66, 0.68, 0.80, 0.78)
SIGNALS = {
    "air": (0.01, 0.01, 0.01, 0.01),
    "cerebral_grey": _GREY,
    "third_ventricle": _CSF,
    "fourth_ventricle": _CSF,
    "brainstem": (0.92, 0.92, 0.60, 0.64),
    "cvl_1_5": (0.69, 0.71, 0.78, 0.76),
    "cvl_6_7": (0.69, 0.71, 0.78, 0.76),
    "cvl_8_10": (0.69, 0.71, 0.78, 0.76),
    "accumbens": (0.70, 0.71, 0.76, 0.78),
    "amygdala": (0.68, 0.69, 0.80, 0.84),
    "caudate": (0.72, 0.73, 0.72, 0.74),
    "cerebellar_grey": (0.66, 0.69, 0.80, 0.76),
    "cerebellar_white": (0.96, 0.96, 0.57, 0.60),
    "cerebral_white": (1.00, 1.00, 0.55, 0.58),
    "hippocampus": (0.67, 0.68, 0.82, 0.84),
    "inferior_lateral_ventricle": _CSF,
    "lateral_ventricle": _CSF,
    "pallidum": (0.90, 0.90, 0.50, 0.60),
    "putamen": (0.76, 0.77, 0.68, 0.72),
    "thalamus": (0.84, 0.84, 0.66, 0.70),
    # From here on: tissues without a label.
    "folded": (0.0, 0.0, 0.0, 0.0),  # cerebral cortex: a mixture, see cortex.fold
    "csf": _CSF,
    "bone": (0.09, 0.09, 0.08, 0.08),
    "marrow": (0.60, 0.62, 0.45, 0.40),
    "fat": (1.25, 1.25, 0.95, 0.85),
    "muscle": (0.46, 0.52, 0.30, 0.32),
    "mucosa": (0.50, 1.05, 1.00, 0.85),
    "nerve": (0.80, 0.80, 0.70, 0.70),
    "vitreous": (0.20, 0.20, 1.50, 0.20),
    "vessel": (0.20, 1.45, 0.15, 0.15),
    "plexus": (0.45, 1.15, 1.10, 0.60),
    "lesion": (0.72, 0.72, 1.05, 1.15),  # small-vessel disease: a sign of age, not of tumour
}
TISSUE = {name: value for value, name in enumerate(SIGNALS)}


@dataclass(frozen=True)
class Part:
    """One solid to paint and its tissue; its label is the structure of that name, or background.

    within: paint over these tissues only; empty: over all.
    """

    shape: Column | Ellipsoid | Tube
    tissue: str
    within: tuple[str, ...] = ()
