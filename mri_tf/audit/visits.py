"""Ids that differ only in their last part, as those of several time points of one patient do.

Whether they are, only the owner of the data knows: the finding is a question, never a certain leak.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mri_tf.audit.finding import FOUND, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.core.words import plural

MOST_VISITS = 6  # with one beginning; where most ids have more with theirs, they are of sites
REPEATED = 0.5  # of the last parts: how many other beginnings have too, or are dates or words of visits
LAST_PART = re.compile(r"(.*?\w)(?:[-_ ]+([^\W\d_]{0,9}[-_ ]?\d{0,8})|(?<=\d)([a-z]))")
DATE = re.compile(r"(?:19|20)\d\d(?:\d\d){0,2}")
VISIT = re.compile(
    r"(?:baseline|base|bl|followup|follow|fu|visit|v|ses|session|scan|exam|tp|t|time|pre|post|preop|postop|"
    r"day|d|week|w|month|m|year|y)[-_ ]?\d*"
)


def one_patient_in_visits(
    patients: np.ndarray, groups: np.ndarray, sides: Sequence[np.ndarray] | None = None,
    pseudonyms: bool = False,
) -> Finding:  # fmt: skip
    """Whether groups of ids differ only in their last part, such as P01_2019 and P01_2021.

    Ids of sites with running numbers (site1-001, site1-002) do too: of them many begin alike.

    Args:
        patients: (records,) ids.
        groups: (records,) what is kept together by the table; such ids are no question.
        sides: positions of the training, validation and test side; None where nothing is split yet.
        pseudonyms: the ids are salted hashes, which have no parts.
    """
    name = "time points"
    if pseudonyms:
        return Finding(name, NOT_APPLICABLE, "pseudonyms, whose spelling says nothing")
    patients, count = patients.astype(str), len(set(patients))
    found = _ids_by_beginning(dict(zip(patients, groups.astype(str), strict=True)))
    if not found:
        return Finding(name, NOT_FOUND, "no ids look like time points of one patient", n=count)
    ids = {one for members in found for one in members}
    torn = 0
    if sides is not None:
        places = [set(patients[side]) for side in sides]
        torn = sum(sum(bool(members & place) for place in places) > 1 for members in found)
    return Finding(
        name, FOUND,
        f"{plural(len(found), 'group')} of ids differ only in their last part"
        + (f", {torn} of them on two sides" if torn else "") + ": time points of one patient?",
        n=count,
        meaning="As they are, each id counts as a patient of its own. If some are one patient, that "
        "patient may come to two sides, and every number is too good.",
        what_to_do="If so, give all rows of a patient one value in the column group, or one patient_id. "
        "If they are different patients, nothing is to be done.",
        records=tuple(np.flatnonzero(np.isin(patients, sorted(ids))).tolist()),
    )  # fmt: skip


def _ids_by_beginning(group_of: dict[str, str]) -> list[set[str]]:
    """The ids with one beginning, where they may be time points of one patient.

    Few ids begin so, and the last parts come again with other beginnings (000 and 001), are dates or
    words of visits, or other ids look as the beginning does (P01_a and P01_b beside P02).
    """
    parted: dict[str, dict[str, str]] = defaultdict(dict)  # beginning -> id -> last part
    whole = []
    for one in group_of:
        match = LAST_PART.fullmatch(one.strip().casefold())
        if match and (last := match[2] or match[3]):
            parted[match[1]][one] = last
        else:
            whole.append(one)
    several = {stem: ids for stem, ids in parted.items() if len(ids) > 1}
    sizes = [len(ids) for ids in several.values()]
    if sum(size for size in sizes if size > MOST_VISITS) > sum(sizes) / 2:
        return []
    shapes = {_shape(one.strip().casefold()) for one in whole}
    stems_of = Counter(last for ids in parted.values() for last in set(ids.values()))
    found = []
    for stem, ids in several.items():
        lasts = list(ids.values())
        words = sum(bool(DATE.fullmatch(last) or VISIT.fullmatch(last)) for last in lasts)
        again = sum(stems_of[last] > 1 for last in lasts)
        numbered = any(letter.isdigit() for letter in stem)
        alike = words >= REPEATED * len(lasts) or (
            numbered and (again >= REPEATED * len(lasts) or _shape(stem) in shapes)
        )
        one_group = len({group_of[one] or one for one in ids}) == 1
        if alike and not one_group:
            found.append(set(ids))
    return found


def _shape(text: str) -> str:
    """A text with each run of digits as 0, and of letters as a.

    >>> _shape("p01"), _shape("sub-2"), _shape("12")
    ('a0', 'a-0', '0')
    """
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))
