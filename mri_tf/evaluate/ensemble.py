"""Makes one run of the runs of a cross-validation: a model of several members, without own weights."""

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import mri_tf
from mri_tf.calibration.answers import answers_to_json
from mri_tf.calibration.familiar_images import familiar_to_json
from mri_tf.core.hashing import fingerprint
from mri_tf.evaluate.familiarity import fit_familiar_images
from mri_tf.evaluate.left_out import FoldRun, ModelAnswers, in_folds, left_out, model_answers
from mri_tf.pipeline.subset import Subset
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FINISHED, LOOKS, MEMBERS, Run
from mri_tf.task.spec import SIDES


def ensemble_run(
    folder: Path, members: Sequence[FoldRun], model: ModelAnswers, prepared: Prepared, seed: int
) -> Run:
    """The run of a model of all members; nothing is written.

    Its training side are the patients of all folds, its test side those of the split column, whom no
    member has seen.

    Args:
        folder: in which the runs of the members lie.
        members: finished runs on `prepared`.
        model: the answers of all of them.
        prepared: the set of all members.
        seed: of the cross-validation.
    """
    runs = [member.run for member in members]
    first = runs[0].values
    of_folds = sorted({name for run in runs for side in SIDES for name in run.sides[side]})
    records = np.flatnonzero(np.isin(prepared.record_ids, of_folds))
    outside = np.flatnonzero(np.array(prepared.splits) == SIDES[2])
    by_side = {"train": records, "validation": records[:0], "test": outside}
    sides = {side: list(prepared.record_ids[own]) for side, own in by_side.items()}
    patients = {side: sorted(set(prepared.patients[own])) for side, own in by_side.items()}
    shared = _of_members(runs, model)
    seen = {key: sorted(set().union(*(run.values["seen"][key] for run in runs)))
            for key in ("patients", "contents")}  # fmt: skip
    training = Subset(runs[0].task, prepared, records, shared["fitted"]).thinned()
    images = familiar_to_json(fit_familiar_images(training))
    values = {
        **{key: first[key] for key in ("task", "data", "layout", "feature_task")},
        "precision": runs[0].precision,
        "seed": seed,
        "data_folder": os.path.relpath(prepared.folder, folder),
        "split": in_folds(members),
        "known_copies": None,
        "natural_counts": training.label_counts().tolist(),
        "sides": sides,
        "reserved": None,
        "patients": patients,
        "seen": seen,
        "feature_weights": "",
        "versions": {"mri_tf": mri_tf.__version__, "tensorflow": tf.__version__,
                     "keras": keras.__version__},
        "state": FINISHED,
        LOOKS: 0,
        **shared,
        "familiar": {"images": images, "features": _distance_of(model)},
        MEMBERS: [
            {"folder": os.path.relpath(member.run.folder, folder), "repeat": member.repeat,
             "fold": member.fold, "weights_sha256": member.run.values["weights_sha256"]}
            for member in members
        ],
    }  # fmt: skip
    return Run(folder, values)


def with_fewer_members(run: Run, count: int) -> Run:
    """A model of the first `count` members, its answers fitted for so many; nothing is written.

    Its numbers stay those of the cross-validation: they are of single members.
    """
    members = [
        FoldRun(one, about["repeat"], about["fold"])
        for one, about in zip(run.members, run.values[MEMBERS], strict=True)
    ]
    model = model_answers(left_out(members, run.task), run.task, count)
    return Run(run.folder, {
        **run.values,
        **_of_members([member.run for member in members[:count]], model),
        "familiar": {**run.values["familiar"], "features": _distance_of(model)},
        MEMBERS: run.values[MEMBERS][:count],
    })  # fmt: skip


def _of_members(runs: Sequence[Run], model: ModelAnswers) -> dict:
    """The values that depend on which members a model has.

    `fitted`, which is given to all members alike, are the means of what they fitted (spacings,
    landmarks), and all sites or scanners that any of them corrects.
    """
    fitted = [run.values["fitted"] for run in runs]
    return {
        "answers": answers_to_json(model.answers),
        "fitted": {key: _together([one[key] for one in fitted]) for key in fitted[0]},
        "parameters": sum(run.values["parameters"] for run in runs),
        "weights_sha256": fingerprint([run.values["weights_sha256"] for run in runs]),
    }


def _together(of_members: list):
    """The mean of numbers or lists of them; of what is known of sites or scanners, all of these."""
    if isinstance(of_members[0], dict):
        return {"batches": sorted({name for one in of_members for name in one["batches"]})}
    return np.mean(of_members, axis=0).tolist()


def _distance_of(model: ModelAnswers) -> dict:
    return {"scales": list(model.distance_scales), "limit": vars(model.distance_limit)}
