"""Looks at a test side are counted once each, whoever saves the run; a lock freezes what they show."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from made_up_set import MadeUpSet
from refused import refusal

from mri_tf.core.errors import InputError
from mri_tf.core.hashing import file_hash
from mri_tf.store import frozen
from mri_tf.store import run as runs
from mri_tf.store.continued import start_or_continue
from mri_tf.store.frozen import TEST_LOCK, frozen_result, lock_name
from mri_tf.store.looks import (
    check_lock_asked,
    check_open,
    count_look,
    is_closed,
    looks_of,
    shows_test_side,
    with_lock,
)
from mri_tf.store.run import METRICS, Run, open_finished, open_run
from mri_tf.tables import looks_sentence
from mri_tf.task import Task
from mri_tf.task.spec import to_json

TASK = Task(name="t", channels=("mr",), image_shape=(2, 2), class_names=("a", "b"), model="vgg")
ANSWERS = {"temperature": 1.5, "natural": [0.5, 0.5], "point": {"threshold": 0.4, "n": 9}}


@pytest.fixture
def prepared(tmp_path) -> MadeUpSet:
    """Five records; the last image has one value everywhere."""
    images = [*np.random.default_rng(0).normal(size=(4, 2, 2, 1)), np.zeros((2, 2, 1))]
    return MadeUpSet(tmp_path / "data", images)


@pytest.fixture
def begun(tmp_path, prepared) -> Run:
    """A run that is not trained; nothing is written."""
    names = list(prepared.record_ids)
    values = dict.fromkeys(runs.NEEDED) | {
        "task": to_json(TASK), "seed": 0, "data": prepared.content_fingerprint(),
        "data_folder": "../data", "split": "patient",
        "sides": {"train": names[:2], "validation": names[2:3], "test": names[3:]},
        "patients": {"train": ["p0", "p1"], "validation": ["p2"], "test": ["p3", "p4"]},
        "fitted": {}, "feature_weights": "", "state": runs.RUNNING,
    }  # fmt: skip
    return Run(tmp_path / "run", values)


def finish(run: Run) -> Run:
    """The run on disk, as the end of a training leaves it."""
    run = run.save()
    run.weights.write_bytes(b"weights")
    result = {"state": runs.FINISHED, "answers": ANSWERS, "weights_sha256": file_hash(run.weights)}
    if TEST_LOCK in run.values:
        result[TEST_LOCK] = frozen_result({**run.values, **result})
    return run.save(**result)


def test_looks_are_counted_from_one_and_the_count_moves_with_the_folder(begun, tmp_path):
    run = finish(begun)
    assert looks_of(run) == 0
    assert [count_look(run).look for _ in range(3)] == [1, 2, 3]
    moved = run.folder.rename(tmp_path / "elsewhere")
    assert count_look(open_run(moved)).look == 4
    copy = shutil.copytree(moved, tmp_path / "copy")
    assert looks_of(open_run(copy)) == 4


def test_saving_a_run_that_was_opened_before_a_look_keeps_the_look(begun):
    run = finish(begun)
    assert count_look(run).look == 1
    run.save(exported="saved_models/t/1")
    assert open_run(run.folder).values["exported"] and looks_of(open_run(run.folder)) == 1


def test_processes_that_look_at_the_same_time_all_count(begun):
    run = finish(begun)
    code = (
        "import sys; from pathlib import Path; from mri_tf.store.looks import count_look\n"
        "from mri_tf.store.run import open_run; run = open_run(Path(sys.argv[1]))\n"
        "print([count_look(run).look for _ in range(5)])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    found = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(sum(found, [])) == list(range(1, 16))
    assert looks_of(open_run(run.folder)) == 15


def test_a_run_of_an_earlier_version_was_looked_at_where_it_has_numbers(begun):
    run = finish(begun)
    assert looks_of(run) == 0
    (run.folder / METRICS).write_text("{}")
    assert looks_of(open_finished(run.folder)) == 1
    assert count_look(run).to_json() == {"locked": False, "look": 2, "lock": None, "counted": True}


def test_a_count_that_is_no_number_is_refused(begun):
    run = finish(begun)
    broken = Run(run.folder, {**run.values, "test_looks": "none"})
    assert "test_looks 'none'" in refusal(looks_of, broken)


def test_a_locked_test_side_is_closed_until_the_first_look(begun, prepared):
    run = finish(with_lock(begun, prepared))
    assert is_closed(run) and "evaluate --run" in refusal(check_open, run, "It shows.")
    look = count_look(run)
    assert look.locked and look.look == 1
    opened = open_finished(run.folder)
    assert look.lock == lock_name(opened.values[TEST_LOCK]) and not is_closed(opened)
    check_open(opened, "It shows.")


CHANGES = {
    "task": lambda values: values["task"].update(learning_rate=0.5),
    "data": lambda values: values.update(data="0"),
    "sides": lambda values: values["sides"]["test"].pop(),
    "seed": lambda values: values.update(seed=1),
    "feature network": lambda values: values.update(feature_weights="0"),
    "fitted values": lambda values: values.update(fitted={"pixel_mm": 1.0}),
    "weights": lambda values: values.update(weights_sha256="0"),
    "calibration": lambda values: values["answers"].update(temperature=1.0),
    "operating point": lambda values: values["answers"]["point"].update(threshold=0.3),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("looks", [0, 1])
def test_a_locked_run_that_was_changed_is_refused_naming_what_differs(begun, prepared, name, looks):
    run = finish(with_lock(begun, prepared))
    for _ in range(looks):
        count_look(run)
    file = run.folder / "run.json"
    values = json.loads(file.read_text())
    CHANGES[name](values)
    file.write_text(json.dumps(values))
    assert refusal(open_finished, run.folder).partition("changed: ")[2].startswith(f"{name}.")


def test_every_frozen_part_is_one_of_the_changes_above(begun, prepared):
    lock = finish(with_lock(begun, prepared)).values[TEST_LOCK]
    assert {*lock["plan"], *lock["result"]} == set(CHANGES)


def test_a_lock_without_its_result_is_refused(begun, prepared):
    run = finish(with_lock(begun, prepared))
    lock = {key: value for key, value in run.values[TEST_LOCK].items() if key != "result"}
    run.save(**{TEST_LOCK: lock})
    assert "lock of the test side is damaged" in refusal(open_finished, run.folder)


def test_the_hash_of_a_task_does_not_depend_on_fields_that_are_at_their_defaults(begun):
    task = begun.values["task"]
    shorter = {key: value for key, value in task.items() if key != "label_smoothing"}
    hashes = [frozen._plan({**begun.values, "task": one})["task"] for one in (task, shorter)]
    assert hashes[0] == hashes[1]
    other = frozen._plan({**begun.values, "task": {**task, "label_smoothing": 0.1}})["task"]
    assert other != hashes[0]


def test_records_of_a_locked_test_side_are_recognised_in_other_data(begun, prepared, tmp_path):
    locked = with_lock(begun, prepared)
    fresh = np.random.default_rng(1).normal(size=(2, 2, 1))
    other = MadeUpSet(tmp_path / "other", [fresh, prepared.images[3], prepared.images[4]])
    assert [shows_test_side(locked, other, np.array([n])) for n in range(3)] == [False, True, False]
    assert not shows_test_side(begun, other, np.array([1]))  # not locked: other data are other data
    own = [shows_test_side(begun, prepared, np.array([n])) for n in range(5)]
    assert own == [False, False, False, True, True]


def test_a_lock_can_join_an_unfinished_run_and_no_other(begun, prepared):
    unfinished = begun.save()
    check_lock_asked(unfinished, asked=True)
    joined = start_or_continue(with_lock(begun, prepared))
    assert TEST_LOCK in open_run(joined.folder).values
    assert "without --lock-test" in refusal(check_lock_asked, joined, False)
    check_lock_asked(joined, asked=True)
    check_lock_asked(None, asked=True)


def test_a_finished_run_cannot_be_locked(begun):
    run = finish(begun)
    assert "training of this run has ended" in refusal(check_lock_asked, run, True)
    count_look(run)
    assert "looked at once" in refusal(check_lock_asked, open_run(run.folder), True)


def test_a_look_that_cannot_be_counted_is_refused_where_locked_and_said_elsewhere(
    begun, prepared, monkeypatch
):
    def refuse(*_, **changes):
        raise PermissionError(13, "Permission denied")

    plain = finish(begun)
    locked = finish(with_lock(Run(begun.folder.with_name("locked"), begun.values), prepared))
    monkeypatch.setattr(Run, "save", refuse)
    look = count_look(plain)
    assert (look.look, look.counted) == (1, False)
    assert "is not counted there" in looks_sentence({"test_looks": look.to_json()})
    with pytest.raises(InputError, match="cannot be written"):
        count_look(locked)


def test_sentences_say_the_number_of_the_look_and_whether_there_was_a_lock():
    def said(locked, look):
        lock = "abc" if locked else None
        numbers = {"locked": locked, "look": look, "lock": lock, "counted": True}
        return looks_sentence({"test_looks": numbers})

    assert said(True, 1) == (
        "The test side was locked before training ended and opened once: this is look 1 (lock abc)."
    )
    third = "This is look 3 of this run at its test side, which was locked before"
    assert said(True, 3).startswith(third)
    first = "This is look 1 of this run at its test side, which was not locked; other runs"
    assert said(False, 1) == f"{first} are not counted."
    assert "after look 1 was chosen with knowledge" in said(False, 2)
    assert looks_sentence({}) == ""


def test_a_lock_added_to_an_unfinished_run_of_an_earlier_version_can_be_opened(begun, prepared):
    begun.save()  # without what later versions keep, such as reserved patients
    later = Run(begun.folder, {**begun.values, "reserved": {"records": [], "reason": "too few"}})
    locked_run = start_or_continue(with_lock(later, prepared))
    assert TEST_LOCK in locked_run.values
    done = finish(locked_run)
    check = open_finished(done.folder)
    assert is_closed(check) and count_look(check).look == 1
