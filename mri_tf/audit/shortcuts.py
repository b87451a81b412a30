"""Whether the label can be told from what is not anatomy, and what simple numbers of the image tell.

One family of probes, one error rate: mri_tf/metrics/probe_test.py. Pure functions of what was measured.
"""

from dataclasses import dataclass, replace

import numpy as np

from mri_tf.audit.finding import (
    BASELINE,
    CANNOT_TELL,
    FOUND,
    NOT_APPLICABLE,
    NOT_FOUND,
    Finding,
)
from mri_tf.audit.measured import Measured
from mri_tf.audit.sites import SITE, class_counts, in_words
from mri_tf.metrics.label_association import (
    Exchanges,
    held_out_correlation,
    standardised,
    unit_means,
)
from mri_tf.metrics.label_exchanges import exchange_units
from mri_tf.metrics.probe_test import FAMILY_WISE, Family, Probe, Told, too_few

NAME = "label from {}"
ANOTHER_WAY = (
    "A network can tell the classes without looking at the anatomy, and its numbers say nothing about "
    "other hospitals."
)
# What is said of a probe by name; others are facts of the acquisition.
WHAT_TO_DO = {
    "border": "Look at the border of the images class by class: masks, brain extraction and resampling "
    "must be the same for all classes. Then prepare the data again.",
    "background": "Set what lies around the head or body to 0 (prep.brain_mask, crop_to_brain), or find "
    "out why it differs between the classes.",
    "corners": "Look at the corners class by class: remove burned-in text and marks from the images.",
    "missing sequences": "Leave out sequences that one class has more often, or cases that lack them.",
    "file format": "Make the files of both classes in one way, from the scanner's originals.",
    "order of files": "No network sees the order; but cases that were collected class by class were "
    "often scanned or processed class by class: find out whether anything else differs.",
    SITE: "Hold sites out as a whole (python -m mri_tf.study --leave-one-site-out), or balance them.",
}
OF_ACQUISITION = (
    "Compare classes within one protocol, or balance it between the classes; hold the other out."
)
BASELINE_MEANING = "A network has to be better than this: it may be signal, and is no fault by itself."


@dataclass(frozen=True)
class Labels:
    """Of the records that were measured.

    Attributes:
        labels: (records,) class numbers.
        patients: (records,) ids.
        owners: (records,) numbers of what must stay together: patients tied with groups and copies.
        sites: (records,) names; empty where nobody knows.
        class_names: in the order of the numbers.
    """

    labels: np.ndarray
    patients: np.ndarray
    owners: np.ndarray
    sites: np.ndarray
    class_names: tuple[str, ...]


def shortcut_findings(
    measured: Measured, labels: Labels, families: int = 1, seed: int = 0
) -> list[Finding]:
    """A finding for every probe: the forbidden ones as one family, then those that may be signal.

    Args:
        measured: what the probes see of the records.
        labels: of the same records.
        families: that share the error rate with the forbidden ones, these included.
        seed: of the drawn exchanges.
    """
    units = exchange_units(labels.labels, labels.patients, labels.owners)
    exchanges = Exchanges.of(units, seed=seed)
    n = len(np.unique(labels.owners))
    why_not = too_few(exchanges)
    family = None if why_not else Family(measured.forbidden, exchanges, families)
    findings = [
        _without_test(name, n, why_not) if family is None else _finding(name, probe, family, n)
        for name, probe in measured.forbidden.items()
    ]
    findings = [_with_sites(one, labels) for one in findings]
    findings += [
        Finding(NAME.format(name), NOT_APPLICABLE, why, n=n)
        for name, why in measured.not_looked_at.items()
    ]
    seen = exchanges.first(1)
    return findings + [_baseline(name, probe, seen, n) for name, probe in measured.baselines.items()]


def _without_test(name: str, n: int, why: str) -> Finding:
    return Finding(NAME.format(name), CANNOT_TELL, f"{why}: too few to tell", n=n)


def _finding(name: str, probe: Probe, family: Family, n: int) -> Finding:
    told = family.told(name)
    if told.p is None:
        return Finding(
            NAME.format(name), NOT_APPLICABLE,
            "it is the same in all patients who could exchange their labels", n=n,
        )  # fmt: skip
    evidence = _evidence(told, probe)
    numbers = {"statistic": told.statistic, "p": told.p, "n": n}
    if told.p <= FAMILY_WISE:
        return Finding(
            NAME.format(name), FOUND, evidence, **numbers, meaning=ANOTHER_WAY,
            what_to_do=WHAT_TO_DO.get(name, OF_ACQUISITION),
        )  # fmt: skip
    smallest = family.smallest_agreement(name)
    if smallest is None:
        return Finding(
            NAME.format(name), CANNOT_TELL,
            f"{evidence}; not even a mark that agrees with the label everywhere would have been found",
            **numbers,
        )  # fmt: skip
    return Finding(
        NAME.format(name), NOT_FOUND,
        f"{evidence}; a mark that agrees with the label in {100 * smallest:.0f} % of the "
        f"{family.counted} would have been found",
        **numbers, smallest_agreement=smallest,
    )  # fmt: skip


def _evidence(told: Told, probe: Probe) -> str:
    """The stronger of the two tests of a probe, in words."""
    if told.column:
        what = f"correlation of {told.column!r} alone with the label"
    else:
        what = "Cramér's V with the label" if probe.categories else "correlation of held-out scores"
    mean, deviation = told.chance
    return (
        f"{what} {told.statistic:.2f} (exchanged labels: {mean:.2f} ± {deviation:.2f}), "
        f"p = {told.p:.2g} (adjusted for all findings that have one)"
    )


def _with_sites(finding: Finding, labels: Labels) -> Finding:
    """The finding about the site with the patients of each class at each site."""
    if finding.name != NAME.format(SITE):
        return finding
    counts = class_counts(labels.labels, labels.patients, labels.sites, len(labels.class_names))
    return replace(finding, evidence=f"{in_words(counts, labels.class_names)}; {finding.evidence}")


def _baseline(name: str, probe: Probe, seen: Exchanges, n: int) -> Finding:
    """What a probe tells of the labels as they were seen, the only ones of `seen`."""
    rows, kept = standardised(unit_means(probe.values, seen.units), seen)
    if not len(kept):
        return Finding(NAME.format(name), NOT_APPLICABLE, "it is the same in all patients", n=n)
    correlation = float(held_out_correlation(rows, seen)[0])
    return Finding(
        NAME.format(name), BASELINE, f"held-out scores correlate {correlation:.2f} with the label",
        statistic=correlation, n=n, meaning=BASELINE_MEANING,
    )  # fmt: skip
