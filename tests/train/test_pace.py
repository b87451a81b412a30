"""What a training is expected to take, and its next epoch, by the steps and validations so far."""

import pytest
from stopwatch import Stopwatch

from mri_tf.core.deadline import Deadline
from mri_tf.train.loop import Schedule
from mri_tf.train.pace import Pace

COMPILING, STEP, VALIDATION = 40.0, 2.0, 7.0


def _pace(clock, minutes=None, steps=10, first=0, **schedule) -> Pace:
    schedule = Schedule(**{"epochs": 5, "patience": 0, "seed": 0, "identity": ""} | schedule)
    return Pace(schedule, steps, validation_batches=6, first=first, deadline=Deadline(minutes, clock))


def _epoch(pace: Pace, clock: Stopwatch, number: int) -> None:
    """Calls it as Keras does; the first step and the first batch of a validation compile."""
    pace.on_epoch_begin(number)
    for step in range(pace.steps):
        pace.on_train_batch_begin(step)
        clock.wait(COMPILING if step == 0 and number == pace.first else STEP)
        pace.on_train_batch_end(step)
    if number + 1 in pace.schedule.validated:
        of_batch, is_first = STEP / 3, number + 1 == pace.schedule.validated[pace.first]
        for batch in range(2):
            pace.on_test_batch_begin(batch)
            clock.wait(COMPILING if is_first and batch == 0 else of_batch)
            pace.on_test_batch_end(batch)
        clock.wait(VALIDATION - 2 * of_batch)
        pace.on_test_end()
    pace.on_epoch_end(number)


def test_the_time_is_said_once_by_the_steps_after_the_one_that_compiles(capsys):
    clock = Stopwatch()
    pace = _pace(clock)
    for number in range(5):
        _epoch(pace, clock, number)
    # Five validations of six batches, a forward pass of a third of a step each.
    assert capsys.readouterr().err == "expected: 2 min for 50 steps of 2 s\n"
    assert 50 * STEP + 5 * 6 * STEP / 3 == 120


def test_a_training_that_continues_expects_only_the_epochs_left(capsys):
    clock = Stopwatch()
    pace = _pace(clock, first=3, patience=4)
    _epoch(pace, clock, 3)
    assert capsys.readouterr().err == "expected: 48 s for 20 steps of 2 s\n"


def test_it_says_that_patience_or_the_deadline_may_end_it_before(capsys):
    clock = Stopwatch()
    _epoch(_pace(clock, minutes=2, patience=3), clock, 0)
    said = "expected: 2 min for 50 steps of 2 s, less if it stops early; --max-minutes leaves 70 s\n"
    assert capsys.readouterr().err == said  # 120 s without one step that compiles and five others


def test_epochs_of_few_steps_are_told_by_the_first_that_shows_a_step(capsys):
    clock = Stopwatch()
    pace = _pace(clock, steps=2)
    _epoch(pace, clock, 0)
    assert capsys.readouterr().err == "expected: 55 s for 10 steps of 2 s\n"
    assert 10 * STEP + 5 * VALIDATION == 55
    single = _pace(clock, steps=1)
    _epoch(single, clock, 0)
    assert capsys.readouterr().err == ""
    _epoch(single, clock, 1)
    assert capsys.readouterr().err == "expected: 45 s for 5 steps of 2 s\n"


def test_the_next_epoch_takes_what_the_last_took_without_compiling():
    clock = Stopwatch()
    pace = _pace(clock)
    for number in range(2):
        _epoch(pace, clock, number)
        assert pace.next_epoch_seconds == pytest.approx(10 * STEP + VALIDATION)


def test_an_epoch_is_validated_only_where_the_schedule_says():
    clock = Stopwatch()
    pace = _pace(clock, epochs=6, choose="budget")  # validated after epochs 2, 4 and 6
    found = []
    for number in range(4):
        _epoch(pace, clock, number)
        found.append(pace.next_epoch_seconds)
    first = 10 * STEP + 6 * STEP  # each batch of the first validation takes at most a step
    assert found == pytest.approx([first, 10 * STEP, 10 * STEP + VALIDATION, 10 * STEP])
