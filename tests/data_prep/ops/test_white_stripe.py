"""WhiteStripe: white matter is found where it was planted, whatever else is in the brain."""

import numpy as np
import pytest

from data_prep.case import Unreadable
from data_prep.ops.intensity_stats import region_stats, standardise
from data_prep.ops.white_stripe import LARGEST, LAST, peaks_of, stripe_stats
from mri_tf.core.errors import InputError

GREY, WHITE = (100.0, 8.0), (150.0, 6.0)  # mean and SD


def brain(lesion: float = 0.0, gain: float = 1.0, seed: int = 0, white=WHITE) -> np.ndarray:
    """(24, 24, 24, 1): grey and white matter, fluid, 1 % of vessels, a bright lesion of this share."""
    rng, count = np.random.default_rng(seed), 24**3
    kind = rng.choice(5, count, p=[0.45 - lesion, 0.4, 0.14, 0.01, lesion])
    places = np.array([GREY, white, (40.0, 10.0), (300.0, 30.0), (220.0, 8.0)])[kind]
    values = rng.normal(places[:, 0], places[:, 1])
    return gain * values.reshape(24, 24, 24, 1)


EVERYWHERE = np.ones((24, 24, 24), bool)


def stripe(channels: np.ndarray, peak: str) -> np.ndarray:
    stats = region_stats(channels, EVERYWHERE)
    return stripe_stats(channels, EVERYWHERE, stats, {0: peak})[1, 0]


def test_the_stripe_lies_about_the_peak_of_white_matter_in_t1():
    mean, deviation = stripe(brain(), LAST)
    assert mean == pytest.approx(WHITE[0], abs=2.0)
    # A tenth of the brain about the peak of a normal distribution that 0.4 of it are of.
    assert deviation == pytest.approx(0.183 * WHITE[1], rel=0.2)


def test_the_largest_peak_is_the_one_of_t2_and_flair():
    values = brain(white=(60.0, 6.0))
    counts, edges = np.histogram(values, 100)
    assert stripe(values, LARGEST)[0] == pytest.approx(edges[np.argmax(counts)], abs=6.0)


def test_a_lesion_moves_the_mean_of_the_brain_and_not_that_of_its_white_matter():
    plain, ill = brain(), brain(lesion=0.03)
    whole = [region_stats(one, EVERYWHERE)[1, 0] for one in (plain, ill)]
    stripes = [stripe(one, LAST) for one in (plain, ill)]
    assert whole[1][0] - whole[0][0] > 3
    assert abs(stripes[1][0] - stripes[0][0]) < 1


def test_a_gain_and_an_offset_of_the_scanner_are_taken_out():
    scores = []
    for channels in (brain(), 7.3 * brain() + 55):
        stats = region_stats(channels, EVERYWHERE)
        stats = stripe_stats(channels, EVERYWHERE, stats, {0: LAST})
        scores.append(standardise(channels, EVERYWHERE, stats)[0])
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-2)


def test_other_channels_and_missing_sequences_keep_their_statistics():
    channels = np.concatenate([brain(), np.zeros((24, 24, 24, 1)), brain(seed=3)], axis=-1)
    stats = region_stats(channels, EVERYWHERE)
    found = stripe_stats(channels, EVERYWHERE, stats, {0: LAST, 1: LAST})
    np.testing.assert_array_equal(found[:, 1:], stats[:, 1:])
    np.testing.assert_array_equal(found[0], stats[0])


def test_the_name_of_a_channel_says_which_peak_it_is():
    found = peaks_of(("flair", "t1pre", "T1post", "t2w", "pd"))
    assert found == {"flair": LARGEST, "t1pre": LAST, "T1post": LAST, "t2w": LARGEST, "pd": LARGEST}
    with pytest.raises(InputError, match="must hold one of t1, mprage, flair, t2, pd. Received: adc"):
        peaks_of(("t1", "adc"))


def test_a_brain_without_such_a_peak_is_said_to_be_unreadable():
    few = np.zeros((24, 24, 24), bool)
    few[:5, :5, :5] = True
    with pytest.raises(Unreadable, match="125 voxels, too few"):
        stripe_stats(brain(), few, region_stats(brain(), few), {0: LAST})
    rising = np.linspace(0, 1, 24**3).reshape(24, 24, 24, 1) ** 0.25
    with pytest.raises(Unreadable, match="no peak|hardly any|one value"):
        stripe(rising, LAST)
    rounded = np.where(np.abs(brain() - WHITE[0]) < 10, WHITE[0], brain())
    with pytest.raises(Unreadable, match="one value"):
        stripe(rounded, LAST)
