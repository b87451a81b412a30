"""Small synthetic DICOM series for the tests of the readers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from data_prep.io.dicom.series import read_dicom
from data_prep.volume import Volume, to_ras_volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE = np.array([[-0.8, 0, 0, 40], [0, -1.25, 0, 55], [0, 0, 3, -20], [0, 0, 0, 1.0]])


def noise(shape=(7, 5, 6), seed: int = 0, high: int = 2000) -> np.ndarray:
    """(columns, rows, slices) uint16."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint16)


def decimals(values) -> list[DSfloat]:
    """Decimal strings of at most 16 characters, as the standard asks."""
    return [DSfloat(float(value), auto_format=True) for value in np.ravel(values)]


def series(array: np.ndarray, affine: np.ndarray = AFFINE, uid: str = "") -> list[FileDataset]:
    """One dataset a slice: (columns, rows, slices) values and the affine from indices to RAS mm."""
    uid, study, place = uid or generate_uid(), generate_uid(), generate_uid()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    to_lps = LPS_TO_RAS @ affine
    found = []
    for number in range(array.shape[2]):
        data = _image(array[:, :, number].T, MRImageStorage)
        data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = uid, study, place
        data.PatientID, data.PatientName = "patient-1", "A^B"
        data.Modality, data.SeriesNumber, data.InstanceNumber = "MR", 1, number + 1
        data.ImageOrientationPatient = decimals((to_lps[:3, :2] / spacing[:2]).T)
        data.ImagePositionPatient = decimals((to_lps @ [0, 0, number, 1])[:3])
        data.PixelSpacing = decimals([spacing[1], spacing[0]])
        data.SliceThickness = decimals([spacing[2]])[0]
        data.RepetitionTime, data.EchoTime = 500, 10
        found.append(data)
    return found


def write(folder: Path, datasets: list[FileDataset], names: list[str] | None = None) -> list[Path]:
    """Writes each dataset; shuffled numbers as names unless named."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(5).permutation(len(datasets))
    names = names or [f"{number:04d}.dcm" for number in order]
    for data, name in zip(datasets, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        dcmwrite(folder / name, data, enforce_file_format=True)
    return [folder / name for name in names]


def volume_of(folder: Path, datasets: list[FileDataset] | None = None) -> Volume:
    """The one volume of a folder, written before if given, in which nothing is refused."""
    write(folder, datasets or [])
    found = read_dicom(folder)
    assert not found.refused and len(found) == len(found.series) == 1
    return found[0]


def reason_of(folder: Path, datasets: list[FileDataset] | None = None) -> str:
    """Why nothing of a folder, written before if given, can be used; the reason names all its files."""
    write(folder, datasets or [])
    found = read_dicom(folder)
    assert not found and len(found.refused) == 1
    reason, files = found.refused[0]
    assert sorted(files) == sorted(path for path in folder.rglob("*") if path.is_file())
    return reason


def assert_same(volume: Volume, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    expected = to_ras_volume(array, affine)
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-3)


def each(datasets: list[FileDataset], change: Callable[[FileDataset, int], None]) -> list[FileDataset]:
    """The datasets after `change(dataset, number)`."""
    for number, data in enumerate(datasets):
        change(data, number)
    return datasets


def multi_frame(array: np.ndarray, affine: np.ndarray = AFFINE, slopes=None) -> FileDataset:
    """An enhanced MR object of (columns, rows, slices), its frames stored in shuffled order."""
    slices = array.shape[2]
    order = np.random.default_rng(2).permutation(slices)
    slopes = [1.0] * slices if slopes is None else slopes
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    to_lps = LPS_TO_RAS @ affine
    data = _image(array[:, :, order].T, EnhancedMRImageStorage)
    data.NumberOfFrames = slices
    data.SeriesInstanceUID, data.Modality, data.PatientID = generate_uid(), "MR", "patient-1"
    data.StudyInstanceUID, data.FrameOfReferenceUID = generate_uid(), generate_uid()
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(
        ImageOrientationPatient=decimals((to_lps[:3, :2] / spacing[:2]).T)
    )
    shared.PixelMeasuresSequence = _item(
        PixelSpacing=decimals([spacing[1], spacing[0]]), SliceThickness=decimals([spacing[2]])[0]
    )
    shared.MRTimingAndRelatedParametersSequence = _item(RepetitionTime=600.0, FlipAngle=70.0)
    shared.MREchoSequence = _item(EffectiveEchoTime=12.0)
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for number in order:
        frame = Dataset()
        frame.PlanePositionSequence = _item(
            ImagePositionPatient=decimals((to_lps @ [0, 0, number, 1])[:3])
        )
        frame.PixelValueTransformationSequence = _item(
            RescaleSlope=decimals([slopes[number]])[0], RescaleIntercept=0
        )
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return data


def _item(**values) -> Sequence:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _image(pixels: np.ndarray, kind: str) -> FileDataset:
    """A dataset with (rows, columns) or (frames, rows, columns) as its pixel data."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, kind
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.PixelData = np.ascontiguousarray(pixels).tobytes()
    return data
