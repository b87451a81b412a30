"""Names of drawn masks: columns and files that say where something is, and are no images themselves."""

import re

from data_prep.cases.usual_sequences import NAMES, usual_name

# A word of a name that is one of these is of a mask: mask_path, brainmask.nii.gz, P1_tumorSeg, roi2.
MASK = re.compile(
    r"(\w*(mask|seg|segmentation)|mask|seg|roi|label|labelmap|lbl|annotation|contour|rtstruct"
    r"|groundtruth|gt|truth)s?(path|file|filename|name|image|img)?"
)
# These are of a mask too, unless the last word says of which kind the image is: lesion_t1 is an image.
DRAWN = re.compile(r"(tumou?r|lesion)s?(path|file|filename|name)?")
PATHS = {"path", "file", "filename", "name", "filepath", "nii", "nifti", "dicom"}  # say nothing
KINDS = {"image", "img", "scan", "mri", "mr", "picture", "photo", "crop", "patch"}
PARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+")


def is_mask(name: str, besides: str = "") -> bool:
    """Whether a column or a file is that of a mask, by any word of its name.

    Args:
        name: of the column, or of the file with or without its suffix.
        besides: names of folders whose words say nothing here, such as the class folder "tumor".

    >>> [is_mask(name) for name in ("mask_path", "P1_brainmask.nii.gz", "tumor.nii.gz", "a (1)_mask")]
    [True, True, True, True]
    >>> [is_mask(name) for name in ("t1_brain", "lesion_t1.nii.gz", "t1_masked", "segovia_flair")]
    [False, False, False, False]
    >>> is_mask("tumor (12).png", "tumor")
    False
    """
    words = _words(name)
    others = set(_words(besides, suffixes=False))
    said = [word for word in words if word not in others]
    if any(MASK.fullmatch(word.rstrip("0123456789")) for word in said):
        return True
    telling = [word for word in words if word not in PATHS]
    of_a_kind = bool(telling) and (telling[-1] in KINDS or usual_name(telling[-1]) in NAMES)
    return not of_a_kind and any(DRAWN.fullmatch(word.rstrip("0123456789")) for word in said)


def _words(name: str, suffixes: bool = True) -> list[str]:
    """The words of a name in lower case, without mere numbers and without the suffix of a file."""
    stem = re.sub(r"(\.[A-Za-z]{2,5}){1,2}$", "", name) if suffixes else name
    return [word.lower() for word in PARTS.split(stem or name) if word and not word.isdigit()]
