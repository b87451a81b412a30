"""NIfTI files to Volumes in RAS, orientation from the affine, never from array order."""

from pathlib import Path

import numpy as np

from data_prep.source import Unreadable
from data_prep.volume import Volume


def read_nifti(path: Path) -> Volume:
    """A 3D image as a Volume in RAS, in the scaled values of its header; raises Unreadable."""
    import nibabel

    if not Path(path).is_file():
        raise Unreadable("the file does not exist")
    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        array = np.asanyarray(image.dataobj)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"not a whole NIfTI file ({type(error).__name__})") from None
    if array.ndim != 3:
        raise Unreadable(f"the image has {array.ndim} dimensions, not 3")
    if not np.all(np.isfinite(array)):
        raise Unreadable("the image holds NaN or infinite values")
    return Volume(array=array, affine=np.asarray(image.affine, dtype=np.float64))
