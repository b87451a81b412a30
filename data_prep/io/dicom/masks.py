"""Masks that are DICOM objects: segmentations (SEG) and contours (RTSTRUCT), on the grid of their image.

Sources: DICOM PS3.3, Segmentation IOD (A.51, C.8.20) and ROI Contour Module (C.8.8.6).
"""

from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import read_identities
from data_prep.volume import LPS_TO_RAS, Volume

SEG, RTSTRUCT = "SEG", "RTSTRUCT"
ON_GRID = 0.25  # voxels by which a plane or a pixel may lie off the image's grid
FRACTIONAL = 0.5  # of the largest value of a fractional segmentation, from which a voxel counts


def mask_object(path: Path) -> str:
    """"SEG" or "RTSTRUCT" for a DICOM object that is a mask; "" for other files."""
    modality = read_identities(path, ("Modality",)).get("Modality", "")
    return modality if modality in (SEG, RTSTRUCT) else ""


def read_mask_object(path: Path, image: Volume, names: tuple[str, ...] = ()) -> Volume:
    """Reads a SEG or RTSTRUCT as a label map on the grid of its image.

    Args:
        path: the file.
        image: (x, y, z) in RAS, on whose slices the mask was drawn.
        names: of the classes, background first. A segment or region of such a name becomes its number;
            where none has one, segments keep their numbers, and regions become 1.

    Returns:
        (x, y, z) uint8; where regions overlap, the later one counts.

    Raises:
        Unreadable: the file is damaged, or the mask lies on other slices than the image's.
    """
    from pydicom import dcmread

    try:
        dataset = dcmread(path)
        kind = dataset.Modality
        regions = _segments(dataset, image) if kind == SEG else _contours(dataset, image)
    except Unreadable:
        raise
    except Exception as error:  # pydicom converts values on access: a damaged one raises anywhere
        raise Unreadable(f"not a complete DICOM mask ({type(error).__name__})") from None
    labels = np.zeros(image.array.shape, np.uint8)
    number_of = {name.lower(): number for number, name in enumerate(names)}
    known = [name for name, _ in regions.values() if name.lower() in number_of]
    for number, (name, inside) in regions.items():
        if known and name.lower() not in number_of:
            continue
        labels[inside] = number_of[name.lower()] if known else number if kind == SEG else 1
    if not labels.any():
        raise Unreadable("the DICOM mask is empty")
    return Volume(labels, image.affine)


def _segments(dataset, image: Volume) -> dict[int, tuple[str, np.ndarray]]:
    """Number of each segment -> its label, and where it is."""
    regions = {
        int(item.SegmentNumber): (str(item.get("SegmentLabel", "")), np.zeros(image.array.shape, bool))
        for item in dataset.SegmentSequence
    }
    frames = np.reshape(dataset.pixel_array, (-1, dataset.Rows, dataset.Columns))
    least = FRACTIONAL * dataset.get("MaximumFractionalValue", 1)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    to_image = np.linalg.inv(image.affine) @ LPS_TO_RAS
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        plane = to_image @ _plane(group, shared)  # (column, row, 0, 1) -> voxel
        rows, columns = np.nonzero(frame >= max(least, 1e-9))
        places = plane @ np.stack([columns, rows, np.zeros(len(rows)), np.ones(len(rows))])
        _mark(regions[number][1], places[:3].T)
    return regions


def _plane(group, shared) -> np.ndarray:
    """(4, 4): (column, row, 0, 1) of a frame -> LPS mm."""

    def of(name):
        return getattr(group, name, None) or getattr(shared, name)

    position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
    along = np.array(of("PlaneOrientationSequence")[0].ImageOrientationPatient, float).reshape(2, 3)
    spacing = np.array(of("PixelMeasuresSequence")[0].PixelSpacing, float)  # of rows, of columns
    plane = np.eye(4)
    plane[:3, 0], plane[:3, 1] = along[0] * spacing[1], along[1] * spacing[0]
    plane[:3, 3] = position
    return plane


def _mark(inside: np.ndarray, places: np.ndarray) -> None:
    """Marks voxels at fractional places; raises Unreadable where these are off the grid."""
    nearest = np.rint(places).astype(int)
    if not len(places):
        return
    if np.abs(places - nearest).max() > ON_GRID:
        raise Unreadable("the segmentation is on another grid than the image")
    if (nearest < 0).any() or (nearest >= inside.shape).any():
        raise Unreadable("the segmentation reaches beyond the image")
    inside[tuple(nearest.T)] = True


def _contours(dataset, image: Volume) -> dict[int, tuple[str, np.ndarray]]:
    """Number of each region -> its name, and what its contours enclose; a contour within another is a
    hole."""
    from skimage.draw import polygon2mask

    names = {int(one.ROINumber): str(one.get("ROIName", "")) for one in dataset.StructureSetROISequence}
    to_image = np.linalg.inv(image.affine) @ LPS_TO_RAS
    regions = {}
    for region in dataset.ROIContourSequence:
        number = int(region.ReferencedROINumber)
        inside = np.zeros(image.array.shape, bool)
        for contour in region.get("ContourSequence", None) or ():
            if contour.get("ContourGeometricType", "CLOSED_PLANAR") != "CLOSED_PLANAR":
                continue
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            places = np.hstack([points, np.ones((len(points), 1))]) @ to_image.T  # voxels
            axis = int(np.argmin(np.ptp(places[:, :3], axis=0)))  # along which the contour is flat
            height = float(np.mean(places[:, axis]))
            index = round(height)
            if np.abs(places[:, axis] - index).max() > ON_GRID:
                raise Unreadable("the contours lie between the slices of the image")
            if not 0 <= index < inside.shape[axis]:
                raise Unreadable("the contours reach beyond the image")
            others = [other for other in range(3) if other != axis]
            shape = tuple(inside.shape[other] for other in others)
            plane = np.moveaxis(inside, axis, 0)[index]  # a view
            plane ^= polygon2mask(shape, places[:, others])
        regions[number] = (names.get(number, ""), inside)
    return regions
