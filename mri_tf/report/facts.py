"""What the records of a set say of their acquisition and patients, read once for a card."""

from dataclasses import dataclass

import numpy as np

from data_prep.ages import OLDEST, age_in_years
from mri_tf.evaluate.groups import sex_of
from mri_tf.pipeline.batches import report_damage
from mri_tf.store.prepared import Prepared
from mri_tf.store.scanners import NOT_KNOWN, scanner_of
from mri_tf.task.spec import PRESENCE

MOST_READ = 400  # records: one a patient and class, evenly spread where there are more


@dataclass(frozen=True)
class Known:
    """Of the records that were read.

    Attributes:
        records: (read,) positions in the set.
        facts: of each.
        spacing: (read, 3) mm of the prepared grid along depth, rows and columns; NaN where not known.
        missing: of each, the sequences that it lacks; None where every sequence has to be there.
        whole: whether every patient and class was read.
    """

    records: np.ndarray
    facts: list[dict]
    spacing: np.ndarray
    missing: list[tuple[str, ...]] | None
    whole: bool

    def ages(self) -> np.ndarray:
        """(read,) years up to OLDEST; NaN where not known."""
        return np.minimum([age_in_years(one.get("age")) for one in self.facts], OLDEST)

    def sexes(self) -> list[str]:
        """Of each record in words."""
        return list(map(sex_of, self.facts))

    def scanners(self) -> list[str]:
        """Of each record, as `scanner_of` names it; "" where it is not known."""
        return ["" if name == NOT_KNOWN else name for name in map(scanner_of, self.facts)]


def known_of(
    prepared: Prepared, channels: tuple[str, ...], may_lack: bool, closed: np.ndarray
) -> Known:
    """Reads a record of each patient and class, but none of a locked test side.

    Args:
        prepared: the set.
        channels: of its images.
        may_lack: whether sequences may be missing, which channels named `has_` and the sequence say.
        closed: positions of records that nobody may look at.
    """
    pairs = np.array([f"{patient}\0{label}" for patient, label in
                      zip(prepared.patients, prepared.labels, strict=True)])  # fmt: skip
    firsts = np.setdiff1d(np.unique(pairs, return_index=True)[1], closed)
    count = min(len(firsts), MOST_READ)
    read = firsts[np.linspace(0, len(firsts) - 1, count).round().astype(int)]
    facts, spacing, missing = [], [], []
    present = [place for place, name in enumerate(channels) if name.startswith(PRESENCE)]
    with report_damage(prepared):
        for position in read.tolist():
            record = prepared.record(position)
            facts.append(record.facts)
            spacing.append(record.spacing_mm or (np.nan,) * 3)
            missing.append(tuple(channels[place].removeprefix(PRESENCE) for place in present
                                 if not record.image[..., place].any()))  # fmt: skip
    return Known(
        read, facts, np.array(spacing, float), missing if may_lack and present else None,
        len(read) == len(firsts),
    )  # fmt: skip
