"""What a search leaves in its folder: what was searched, all trials, and the best of them."""

import csv
import io
import json
import shlex
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.core.errors import RunFailed
from mri_tf.core.files import write_atomic
from mri_tf.core.source_code import state_of_the_code
from mri_tf.store.searches import BEST, OBJECTIVE, REASON, SEARCH, STATUS, TRIALS
from mri_tf.task.spec import to_json
from tuning.trials import Problem
from tuning.tuner import recorded_reason, trial_values


def describe(problem: Problem, flags, folder: Path) -> None:
    """Writes what is searched, on how many patients and by which code; no id of a patient."""
    prepared = problem.prepared
    there = np.concatenate(problem.inner[0].records)  # the test side is empty
    values = {
        "task": to_json(problem.task), "tuner": flags.tuner, "seed": flags.seed,
        "split": problem.inner[0].mode, "inner_folds": len(problem.inner),
        "data": prepared.content_fingerprint(), "records": len(there),
        "patients": len(set(prepared.patients[there])), "code": state_of_the_code(),
        "versions": {"mri_tf": mri_tf.__version__, "tensorflow": tf.__version__,
                     "keras": keras.__version__},
    }  # fmt: skip
    write_atomic(folder / SEARCH, json.dumps(values, indent=1).encode())


def finished(oracle) -> list:
    """Trials with a score, the best first; KerasTuner's list also holds failed ones."""
    return sorted(
        (trial for trial in oracle.trials.values() if trial.score is not None),
        key=lambda trial: trial.score,
    )


def best_so_far(oracle) -> str:
    """In words, for the line of progress."""
    best = finished(oracle)
    return f"best validation log loss {best[0].score:.4f}" if best else "none finished"


def write_results(oracle, folder: Path) -> dict:
    """Writes all trials, with status and reason of failure, and the best one; returns the best."""
    rows, names = [], []
    for trial_id in oracle.start_order:
        trial = oracle.trials[trial_id]
        if trial_id not in oracle.end_order:
            continue  # it goes on when the search does
        values = trial_values(trial.hyperparameters.values)
        names += [name for name in values if name not in names]
        reason = recorded_reason(trial.message)
        head = {"trial": trial.trial_id, STATUS: trial.status.lower(), OBJECTIVE: trial.score}
        rows.append(head | {REASON: reason} | values)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["trial", STATUS, OBJECTIVE, REASON, *names], restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / TRIALS, text.getvalue().encode())
    with_score = finished(oracle)
    if not with_score:
        raise RunFailed("No trial finished.", f"The reasons are in {folder / TRIALS}.")
    best = {
        "values": trial_values(with_score[0].hyperparameters.values),
        OBJECTIVE: with_score[0].score,
        "trials": len(rows),
    }
    write_atomic(folder / BEST, json.dumps(best, indent=1).encode())
    return best


def summary(best: dict, flags, name: str) -> list[str]:
    """The best values as a command to train with them and as a variant to paste into the task file."""
    kept = {
        "--task": flags.task, "--variant": flags.variant, "--data": flags.data,
        "--features": flags.features, "--features-data": flags.features_data,
        "--split": flags.split, "--split-file": flags.split_file, "--seed": flags.seed,
        "--out": Path("runs", name, f"tuned-s{flags.seed}"),
    }  # fmt: skip
    words = [word for flag, value in kept.items() if value not in (None, "") for word in (flag, value)]
    pairs = [*flags.set, *(f"{key}={value}" for key, value in best["values"].items())]
    command = shlex.join(map(str, ["python", "-m", "mri_tf.train", *words, "--set", *pairs]))
    variant = ", ".join(f"{key!r}: {value!r}" for key, value in best["values"].items())
    return [
        f"best of {best['trials']} trials: validation log loss {best[OBJECTIVE]:.4f}",
        "train with its values:",
        command,
        "or add them to the variants of the task file:",
        f"tuned={{{variant}}},",
    ]
