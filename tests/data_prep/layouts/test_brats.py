"""BraTS as it was given out in 2017, 2020 and 2021: cases, grades, splits, and what is refused."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep.layouts.brats import list_cases, read_case
from data_prep.phantom.glioma import dataset as glioma
from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError
from mri_tf.pipeline.batches import batch_function, read_in_order
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values

SMALL = {"image_shape": (16, 16, 16), "prep": dict(crop_to_brain=True, dtype="float16")}
GRADING = with_values(load_task(FOLDER / "glioma_grading.py"), {**SMALL, "box.grid": (8, 8, 8)})
TUMOUR = with_values(load_task(FOLDER / "glioma_tumour.py"), {**SMALL, "patch.shape": (8, 8, 8)})
SHAPE, PATIENTS, SEED = (20, 20, 14), 4, 3


@pytest.fixture(scope="module")
def layouts(tmp_path_factory) -> dict[str, Path]:
    """The same four patients in each layout."""
    home = tmp_path_factory.mktemp("brats")
    for layout in glioma.LAYOUTS:
        glioma.write_glioma_phantom(home / layout, PATIENTS, SEED, shape=SHAPE, layout=layout)
    return {layout: home / layout for layout in glioma.LAYOUTS}


@pytest.fixture
def copy(layouts, tmp_path):
    """A layout of one's own, to be spoilt."""
    return lambda layout: Path(shutil.copytree(layouts[layout], tmp_path / layout))


@pytest.mark.parametrize("layout", ["2017", "2020"])
def test_grades_come_from_the_folder_or_from_the_mapping_table(layouts, layout):
    cases = list_cases(layouts[layout], GRADING)
    expected = glioma.grades_of(PATIENTS, SEED)
    if layout == "2020":  # cases are numbered in the phantom's order
        assert [case.label for case in cases] == expected
    assert sorted(case.label for case in cases) == sorted(expected)
    assert all(set(case.files) == {"t1", "t1ce", "t2", "flair", "seg"} for case in cases)


@pytest.mark.parametrize("layout", glioma.LAYOUTS)
def test_every_layout_gives_the_same_images_and_whole_tumours(layouts, layout):
    own, other = (list_cases(layouts[name], TUMOUR) for name in (layout, "2021"))
    assert len(own) == len(other) == PATIENTS
    images = {name: [read_case(layouts[name], case, TUMOUR)[0] for case in cases]
              for name, cases in ((layout, own), ("2021", other))}  # fmt: skip
    wanted = sorted(record.image.tobytes() for record in images["2021"])
    assert sorted(record.image.tobytes() for record in images[layout]) == wanted
    for record in images[layout]:
        assert record.image.shape == (16, 16, 16, 4) and set(np.unique(record.mask)) == {0, 1}


def test_what_lies_outside_the_brain_is_0_in_the_record_and_in_what_the_network_sees(layouts, tmp_path):
    file = FOLDER / "glioma_tumour.py"
    prepared, _ = prepare(TUMOUR, file, layouts["2020"], tmp_path / "set")
    batch = next(iter(read_in_order(prepared, np.arange(PATIENTS), PATIENTS)))
    records = batch["image"].numpy().astype(np.float32)
    outside = np.all(records == 0, axis=-1)
    assert 0.2 < outside.mean() < 0.8
    for record, background in zip(records, outside, strict=True):
        assert abs(record[~background].mean()) < 0.3  # borders are mixed with 0
        assert 0.4 < record[~background].std() < 1.2
    gamma = with_values(TUMOUR, {"augment": {"random_gamma": {}}, "augment_probability": 1.0})
    for training in (False, True):
        seen = batch_function(gamma, training)(batch)[0].numpy()
        np.testing.assert_array_equal(seen[outside], 0)
        assert np.array_equal(seen, records) != training
    plain = with_values(TUMOUR, {"normalize.region": "image"})
    with pytest.raises(InputError, match="not for task glioma_tumour with these settings.*write --task"):
        prepared.check_fits(plain)
    whole, _ = prepare(plain, file, layouts["2020"], tmp_path / "plain")
    inside = ~outside.reshape(PATIENTS, -1)
    for position in range(PATIENTS):
        pixels = whole.record(position).image.reshape(-1, 4)[inside[position]]
        assert pixels.mean() > 10


@pytest.mark.parametrize("values, reason", [
    ({"prep": dict(dtype="int16")}, "dtype int16 together with z-scores inside the mask"),
    ({"prep": dict(clahe={})}, "clahe or window together"),
])  # fmt: skip
def test_settings_that_standardised_records_cannot_have_are_refused(layouts, values, reason):
    with pytest.raises(InputError, match=reason):
        list_cases(layouts["2020"], with_values(TUMOUR, values))


