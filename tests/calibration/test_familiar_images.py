"""Whether statistics of a record are unlike those of the training side."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mri_tf.calibration.familiar_images import (
    LEAST_SPREAD,
    Columns,
    familiar_from_json,
    familiar_scores,
    familiar_to_json,
    fit_familiar,
)

COLUMNS = Columns(("a", "b", "size"), in_graph=2, may_lack=False)


def _training(patients: int = 60, records: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(size=(patients, 3)), records, axis=0)
    return own + 0.3 * rng.normal(size=own.shape), np.repeat(np.arange(patients), records)


def test_the_score_is_the_largest_deviation_in_sd():
    values, patients = _training()
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    centre, spread = np.array(familiar.centre), np.array(familiar.spread)
    np.testing.assert_allclose(centre, values.mean(axis=0))
    expected = np.sqrt(values.var(axis=0) * 60 / 59 + LEAST_SPREAD**2)
    np.testing.assert_allclose(spread, expected)
    far = centre + spread * [1, -4, 2]
    assert familiar_scores(far[None], familiar)[0] == pytest.approx(4)


def test_a_patient_counts_once_however_many_records_it_has():
    values, patients = _training(records=1)
    repeated = np.concatenate([values, np.repeat(values[:1], 50, axis=0)])
    owners = np.concatenate([patients, np.zeros(50, int)])
    plain = fit_familiar(values, patients, COLUMNS, bags=False)
    many = fit_familiar(repeated, owners, COLUMNS, bags=False)
    np.testing.assert_allclose(many.centre, plain.centre)
    np.testing.assert_allclose(many.spread, plain.spread)


def test_new_patients_of_the_same_source_are_flagged_about_as_often_as_stated():
    flagged, stated = [], []
    for seed in range(30):
        values, patients = _training(40, seed=seed)
        familiar = fit_familiar(values, patients, COLUMNS, bags=False)
        new, _ = _training(200, 1, seed=1000 + seed)
        flagged.append((familiar_scores(new, familiar) > familiar.limits.records.value).mean())
        stated.append(familiar.limits.records.rate)
    assert np.mean(flagged) == pytest.approx(np.mean(stated), abs=0.03)


def test_what_no_training_record_lacks_is_missed_and_an_unknown_size_is_not():
    values, patients = _training()
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    lacking, unknown, broken = values[[0]].copy(), values[[0]].copy(), values[[0]].copy()
    lacking[0, 1], unknown[0, 2], broken[0, 0] = np.nan, np.nan, np.inf
    assert np.isposinf(familiar_scores(lacking, familiar))
    assert familiar_scores(unknown, familiar) <= familiar_scores(values[[0]], familiar)
    assert np.isposinf(familiar_scores(broken, familiar))


def test_a_sequence_that_some_training_patients_lack_may_be_missing():
    values, patients = _training()
    without = np.isin(patients, range(4, 9))  # five of 60
    values[without, 1] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    assert familiar.lacking == (False, True, True)
    assert familiar_scores(values[without], familiar).max() < familiar.limits.records.value + 3
    assert np.isfinite(familiar.limits.records.value)


def test_a_blank_slice_of_the_training_side_does_not_make_blank_images_familiar():
    values, patients = _training()
    values[7, :2] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    assert np.isfinite(familiar.limits.records.value)
    assert np.isposinf(familiar_scores(values[[7]], familiar))


def test_the_graph_has_a_limit_of_its_own_for_the_statistics_that_it_sees():
    values, patients = _training()
    values[:, 2] = np.where(patients < 6, 9.0, 0.0) + 0.01 * values[:, 2]  # another scanner's sizes
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    alone = fit_familiar(values[:, :2], patients, replace(COLUMNS, names=("a", "b")), bags=False)
    assert familiar.graph_limits == alone.limits
    assert familiar.graph_limits.records.value < familiar.limits.records.value


def test_where_sequences_may_be_missing_none_is_missed():
    values, patients = _training()
    familiar = fit_familiar(values, patients, replace(COLUMNS, may_lack=True), bags=False)
    lacking = values[[0]].copy()
    lacking[0, 1] = np.nan
    assert familiar_scores(lacking, familiar) <= familiar_scores(values[[0]], familiar)


def test_a_sequence_that_one_training_patient_alone_has_does_not_hide_what_is_unlike():
    values, patients = _training()
    values[patients != 4, 1] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    assert familiar.limits.records.value < 10
    far = np.array([[30.0, np.nan, 0.0]])
    assert familiar_scores(far, familiar) > familiar.limits.records.value


def test_what_all_lack_is_unlike_where_a_record_has_it():
    values, patients = _training()
    values[:, 1] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    assert familiar.centre[1] is None
    assert familiar_scores(values[[0]], familiar) < 10
    assert np.isposinf(familiar_scores(np.zeros((1, 3)), familiar))


def test_a_size_that_no_training_file_said_is_not_compared():
    values, patients = _training()
    values[:, 2] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=False)
    assert familiar_scores(np.nan_to_num(values, nan=7.0), familiar).max() < 10


def test_training_records_that_are_all_alike_leave_a_spread():
    familiar = fit_familiar(np.ones((30, 3)), np.arange(30), COLUMNS, bags=False)
    assert familiar.spread == pytest.approx([LEAST_SPREAD] * 3)
    nearly = np.full((1, 3), 1 + LEAST_SPREAD / 2)
    assert familiar_scores(nearly, familiar) < familiar.limits.records.value
    assert familiar_scores(2 * nearly, familiar) > familiar.limits.records.value


def test_answers_for_patients_have_a_limit_of_the_mean_score():
    values, patients = _training()
    familiar = fit_familiar(values, patients, COLUMNS, bags=True)
    assert familiar.limits.patients.value < familiar.limits.records.value  # means vary less
    assert fit_familiar(values, patients, COLUMNS, bags=False).limits.patients is None


def test_values_survive_json_and_few_patients_give_no_limit():
    values, patients = _training(8)
    values[:, 1] = np.nan
    familiar = fit_familiar(values, patients, COLUMNS, bags=True)
    assert familiar_from_json(json.loads(json.dumps(familiar_to_json(familiar)))) == familiar
    limit = familiar.limits.records
    assert limit.value is None and "8 patients, and at least" in limit.reason
    one = fit_familiar(values[:3], patients[:3], COLUMNS, bags=False)
    assert one.limits.records.value is None and one.limits.records.patients == 1
