"""Reads NIfTI headers that nibabel reads wrong or refuses: odd offsets, sizes of 0, contradictions."""

import functools
import math
import struct

import numpy as np

from data_prep.case import Unreadable
from data_prep.volume import NO_PLACE

HEADER_BYTES = {348: "NIfTI-1", 540: "NIfTI-2"}
# Where the header says at which byte the voxels begin, in which form, and the first byte that can be:
# after the header and the 4 bytes that announce its extensions.
OFFSET_FIELD = {"NIfTI-1": (108, "f", 352), "NIfTI-2": (168, "q", 544)}
# Where the lengths of axes 1 to 3 stand, and the sizes of a voxel along them.
SIZE_FIELDS = {"NIfTI-1": ((42, "3h"), (80, "3f")), "NIfTI-2": ((24, "3q"), (112, "3d"))}
ROUNDING = 1e-3  # by which the squares of a quaternion's three numbers may exceed 1
CONTRADICTION = 0.1  # share by which the spacing of an sform may differ from that of pixdim


def nifti_image(data: bytes):
    """The nibabel image in the bytes of a NIfTI file; raises Unreadable for other content."""
    kind = _nifti_kind(data)
    return _nifti_class(kind).from_bytes(_with_spacing(_with_offset(data, kind), kind))


def _nifti_kind(data: bytes) -> str:
    """"NIfTI-1" or "NIfTI-2"; raises Unreadable for other content."""
    for order in ("little", "big"):
        kind = HEADER_BYTES.get(int.from_bytes(data[:4], order))
        magic = {"NIfTI-1": data[344:347], "NIfTI-2": data[4:7]}.get(kind, b"")
        if magic in (b"ni1", b"ni2"):
            raise Unreadable("one file of an .hdr and .img pair: convert the pair to one .nii file")
        if kind == "NIfTI-1" and magic != b"n+1":
            raise Unreadable(f"{NO_PLACE} (an ANALYZE file, or a damaged NIfTI file)")
        if kind:
            return kind
    raise Unreadable("not a NIfTI or MGH file")


@functools.cache
def _nifti_class(kind: str):
    """nibabel's image class, with a header that finds the place as `_place_of` says."""
    import nibabel

    image_class = nibabel.Nifti1Image if kind == "NIfTI-1" else nibabel.Nifti2Image

    class Header(image_class.header_class):
        def get_qform_quaternion(self):
            numbers = np.array([float(self[f"quatern_{name}"]) for name in "bcd"])
            square = numbers @ numbers
            if 1 < square <= 1 + ROUNDING:
                return np.array([0.0, *(numbers / np.sqrt(square))])
            return super().get_qform_quaternion()

        def get_best_affine(self):
            return _place_of(self)

    return type(kind, (image_class,), {"header_class": Header})


def _place_of(header) -> np.ndarray:
    """The affine (4, 4) of the sform; of the qform where no code points at the sform, it is all 0, or it
    contradicts the spacing that the header names, as an identity matrix does."""
    sform = header.get_sform()
    if header["sform_code"] and not (header["qform_code"] and _is_contradicted(sform, header)):
        return sform
    if not header["qform_code"]:
        raise Unreadable(f"{NO_PLACE} (neither sform nor qform)")
    if np.isnan(_pixdim(header)).any():
        raise Unreadable(f"{NO_PLACE} (a spacing of 0 mm)")
    try:
        return header.get_qform()
    except ValueError:
        raise Unreadable(f"{NO_PLACE} (the quaternion of the qform is no rotation)") from None


def _pixdim(header) -> np.ndarray:
    """(3,) sizes of a voxel in the header's unit; NaN where it says 0."""
    return np.abs(np.array(header["pixdim"][1:4], float))


def _is_contradicted(sform: np.ndarray, header) -> bool:
    """Whether voxels of an sform (4, 4) have other sizes than pixdim says."""
    sizes, named = np.linalg.norm(sform[:3, :3], axis=0), _pixdim(header)
    return not sizes.any() or bool((named > 0).all() and (
        np.abs(sizes - named) > CONTRADICTION * named
    ).any())  # fmt: skip


def _with_offset(data: bytes, kind: str) -> bytes:
    """The file with an offset of its voxels that can be: one inside the header means right after it."""
    place, form, first = OFFSET_FIELD[kind]
    if len(data) < first:
        return data  # nibabel says what is missing
    form = ("<" if data[0] else ">") + form  # the length of the header, 348 or 540, comes first
    (offset,) = struct.unpack_from(form, data, place)
    if not 0 <= offset < first:
        return data
    changed = bytearray(data)
    struct.pack_into(form, changed, place, first)
    return bytes(changed)


def _with_spacing(data: bytes, kind: str) -> bytes:
    """The file with NaN in place of a voxel size of 0, which nibabel would take for 1 mm."""
    if len(data) < OFFSET_FIELD[kind][2]:
        return data
    order, ((at_lengths, whole), (at_sizes, real)) = "<" if data[0] else ">", SIZE_FIELDS[kind]
    lengths = struct.unpack_from(order + whole, data, at_lengths)
    sizes = struct.unpack_from(order + real, data, at_sizes)
    if not any(size == 0 and length > 1 for size, length in zip(sizes, lengths, strict=True)):
        return data
    changed = bytearray(data)
    known = [size if size or length <= 1 else math.nan
             for size, length in zip(sizes, lengths, strict=True)]  # fmt: skip
    struct.pack_into(order + real, changed, at_sizes, *known)
    return bytes(changed)
