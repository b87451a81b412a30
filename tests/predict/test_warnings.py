"""What predict says on the terminal of inputs that are, or may be, unlike the training data."""

from made_up_export import VOLUMES

from mri_tf.predict.warning_lines import warning_lines
from mri_tf.task import Task

TASK = Task(name="mine", class_names=("low", "high"), **VOLUMES)


def row(unlike: bool | None, *reasons: str) -> dict:
    return {"input": "a", "out_of_distribution": unlike, "reasons": list(reasons)}


def test_inputs_of_which_nobody_can_tell_are_named_with_the_reason():
    few = "10 patients, and at least 20 are needed"
    (line,) = warning_lines([row(None, few), row(None, few), row(False)], TASK)
    assert line == (
        "warning: of 2 of 3 it is not known whether they are unlike the training data "
        "(10 patients, and at least 20 are needed)"
    )


def test_inputs_that_are_unlike_the_training_data_are_counted_and_others_are_not_mentioned():
    assert warning_lines([row(False), row(None)], TASK) == []
    (line,) = warning_lines([row(True, "mean is high"), row(False)], TASK)
    assert line == "warning: 1 of 2 unlike the training data: mean is high (1)"
