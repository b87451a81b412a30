"""One cell of a study as a process: crash, retry, lock and row, with a fake training command."""

import json
import math
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_train import PYTHON, driver, is_alive, job_of
from waiting import until

from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.subprocesses import terminate_children
from mri_tf.folds import cell as cells
from mri_tf.folds.all_cells import run_all
from mri_tf.folds.cell import finished_row, restarts_of, run_cell, run_of

KILLED = f"die {int(signal.SIGKILL)}"
SOON = 60.0  # seconds until something that takes a fraction of one has surely happened


def without_seconds(row: dict) -> dict:
    return {key: value for key, value in row.items() if key != "seconds"}


def test_a_row_holds_the_facts_of_the_run_a_column_a_metric_and_nothing_optimistic(fake, tmp_path):
    row = run_cell(job_of(tmp_path, "c"))
    assert row["seconds"] > 0 and without_seconds(row) == {
        "cell": "c", "task": "t", "variant": "manual", "fold": 0, "repeat": 0, "train_size": None,
        "seed": 0, "n_train": 2, "n_test": 1, "n_train_patients": 1, "n_test_patients": 1, "epochs": 3,
        "best_epoch": 2, "parameters": 10, "status": "done", "reason": "",
        "accuracy": 0.5, "auc": None, "auc_reason": "one class", "majority_accuracy": 0.4,
        "f1_a": 0.5, "f1_b": None,
    }  # fmt: skip


def test_a_cell_that_is_done_is_not_trained_again(fake, tmp_path):
    first = run_cell(job_of(tmp_path, "c"))
    assert run_cell(job_of(tmp_path, "c")) == first == finished_row(job_of(tmp_path, "c"))
    assert len(fake.begun("c-s0")) == 1


def test_the_folder_of_another_study_is_refused_in_one_line(fake, tmp_path):
    fake.order("failed-s0", "say 3 error: it broke.")
    for name in ("done", "failed"):
        run_cell(job_of(tmp_path, name))
        for act in (finished_row, run_cell):
            with pytest.raises(InputError, match="belongs to another study") as error:
                act(job_of(tmp_path, name, identity="two"))
            assert "\n" not in str(error.value)
    assert len(fake.begun("done-s0") + fake.begun("failed-s0")) == 2


@pytest.mark.parametrize("keep", ["runs", "metrics"])
def test_what_is_kept_of_a_cell(fake, tmp_path, keep):
    job = job_of(tmp_path, "c", keep=keep, seeds=[0, 1])
    fake.result("c-s0", '{"losses": [0.9]}')
    fake.result("c-s1", '{"losses": [0.1]}')
    run_cell(job)
    left = {str(path.relative_to(job["folder"])) for path in Path(job["folder"]).rglob("*.h5")}
    whole = {"s1/weights.weights.h5", "s1/features/weights.weights.h5"}
    assert left == (whole if keep == "runs" else set())
    for seed in (0, 1):
        assert (Path(job["folder"]) / f"s{seed}" / "predictions.parquet").is_file()
        assert not (Path(job["folder"]) / f"s{seed}" / "tensorboard").exists()
    assert run_of(job).name == "s1"


def test_a_tuned_cell_searches_on_its_own_split_and_trains_with_what_was_found(fake, tmp_path):
    search = ["--task", "t.py", "--trials", "3"]
    row = run_cell(job_of(tmp_path, "c", search=search, seeds=[0, 1]))
    assert row["status"] == "done" and json.loads(row["tuned"]) == {"learning_rate": 0.005}
    for seed in (0, 1):
        arguments = (fake.home / f"c-s{seed}.arguments").read_text()
        assert arguments.endswith("--set learning_rate=0.005")
    plain = run_cell(job_of(tmp_path, "d"))
    assert "tuned" not in plain
    assert "--set" not in (fake.home / "d-s0.arguments").read_text()


def test_a_tuned_cell_keeps_what_its_search_found_although_the_training_failed_after_it(fake, tmp_path):
    fake.order("c-s0", KILLED, KILLED)
    job = job_of(tmp_path, "c", search=["--trials", "3"])
    other = Path(job["folder"]) / "search" / "earlier-code" / "best.json"
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps({"values": {"learning_rate": 9.0}}))  # of a search that was stopped
    os.utime(other, (0, 0))
    assert run_cell(job)["status"] == "failed"
    row = run_cell(job)
    assert row["status"] == "done" and json.loads(row["tuned"]) == {"learning_rate": 0.005}
    assert len(fake.begun("c-search")) == 1


