"""The answers for a case as a DICOM Structured Report by template TID 1500 (PS3.16, Annex A)."""

from dataclasses import dataclass

from mri_tf.core.words import printed_name
from mri_tf.dicom.codes import (
    DECISION,
    DISAGREEMENT,
    IN_SET,
    LONG_STRING,
    MOST_PROBABLE,
    UNLIKE,
    UNLIKE_FEATURES,
    class_code,
    private,
    scheme_items,
    segment_codes,
    yes_no,
)
from mri_tf.dicom.maker import MANUFACTURER, RESEARCH, Maker, making, new_uids

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class Reported:
    """One answer of a report.

    Attributes:
        row: as it is written into answers.json.
        image: stand-in of the image that it is about, where it is about one slice; else None.
        frame: the number of the slice's frame in a multi-frame image.
    """

    row: dict
    image: object = None
    frame: int | None = None


def report_of(answers: list[Reported], images: list, made: dict[str, list], maker: Maker):
    """A report of a classifier's answers, or of the segments of a segmentation.

    Args:
        answers: of one case.
        images: stand-ins of all images that the model was given.
        made: "labels" -> [the SEG object], "gradcam" -> Parametric Maps, where there are such.
        maker: the model.

    Returns:
        A Comprehensive SR, complete and unverified.

    Raises:
        Unreadable: the headers do not allow one.
    """
    with making("DICOM report"):
        import highdicom
        from pydicom.sr.codedict import codes

        sr = highdicom.sr
        device = sr.DeviceObserverIdentifyingAttributes(
            maker.uid, maker.task, MANUFACTURER, maker.task, maker.export_sha256
        )
        context = sr.ObservationContext(sr.ObserverContext(codes.DCM.Device, device))
        if "labels" in made:
            groups = _segment_groups(answers[0].row, made["labels"][0], maker)
        else:
            maps = made.get("gradcam", [])
            groups = [
                _answer_group(answer, images, [] if number else maps, maker)
                for number, answer in enumerate(answers)
            ]
        content = sr.MeasurementReport(context, codes.SCT.ImagingProcedure, groups)
        evidence = [*images, *made.get("labels", []), *made.get("gradcam", [])]
        return sr.ComprehensiveSR(
            evidence, content, **new_uids("report"), manufacturer=MANUFACTURER,
            manufacturer_model_name=maker.equipment["manufacturer_model_name"],
            software_versions=maker.equipment["software_versions"],
            device_serial_number=maker.export_sha256, is_complete=True, is_verified=False,
            series_description=f"{maker.task} answers"[:LONG_STRING], coding_schemes=scheme_items(),
        )  # fmt: skip


def _algorithm(maker: Maker):
    from highdicom.sr import AlgorithmIdentification
    from pydicom.sr.codedict import codes

    named = [f"{name} {value}" for name, value in maker.parameters.items()]
    return AlgorithmIdentification(
        maker.task, maker.version, [*named, RESEARCH], codes.cid7162.ArtificialIntelligence, MANUFACTURER
    )


def _tracking(text: str):
    from highdicom.sr import TrackingIdentifier
    from pydicom.uid import generate_uid

    return TrackingIdentifier(generate_uid(prefix=None), text)


def _answer_group(answer: Reported, images: list, maps: list, maker: Maker):
    """TID 1501: probabilities, decision, prediction set and warnings; with the images they are about,
    one or all of the case, and maps."""
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
    )
    from pydicom.sr.codedict import codes

    row = answer.row
    measured = [
        _of_class(codes.DCM.Probability, name, value, maker)
        for name, value in row["probabilities"].items()
    ]
    measured += [
        _of_class(private(DISAGREEMENT), name, value, maker)
        for name, value in row.get("disagreement", {}).items()
    ]
    said = [(DECISION, row["decision"]), (MOST_PROBABLE, row["most_probable"])]
    said += [(IN_SET, name) for name in row["prediction_set"] or ()]
    evaluated = [
        QualitativeEvaluation(private(concept), class_code(maker.task, name)) for concept, name in said
    ]
    for concept, key in (
        (UNLIKE, "out_of_distribution"), (UNLIKE_FEATURES, "feature_out_of_distribution")
    ):  # fmt: skip
        evaluated.append(QualitativeEvaluation(private(concept), yes_no(row[key])))
    frames = None if answer.frame is None else [answer.frame]
    about = [(image, None) for image in images] if answer.image is None else [(answer.image, frames)]
    sources = [
        SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID, numbers)
        for image, numbers in (*about, *((one, None) for one in maps))
    ]
    name = f"slice {row['slice']}" if "slice" in row else "case"
    return MeasurementsAndQualitativeEvaluations(
        _tracking(name), algorithm_id=_algorithm(maker), measurements=measured,
        qualitative_evaluations=evaluated, source_images=sources,
    )  # fmt: skip


def _of_class(concept, name: str, value: float, maker: Maker):
    """A number without a unit, about a class, which modifies it as its finding (DCM 121071)."""
    from highdicom.sr import CodeContentItem, ContentSequence, Measurement, RelationshipTypeValues
    from pydicom.sr.codedict import codes

    found = Measurement(concept, round(float(value), 6), codes.UCUM.NoUnits)
    about = CodeContentItem(
        codes.DCM.Finding, class_code(maker.task, name), RelationshipTypeValues.HAS_CONCEPT_MOD
    )
    found[0].ContentSequence = ContentSequence([about])
    return found


def _segment_groups(row: dict, segmentation, maker: Maker) -> list:
    """TID 1411: the volume of each segment, with a reference to it."""
    import highdicom
    from pydicom.sr.codedict import codes

    sr, groups = highdicom.sr, []
    (segmented,) = segmentation.ReferencedSeriesSequence
    source = sr.SourceSeriesForSegmentation(segmented.SeriesInstanceUID)
    names = list(row["voxels"])[1:]
    for number, name in enumerate(names, 1):
        category, kind = segment_codes(maker.task, name)
        segment = sr.ReferencedSegment(
            segmentation.SOPClassUID, segmentation.SOPInstanceUID, number, source_series=source
        )
        measured = []
        if "volume_ml" in row:
            mm3 = row["volume_ml"][name] * MM3_PER_ML
            measured = [sr.Measurement(codes.SCT.Volume, round(mm3, 3), codes.UCUM.CubicMillimeter)]
        unlike = sr.QualitativeEvaluation(private(UNLIKE), yes_no(row["out_of_distribution"]))
        groups.append(sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            _tracking(printed_name(name)), referenced_segment=segment, finding_type=kind,
            finding_category=category, algorithm_id=_algorithm(maker), measurements=measured,
            qualitative_evaluations=[unlike],
        ))  # fmt: skip
    return groups
