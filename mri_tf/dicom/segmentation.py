"""A segmentation as a DICOM SEG object on the pixels of its source series (PS3.3 A.51, C.8.20)."""

import numpy as np

from data_prep.io.dicom.series import Series
from mri_tf.dicom.codes import LONG_STRING, scheme_items, segment_codes
from mri_tf.dicom.headers import check_one_file_or_slice_each, name_true_frames
from mri_tf.dicom.maker import MANUFACTURER, Maker, making, new_uids


def segmentation_of(
    labels: np.ndarray, names: tuple[str, ...], series: Series, images: list, maker: Maker
):  # fmt: skip
    """A SEG object with a segment for each class but the background.

    Args:
        labels: (slices, rows, columns) numbers of classes, on the pixels of the series.
        names: of the classes, the background first.
        series: that was segmented.
        images: its `stand_ins`.
        maker: the model.

    Returns:
        A dataset of type BINARY. Planes without any segment are left out, unless all are empty.

    Raises:
        Unreadable: the headers of the series do not allow one.
    """
    check_one_file_or_slice_each(series, images)
    with making("DICOM segmentation"):
        import highdicom
        from pydicom.sr.codedict import codes

        algorithm = highdicom.AlgorithmIdentificationSequence(
            maker.task, codes.cid7162.ArtificialIntelligence, maker.version, MANUFACTURER,
            maker.parameters,
        )  # fmt: skip
        segments = []
        for number, name in enumerate(names[1:], 1):
            category, kind = segment_codes(maker.task, name)
            automatic = highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC
            segments.append(highdicom.seg.SegmentDescription(
                number, name[:LONG_STRING], category, kind, automatic, algorithm
            ))  # fmt: skip
        made = highdicom.seg.Segmentation(
            images, labels.astype(np.uint8), highdicom.seg.SegmentationTypeValues.BINARY, segments,
            **new_uids("labels"), **maker.equipment, content_label="LABELS",
            content_description="Labels of a model",
            series_description=f"{maker.task} labels"[:LONG_STRING], coding_schemes=scheme_items(),
        )  # fmt: skip
        name_true_frames(made, series)
        return made
