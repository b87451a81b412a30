"""The audit's certain checks before the first epoch: one line for the terminal, and what run.json keeps.

Near copies between these images and those of a network before are left to python -m mri_tf.audit, which
reads both sets for them.
"""

from collections.abc import Mapping

import numpy as np

from mri_tf.audit.certain import certain_findings, certain_of_all
from mri_tf.audit.finding import AUDIT, Finding, summary_line
from mri_tf.audit.subject import network_before, of_training
from mri_tf.splits.split import split_by_patients
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run
from mri_tf.task import Task

LEFT_OUT = "audit: left out (--no-audit)"


def leak_check(
    run: Run, prepared: Prepared, sides: list[np.ndarray], features: Run | None, left_out: bool
) -> tuple[Run, str]:
    """The run with what was found in its values, and the line that says so; nothing is written.

    Args:
        run: one that begins.
        prepared: its set.
        sides: positions of its training, validation and test side.
        features: the network that was trained before, if any.
        left_out: whether --no-audit was given.
    """
    if left_out:
        return Run(run.folder, {**run.values, AUDIT: None}), LEFT_OUT
    before = (network_before(features),) if features else ()
    findings = certain_findings(of_training(run.task, prepared, sides, before), near=False)
    kept = [_kept(one) for one in findings]
    return Run(run.folder, {**run.values, AUDIT: kept}), summary_line(findings)


def _kept(finding: Finding) -> dict:
    return {key: getattr(finding, key) for key in ("name", "status", "certain", "evidence")}


def leaks_of_folds(
    task: Task, prepared: Prepared, patients_of: Mapping[tuple[int, int], dict[str, list[str]]]
) -> str:
    """The line for the trainings of several folds together.

    Args:
        task: of the trainings.
        prepared: their set.
        patients_of: (repeat, fold) -> {side: patients}, as folds/design.py draws them.
    """
    subjects = {}
    for (repeat, fold), patients in patients_of.items():
        sides = split_by_patients(patients, prepared.patients, prepared.groups)
        subjects[f"repeat {repeat}, fold {fold}"] = of_training(task, prepared, sides)
    return summary_line(certain_of_all(subjects, near=False))
