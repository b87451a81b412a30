"""How familiar an image is to a run: fitted on its training side, counted on held-out records.

Two scores stand beside each other, each with a limit and the rate of false alarms that it was made for:
one of intensities and sizes, one of what the network's last layer reads.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.familiar_images import (
    Columns,
    Familiar,
    deviations,
    familiar_from_json,
    familiar_scores,
    familiar_to_json,
    fit_familiar,
)
from mri_tf.calibration.feature_distance import FeatureDistance, fit_feature_distance
from mri_tf.calibration.mean_distance import MeanDistance, distance_of_one
from mri_tf.core.errors import InputError
from mri_tf.core.hashing import file_hash
from mri_tf.core.progress import progress
from mri_tf.evaluate.units import means
from mri_tf.metrics.classification import share_of_records
from mri_tf.network.inference import predict_features
from mri_tf.pipeline.batches import report_damage
from mri_tf.pipeline.field_of_view import box_cut
from mri_tf.pipeline.image_statistics import (
    STATISTICS,
    plain_value,
    statistic_names,
    statistics_of,
)
from mri_tf.pipeline.subset import Subset
from mri_tf.store.run import Run
from mri_tf.task import Task

MAX_UNITS = 500  # records, or patients of a bag, that are read; evenly spread
MAX_BAGS = 100
FEATURES_FILE = "familiar_features.npz"  # in the run
ARRAYS = ("centre", "axes", "precisions")  # in that file


@dataclass(frozen=True)
class Familiarity:
    """What a run finds familiar; `features` is None for a segmentation."""

    images: Familiar
    features: MeanDistance | None


def fit_familiar_images(training: Subset) -> Familiar:
    """Fits the score of intensities and sizes to (an evenly spread sample of) the training side."""
    sample = _sample(training)
    patients, task = sample.prepared.patients[sample.records], training.task
    return fit_familiar(_statistics(sample), patients, columns_of(task), bool(task.bag))


def fit_familiarity(training: Subset, validation: Subset, model: keras.Model) -> Familiarity:
    """Fits both scores to (an evenly spread sample of) the training side; the limit of the features
    also looks at the validation side, which the network was not trained on."""
    images, features = fit_familiar_images(training), None
    if training.task.kind == "classification":
        sample, unseen = _sample(training), _sample(validation)
        features = fit_feature_distance(
            predict_features(model, sample), sample.patients,
            (predict_features(model, unseen), unseen.patients),
        )  # fmt: skip
    return Familiarity(images, features and distance_of_one(features))


def columns_of(task: Task) -> Columns:
    """What the statistics of a task's images are, and whether a sequence of theirs may be missing."""
    names, in_graph = statistic_names(task)
    return Columns(names, in_graph, may_lack=task.prep.get("missing") == "zero_fill")


def save_familiarity(found: Familiarity, folder: Path) -> dict:
    """Writes the arrays into the run folder; returns the values that run.json holds."""
    features = None
    if found.features is not None:
        (fitted,) = found.features.members
        scratch = folder / f".partial.{FEATURES_FILE}"
        with scratch.open("wb") as file:
            np.savez(file, **{name: getattr(fitted, name) for name in ARRAYS})
        scratch.replace(folder / FEATURES_FILE)
        features = {
            "limit": vars(fitted.limit), "rest": fitted.rest,
            "sha256": file_hash(folder / FEATURES_FILE),
        }  # fmt: skip
    return {"images": familiar_to_json(found.images), "features": features}


def familiarity_of(run: Run) -> Familiarity | None:
    """What the run finds familiar; None where an earlier version did not fit it.

    Raises InputError for a file of features that is missing or damaged.
    """
    values = run.values.get("familiar")
    if not values:
        return None
    features, kept = None, values["features"]
    if kept and run.has_members:
        fitted = tuple(_features_of(member) for member in run.members)
        features = MeanDistance(fitted, tuple(kept["scales"]), Limit(**kept["limit"]))
    elif kept:
        features = distance_of_one(_features_of(run))
    return Familiarity(familiar_from_json(values["images"]), features)


def _features_of(run: Run) -> FeatureDistance:
    """Of a run with one network."""
    file, kept = run.folder / FEATURES_FILE, run.values["familiar"]["features"]
    if not file.is_file() or file_hash(file) != kept["sha256"]:
        raise InputError(
            "The file with the features of the training side is missing or damaged.", file,
            "Restore it from a copy, or train again into another --out folder.",
        )  # fmt: skip
    arrays = np.load(file)
    return FeatureDistance(*(arrays[name] for name in ARRAYS), kept["rest"], Limit(**kept["limit"]))


