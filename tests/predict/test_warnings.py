"""What predict says on the terminal of inputs that are, or may be, unlike the training data."""

from mri_tf.predict.__main__ import unlike_line


def row(unlike: bool | None, *reasons: str) -> dict:
    return {"out_of_distribution": unlike, "reasons": list(reasons)}


def test_inputs_of_which_nobody_can_tell_are_named_with_the_reason():
    few = "10 patients, and at least 20 are needed"
    line = unlike_line([row(None, few), row(None, few), row(False)])
    assert line == (
        "warning: of 2 of 3 it is not known whether they are unlike the training data "
        "(10 patients, and at least 20 are needed)"
    )


def test_inputs_that_are_unlike_the_training_data_are_counted_and_others_are_not_mentioned():
    assert unlike_line([row(False), row(None)]) == ""
    line = unlike_line([row(True, "mean is high"), row(False)])
    assert line == "warning: 1 of 2 unlike the training data: mean is high (1)"
