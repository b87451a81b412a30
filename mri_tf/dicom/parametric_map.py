"""A Grad-CAM map as a DICOM Parametric Map on the pixels of its source series (PS3.3 A.75)."""

import numpy as np

from data_prep.io.dicom.series import Series
from mri_tf.dicom.codes import LONG_STRING
from mri_tf.dicom.headers import check_one_file_or_slice_each, name_true_frames
from mri_tf.dicom.maker import Maker, making, new_uids


def map_of(values: np.ndarray, series: Series, images: list, maker: Maker):
    """A Parametric Map of float32 values without a unit.

    Args:
        values: (slices, rows, columns) on the pixels of the series, as the model gave them.
        series: that the map lies on.
        images: its `stand_ins`.
        maker: the model.

    Returns:
        A dataset whose real-world values are its stored ones.

    Raises:
        Unreadable: the headers of the series do not allow one.
    """
    check_one_file_or_slice_each(series, images)
    with making("DICOM parametric map"):
        import highdicom
        from pydicom.sr.codedict import codes

        highest = float(values.max()) or 1.0
        meaning = highdicom.pm.RealWorldValueMapping(
            "GRADCAM", "Grad-CAM of the decision", codes.UCUM.NoUnits, (float(values.min()), highest),
            slope=1.0, intercept=0.0, quantity_definition=codes.DCM.GradientWeightedClassActivation,
        )  # fmt: skip
        window = highdicom.VOILUTTransformation(
            highest / 2, highest, voi_lut_function=highdicom.VOILUTFunctionValues.LINEAR_EXACT
        )
        made = highdicom.pm.ParametricMap(
            images, np.ascontiguousarray(values, np.float32), **new_uids("gradcam"), **maker.equipment,
            contains_recognizable_visual_features=False, real_world_value_mappings=[meaning],
            voi_lut_transformations=[window], content_label="GRADCAM",
            content_description="Where the model looked for its decision",
            series_description=f"{maker.task} Grad-CAM"[:LONG_STRING],
        )  # fmt: skip
        made.Laterality = ""  # asked for of paired organs (type 2C), unknown here
        name_true_frames(made, series)
        return made
