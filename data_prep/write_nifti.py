"""Volumes to NIfTI files, whole or not there."""

import os
from pathlib import Path

from data_prep.volume import Volume


def write_nifti(path: Path, volume: Volume, axis_codes: str = "") -> None:
    """Writes a Volume's array in its own dtype, lengths in mm, its axes reordered to `axis_codes`
    ("LPS" and the like; those of the file it came from unless given)."""
    import nibabel
    from nibabel import orientations

    image = nibabel.Nifti1Image(volume.array, volume.affine)
    image.set_data_dtype(volume.array.dtype)
    image.header.set_xyzt_units("mm")
    turn = orientations.ornt_transform(
        orientations.io_orientation(volume.affine),
        orientations.axcodes2ornt(axis_codes or volume.stored_axes),
    )
    partial = path.with_name("." + path.name)  # the suffix tells nibabel the format
    try:
        nibabel.save(image.as_reoriented(turn), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
