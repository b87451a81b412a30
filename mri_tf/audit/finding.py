"""What an audit found: one type for all kinds, and how it is written into files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

# Folder of an audit in that of a run or study; and in run.json what the checks before the training
# found, None where --no-audit left them out.
AUDIT = "audit"
FOUND, NOT_FOUND, CANNOT_TELL = "found", "not found", "cannot tell"
NOT_APPLICABLE = "not applicable"
BASELINE = "baseline"  # a number to compare a network with; never a flag by itself
# Tests in the audit of a run that share an error rate of 5 %: the probes of its set, and the regions
# that its networks are asked about.
FAMILIES_OF_A_RUN = 2
NO_CLASSES = "the records have no classes, but masks"  # why most findings are not applicable to them
STATUSES = (FOUND, NOT_FOUND, CANNOT_TELL, NOT_APPLICABLE, BASELINE)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        status: one of STATUSES.
        evidence: what was seen, in a sentence; it names no file and no patient.
        statistic: a correlation between -1 and 1, or Cramér's V; of what the network looks at, a change
            of logits; None where nothing was counted.
        p: adjusted for all findings of the audit that carry one; None of others.
        n: patients, or what is counted in their place.
        meaning: what that means for the numbers of a network.
        what_to_do: empty where nothing is to be done.
        records: positions of the records in question; the terminal names their files.
        certain: a leak that no chance explains: commands end with exit code 1.
        smallest_agreement: the smallest share of patients in whom a mark agrees with the label that
            would have been found; None where that is not known.
        on_terminal: what may name files or patients, and is not written into files.
    """

    name: str
    status: str
    evidence: str
    statistic: float | None = None
    p: float | None = None
    n: int | None = None
    meaning: str = ""
    what_to_do: str = ""
    records: tuple[int, ...] = ()
    certain: bool = False
    smallest_agreement: float | None = None
    on_terminal: str = ""


def leaks(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are certain leaks."""
    return [one for one in findings if one.status == FOUND and one.certain]


def as_json(finding: Finding, record_ids: np.ndarray) -> dict:
    """A finding of an audit or a check, for files: its records by the ids of the prepared set.

    Args:
        finding: of one prepared set.
        record_ids: (records,) of that set.
    """
    values = asdict(replace(finding, records=()))
    del values["on_terminal"]
    return values | {"records": [str(record_ids[position]) for position in finding.records]}


def summary_line(findings: Sequence[Finding]) -> str:
    """What certain checks found, in one line for the terminal."""
    found = leaks(findings)
    if found:
        named = "; ".join(f"{one.name}: {one.evidence}" for one in found)
        return f"audit: {named}. What to do: {found[0].what_to_do}"
    unknown = [one.name for one in findings if one.status == CANNOT_TELL]
    named = ", ".join(one.name for one in findings if one.status == NOT_FOUND)
    compared = f"not found: {named}" if named else "nothing could be compared"
    parts = [f"audit: no certain leak ({compared})"]
    parts += [f"but {one.name}: {one.evidence}" for one in findings if one.status == FOUND]
    parts += [f"cannot tell: {', '.join(unknown)}"] if unknown else []
    return "; ".join(parts)
