"""Tells whether an image is unlike the training side, by statistics of its intensities and its size.

The score of an image is its largest deviation over all statistics, in standard deviations of the
training side. An image above the limit is unlike the training side; one below it may still be, because
nothing here looks at anatomy.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np

from mri_tf.calibration.false_alarms import RATE, Limit, fit_limit

# Added to the spread of every statistic: on the scale of logarithms, so 5 %. Without it an image that
# differs by less than anybody can see is far from training images that are all alike.
LEAST_SPREAD = 0.05
LEAST_LIMIT = 1.0  # SD; reached only where training images differ by less than LEAST_SPREAD


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of statistics are."""

    names: tuple[str, ...]
    in_graph: int  # how many of them, the first ones, the exported graph computes
    may_lack: bool  # whether images may lack those: a sequence may be missing


@dataclass(frozen=True)
class Limits:
    """Limits of one score."""

    records: Limit
    patients: Limit | None  # of the mean over a patient's slices; None where none is asked for

    def of_answers(self) -> Limit:
        """That of what the task answers for: patients, or records."""
        return self.patients or self.records


@dataclass(frozen=True)
class Familiar:
    """The statistics of the training side and the limit of the score."""

    names: tuple[str, ...]  # of the statistics; those that the exported graph computes come first
    in_graph: int  # how many of them it computes
    centre: tuple[float | None, ...]  # mean over patients; None where no record has the statistic
    spread: tuple[float | None, ...]  # SD over the records of a random patient, with LEAST_SPREAD
    lacking: tuple[bool, ...]  # whether records may lack it: a sequence, or a size that no file says
    limits: Limits  # of the score over all statistics
    graph_limits: Limits  # of the score over those of the graph
    records: int


def fit_familiar(
    values: np.ndarray, patients: np.ndarray, columns: Columns, bags: bool
) -> Familiar:
    """Fits the statistics of the training side, and the limit by leaving out one patient at a time.

    Args:
        values: (records, statistics) on a scale where distances compare; NaN where a record lacks one.
        patients: (records,) ids; every patient counts alike, however many records it has.
        columns: what the statistics are.
        bags: whether answers are for patients with all their slices.
    """
    patients = np.asarray(patients).astype(str)
    _, patient_of, counts = np.unique(patients, return_inverse=True, return_counts=True)
    weights = 1 / counts[patient_of]
    centre, spread = _fitted(values, weights, len(counts))
    # What few records lack, such as the voxels of an empty slice, is missed in a new record.
    lacking = (weights @ np.isnan(values) / len(counts) > RATE / 2) | columns.may_lack
    lacking[columns.in_graph :] = True
    apart = np.zeros(values.shape)
    for left_out in range(len(counts) if len(counts) > 1 else 0):
        own = patient_of == left_out
        others = _fitted(values[~own], weights[~own], len(counts) - 1)
        # What this patient alone has would be infinitely far: it says nothing of a new one.
        alone = np.isnan(others[0])
        apart[own] = np.where(alone, 0.0, _deviations(values[own], *others, lacking))
    limits = [
        _limits(part.max(axis=1, initial=0.0), patient_of, bags)
        for part in (apart, apart[:, : columns.in_graph])
    ]
    return Familiar(
        columns.names, columns.in_graph, _plain(centre), _plain(spread), tuple(lacking.tolist()),
        *limits, len(values),
    )  # fmt: skip


def familiar_scores(values: np.ndarray, familiar: Familiar) -> np.ndarray:
    """(records,) largest deviations of `values` (records, statistics), in SD.

    NaN, a statistic that a record lacks, is infinitely far unless records may lack it.
    """
    return deviations(values, familiar).max(axis=1, initial=0.0)


def deviations(values: np.ndarray, familiar: Familiar) -> np.ndarray:
    """(records, statistics) deviations in SD that `familiar_scores` takes the largest of."""
    centre = as_array(familiar.centre)
    apart = _deviations(values, centre, as_array(familiar.spread), np.array(familiar.lacking))
    unknown = np.isnan(centre) & (np.arange(len(centre)) >= familiar.in_graph)
    return np.where(unknown, 0.0, apart)  # sizes that no file of the training side said


def familiar_to_json(familiar: Familiar) -> dict:
    """The values that run.json and familiar.json hold."""
    return asdict(familiar)


def familiar_from_json(values: dict) -> Familiar:
    """The statistics and limits of the values in run.json."""
    limits = {
        name: Limits(*(one and Limit(**one) for one in values[name].values()))
        for name in ("limits", "graph_limits")
    }
    tuples = {name: tuple(values[name]) for name in ("names", "centre", "spread", "lacking")}
    return Familiar(**{**values, **tuples, **limits})


def _limits(scores: np.ndarray, patient_of: np.ndarray, bags: bool) -> Limits:
    """Limits of (records,) scores; `patient_of` are (records,) numbers from 0."""
    of_patients = None
    if bags:
        counts = np.bincount(patient_of)
        means = np.bincount(patient_of, weights=scores) / counts
        of_patients = _at_least(fit_limit(means, np.arange(len(counts))))
    return Limits(_at_least(fit_limit(scores, patient_of)), of_patients)


def _at_least(limit: Limit) -> Limit:
    return limit if limit.value is None else replace(limit, value=max(limit.value, LEAST_LIMIT))


def _fitted(values: np.ndarray, weights: np.ndarray, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and SD of each statistic over the records that have it; NaN where none has."""
    usable = np.isfinite(values)
    shares = np.where(usable, weights[:, None], 0)
    total = shares.sum(axis=0)
    shares = np.divide(shares, total, out=np.full_like(shares, np.nan), where=total > 0)
    known = np.where(usable, values, 0)
    centre = (shares * known).sum(axis=0)
    variance = (shares * (known - centre) ** 2).sum(axis=0) * patients / max(patients - 1, 1)
    return centre, np.sqrt(variance + LEAST_SPREAD**2)


def _deviations(values: np.ndarray, centre, spread, lacking: np.ndarray) -> np.ndarray:
    """(records, statistics) distances from the centre; 0 where nothing can be said, infinite where a
    record lacks what all others have, has what all others lack, or is not a number."""
    values = np.asarray(values, float)
    with np.errstate(invalid="ignore"):
        distance = np.abs(values - centre) / spread
    missing = np.isnan(values)
    distance = np.where(missing, np.where(lacking, 0.0, np.inf), distance)
    return np.where(np.isnan(distance), np.inf, distance)


def as_array(values: tuple[float | None, ...]) -> np.ndarray:
    """`centre` or `spread` of a `Familiar`, NaN for None."""
    return np.array([np.nan if value is None else value for value in values], float)


def _plain(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
