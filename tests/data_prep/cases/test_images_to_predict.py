"""Images that a user gives to predict, named by a table."""

import pytest
from PIL import Image

from data_prep.cases.images_to_predict import images_at
from mri_tf.core.errors import InputError
from mri_tf.task import Task

TASK = dict(name="t", image_shape=(8, 8), class_names=("a", "b"), model="vgg")


def table_of(folder, columns):
    Image.new("L", (8, 8)).save(folder / "one.png")
    (folder / "cases.csv").write_text(f"patient_id,{columns},site\nP1,one.png,A\n")
    return folder / "cases.csv"


@pytest.mark.parametrize(
    ("channels", "column"),
    [(("flair",), "image"), (("FLAIR",), "flair"), (("red", "green", "blue"), "image")],
)
def test_a_table_names_images_in_the_column_that_training_takes(tmp_path, channels, column):
    (case,) = images_at(table_of(tmp_path, column), Task(**TASK, channels=channels))
    assert (case.raw, case.case.patient, case.name) == (tmp_path, "P1", "one.png")


def test_a_table_without_such_a_column_is_refused_with_the_names_that_would_do(tmp_path):
    with pytest.raises(InputError) as error:
        images_at(table_of(tmp_path, "t2"), Task(**TASK, channels=("flair",)))
    assert "no column that names the images. Received: columns patient_id, t2, site." in str(error.value)
    assert "Add a column image or flair" in str(error.value)