def test_a_search_that_fails_is_the_reason_of_its_cell_and_nothing_is_trained(fake, tmp_path):
    fake.order("c-search", "say 2 error: A rule. Received: x. Way out.")
    row = run_cell(job_of(tmp_path, "c", search=["--trials", "3"]))
    assert row["status"] == "failed" and row["reason"] == "search: A rule"
    assert not (fake.home / "c-s0.begun").exists()


def test_the_restart_with_the_lowest_validation_loss_is_the_row(fake, tmp_path):
    fake.result("c-s4", '{"losses": [0.9, 0.7, 2.0], "accuracy": 0.6}')
    fake.result("c-s5", '{"losses": [3.0, 0.2], "accuracy": 0.3}')
    fake.result("c-s6", '{"losses": ["nan", 0.3, "inf"], "accuracy": 0.9}')
    job = job_of(tmp_path, "c", seeds=[4, 5, 6])
    row = run_cell(job)
    assert (row["seed"], row["accuracy"], row["optimistic_accuracy"]) == (5, 0.3, 0.9)
    assert "optimistic_auc" not in row  # undefined in every restart
    assert run_of(job).name == "s5"
    found = [(restart["seed"], restart["accuracy"]) for restart in restarts_of(job)]
    assert found == [(4, 0.6), (5, 0.3), (6, 0.9)]


def test_where_the_accuracy_chooses_the_epoch_it_chooses_the_restart(fake, tmp_path):
    results = {  # the second is as accurate as the first, with a lower loss
        0: dict(losses=[0.2, 0.9], accuracies=[0.5, 0.8], best_epoch=2, accuracy=0.1),
        1: dict(losses=[0.7, 0.3], accuracies=[0.8, 0.6], best_epoch=1, accuracy=0.2),
        2: dict(losses=[0.1, 0.1], accuracies=[0.7, 0.7], best_epoch=1, accuracy=0.3),
    }  # fmt: skip
    for seed, result in results.items():
        fake.result(f"c-s{seed}", json.dumps(result | {"choose_epoch": "accuracy"}))
    row = run_cell(job_of(tmp_path, "c", seeds=[0, 1, 2]))
    assert (row["seed"], row["accuracy"]) == (1, 0.2)


def test_a_killed_process_is_retried(fake, tmp_path):
    undisturbed = run_cell(job_of(tmp_path / "undisturbed", "c"))
    fake.order("c-s0", "", KILLED)  # the second process is the first of the other folder
    row = run_cell(job_of(tmp_path, "c"))
    assert row["status"] == "done" and without_seconds(row) == without_seconds(undisturbed)
    assert len(fake.begun("c-s0")) == 3


def test_killed_twice_is_a_failed_row_and_the_next_start_tries_again(fake, tmp_path):
    fake.order("c-s0", KILLED, KILLED)
    row = run_cell(job_of(tmp_path, "c"))
    assert row["status"] == "failed" and row["seed"] == 0
    assert row["reason"] == "killed by signal 9, 2 times (out of memory?)"
    assert finished_row(job_of(tmp_path, "c")) is None and len(fake.begun("c-s0")) == 2
    assert run_cell(job_of(tmp_path, "c"))["status"] == "done"


@pytest.mark.parametrize("code", [2, 3])
def test_a_failure_with_an_error_message_is_not_retried(fake, tmp_path, code):
    fake.order("c-s0", f"say {code} error: A rule of it. Received: nonsense. Mend it.")
    row = run_cell(job_of(tmp_path, "c"))
    assert (row["status"], row["reason"]) == ("failed", "A rule of it")
    assert len(fake.begun("c-s0")) == 1


def test_reasons_are_of_the_last_attempt(fake, tmp_path):
    fake.order("c-s0", "say 3 error: the first time.", "say 3 error: the second time.")
    reasons = [run_cell(job_of(tmp_path, "c"))["reason"] for _ in range(2)]
    assert reasons == ["the first time", "the second time"]
    log = (tmp_path / "cells" / "c" / "log.txt").read_text()
    assert "the first time" in log and "the second time" in log


