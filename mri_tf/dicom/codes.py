"""The codes in DICOM objects: standard ones where the standard has them, else of the scheme 99MRITF.

Standard codes come from pydicom's tables of the standard (schemes DCM, SCT, UCUM). Classes that a user
named have none: the code of a class is "C" and eleven hexadecimal digits of the SHA-256 of
"<task>/<class>", so it is the same in every object of the task, in every installation.
"""

import hashlib

from mri_tf.core.words import printed_name

LONG_STRING = 64  # characters of DICOM's LO
SCHEME, SCHEME_NAME = "99MRITF", "mri_tf, codes of classes and of model answers"
# Concepts without a standard code.
DECISION = ("DECISION", "Decision of the model at its operating point")
MOST_PROBABLE = ("MOSTPROBABLE", "Class of the largest probability")
IN_SET = ("INSET", "Class in the prediction set")
UNLIKE = ("UNLIKE", "Input is unlike the training data in intensities or size")
UNLIKE_FEATURES = ("UNLIKEFEATURES", "Input is unlike the training data in the network's features")
DISAGREEMENT = ("DISAGREEMENT", "SD of the members' probabilities")
# Words that classes of segmentations are named by -> their names in pydicom's table of SNOMED CT.
# The second table holds what is a change of the body and not a part of it.
STRUCTURES = {
    "amygdala": "Amygdala", "accumbens": "NucleusAccumbens", "brainstem": "BrainStem",
    "caudate": "CaudateNucleus", "cerebellar_white": "CerebellarWhiteMatter",
    "cerebral_grey": "CerebralGrayMatter", "cerebral_white": "CerebralWhiteMatter",
    "fourth_ventricle": "FourthVentricle", "hippocampus": "Hippocampus",
    "inferior_lateral_ventricle": "InferiorHornOfLateralVentricle",
    "lateral_ventricle": "LateralVentricle", "pallidum": "GlobusPallidus", "putamen": "Putamen",
    "thalamus": "Thalamus", "third_ventricle": "ThirdVentricle", "aortic_arch": "AorticArch",
    "ascending_aorta": "AscendingAorta", "descending_aorta": "DescendingAorta",
    "inferior_vena_cava": "InferiorVenaCava", "left_atrium": "LeftAtrium",
    "left_pulmonary_artery": "LeftPulmonaryArtery", "left_ventricle": "LeftVentricle",
    "right_atrium": "RightAtrium", "right_ventricle": "RightVentricle", "sternum": "Sternum",
    "superior_vena_cava": "SuperiorVenaCava",
}  # fmt: skip
CHANGES = {"tumour": "Neoplasm", "tumor": "Neoplasm", "edema": "Edema", "oedema": "Edema",
           "necrosis": "Necrosis"}  # fmt: skip


def private(concept: tuple[str, str]):
    """The code of a concept above."""
    from highdicom.sr import CodedConcept

    return CodedConcept(concept[0], SCHEME, concept[1])


def class_code(task: str, name: str):
    """The code of a class that the task names."""
    from highdicom.sr import CodedConcept

    digits = hashlib.sha256(f"{task}/{name}".encode()).hexdigest()[:11].upper()
    return CodedConcept(f"C{digits}", SCHEME, printed_name(name)[:LONG_STRING])


def segment_codes(task: str, name: str) -> tuple:
    """(category, type) of a segment; a private type where its class is in none of the tables."""
    from pydicom.sr.codedict import codes

    if name in CHANGES:
        return codes.SCT.MorphologicallyAbnormalStructure, getattr(codes.SCT, CHANGES[name])
    kind = getattr(codes.SCT, STRUCTURES[name]) if name in STRUCTURES else class_code(task, name)
    return codes.SCT.AnatomicalStructure, kind


def yes_no(value: bool | None):
    """The code of yes, no, or unknown."""
    from pydicom.sr.codedict import codes

    if value is None:
        return codes.SCT.Unknown
    return codes.SCT.Yes if value else codes.SCT.No


def scheme_items() -> list:
    """Says in an object what the private scheme is."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return [CodingSchemeIdentificationItem(SCHEME, name=SCHEME_NAME)]
