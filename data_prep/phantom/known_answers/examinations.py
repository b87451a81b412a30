"""What each kind of phantom ties to the label, and the examinations of a set, drawn but not rendered.

Every trait of an examination (`Traits`) is decided by a fair coin of its own, except the one that the
kind ties to the label. Kinds of the same seed differ in nothing else.
"""

from dataclasses import dataclass, replace

import numpy as np

from data_prep.phantom.known_answers.head import HONEST, STRONG, Contrast, Head, Traits, draw_head
from data_prep.phantom.known_answers.scan import Recoding, Scan, draw_recoding, draw_scan
from mri_tf.task.spec import SIDES

LABELS = ("benign", "malignant")
COPIES, SPELLINGS = "copies", "spellings"
VOLUME_SUFFIX = "_3d"  # of the name of a kind whose images are volumes
COINS = ("bright_core", "large_lesion", "bright_border", "late_echo", "referred")
TRAIN, VALIDATION, TEST = SIDES
SIDES_OF_OTHERS = (TRAIN, TEST, VALIDATION, TRAIN, TRAIN)  # patients examined once, in turn
AGES = (25, 80)


@dataclass(frozen=True)
class Kind:
    """A kind of phantom: what its labels have to do with its images, and which patients stand twice."""

    tied: str = ""  # the trait that agrees with the label
    contrast: Contrast = HONEST
    twice: str = ""  # who is chosen stands twice in the table: as COPIES, or under two SPELLINGS
    dosed: bool = True  # a dose says in how many patients the trait agrees, or how many stand twice


KINDS = {
    "clean": Kind("bright_core", dosed=False),
    "no_signal": Kind(dosed=False),
    "shortcut_corner": Kind("marked"),
    "shortcut_te": Kind("late_echo"),
    "shortcut_site": Kind("referred"),
    "leaky_copies": Kind(twice=COPIES),
    "leaky_patients": Kind(twice=SPELLINGS),
    "border": Kind("bright_border"),
    "volume_only": Kind("large_lesion"),
    "label_noise": Kind("bright_core", STRONG),
}


@dataclass(frozen=True)
class Examination:
    """A row of the table, and what its image shows."""

    patient: str  # the id in the table
    person: int  # whom the image shows, from 1
    label: str
    agrees: bool | None  # the tied trait with the label; None where the kind ties none
    traits: Traits
    head: Head
    scan: Scan
    age: int
    sex: str
    split: str = ""
    recoding: Recoding | None = None  # of a copy
    change: str = ""  # what sets the second row of a person apart, in words


def draw_examinations(
    kind: Kind, patients: int, seed: int, dose: float, flat: bool
) -> list[Examination]:
    """Draws a set.

    Args:
        kind: of KINDS.
        patients: number of persons, each second malignant in a random order.
        seed: of everything that is drawn.
        dose: share of the persons of each class in whom the tied trait agrees with the label, or who
            stand twice in the table.
        flat: pictures; else volumes.

    Returns:
        The rows of the table in their order; more than `patients` where some stand twice.
    """
    rng = np.random.default_rng([seed, 0])
    malignant = rng.permutation(np.arange(patients) % 2 == 1)
    chosen = _chosen(malignant, dose, rng)
    coins = {name: rng.integers(2, size=patients).astype(bool) for name in COINS}
    coins["marked"] = np.zeros(patients, bool)
    if kind.tied:
        coins[kind.tied] = malignant == chosen
    rows = []
    for number in range(patients):
        traits = Traits(**{name: bool(values[number]) for name, values in coins.items()})
        drawn = np.random.default_rng([seed, 1, number])
        rows.append(
            Examination(
                _patient(number), number + 1, LABELS[int(malignant[number])],
                bool(chosen[number]) if kind.tied else None, traits,
                draw_head(drawn, traits, kind.contrast, flat),
                draw_scan(np.random.default_rng([seed, 2, number]), traits, flat),
                int(drawn.integers(*AGES)), "FM"[drawn.integers(2)],
            )
        )  # fmt: skip
    if kind.twice == COPIES:
        return _with_copies(rows, chosen, seed)
    if kind.twice == SPELLINGS:
        return _with_second_examinations(rows, chosen, seed)
    return rows


def _chosen(malignant: np.ndarray, dose: float, rng: np.random.Generator) -> np.ndarray:
    """(patients,) bool: exactly the dose of each class, at random."""
    chosen = np.zeros(len(malignant), bool)
    for value in (False, True):
        members = rng.permutation(np.flatnonzero(malignant == value))
        chosen[members[: round(dose * len(members))]] = True
    return chosen


def _patient(number: int) -> str:
    return f"P{number + 1:03d}"


def _with_copies(rows: list[Examination], chosen: np.ndarray, seed: int) -> list[Examination]:
    """The rows and re-encoded copies of the chosen ones, all under names of their own, shuffled."""
    copies = []
    for number in np.flatnonzero(chosen):
        how = draw_recoding(np.random.default_rng([seed, 3, number]))
        copies.append(replace(rows[number], recoding=how, change=f"copy: {how.in_words}"))
    order = np.random.default_rng([seed, 4]).permutation(len(rows) + len(copies))
    shuffled = [[*rows, *copies][place] for place in order]
    return [replace(row, patient=_patient(place)) for place, row in enumerate(shuffled)]


def _with_second_examinations(
    rows: list[Examination], chosen: np.ndarray, seed: int
) -> list[Examination]:
    """The rows and second examinations of the chosen persons on another side, their ids spelled
    otherwise, shuffled.

    The same id on two sides is refused by the table's reader, so only spellings can get through.
    """
    rng = np.random.default_rng([seed, 4])
    placed, others = list(rows), []
    for label in LABELS:
        members = [number for number in rng.permutation(len(rows)) if rows[number].label == label]
        twice = [number for number in members if chosen[number]]
        once = [number for number in members if not chosen[number]]
        for turn, number in enumerate(once):
            placed[number] = replace(rows[number], split=SIDES_OF_OTHERS[turn % len(SIDES_OF_OTHERS)])
        for turn, number in enumerate(twice):
            placed[number] = replace(rows[number], split=TRAIN)
            others.append(_second(rows[number], (TEST, VALIDATION)[turn % 2], seed))
    order = rng.permutation(len(placed) + len(others))
    return [[*placed, *others][place] for place in order]


def _second(first: Examination, side: str, seed: int) -> Examination:
    """Another examination of a person, on another day and perhaps at another scanner."""
    rng = np.random.default_rng([seed, 5, first.person])
    traits = replace(first.traits, late_echo=bool(rng.integers(2)), referred=bool(rng.integers(2)))
    number = first.person
    spellings = (f"p{number}", f"p{number:03d}", f"P-{number:03d}", f"P {number}")
    return replace(
        first, patient=spellings[rng.integers(len(spellings))], traits=traits, split=side,
        scan=draw_scan(rng, traits, first.scan.flat), change="second examination, id spelled otherwise",
    )  # fmt: skip
