"""Reads every record of a set once and keeps what baselines look at: some hundred numbers each."""

from dataclasses import dataclass

import numpy as np

from mri_tf.audit import image_probes
from mri_tf.audit.covariates import USUAL, Column, column_of
from mri_tf.audit.measured import BASELINES, VOLUME_OF_MASK, Rows, channel_names, plain_view
from mri_tf.audit.pretrained_features import FrozenEncoder, encoder_at_hand
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.task import Task

AGE_AND_SEX, OTHERS, FROZEN = "age and sex", "other covariates", "frozen probe"
NAMES = (AGE_AND_SEX, OTHERS, VOLUME_OF_MASK, *BASELINES, FROZEN)  # in the order in which they are told


@dataclass(frozen=True)
class SetFeatures:
    """What baselines see of a prepared set.

    Attributes:
        images: name of a baseline -> (records, n) features, a row for each record of the set; 0 in
            records without a label.
        covariates: AGE_AND_SEX and OTHERS -> their usable columns, which may be none.
        missing: name of a baseline -> why there is none.
    """

    images: dict[str, np.ndarray]
    covariates: dict[str, list[Column]]
    missing: dict[str, str]


def features_of_set(prepared: Prepared, task: Task) -> SetFeatures:
    """Measures the labelled records of a set.

    Args:
        prepared: the set.
        task: its `prep` names the covariates; it says which encoder a frozen probe would use.
    """
    records = np.flatnonzero(prepared.labels != NO_LABEL)
    encoder, why_none = encoder_at_hand(task)
    frozen = FrozenEncoder(encoder) if encoder else None
    facts: list[dict] = [{} for _ in range(len(prepared))]
    rows = {name: Rows() for name in (*BASELINES, VOLUME_OF_MASK)}
    encoded = []
    with progress("measuring records for baselines", len(records)) as advance:
        for number, position in enumerate(records.tolist(), 1):
            record = prepared.record(position)
            facts[position] = record.facts
            view = plain_view(record, channel_names(prepared, record))
            for name, probe in BASELINES.items():
                rows[name].add(probe(view))
            if record.mask is not None:
                rows[VOLUME_OF_MASK].add(image_probes.mask_volume(record.mask, record.spacing_mm))
            if frozen:
                try:
                    encoded.append(frozen.features(view))
                except InputError as error:
                    frozen, why_none = None, f"its encoder cannot be used: {error.rule}"
            advance(number)
    missing = {} if frozen else {FROZEN: why_none}
    images = {name: _placed(rows[name].probe().values, records, prepared) for name in BASELINES}
    if len(rows[VOLUME_OF_MASK]) == len(records):
        images[VOLUME_OF_MASK] = _placed(rows[VOLUME_OF_MASK].probe().values, records, prepared)
    else:
        missing[VOLUME_OF_MASK] = "the records have no masks"
    if frozen:
        images[FROZEN] = _placed(np.stack(encoded), records, prepared)
    covariates, of_covariates = _covariates(facts, records, task)
    return SetFeatures(images, covariates, missing | of_covariates)


def _placed(values: np.ndarray, records: np.ndarray, prepared: Prepared) -> np.ndarray:
    """(records of the set, n) of (measured records, n)."""
    placed = np.zeros((len(prepared), values.shape[1]), np.float32)
    placed[records] = values
    return placed


def _covariates(
    facts: list[dict], records: np.ndarray, task: Task
) -> tuple[dict[str, list[Column]], dict[str, str]]:
    """The usable columns by baseline, and why there is none."""
    others = [name for name in task.prep.get("covariates", ()) if name not in USUAL]
    names_by = {AGE_AND_SEX: list(USUAL), OTHERS: others}
    found, missing = {}, {}
    for baseline, names in names_by.items():
        columns = [column_of(facts, name) for name in names]
        labelled = [column_of([facts[place] for place in records], name) for name in names]
        found[baseline] = [one for one, own in zip(columns, labelled, strict=True) if own.usable]
        if not names:
            missing[baseline] = "the task names no further columns in prep.covariates"
        elif not found[baseline]:
            missing[baseline] = f"the records have no usable {' or '.join(names)}"
    return found, missing