def count_unfamiliar(found: Familiarity | None, subset: Subset, distances: np.ndarray | None) -> dict:
    """How often each score flags records, beside the rate it was made for.

    Args:
        found: of the run; None for one of an earlier version.
        subset: records; a sample of them is read for the score of intensities.
        distances: (units,) of the features; None of a segmentation.

    Returns:
        For metrics.json: `images` and `features`, each with `stated` (the rate), `patients` (of the
        training side, that it was fitted on), `flagged` (a number with its interval) or the `reason`
        why nothing is flagged. Empty for a run of an earlier version.
    """
    if found is None:
        return {}
    sample = _sample(subset.thinned())
    scores = familiar_scores(_statistics(sample), found.images)
    patients = sample.prepared.patients[sample.records].astype(str)
    if subset.task.bag:
        patients, owner_of = np.unique(patients, return_inverse=True)
        scores = means(scores[:, None], owner_of)[:, 0]
    counted = {"images": counted_flags(found.images.limits.of_answers(), scores, patients)}
    if found.features is not None and distances is not None:
        counted["features"] = counted_flags(found.features.limit, distances, subset.patients)
    return counted


def reasons(values: np.ndarray, familiar: Familiar) -> list[str]:
    """Says why a record is unlike the training side, the largest deviation first; empty where it is not.

    Args:
        values: (statistics,) of `statistics_of`.
        familiar: of the training side.
    """
    limit = familiar.limits.records.value
    if limit is None:
        return []
    apart = deviations(values[None], familiar)[0]
    return [_reason(familiar, place, values[place])
            for place in np.argsort(-apart, kind="stable") if apart[place] > limit]  # fmt: skip


def usual_range(familiar: Familiar, place: int) -> tuple[float, float] | None:
    """The values of a statistic that are not flagged, as a person reads them; None where it is not
    known."""
    centre, limit = familiar.centre[place], familiar.limits.records.value
    if centre is None or limit is None:
        return None
    width = limit * familiar.spread[place]
    return tuple(plain_value(familiar.names[place], centre + sign * width) for sign in (-1, 1))


def usual_mean(familiar: Familiar) -> float:
    """The mean intensity of a usual image, over its channels; 0 for channels of one value."""
    means = []
    for place, name in enumerate(familiar.names):
        if name.startswith(f"{STATISTICS[0]} of ") and familiar.centre[place] is not None:
            ratio, log_sd = familiar.centre[place], familiar.centre[place + 1]
            means.append(plain_value(name, ratio) * np.exp(log_sd))
    return float(np.mean(means)) if means else 0.0


def _reason(familiar: Familiar, place: int, value: float) -> str:
    name, usual = familiar.names[place], usual_range(familiar, place)
    if not np.isfinite(value):
        what = "cannot be computed: one value everywhere" if np.isnan(value) else "is not a number"
        return f"{name} {what}"
    shown = f"{name} is {plain_value(name, value):.4g}"
    if usual is None:
        return f"{shown}, and no training image has it"
    return f"{shown}, outside the training range of {usual[0]:.4g} to {usual[1]:.4g}"


def _sample(subset: Subset) -> Subset:
    """At most MAX_UNITS records, or all slices of at most MAX_BAGS patients, evenly spread."""
    if subset.task.bag:
        bags = subset.bags
        return subset.of(np.concatenate([bags[place] for place in _spread_out(len(bags), MAX_BAGS)]))
    return subset.of(subset.records[_spread_out(len(subset), MAX_UNITS)])


def _spread_out(count: int, most: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _statistics(subset: Subset) -> np.ndarray:
    """(records, statistics) of the records, read as an exported model is given them."""
    task, prepared, values = subset.task, subset.prepared, []
    facts = [prepared.record(int(record)).facts for record in subset.records]
    done, size = 0, min(len(subset), task.batch_size)
    with report_damage(prepared), progress("statistics of images", len(subset)) as advance:
        for batch in subset.raw_batches(size, box_cut(task)):
            spacing_mm = batch["spacing_mm"][:, 1:] if task.spacing else None
            count = len(batch["image"])
            values.append(statistics_of(batch["image"], spacing_mm, facts[done : done + count]))
            done += count
            advance(done)
    return np.concatenate(values)


def counted_flags(limit: Limit, scores: np.ndarray, patients: np.ndarray) -> dict:
    """What metrics.json says of one score, see `count_unfamiliar`."""
    if limit.value is None:
        return {"patients": limit.patients, "reason": limit.reason}
    flagged = share_of_records(scores > limit.value, patients)
    return {"stated": limit.rate, "patients": limit.patients, "flagged": flagged}
