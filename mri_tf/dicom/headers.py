"""Headers of source images for the objects that are derived from them.

highdicom takes patient, study and geometry of an object from datasets of its source images, and fails
where these lack what the standard asks for, or copies what a scanner wrote wrongly. So it is given
stand-ins: the fields that are copied, empty where they are missing or invalid, and the geometry that the
reader has checked. Sources: DICOM PS3.3 C.7.1.1 (patient), C.7.2 (study), C.7.6.2 (image plane).
"""

from pathlib import Path

from data_prep.case import Unreadable
from data_prep.io.dicom.header import quiet_pydicom
from data_prep.io.dicom.series import Series
from data_prep.io.dicom.slices import Slice

# Patient and study: what must be there, may be empty (type 2).
EMPTY_IF_MISSING = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "AccessionNumber", "StudyID", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip
# What is copied where the source has it.
IF_PRESENT = (
    "IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription",
    "PatientIdentityRemoved", "DeidentificationMethod",
)  # fmt: skip
SOURCE_FIELDS = (
    "SpecificCharacterSet", "Modality", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
NEEDED = {
    "SOPClassUID": "the kind of the image", "SOPInstanceUID": "the image's own UID",
    "StudyInstanceUID": "the study", "SeriesInstanceUID": "the series",
    "FrameOfReferenceUID": "the frame of reference of its positions",
}  # fmt: skip


def stand_ins(series: Series) -> list:
    """A dataset for each file of a series: for each slice in the order of its stack, or for a file of
    several frames one with those of the stack only, in its order.

    Raises Unreadable for a series whose headers lack what a derived object needs.
    """
    slices_of: dict[Path, list[Slice]] = {}
    for item in series.stack:
        slices_of.setdefault(item.file, []).append(item)
    common = _fields_of(series.stack[0].file, (*EMPTY_IF_MISSING, *IF_PRESENT, *SOURCE_FIELDS))
    sources = {file: _of_file(file, common) for file in slices_of}
    for keyword, what in (
        ("StudyInstanceUID", "studies"), ("FrameOfReferenceUID", "frames of reference")
    ):  # fmt: skip
        if len({str(one[keyword].value) for one in sources.values()}) > 1:
            raise Unreadable(f"the files of its series name different {what}")
    return [
        (_multi if "NumberOfFrames" in fields else _single)(fields, slices_of[file], series.stack[0])
        for file, fields in sources.items()
    ]


def check_one_file_or_slice_each(series: Series, images: list) -> None:
    """Raises Unreadable for a stack of frames of several files, which no derived object can refer to."""
    if "NumberOfFrames" in images[0] and len(images) > 1:
        raise Unreadable(f"its {len(series.stack)} slices are frames of {len(images)} files")


def frame_number(item: Slice, image) -> int | None:
    """The number, from 1, of a slice's frame in its file; None where the kind of the file has no frames.

    `image` is the stand-in of the file. A file of one frame has a number too, which then is 1.
    """
    return item.frame + 1 if "NumberOfFrames" in image else None


def name_true_frames(made, series: Series) -> None:
    """Replaces frame numbers of a stand-in, which count slices of the stack, by those in the file."""
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                number = source.get("ReferencedFrameNumber")
                if number is not None:
                    source.ReferencedFrameNumber = series.stack[int(number) - 1].frame + 1


def _of_file(file: Path, common):
    """The fields of one file: those that all files of its series share, and its own UIDs."""
    from pydicom import Dataset

    found, own = Dataset(), _fields_of(file, (*NEEDED, "NumberOfFrames"))
    missing = [what for keyword, what in NEEDED.items() if not own.get(keyword)]
    if missing:
        raise Unreadable(f"its headers do not name {', '.join(missing)}")
    found.update(common)
    found.update(own)
    if int(own.get("NumberOfFrames") or 1) == 1 and not _is_enhanced(own.SOPClassUID):
        found.pop("NumberOfFrames", None)
    return found


def _fields_of(file: Path, keywords: tuple[str, ...]):
    """The valid fields of a file by these keywords, decoded."""
    from pydicom import Dataset, dcmread

    found = Dataset()
    with quiet_pydicom():
        read = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(keywords))
        read.decode()
        for keyword in keywords:
            value = _valid(read, keyword)
            if value is not None:
                setattr(found, keyword, value)
            elif keyword in EMPTY_IF_MISSING:
                setattr(found, keyword, "")
    found.pop("SpecificCharacterSet", None)  # an object gets its own when it is written
    if found.get("PatientSex") not in ("M", "F", "O", "", None):
        found.PatientSex = ""
    return found


def _is_enhanced(sop_class) -> bool:
    return "Enhanced" in sop_class.name or "Multi-frame" in sop_class.name


def _valid(dataset, keyword: str):
    """A field's value, or None where it is missing or no value of its kind (PS3.5, 6.2)."""
    from pydicom import config
    from pydicom.valuerep import validate_value

    try:
        value = dataset.get(keyword)
        if value is None or str(value) == "":
            return None
        vr = dataset[keyword].VR
        values = list(value) if type(value).__name__ == "MultiValue" else [value]
        for one in values:
            validate_value(vr, str(one), config.RAISE)
        return str(value) if vr == "PN" else value
    except Exception:  # pydicom converts on access: a damaged value raises any error
        return None


def _single(fields, items: list[Slice], first: Slice):
    """The stand-in of a file of one slice; orientation and spacing are those of the stack's first."""
    from pydicom import Dataset

    (item,), found = items, Dataset()
    found.update(fields)
    found.Rows, found.Columns = item.shape
    found.ImageOrientationPatient = _decimals(first.directions)
    found.ImagePositionPatient = _decimals(item.position)
    found.PixelSpacing = _decimals(first.pixel_mm)
    found.SliceThickness = None if first.thickness_mm is None else _decimals([first.thickness_mm])[0]
    return found


def _multi(fields, items: list[Slice], first: Slice):
    """The stand-in of a multi-frame file with some of its frames."""
    from pydicom import Dataset
    from pydicom.sequence import Sequence

    found = Dataset()
    found.update(fields)
    found.Rows, found.Columns = first.shape
    found.NumberOfFrames = len(items)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = _decimals(first.directions)
    measures.PixelSpacing = _decimals(first.pixel_mm)
    thickness_mm = first.thickness_mm
    measures.SliceThickness = None if thickness_mm is None else _decimals([thickness_mm])[0]
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    found.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for item in items:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = _decimals(item.position)
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    found.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return found


def _decimals(numbers) -> list:
    """Decimal strings of at most 16 characters."""
    from pydicom.valuerep import DSfloat

    return [DSfloat(float(number), auto_format=True) for number in numbers]
