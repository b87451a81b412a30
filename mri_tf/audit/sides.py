"""Patients on two sides of a split: by their ids, by ids spelled alike, by shared identities of headers.

Pure functions of the columns of a prepared set.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.core.words import plural
from mri_tf.task.spec import SIDES

TOO_GOOD = (
    "A network that has seen a patient recognises the patient and not the disease: every number on the "
    "later side is too good."
)
# A word before a plain id that says only that it is one.
FIRST_WORD = re.compile(
    r"^(?:subject|subj|sub|patient|pat|pt|case|id|p)-?(?=\d)|^(?:subject|subj|sub|patient|pat|pt|case|id)-"
)
ONE_SIDE = "Put all records of a patient, and of a group, on one side; then train again."


def patients_on_two_sides(
    patients: np.ndarray, groups: np.ndarray, sides: Sequence[np.ndarray] | None, known: bool = True
) -> Finding:
    """Whether a patient, or a group of patients that belong together, has records on two sides.

    Args:
        patients: (records,) ids.
        groups: (records,) names of groups; empty for records in none.
        sides: positions of the training, validation and test side; None where nothing is split yet.
        known: whether these are patients, and not groups of copies that take their place.
    """
    name = "patients on two sides"
    if sides is None:
        return Finding(name, NOT_APPLICABLE, "the set has no sides of its own")
    count = len(set(patients[np.concatenate(sides)]))
    torn, words = [], []
    for what, values in (("patients" if known else "groups of images", patients), ("groups", groups)):
        shared, pairs = _on_two_sides(values, sides)
        torn += np.flatnonzero(np.isin(values, sorted(shared))).tolist()
        words += [f"{len(shared)} {what}, {', '.join(pairs)}"] if shared else []
    if torn:
        return Finding(
            name, FOUND, f"on two sides: {'; '.join(words)}", n=count, meaning=TOO_GOOD,
            what_to_do=ONE_SIDE, records=tuple(sorted(set(torn))), certain=True,
        )  # fmt: skip
    if not known:
        return Finding(
            name, CANNOT_TELL, "the patients are not known; copies of an image are on one side", n=count,
            meaning="Other images of one patient may be on two sides.",
            what_to_do="Put the images into folders of patients, or into a table with patient_id.",
        )  # fmt: skip
    return Finding(name, NOT_FOUND, f"each of {count} patients is on one side", n=count)


def _on_two_sides(values: np.ndarray, sides: Sequence[np.ndarray]) -> tuple[set, list[str]]:
    """The values on two sides, and how many are on each pair of sides, in words."""
    on = [set(values[side]) - {""} for side in sides]
    found, words = set(), []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        if shared := on[first] & on[second]:
            found |= shared
            words.append(f"{len(shared)} in {SIDES[first]} and {SIDES[second]}")
    return found, words


def ids_alike(
    patients: np.ndarray, sides: Sequence[np.ndarray] | None = None, pseudonyms: bool = False
) -> Finding:
    """Whether ids of patients are the same but for capitals, leading zeros, separators, a decimal point
    or how letters are stored; or but for a word such as sub or patient before them.

    The latter need not be one patient: "sub 1" may be a healthy subject and "patient 1" a patient.

    Args:
        patients: (records,) ids.
        sides: as of `patients_on_two_sides`; where given, spellings on two sides are a leak.
        pseudonyms: the ids are salted hashes, which are never alike.
    """
    name = "patient ids"
    if pseudonyms:
        return Finding(name, NOT_APPLICABLE, "pseudonyms, whose spelling says nothing")
    plain = np.array([plain_id(patient) for patient in patients.astype(str)], dtype=object)
    alike, count = _spelled_twice(plain, patients), len(set(plain))
    if not alike:
        bare = np.array([FIRST_WORD.sub("", one) for one in plain], dtype=object)
        alike = _spelled_twice(bare, plain)
        if not alike:
            return Finding(name, NOT_FOUND, "no two are spelled alike", n=count)
        return Finding(
            name, FOUND,
            f"{plural(len(alike), 'id')} may be written with different words before a number (01, "
            "sub-01, patient 1): one patient each?", n=count, meaning=TOO_GOOD,
            what_to_do="If so, write the id of a patient in one way, or give such patients one value in "
            "the column group. As they are, they count as several patients.",
            records=tuple(np.flatnonzero(np.isin(bare, sorted(alike))).tolist()),
        )  # fmt: skip
    apart = set() if sides is None else _on_two_sides(plain, sides)[0] & alike
    evidence = (
        f"{plural(len(alike), 'id')} may be spelled in several ways (capitals, leading zeros, hyphens, "
        "accents, .0)"
        + (f", {len(apart)} of them on two sides" if apart else "")
    )
    where = np.flatnonzero(np.isin(plain, sorted(apart or alike)))
    return Finding(
        name, FOUND, evidence, n=count, meaning=TOO_GOOD,
        what_to_do="Write the id of a patient in one way. As they are, they count as several patients, "
        "who may come to different sides.",
        records=tuple(where.tolist()), certain=bool(apart),
    )  # fmt: skip


def _spelled_twice(keys: np.ndarray, spellings: np.ndarray) -> set[str]:
    """The keys that stand for several spellings."""
    spelled = defaultdict(set)
    for key, spelling in zip(keys, spellings.astype(str), strict=True):
        spelled[key].add(spelling)
    return {key for key, found in spelled.items() if len(found) > 1}


def plain_id(patient: str) -> str:
    """An id in lower case, without leading zeros of its numbers, without a decimal point, and without
    what separates a letter from a number; what separates two numbers or two words is a hyphen. Letters
    that Unicode stores in several ways are the same (NFKC), and what nobody sees is left out.

    >>> plain_id("SUB-007"), plain_id("sub 7"), plain_id("12.0"), plain_id("1.5"), plain_id("A_B 1 02")
    ('sub7', 'sub7', '12', '1.5', 'a-b1-2')
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", patient).casefold())
    plain = "".join(one for one in plain if unicodedata.category(one) != "Cf").strip()
    plain = re.sub(r"(?<=\d)\.0+$", "", plain)
    plain = re.sub(r"[\s_\u2010-\u2015\u2212-]+", "-", plain)
    plain = re.sub(r"(?<=[^\W\d])-(?=\d)|(?<=\d)-(?=[^\W\d])", "", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def shared_identities(joined: dict | None) -> Finding:
    """Whether preparation found patients under several ids, by salted hashes of header fields.

    Args:
        joined: of the manifest: how many patients shared an identity, and how many remained; None
            where no headers were compared.
    """
    name = "shared identities"
    if joined is None:
        return Finding(
            name, NOT_APPLICABLE, "the files have no DICOM headers that name a patient or an examination"
        )
    if not joined["patients"]:
        return Finding(
            name, NOT_FOUND,
            "no two patients share a PatientID, study, series or frame of reference in their headers",
        )  # fmt: skip
    return Finding(
        name, FOUND,
        f"{joined['patients']} patients share PatientID or UIDs with another: they are "
        f"{joined['remaining']}",
        meaning="Folders of one patient stood under several ids. Preparation has joined them, so that "
        "splits by patient keep them on one side.",
        what_to_do="Look whether that is right, and correct the table.",
    )  # fmt: skip
