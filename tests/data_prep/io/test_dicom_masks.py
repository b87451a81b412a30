"""DICOM SEG and RTSTRUCT as label maps on the grid of their image, against what they were made of."""

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from data_prep.case import Case, Unreadable
from data_prep.cases.any_case import read_case
from data_prep.io.dicom.masks import mask_object, read_mask_object
from data_prep.io.nifti import write_nifti
from data_prep.volume import Volume
from mri_tf.task import Task

SHAPE = (12, 10, 6)
AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
AFFINE[:3, 3] = -11, 5, 20
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
IMAGE = Volume(np.random.default_rng(0).integers(1, 99, SHAPE).astype(np.int16), AFFINE)


def box(*ranges):
    inside = np.zeros(SHAPE, bool)
    inside[tuple(slice(*one) for one in ranges)] = True
    return inside


LEFT, RIGHT = box((1, 5), (2, 8), (1, 3)), box((7, 11), (3, 9), (3, 5))


def dicom(path, modality, uid, **values):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, uid
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = uid, generate_uid(), modality
    for name, value in values.items():
        setattr(data, name, value)
    dcmwrite(path, data, enforce_file_format=True)
    return path


def item(**values):
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def decimals(values):
    return [float(value) for value in np.ravel(values)]


def segmentation(path, segments, shift_mm=0.0):
    """A binary SEG on the grid of the image: only filled slices, head first."""
    frames, groups = [], []
    to_lps = LPS @ AFFINE
    for number, inside in enumerate(segments, 1):
        for z in reversed(range(SHAPE[2])):
            if inside[..., z].any():
                frames.append(inside[:, :, z].T)  # (rows: y, columns: x)
                position = (to_lps @ [0, 0, z, 1])[:3] + [shift_mm, 0, 0]
                place = item(ImagePositionPatient=decimals(position))
                which = item(ReferencedSegmentNumber=number)
                groups.append(item(PlanePositionSequence=[place], SegmentIdentificationSequence=[which]))
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[-1.0, 0, 0, 0, -1.0, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[3.0, 2.0], SliceThickness=4.0)],
    )
    bits = np.packbits(np.stack(frames).ravel().astype(np.uint8), bitorder="little").tobytes()
    return dicom(
        path, "SEG", "1.2.840.10008.5.1.4.1.1.66.4", Rows=SHAPE[1], Columns=SHAPE[0],
        NumberOfFrames=len(frames), BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0,
        SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", SegmentationType="BINARY",
        SegmentSequence=[item(SegmentNumber=n, SegmentLabel=name)
                         for n, name in enumerate(("edema", "core")[: len(segments)], 1)],
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=groups,
        PixelData=bits + b"\0" * (len(bits) % 2),
    )  # fmt: skip


def contours(path, rings, height=2):
    """An RTSTRUCT of one region: rings of (x, y) voxels on the axial slice of an index."""
    def places(ring):
        voxels = np.array([[x, y, height, 1] for x, y in ring])
        return decimals((voxels @ (LPS @ AFFINE).T)[:, :3])

    drawn = [item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(ring),
                  ContourData=places(ring)) for ring in rings]  # fmt: skip
    return dicom(
        path, "RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3",
        StructureSetROISequence=[item(ROINumber=5, ROIName="tumour")],
        ROIContourSequence=[item(ReferencedROINumber=5, ContourSequence=drawn)],
    )  # fmt: skip


def test_segments_come_back_voxel_for_voxel(tmp_path):
    path = segmentation(tmp_path / "seg.dcm", [LEFT, RIGHT])
    assert mask_object(path) == "SEG"
    found = read_mask_object(path, IMAGE)
    assert np.array_equal(found.array == 1, LEFT) and np.array_equal(found.array == 2, RIGHT)
    named = read_mask_object(path, IMAGE, ("background", "Core", "other"))
    assert np.array_equal(named.array, RIGHT.astype(np.uint8))  # by its label; edema is no class


def test_a_segmentation_of_another_grid_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="another grid"):
        read_mask_object(segmentation(tmp_path / "a.dcm", [LEFT], shift_mm=1.0), IMAGE)
    with pytest.raises(Unreadable, match="beyond"):
        read_mask_object(segmentation(tmp_path / "b.dcm", [LEFT], shift_mm=40.0), IMAGE)


def test_a_contour_fills_its_slice_and_a_ring_within_it_is_a_hole(tmp_path):
    outer = [(1.5, 1.5), (9.5, 1.5), (9.5, 7.5), (1.5, 7.5)]
    inner = [(3.5, 3.5), (6.5, 3.5), (6.5, 5.5), (3.5, 5.5)]
    found = read_mask_object(contours(tmp_path / "rt.dcm", [outer, inner]), IMAGE)
    wanted = box((2, 10), (2, 8), (2, 3)) & ~box((4, 7), (4, 6), (2, 3))
    assert np.array_equal(found.array > 0, wanted)


def test_contours_between_slices_or_outside_are_refused(tmp_path):
    ring = [(1.5, 1.5), (9.5, 1.5), (9.5, 7.5)]
    with pytest.raises(Unreadable, match="between the slices"):
        read_mask_object(contours(tmp_path / "a.dcm", [ring], height=2.5), IMAGE)
    with pytest.raises(Unreadable, match="beyond"):
        read_mask_object(contours(tmp_path / "b.dcm", [ring], height=9), IMAGE)


def test_a_damaged_or_empty_mask_gives_a_reason(tmp_path):
    path = segmentation(tmp_path / "seg.dcm", [LEFT])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Unreadable):
        read_mask_object(path, IMAGE)
    with pytest.raises(Unreadable, match="empty"):
        read_mask_object(contours(tmp_path / "b.dcm", []), IMAGE)


def test_a_case_takes_a_dicom_mask_for_its_own(tmp_path):
    write_nifti(tmp_path / "t1.nii.gz", IMAGE, "LPS")
    segmentation(tmp_path / "seg.dcm", [LEFT])
    task = Task(
        name="mine", kind="segmentation", channels=("t1",), image_shape=(6, 10, 12), model="unet3d",
        class_names=("background", "edema"), prep=dict(keep_aspect=False),
    )  # fmt: skip
    case = Case("p", {"t1": "t1.nii.gz", "mask": "seg.dcm"})
    (record,) = read_case(tmp_path, case, task)
    assert np.array_equal(record.mask, np.moveaxis(LEFT, (0, 2), (2, 0))[::-1, ::-1, ::-1])
