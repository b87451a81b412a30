"""Batching: which requests share a batch, which wait, and that no answer depends on it."""

import threading
import time

import numpy as np
import pytest
from waiting import until

from mri_tf.serve.batching import Batcher
from mri_tf.serve.status import ServingError


def _end() -> float:
    """A deadline no test reaches; no constant: the file may be imported long before it runs."""
    return time.monotonic() + 600


class _Model:
    """Doubles its input, or `answer`s it; the first run waits until `go`, so that a queue can form."""

    def __init__(self, fails=lambda x: False, answer=lambda x: x * 2):
        self.runs, self.go, self.fails, self.answer = [], threading.Event(), fails, answer

    def __call__(self, arrays, wanted):
        x = arrays["x"]
        self.runs.append(len(x) if x.ndim else None)
        if len(self.runs) == 1:
            assert self.go.wait(10)
        if self.fails(x):
            raise ValueError("the model fails on this one")
        return {"y": self.answer(x)}


def _batcher(model, max_batch=8, max_waiting=100):
    return Batcher(model, max_batch, max_waiting, lambda rows: None)


def _ask_behind_a_first(batcher, model, inputs, seconds=10.0):
    """Answers (or errors) of requests that come while a first one is being run."""
    found = [None] * len(inputs)

    def ask(place, value):
        try:
            found[place] = batcher.run({"x": value}, ("y",), time.monotonic() + seconds)["y"]
        except Exception as error:
            found[place] = error

    first = threading.Thread(target=batcher.run, args=({"x": np.zeros(1)}, ("y",), _end()))
    first.start()
    until(lambda: model.runs)
    threads = []
    for place, value in enumerate(inputs):
        threads.append(threading.Thread(target=ask, args=(place, value)))
        threads[-1].start()
        until(lambda place=place: len(batcher._queue) > place or not threads[-1].is_alive())
    return first, threads, found


def _finish(model, first, threads):
    model.go.set()
    for thread in [first, *threads]:
        thread.join(10)
        assert not thread.is_alive()


def _answers(model, inputs, **limits) -> list:
    """The same, once all of them are answered."""
    first, threads, found = _ask_behind_a_first(_batcher(model, **limits), model, inputs)
    _finish(model, first, threads)
    return found


def test_a_lone_request_runs_at_once():
    model = _Model()
    model.go.set()
    started = time.perf_counter()
    answer = _batcher(model).run({"x": np.ones(3)}, ("y",), time.monotonic() + 1)
    assert time.perf_counter() - started < 0.1
    np.testing.assert_array_equal(answer["y"], [2, 2, 2])


def test_requests_that_arrive_in_the_meantime_share_the_next_run():
    model = _Model()
    inputs = [np.arange(size) + 10.0 * size for size in (1, 2, 3)]
    found = _answers(model, inputs)
    assert model.runs == [1, 6]
    for value, answer in zip(inputs, found, strict=True):
        np.testing.assert_array_equal(answer, value * 2)


def test_a_batch_has_no_more_rows_than_allowed():
    model = _Model()
    _answers(model, [np.ones(3)] * 3, max_batch=4)
    assert model.runs == [1, 3, 3, 3]


def test_a_request_larger_than_a_batch_runs_alone():
    model = _Model()
    found = _answers(model, [np.ones(9), np.ones(1)], max_batch=4)
    assert model.runs == [1, 9, 1] and len(found[0]) == 9


def test_other_shapes_and_types_do_not_mix():
    model = _Model()
    inputs = [np.ones((1, 2)), np.ones((1, 3)), np.ones((1, 2), np.float32), np.ones((1, 2))]
    found = _answers(model, inputs)
    assert sorted(model.runs) == [1, 1, 1, 2]
    assert [answer.shape for answer in found] == [value.shape for value in inputs]
    assert found[2].dtype == np.float32


def test_inputs_without_rows_run_alone():
    assert _answers(_Model(), [np.array(3.0)] * 2) == [6.0, 6.0]


def test_a_request_on_which_the_model_fails_does_not_fail_the_others():
    model = _Model(fails=lambda x: np.any(x == 7))
    inputs = [np.array([1.0]), np.array([7.0]), np.array([2.0])]
    found = _answers(model, inputs)
    assert found[0] == [2.0] and found[2] == [4.0]
    assert isinstance(found[1], ValueError)


def test_outputs_that_cannot_be_divided_are_run_one_by_one():
    model = _Model(answer=lambda x: np.array(x.sum()))
    assert _answers(model, [np.full(2, 1), np.full(2, 2)]) == [2.0, 4.0]


def test_a_request_that_times_out_leaves_and_the_others_are_answered():
    model = _Model()
    batcher = _batcher(model)
    first, threads, found = _ask_behind_a_first(batcher, model, [np.ones(1)], seconds=0.05)
    threads[0].join(10)
    assert isinstance(found[0], ServingError) and found[0].code == "DEADLINE_EXCEEDED"
    answers = []

    def ask():
        answers.append(batcher.run({"x": np.ones(2)}, ("y",), time.monotonic() + 10)["y"])

    later = threading.Thread(target=ask)
    later.start()
    _finish(model, first, [later])
    assert len(answers[0]) == 2


def test_a_full_queue_refuses():
    model = _Model()
    first, threads, found = _ask_behind_a_first(
        _batcher(model, max_waiting=1), model, [np.ones(1), np.ones(1)]
    )
    threads[1].join(10)
    assert isinstance(found[1], ServingError) and found[1].code == "UNAVAILABLE"
    _finish(model, first, threads)
    assert len(found[0]) == 1


@pytest.mark.parametrize("max_batch", [1, 8])
def test_many_threads_each_get_their_own_answer(max_batch):
    model = _Model()
    model.go.set()
    batcher = _batcher(model, max_batch)
    wrong = []

    def ask(number):
        for turn in range(200):
            value = np.array([number * 1000.0 + turn])
            if batcher.run({"x": value}, ("y",), time.monotonic() + 10)["y"] != value * 2:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not wrong and sum(model.runs) == 16 * 200