def test_some_skipped_inputs_are_no_failure(fake, tmp_path):
    job = job_of(tmp_path, "c")
    run_cell(job)
    (Path(job["folder"]) / cells.ROW).unlink()
    fake.order("c-s0", "", "say 1 skipped a file: unreadable")
    assert run_cell(job)["status"] == "done"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("Every side has a patient.", "/data/Smith_John/p77.nii", "Add p77."),
         "Every side has a patient"),
        (InputError("A side of /home/x/p77.json is a list.", "p77", "Mend it."),
         "A side of ... is a list"),
        (RunFailed("The loss became NaN or infinite at epoch 1, step 2, records 000077-0000.",
                   "The checkpoint before it is kept."),
         "The loss became NaN or infinite at epoch 1, step 2"),
        (RunFailed("The validation loss was NaN or infinite in every epoch.",
                   "The history in /home/x/runs/p77 is kept."),
         "The validation loss was NaN or infinite in every epoch"),
        (RunFailed("Unexpected KeyError: 'p77'.", "Set MRI_TF_TRACEBACK=1."),
         "Unexpected KeyError, see log.txt of the cell"),
        (RunFailed("Unexpected FileNotFoundError: [Errno 2] No such file: '/home/x/p77'.", ""),
         "Unexpected FileNotFoundError, see log.txt of the cell"),
        (RunFailed("The disk is full (No space left on device). What was finished is kept;", ""),
         "The disk is full (No space left on device)"),
    ],
)  # fmt: skip
def test_a_reason_holds_no_patient_and_no_path(fake, tmp_path, error, reason):
    fake.order("c-s0", f"say 3 error: {error}")
    row = run_cell(job_of(tmp_path, "c"))
    assert row["reason"] == reason
    assert str(error) in (tmp_path / "cells" / "c" / "log.txt").read_text()


def test_a_process_that_ends_without_a_message_is_named_by_its_code(fake, tmp_path):
    fake.order("c-s0", "say 4 no line of an error")
    assert run_cell(job_of(tmp_path, "c"))["reason"] == "exit code 4, see log.txt of the cell"


def test_two_studies_at_once_do_not_train_one_cell_twice(fake, tmp_path, pool):
    fake.order("c-s0", "wait")
    rows = [pool.submit(run_cell, job_of(tmp_path, "c")) for _ in range(2)]
    until(lambda: fake.begun("c-s0"))
    time.sleep(0.2)
    fake.go()
    assert rows[0].result() == rows[1].result() and len(fake.begun("c-s0")) == 1


