"""Whether images show who the patient is: a face, or text that is written into the pixels.

`shows_identity` is asked of one record before a picture of it is shown; `identity_findings` looks at a
whole set.
"""

from collections import defaultdict

import numpy as np

from mri_tf.audit.burned_in import CommonMarks, shows_text
from mri_tf.audit.faces import resolves_no_face, shows_face
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.audit.foreground import foreground, shown_channel
from mri_tf.core.progress import progress
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record

FACE, TEXT = "face", "text"
OF_HEADS = ("MR", "CT", "PT", "")  # modalities that show the surface of a head; "" is not known
FACES, BURNED_IN = "faces", "burned-in text"


def shows_identity(record: Record, modality: str) -> tuple[str, ...]:
    """Which of FACE and TEXT a record shows; empty where its picture may be shown.

    Signs that are the same in all patients are seen by `identity_findings` alone.

    Args:
        record: of a prepared set.
        modality: of the images, as DICOM writes it; "" where it is not known.
    """
    return _looked_at(record, modality)[0]


def without_identity(prepared: Prepared, records: np.ndarray, modality: str) -> np.ndarray:
    """Those of some records, as positions, whose pictures may be shown."""
    kept = [one for one in records.tolist() if not shows_identity(prepared.record(one), modality)]
    return np.array(kept, dtype=np.int64)


def identity_findings(prepared: Prepared, modality: str) -> list[Finding]:
    """Two findings about a set: faces, and burned-in text.

    Args:
        prepared: the set; every record is read.
        modality: of the images, as DICOM writes it; "" where it is not known.
    """
    shown, common, coarse = defaultdict(list), CommonMarks(), 0
    with progress("looking for faces and text", len(prepared)) as advance:
        for position in range(len(prepared)):
            record = prepared.record(position)
            found, image = _looked_at(record, modality)
            for what in found:
                shown[what].append(position)
            common.add(image, str(prepared.patients[position]))
            coarse += bool(record.spacing_mm and len(record.spacing_mm) == 3
                           and resolves_no_face(record.spacing_mm))  # fmt: skip
            advance(position + 1)
    return [
        _of_faces(prepared, modality, shown[FACE], coarse),
        _of_text(prepared, shown[TEXT], common.found),
    ]


def _looked_at(record: Record, modality: str) -> tuple[tuple[str, ...], np.ndarray]:
    """What a record shows, and its first channel that is not blank: (depth, rows, columns)."""
    image = record.own_slice
    image = image[None] if image.ndim == 3 else image  # (depth, rows, columns, channels)
    grey = shown_channel(image).astype(np.float32)
    place = foreground(grey, modality)
    found = []
    if len(grey) > 1 and modality in OF_HEADS and shows_face(place.inside, record.spacing_mm):
        found.append(FACE)
    if shows_text(grey, place.inside):
        found.append(TEXT)
    return tuple(found), grey


def _of_faces(prepared: Prepared, modality: str, records: list[int], coarse: int) -> Finding:
    if len(prepared.image_shape) < 4:
        return Finding(FACES, NOT_APPLICABLE, "pictures, and not volumes: no surface to be looked at")
    if modality not in OF_HEADS:
        return Finding(FACES, NOT_APPLICABLE, f"images of modality {modality}")
    if records:
        return Finding(
            FACES, FOUND, f"{len(records)} of {len(prepared)} records show a nose in front of a head",
            n=len({str(prepared.patients[one]) for one in records}),
            meaning="A face can be drawn from such a volume and recognised, so that these images name "
            "the patient, whatever their headers say.",
            what_to_do="Remove the faces from the files before they are passed on (pydeface, "
            "quickshear), or all but the brain (prep.brain_mask = 'synthstrip' or 'hd-bet'); show no "
            "pictures of these records.",
            records=tuple(records),
        )  # fmt: skip
    if coarse == len(prepared):
        return Finding(
            FACES, CANNOT_TELL, "the voxels are too large to show a nose; the files may show a face"
        )
    return Finding(
        FACES, NOT_FOUND,
        "no nose in front of a head; a face whose nose lies outside the image is not seen",
    )  # fmt: skip


def _of_text(prepared: Prepared, records: list[int], common: bool) -> Finding:
    parts = [f"{len(records)} of {len(prepared)} records show a line of glyphs"] if records else []
    parts += ["the images of all patients have a mark of equal pixels in common"] if common else []
    if not parts:
        return Finding(
            BURNED_IN, NOT_FOUND,
            "no line of glyphs in air, and no mark that all patients have in common",
        )  # fmt: skip
    shown = range(len(prepared)) if common else records
    return Finding(
        BURNED_IN, FOUND, "; ".join(parts), n=len({str(prepared.patients[one]) for one in shown}),
        meaning="Text in the pixels may name the patient, a date or the hospital, and a network can "
        "read it.",
        what_to_do="Look at these records. Export the images without annotations, or blacken the text; "
        "show no pictures of these records.",
        records=tuple(shown),
    )  # fmt: skip
