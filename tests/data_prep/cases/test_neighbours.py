"""Neighbouring slices as channels: of the same stack, in order, the last slice repeated at its end."""

import numpy as np
import pytest
from PIL import Image
from raw_folders import run_prepare
from refused import error_line, refusal
from volumes import save_nifti

from data_prep.case import Case, Unreadable
from data_prep.cases.image_case import image_record
from data_prep.cases.neighbours import joined_slices, with_neighbours
from data_prep.cases.slice_cases import slice_records
from data_prep.cases.to_predict import list_cases_to_predict
from data_prep.cases.volume_case import JoinedCase
from data_prep.layouts import cases_table, class_folders, labelled_slices, volumes_with_levels
from data_prep.prepare.prepare import prepare
from data_prep.volume import Volume
from data_prep.write import main as write
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.files import find_task_file, load_task
from mri_tf.task.overrides import with_values

STACKS = dict(slice_column="level", stack_columns=("phase",))


def _task(k=1, **values):
    given = dict(
        name="stacked", channels=("g",), image_shape=(8, 8), class_names=("left", "right"), model="vgg",
        prep=STACKS, context_slices=k,
    )  # fmt: skip
    return Task(**given | values)


def _write(raw, rows, columns="image,patient_id,label,level,phase"):
    """Each row (patient, level, phase); the image's one value is its row's number."""
    raw.mkdir(parents=True, exist_ok=True)
    lines = [columns]
    for number, (patient, level, phase) in enumerate(rows):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(raw / f"{number}.png")
        lines.append(f"{number}.png,{patient},{('left', 'right')[number % 2]},{level},{phase}")
    (raw / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return raw


def _seen(raw, task):
    """Of each record the value of each channel, and which neighbours there are."""
    found = []
    for case in cases_table.list_cases(raw, task):
        (record,) = image_record(raw, case, task)
        assert record.image.shape == (8, 8, 2 * task.context_slices + 1)
        assert np.all(record.image == record.image[0, 0])
        found.append((record.image[0, 0].tolist(), record.facts["neighbouring_slices"]))
    return found


SHUFFLED = [("a", 2, 0), ("a", 0, 0), ("a", 5, 0), ("b", 1, 0), ("a", 0, 7), ("a", 1, 7)]


def test_neighbours_are_the_next_numbers_of_the_same_patient_and_phase(tmp_path):
    assert _seen(_write(tmp_path, SHUFFLED), _task()) == [
        ([1, 0, 2], [True, True]),
        ([1, 1, 0], [False, True]),
        ([0, 2, 2], [True, False]),  # 5 comes next to 2: the numbers in between are not there
        ([3, 3, 3], [False, False]),
        ([4, 4, 5], [False, True]),
        ([4, 5, 5], [True, False]),
    ]  # fmt: skip


def test_two_neighbours_on_each_side_repeat_the_last_slice_that_there_is(tmp_path):
    found = _seen(_write(tmp_path, [("a", n, 0) for n in (3, 1, 2)]), _task(2))
    assert found == [
        ([1, 2, 0, 0, 0], [True, True, False, False]),
        ([1, 1, 1, 2, 0], [False, False, True, True]),
        ([1, 1, 2, 0, 0], [False, True, True, False]),
    ]  # fmt: skip


def test_slices_of_channels_lie_after_each_other_and_the_own_slice_is_found():
    task = _task(channels=("t1", "t2"))
    images = {offset: np.full((1, 1, 2), (offset, 10 + offset)) for offset in (-1, 0, 1)}
    joined, _ = joined_slices(images, task)
    assert joined[0, 0].tolist() == [-1, 9, 0, 10, 1, 11]
    assert task.image_channels == (
        "t1 (slice -1)", "t2 (slice -1)", "t1", "t2", "t1 (slice +1)", "t2 (slice +1)",
    )  # fmt: skip


def test_a_prepared_set_holds_the_own_slice_and_knows_it_by_its_own_pixels_alone(tmp_path):
    raw, file = _write(tmp_path / "raw", SHUFFLED), tmp_path / "stacked.py"
    sets = [prepare(task, file, raw, tmp_path / str(task.context_slices))[0]
            for task in (_task(0), _task(1), _task(2))]  # fmt: skip
    for one in sets[1:]:
        assert one.contents.tolist() == sets[0].contents.tolist()
        for position in range(len(one)):
            own, alone = one.record(position).own_slice, sets[0].record(position).image
            np.testing.assert_array_equal(own, alone)
    assert sets[0].record(0).own_slice.shape == (8, 8, 1)
    assert sets[1].manifest["channels"] == ["g (slice -1)", "g", "g (slice +1)"]
    assert "neighbouring_slices" not in sets[0].record(0).facts
    assert len({one.manifest["prep"] for one in sets}) == 3  # none is taken for another


def test_two_slices_of_one_number_are_refused_with_the_column_that_could_tell_them_apart(tmp_path):
    raw = _write(tmp_path, SHUFFLED)
    line = refusal(cases_table.list_cases, raw, _task(prep=dict(slice_column="level")))
    assert "lines 3 and 6" in line and "stack_columns" in line


@pytest.mark.parametrize("column", ["level", "phase"])
def test_a_table_without_a_column_of_the_stack_is_refused(tmp_path, column):
    raw = _write(tmp_path, SHUFFLED)
    table = raw / "manifest.csv"
    table.write_text(table.read_text().replace(column, "other", 1), encoding="utf-8")
    assert f"no {column}" in refusal(cases_table.list_cases, raw, _task())


@pytest.mark.parametrize("level", ["", "top", "nan", "inf"])
def test_a_slice_without_a_number_is_refused_by_its_line(tmp_path, level):
    raw = _write(tmp_path, [("a", 1, 0), ("a", level, 0)])
    assert "line 3" in refusal(cases_table.list_cases, raw, _task())


def test_pictures_of_no_stack_are_refused_before_any_is_read(tmp_path):
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a.png").write_bytes(b"never opened")
    line = refusal(class_folders.list_cases, tmp_path, _task(prep={}))
    assert "belong to one stack" in line and "context_slices 1" in line
    assert "belong to one stack" in refusal(cases_table.list_cases, tmp_path, _task(prep={}))
    wrong = _task(prep=dict(stack_columns=("phase",)), k=0)
    assert "needs slice_column" in refusal(cases_table.list_cases, tmp_path, wrong)


def test_columns_of_a_stack_are_refused_where_slices_come_from_volumes(tmp_path):
    task = _task(prep=dict(slices=dict(count=2), slice_column="level"))
    assert "slices of a volume" in refusal(cases_table.list_cases, tmp_path, task)


def test_a_volume_is_its_own_context():
    with pytest.raises(InputError, match="context_slices of a task must be at least 0, and 0 unless"):
        _task(image_shape=(8, 8, 8), prep={})
    with pytest.raises(InputError, match="intensity_classes"):
        _task(kind="segmentation", model="mnet", intensity_classes=3)


def test_a_neighbour_that_cannot_be_read_is_named_as_one(tmp_path):
    raw = _write(tmp_path, [("a", 1, 0), ("a", 2, 0)])
    (raw / "1.png").write_bytes(b"")
    first = cases_table.list_cases(raw, _task())[0]
    with pytest.raises(Unreadable, match=r"its neighbour at \+1: "):
        image_record(raw, first, _task())


def test_a_neighbour_of_another_shape_is_refused(tmp_path):
    raw = _write(tmp_path, [("a", 1, 0), ("a", 2, 0)])
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(raw / "1.png")
    with pytest.raises(Unreadable, match="different shapes"):
        image_record(raw, cases_table.list_cases(raw, _task())[0], _task())


def test_an_unlabelled_slice_is_left_out_and_stays_a_neighbour(tmp_path):
    raw, file = _write(tmp_path / "raw", [("a", n, 0) for n in range(3)]), tmp_path / "stacked.py"
    file.write_text(
        "from mri_tf.task import Task\nTASK = Task(name='stacked', channels=('g',), image_shape=(8, 8), "
        f"class_names=('left', 'right'), model='vgg', prep={STACKS!r}, context_slices=1)\n"
    )
    table = raw / "manifest.csv"
    table.write_text(table.read_text().replace("1.png,a,right", "1.png,a,"), encoding="utf-8")
    assert run_prepare(file, raw, tmp_path / "set", "--skip-unlabelled") == 0
    prepared = Prepared.open(tmp_path / "set")
    assert [prepared.record(n).image[0, 0].tolist() for n in range(2)] == [[0, 0, 1], [1, 2, 2]]


def test_a_file_that_changed_is_noticed_by_its_neighbours_too(tmp_path, capsys):
    raw, file = _write(tmp_path / "raw", [("a", n, 0) for n in range(3)]), tmp_path / "stacked.py"
    prepare(_task(), file, raw, tmp_path / "set")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(raw / "2.png")
    line = refusal(prepare, _task(), file, raw, tmp_path / "set")
    assert "1.png has changed" in line  # whose neighbour is 2.png


def test_what_is_predicted_is_what_was_prepared(tmp_path):
    raw, task = _write(tmp_path, SHUFFLED), _task()
    for path in (raw, raw / "manifest.csv"):
        found = list_cases_to_predict(cases_table, [path], task)
        assert [one.name for one in found] == [f"{number}.png" for number in range(6)]
        values = [image_record(one.raw, one.case, task)[0].image[0, 0].tolist() for one in found]
        assert values == [values for values, _ in _seen(raw, task)]


def test_an_image_alone_is_not_predicted_without_its_neighbours(tmp_path):
    raw = _write(tmp_path, SHUFFLED)
    line = refusal(list_cases_to_predict, cases_table, [raw / "0.png"], _task())
    assert "with its neighbours" in line and "image, patient_id, level, phase" in line
    (raw / "manifest.csv").write_text("image,level,phase\n0.png,1,0\n", encoding="utf-8")
    assert "patient_id" in refusal(list_cases_to_predict, cases_table, [raw], _task())
    (raw / "manifest.csv").write_text("image,patient_id,level,phase\n0.png,,1,0\n", encoding="utf-8")
    assert "line 2" in refusal(list_cases_to_predict, cases_table, [raw], _task())


def test_a_file_for_each_channel_has_neighbours_in_each(tmp_path):
    task = _task(channels=("t1", "t2"))
    lines = ["patient_id,label,t1,t2,level,phase"]
    for level in range(3):
        for number, channel in enumerate(("t1", "t2")):
            pixels = np.full((8, 8), 10 * number + level, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{channel}-{level}.png")
        lines.append(f"a,left,t1-{level}.png,t2-{level}.png,{level},0")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cases = cases_table.list_cases(tmp_path, task)
    prepared = [image_record(tmp_path, case, task)[0].image[0, 0].tolist() for case in cases]
    assert prepared == [[0, 10, 0, 10, 1, 11], [0, 10, 1, 11, 2, 12], [1, 11, 2, 12, 2, 12]]
    found = list_cases_to_predict(cases_table, [tmp_path], task)
    predicted = [image_record(one.raw, one.case, task)[0].image[0, 0].tolist() for one in found]
    assert predicted == prepared


def test_neighbours_in_a_volume_are_the_next_slices_and_each_is_read_once():
    read = []

    def slice_at(z):
        read.append(z)
        return np.full((2, 2, 1), z), np.eye(4) * (z + 1)

    image, affine, facts = with_neighbours(slice_at, 4, 5, _task(2))
    assert image[0, 0].tolist() == [2, 3, 4, 4, 4] and affine[0, 0] == 5
    assert facts == {"neighbouring_slices": [True, True, False, False]}
    assert sorted(read) == [2, 3, 4]
    image, _, facts = with_neighbours(slice_at, 0, 5, _task(0))
    assert image.shape == (2, 2, 1) and facts == {}


def _stack_of_values(folder, count=7):
    """A volume whose slices have the value of their index."""
    array = np.tile(np.arange(count, dtype=np.int16), (8, 8, 1))
    return save_nifti(folder / "volumes" / "p.nii.gz", array, np.diag([1.0, 1.0, 2.0, 1.0]))


def test_labelled_slices_of_a_volume_have_neighbours_without_a_label(tmp_path):
    _stack_of_values(tmp_path)
    task = with_values(
        load_task(find_task_file("cardiac_levels")), {"image_shape": (8, 8), "context_slices": 1}
    )
    slices = ((12.0, "aortic_arch"), (4.0, "aortic_root"))
    case = Case("p", {"volume": "volumes/p.nii.gz"}, slices=slices)
    records = volumes_with_levels.read_case(tmp_path, case, task)
    assert [record.image[4, 4].tolist() for record in records] == [[5, 6, 6], [1, 2, 3]]
    assert [record.facts["neighbouring_slices"] for record in records] == [[True, False], [True, True]]
    to_predict = Case("p", {"volume": "volumes/p.nii.gz"}, to_predict=True)
    everything = volumes_with_levels.read_case(tmp_path, to_predict, task)
    np.testing.assert_array_equal(everything[4].image, records[1].image)  # as in the training


def test_neighbours_of_a_segmentation_do_not_depend_on_the_step_of_its_training(tmp_path):
    path = _stack_of_values(tmp_path)
    labels = np.zeros((8, 8, 7), np.uint8)
    save_nifti(tmp_path / "labels" / "p.nii.gz", labels, np.diag([1.0, 1.0, 2.0, 1.0]))
    values = {"image_shape": (8, 8), "context_slices": 1, "prep.slice_step": 3}
    task = with_values(load_task(find_task_file("cardiac_structures")), values)
    files = {"volume": "volumes/p.nii.gz", "labels": "labels/p.nii.gz"}
    stepped = labelled_slices.read_case(tmp_path, Case("p", files), task)
    assert [record.image[4, 4].tolist() for record in stepped] == [[5, 6, 6], [2, 3, 4], [0, 0, 1]]
    assert stepped[0].mask.shape == (8, 8)
    whole = labelled_slices.read_case(path.parent, Case("p", {"volume": "p.nii.gz"}), task)
    np.testing.assert_array_equal(whole[3].image, stepped[1].image)


def test_chosen_slices_of_a_case_have_the_next_slices_of_its_volume_and_its_statistics():
    values = np.arange(20.0)[None, None, :, None] * [1, 100]  # of two sequences
    volume = Volume(np.tile(values, (8, 8, 1, 1)).astype(np.float32), np.eye(4))
    stats = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    joined = JoinedCase(volume, np.ones((8, 8, 20), bool), None, stats, {"site": "s"})
    task = _task(channels=("t1", "t2"), prep=dict(slices=dict(count=2)))
    upper, lower = slice_records(joined, Case("p", {}), task)
    assert upper.image[4, 4].tolist() == [14, 1400, 15, 1500, 16, 1600]
    assert lower.image[4, 4].tolist() == [4, 400, 5, 500, 6, 600]
    assert upper.facts == {"site": "s", "neighbouring_slices": [True, True]}
    np.testing.assert_array_equal(upper.intensity_stats, np.concatenate([stats] * 3, axis=1))


def test_the_command_refuses_pictures_of_no_stack_in_one_line(tmp_path, capsys):
    raw, file = _write(tmp_path / "raw", SHUFFLED), tmp_path / "stacked.py"
    file.write_text(
        "from mri_tf.task import Task\nTASK = Task(name='stacked', channels=('g',), image_shape=(8, 8), "
        "class_names=('left', 'right'), model='vgg', context_slices=1)\n"
    )
    line = error_line(capsys, write, "--task", file, "--raw", raw, "--out", tmp_path / "set")
    assert "belong to one stack" in line and not (tmp_path / "set").exists()
