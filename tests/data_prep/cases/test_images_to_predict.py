"""Images that a user gives to predict, named by a table."""

import numpy as np
import pytest
from PIL import Image

from data_prep.cases.image_case import image_record
from data_prep.cases.images_to_predict import images_at
from data_prep.layouts import cases_table
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


def test_three_channels_with_a_file_each_are_read_for_an_answer_as_for_training(tmp_path):
    task = Task(**TASK, channels=("t1", "t2", "flair"))
    for value, name in enumerate(task.channels, 1):
        Image.new("L", (8, 8), value).save(tmp_path / f"{name}.png")
    table = tmp_path / "cases.csv"
    table.write_text("patient_id,label,t1,t2,flair\nP1,a,t1.png,t2.png,flair.png\n")
    (trained,) = cases_table.list_cases(tmp_path, task)
    for path in (table, tmp_path):
        (asked,) = cases_table.cases_to_predict(path, task)
        assert asked.name == "P1" and asked.case.files == trained.files
    (record,) = image_record(tmp_path, asked.case, task)
    assert np.array_equal(record.image[0, 0], [1, 2, 3])


def test_three_colours_of_one_file_are_read_from_a_table_or_a_folder_of_images(tmp_path):
    task = Task(**TASK, channels=("red", "green", "blue"))
    table = table_of(tmp_path, "image")
    for path in (table, tmp_path, tmp_path / "one.png"):
        (asked,) = cases_table.cases_to_predict(path, task)
        assert asked.case.files == {"image": "one.png"}


def predicted(folder, names, classes=("low", "high")):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    task = Task(**{**TASK, "class_names": classes}, channels=("image",))
    return [case.case.files["image"] for case in images_at(folder, task)]


def test_drawn_masks_beside_their_images_are_no_cases_to_predict(tmp_path, capsys):
    assert predicted(tmp_path / "in", ["a.png", "a_mask.png", "b.png", "b (1) seg.png"]) == [
        "a.png", "b.png",
    ]  # fmt: skip
    assert "2 files are named as drawn masks" in capsys.readouterr().err
    assert predicted(tmp_path / "two", ["images/1.png", "masks/1.png"]) == ["1.png"]


def test_an_image_that_is_only_named_like_a_mask_is_predicted(tmp_path, capsys):
    assert len(predicted(tmp_path / "alone", ["a_mask.png", "c.png"])) == 2
    assert len(predicted(tmp_path / "number", ["12_mask.png", "1.png"])) == 2
    assert len(predicted(tmp_path / "class", ["1.png", "1 tumor.png"], ("tumor", "none"))) == 2
    assert capsys.readouterr().err == ""
