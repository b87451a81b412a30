"""What the card says of flags for unfamiliar input."""

from mri_tf.calibration.false_alarms import Limit
from mri_tf.export.card_numbers import _alarms

LIMIT = Limit(3.0, 2 / 41, 40)
FLAGGED = {"value": 0.075, "low": 0.02, "high": 0.2, "n": 40, "unit": "patients", "method": "Wilson"}


def test_what_the_limits_of_folds_flag_stands_beside_the_rate_that_they_were_made_for():
    counted = {"stated": 2 / 33, "patients": 32, "flagged": FLAGGED}
    said = _alarms(LIMIT, counted, "images")
    assert "made to flag 4.9 % of new images" in said
    assert "limits of the other folds, made to flag 6.1 %, flag a share of 0.075" in said


def test_what_the_exported_limit_itself_flags_is_said_of_it():
    counted = {"stated": 2 / 41, "patients": 40, "flagged": FLAGGED}
    assert "of the held-out images it flags a share of 0.075" in _alarms(LIMIT, counted, "images")