def test_a_train_process_whose_study_was_killed_keeps_its_cell_until_it_ends(fake, tmp_path, pool):
    fake.order("c-s0", "wait")
    process = start_study(tmp_path, [job_of(tmp_path, "c")])
    until(lambda: fake.begun("c-s0"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (orphan,) = fake.begun("c-s0")
    assert is_alive(orphan)
    row = pool.submit(run_cell, job_of(tmp_path, "c"))
    time.sleep(0.3)
    assert fake.begun("c-s0") == [orphan] and not row.done()
    fake.go()
    assert row.result()["status"] == "done"
    assert fake.ended("c-s0")[0] == orphan  # its result was kept and only read again


def test_a_study_that_is_terminated_ends_the_trainings_it_has_started(fake, tmp_path):
    fake.order("c-s0", "wait")
    process = start_study(tmp_path, [job_of(tmp_path, "c")])
    until(lambda: fake.begun("c-s0"))
    process.terminate()
    errors = process.communicate()[1]
    assert process.returncode == 130 and "error: Interrupted." in errors
    (training,) = fake.begun("c-s0")
    until(lambda: not is_alive(training))


def start_study(folder: Path, jobs: list[dict], workers: int = 2) -> subprocess.Popen:
    """Starts a study in a process group that prints the rows."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    return subprocess.Popen(
        [PYTHON, *driver(folder / "jobs.json", workers)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finished_study(folder: Path, jobs: list[dict]) -> dict:
    """The rows of a study that runs to its end with every cell done."""
    process = start_study(folder, jobs)
    rows = json.loads(process.communicate()[0])
    assert process.returncode == 0 and {row["status"] for row in rows.values()} == {"done"}
    return rows


def test_a_study_killed_and_started_again_trains_what_was_not_done(fake, tmp_path):
    jobs = [job_of(tmp_path, name) for name in "abc"]
    fake.order("b-s0", "wait")
    process = start_study(tmp_path, jobs, workers=1)
    until(lambda: fake.begun("b-s0"))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = finished_row(jobs[0])
    fake.go()
    assert finished_study(tmp_path, jobs)["a"] == done
    assert len(fake.begun("a-s0")) == 1 and len(fake.begun("c-s0")) == 1


@pytest.mark.parametrize("whom", ["group", "study"])
def test_ctrl_c_ends_every_train_process_and_records_no_failure(fake, tmp_path, whom):
    jobs = [job_of(tmp_path, name) for name in "abc"]
    for name in "abc":
        fake.order(f"{name}-s0", "wait")
    process = start_study(tmp_path, jobs)
    until(lambda: fake.begun("a-s0") and fake.begun("b-s0"))
    (os.killpg if whom == "group" else os.kill)(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=SOON)[1]
    assert process.returncode == 130 and "error: Interrupted." in errors and "Traceback" not in errors
    assert not any(is_alive(pid) for name in "ab" for pid in fake.begun(f"{name}-s0"))
    assert not fake.begun("c-s0") and not any(map(finished_row, jobs))
    fake.go()
    finished_study(tmp_path, jobs)


def test_a_train_process_that_was_interrupted_ends_the_study_and_not_as_a_failure(fake, tmp_path):
    for order in ("say 130 error: Interrupted.", f"die {int(signal.SIGINT)}"):
        fake.order("c-s0", *[""] * len(fake.begun("c-s0")), order)
        with pytest.raises(KeyboardInterrupt):
            run_cell(job_of(tmp_path, "c"))
        assert finished_row(job_of(tmp_path, "c")) is None


def test_a_failed_cell_is_a_row_and_the_others_go_on(fake, tmp_path, pool):
    fake.order("b-s0", "say 3 error: it broke.")
    fake.order("c-s0", KILLED, KILLED)
    jobs = [job_of(tmp_path, name) for name in "abcd"]
    with terminate_children():
        rows = run_all(pool, jobs, "cells")
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "done", "b": "failed", "c": "failed", "d": "done"
    }  # fmt: skip
    assert all(math.isfinite(row["seconds"]) for row in rows.values())


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["usual", "background"])
def interruptions(request):
    """SIGINT as a terminal leaves it, or as a script's `&` does."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptions")
def test_an_error_of_the_study_itself_ends_its_train_processes(fake, tmp_path, pool):
    fake.order("slow-s0", "wait")
    slow, other = job_of(tmp_path, "slow"), job_of(tmp_path, "other")
    run_cell(other)

    def run_and_find_another_study():
        until(lambda: fake.begun("slow-s0"))
        return run_cell(other | {"identity": "two"})

    with pytest.raises(InputError), terminate_children():
        row = pool.submit(run_cell, slow)
        pool.submit(run_and_find_another_study).result()
    with pytest.raises(KeyboardInterrupt):
        row.result()
    assert not is_alive(fake.begun("slow-s0")[0])


def test_after_an_interruption_the_next_study_of_this_process_runs(fake, tmp_path, pool):
    with pytest.raises(KeyboardInterrupt), terminate_children():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        run_cell(job_of(tmp_path, "c"))
    with terminate_children():
        assert run_cell(job_of(tmp_path, "c"))["status"] == "done"


def test_a_cell_that_the_cluster_lost_is_a_failed_row_that_names_no_host(fake, tmp_path, capsys):
    class Lost(ThreadPoolExecutor):
        def submit(self, function, job):
            def lose():
                raise RuntimeError("all workers died, the last was tcp://10.0.0.7:5000 in /scratch/p7")

            return super().submit(lose) if job["name"] == "b" else super().submit(function, job)

    jobs = [job_of(tmp_path, name) for name in "ab"]
    with Lost(1) as pool:
        rows = run_all(pool, jobs, "cells")
    assert rows["a"]["status"] == "done"
    assert (rows["b"]["status"], rows["b"]["reason"]) == ("failed", "RuntimeError")
    assert "tcp://10.0.0.7" in capsys.readouterr().err
