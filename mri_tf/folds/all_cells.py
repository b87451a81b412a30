"""All cells of a study or a cross-validation, as many at a time as their executor allows."""

import sys
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path

from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import InputError, OutOfTime
from mri_tf.core.progress import progress, say_time_left
from mri_tf.core.subprocesses import threads_each
from mri_tf.folds.cell import DONE, FAILED, ROW, finished_row, run_cell


def run_all(
    pool: Executor, jobs: list[dict], label: str, deadline: Deadline = NO_LIMIT, at_a_time: int = 0
) -> dict[str, dict]:
    """Runs the jobs that are not finished and returns all rows by job name.

    A job that the pool loses becomes a failed row and the others go on.

    Args:
        pool: threads of this machine, or a Dask cluster.
        jobs: as `run_cell` takes them.
        label: what the progress bar calls them.
        deadline: when those that run stop at their checkpoints, and no others begin.
        at_a_time: how many run at a time; 0 if that is not known.

    Raises:
        InputError: a job's folder belongs to another study.
        OutOfTime: the deadline has come before all were done.
    """
    jobs = _with_idle_cores(jobs, at_a_time)
    rows = {job["name"]: row for job in jobs if (row := finished_row(job)) is not None}
    waiting: dict[Future, dict] = {}
    with progress(label, len(jobs)) as advance:
        if rows:
            advance(len(rows), "done before")
        told = say_time_left(label, _seconds(rows), len(jobs) - len(rows), at_a_time)
        for job in jobs:
            if job["name"] not in rows:
                limit = {"until": deadline.moment, "begins": not (waiting or deadline.got_on)}
                waiting[pool.submit(_row_in_time, job | limit)] = job
        try:
            for future in as_completed(waiting):
                job = waiting[future]
                deadline.got_on = True
                try:
                    row = future.result()
                except (InputError, KeyboardInterrupt):
                    raise
                except Exception as error:
                    # The text may name hosts and paths: it goes to the terminal, not into a report.
                    print(f"{job['name']}: {error}", file=sys.stderr)
                    row = {**job["row"], "status": FAILED, "reason": type(error).__name__}
                if row is None:
                    continue
                rows[job["name"]] = row
                advance(len(rows), f"{job['name']} {row['status']} {row['reason']}".rstrip())
                left = len(jobs) - len(rows)
                told = told or say_time_left(label, _seconds(rows), left, at_a_time)
        finally:
            for future in waiting:
                future.cancel()
    if len(rows) < len(jobs):
        raise deadline.out_of_time(_how_far(label, jobs, rows))
    return rows


def _with_idle_cores(jobs: list[dict], at_a_time: int) -> list[dict]:
    """The jobs, of which the last, where fewer are left than can run at a time, share all cores.

    By the place in the whole list and not by what is left to do, so that a command that was killed goes
    on with the same number of threads, on which the last bits of a training may depend.
    """
    if not at_a_time or not (left := len(jobs) % at_a_time):
        return jobs
    return [*jobs[:-left], *({**job, "threads": threads_each(left)} for job in jobs[-left:])]


def _seconds(rows: dict[str, dict]) -> list[float]:
    return [row["seconds"] for row in rows.values() if row["status"] == DONE]


def _how_far(label: str, jobs: list[dict], rows: dict[str, dict]) -> str:
    """How many jobs are done, have failed, and were begun by this command or an earlier one."""
    done = sum(row["status"] == DONE for row in rows.values())
    failed = f", {len(rows) - done} failed" if len(rows) > done else ""
    begun = sum(job["name"] not in rows and (Path(job["folder"]) / ROW).is_file() for job in jobs)
    return f"{done} of {len(jobs)} {label} are done{failed}, {begun} begun"


def run_cells(
    pool: Executor, features: list[dict], cells: list[dict], label: str,
    deadline: Deadline = NO_LIMIT, at_a_time: int = 0,
) -> dict[str, dict]:  # fmt: skip
    """Runs pre-trainings, then the cells, and returns the rows of the cells by their names.

    A cell whose pre-training failed is a failed row. Arguments and errors: as of `run_all`.
    """
    limits = (deadline, at_a_time)
    pretrained = run_all(pool, features, "pre-trainings", *limits) if features else {}
    failed = {name: row["reason"] for name, row in pretrained.items() if row["status"] == FAILED}
    rows = run_all(pool, [job for job in cells if job["needs"] not in failed], label, *limits)
    for job in cells:
        if job["needs"] in failed:
            reason = f"pre-training: {failed[job['needs']]}"
            rows[job["name"]] = {**job["row"], "status": FAILED, "reason": reason}
    return rows


def _row_in_time(job: dict) -> dict | None:
    """As `run_cell`, but None where the time is over, which a Dask worker would report as an error."""
    try:
        return run_cell(job)
    except OutOfTime:
        return None
