"""--max-minutes: what fits before the end, the one line and exit code 1 behind it, wrong values."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from refused import error_line
from stopwatch import Stopwatch

from mri_tf.core.command_line import run_command
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import OutOfTime
from mri_tf.study.__main__ import main as study
from mri_tf.train.__main__ import main as train
from tuning.search import main as search


@pytest.fixture
def clock() -> Stopwatch:
    return Stopwatch()


def test_what_is_longer_than_the_time_left_does_not_fit(clock):
    deadline = Deadline(2, clock)
    deadline.got_on = True
    clock.wait(50)
    assert deadline.seconds_left == 70
    assert not deadline.ends_before(70) and deadline.ends_before(71)
    deadline.check("all", 70)
    with pytest.raises(OutOfTime):
        deadline.check("all", 71)


def test_the_first_piece_is_done_however_short_the_time_is(clock):
    deadline = Deadline(1e-9, clock)
    clock.wait(1000)
    deadline.check("nothing is done", 1000)
    deadline.got_on = True
    with pytest.raises(OutOfTime):
        deadline.check("something is done")


def test_without_a_limit_it_never_comes():
    NO_LIMIT.check("all", 1e9)
    assert NO_LIMIT.moment is None and NO_LIMIT.flags == []
    assert Deadline.at(None, got_on=True).seconds_left == float("inf")


def test_another_process_gets_the_rest_of_the_time(clock):
    deadline = Deadline(3, clock)
    clock.wait(90)
    assert deadline.flags == ["--max-minutes", "1.5"]
    assert deadline.moment == pytest.approx(time.time() + 90, abs=5)
    assert Deadline.at(deadline.moment, got_on=True).seconds_left == pytest.approx(90, abs=5)
    clock.wait(900)
    assert float(deadline.flags[1]) > 0  # a command takes no other


def test_a_command_out_of_time_ends_with_1_and_one_line_that_is_no_error(clock, capsys):
    deadline = Deadline(10, clock)
    clock.wait(9 * 60)

    def main(arguments):
        raise deadline.out_of_time("37 of 120 epochs are done", seconds=300)

    assert run_command(main, []) == 1
    assert capsys.readouterr().err == (
        "Stopped after 9 min, as --max-minutes 10 asks: 37 of 120 epochs are done, and the next would "
        "take 5 min. The same command continues.\n"
    )


def test_the_line_comes_back_from_other_processes(clock):
    error = Deadline(10, clock).out_of_time("37 of 120 epochs are done")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with ThreadPoolExecutor(1) as pool, pytest.raises(OutOfTime, match="37 of 120"):
        pool.submit(lambda: (_ for _ in ()).throw(error)).result()


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "soon", ""])
@pytest.mark.parametrize(
    "command",
    [
        (train, "--task", "sax_levels"),
        (study, "--task", "sax_levels", "--data", "set", "--out", "study"),
        (search, "--task", "sax_levels", "--data", "set", "--trials", "3"),
    ],
    ids=["train", "study", "search"],
)
def test_minutes_that_are_none_are_refused_in_one_line(here, capsys, command, value):
    line = error_line(capsys, *command, f"--max-minutes={value}", alone=True)
    assert "--max-minutes: must be a number of minutes above 0" in line
    assert not list(here.iterdir())