def test_a_layout_that_finds_no_brain_cannot_standardise_inside_it(tmp_path):
    values = {"layout": "cases_table", "image_shape": (16, 16), "patch": {}, "model": "mnet", "prep": {}}
    with pytest.raises(InputError, match="needs a layout that finds the brain. Received: cases_table"):
        prepare(with_values(TUMOUR, values), FOLDER / "glioma_tumour.py", tmp_path, tmp_path / "set")


def test_2021_has_no_grades_and_says_so(layouts):
    with pytest.raises(InputError, match="BraTS 2021 has no grades") as refused:
        list_cases(layouts["2021"], GRADING)
    assert "BraTS2021_00000" in str(refused.value)
    assert len(list_cases(layouts["2021"], TUMOUR)) == PATIENTS


def test_a_case_that_the_table_does_not_grade_is_named(copy):
    raw = copy("2020")
    table = raw / "name_mapping.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if "_003" not in line) + "\n")
    with pytest.raises(InputError, match="no grade for BraTS20_Training_003"):
        list_cases(raw, GRADING)


def test_a_table_saved_by_a_spreadsheet_is_read(copy):
    raw = copy("2020")
    table = raw / "name_mapping.csv"
    (raw / "name_mapping_training.csv").write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    table.unlink()
    assert len({case.label for case in list_cases(raw, GRADING)}) == 2


def test_a_case_of_two_grades_is_refused(copy):
    raw = copy("2017")
    case = next((raw / "LGG").iterdir()).name
    (raw / "name_mapping.csv").write_text(f"Grade,BraTS_2017_subject_ID\nHGG,{case}\nHGG,NA\nLGG,NA\n")
    with pytest.raises(InputError, match=f"{case}: LGG and HGG"):
        list_cases(raw, GRADING)


def test_a_split_table_is_honoured(copy):
    raw = copy("2020")
    cases = sorted(path.name for path in raw.glob("*/"))
    rows = [f"{case},{side}" for case, side in zip(cases, ("train", "test", "validation"), strict=False)]
    (raw / "split.csv").write_text("case,split\n" + "\n".join(rows) + "\n")
    cases = list_cases(raw, GRADING)
    assert [case.split for case in cases] == ["train", "test", "validation", ""]


@pytest.mark.parametrize(("column", "settings"), [
    ("split", {}), ("cohort", {"prep.split_column": "cohort"}),
])
def test_a_table_of_labels_says_the_sides_too(copy, column, settings):
    raw = copy("2021")
    names = [folder.name for folder in sorted(raw.glob("*/"))]
    sides = ["Training", "test", "Training", "val"]
    lines = [f"{name},{GRADING.class_names[n % 2]},{sides[n]}\n" for n, name in enumerate(names)]
    (raw / "labels.csv").write_text(f"case,label,{column}\n" + "".join(lines))
    cases = list_cases(raw, with_values(GRADING, settings), raw / "labels.csv")
    assert [case.split for case in cases] == ["train", "test", "train", "validation"]
    assert [case.label for case in cases] == [GRADING.class_names[n % 2] for n in range(PATIENTS)]


def test_a_table_without_the_column_of_the_sides_that_the_task_names_is_refused(copy):
    raw = copy("2021")
    (raw / "labels.csv").write_text("case,label\nx,LGG\n")
    with pytest.raises(InputError, match="must have the columns label, cohort"):
        list_cases(raw, with_values(GRADING, {"prep.split_column": "cohort"}), raw / "labels.csv")


def test_uncompressed_files_and_a_misnamed_label_file(copy, tmp_path):
    """As in 2020: files end in .nii, and one case's labels have another name."""
    raw = copy("2020")
    for path in list(raw.rglob("*.nii.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    case = raw / "BraTS20_Training_002"
    (case / f"{case.name}_seg.nii").rename(case / "W39_Segm.nii")
    prepared, (skipped,) = prepare(TUMOUR, FOLDER / "glioma_tumour.py", raw, tmp_path / "out")
    assert len(prepared) == PATIENTS - 1 and case.name not in prepared.patients
    assert skipped.file.startswith(case.name) and skipped.reason == "seg: the file does not exist"


def test_a_folder_without_cases_is_refused(tmp_path):
    (tmp_path / "HGG").mkdir()
    with pytest.raises(InputError, match="holds no BraTS cases"):
        list_cases(tmp_path, GRADING)
