"""Writes phantoms whose test patients have other images than those to train on, in cases_table.

    cases.csv   patient_id, label, the paths of the images, split, site, scanner, modality, age, sex

All are heads with a lesion, benign or malignant by the core, as of the known answer `clean`. The column
`split` keeps the sides: of ten patients of a class four are trained on, one validates and five test.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.files import write_table
from data_prep.phantom.known_answers.dataset import MODALITY, picture_of, save_picture
from data_prep.phantom.known_answers.examinations import (
    KINDS,
    LABELS,
    TEST,
    TRAIN,
    VALIDATION,
    Examination,
    draw_examinations,
)
from data_prep.phantom.known_answers.head import STRONG, core_signal
from data_prep.phantom.known_answers.scan import SCANNERS, anatomy, stored_image
from data_prep.phantom.other_images.looks import AWAY, HOME, SECOND_SEQUENCE, Look, draw_look, seen
from data_prep.volume import Volume

SEQUENCES = ("flair", "t2")
COMPLETE, FAMILIAR, OTHER = "", "familiar", "other"
# Of ten patients of a class in turn: the side, and whose scanner or which sequence is not there.
TURNS = (TRAIN, TEST, TRAIN, TEST, VALIDATION, TRAIN, TEST, TEST, TRAIN, TEST)
SCANNER_OF_TEST = (FAMILIAR, OTHER, OTHER, FAMILIAR, OTHER)
MISSING_OF_TEST = (COMPLETE, *SEQUENCES, *SEQUENCES)
SHIFTED = {FAMILIAR: (SCANNERS[0], HOME), OTHER: (SCANNERS[3], AWAY)}
COLUMNS = ("split", "site", "scanner", "modality", "age", "sex")
Progress = Callable[[int, int], None] | None


def write_shifted_scanner(
    folder: Path, patients: int, seed: int, signal: bool = True, progress: Progress = None
) -> None:
    """Pictures whose training patients are of one scanner; of the test patients two fifths are of the
    same, the others of a scanner with another contrast, receive field, blur and noise.

    Args:
        folder: where to write.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False draws lesions without the label.
        progress: called with (patients done, patients in all), or None.
    """
    (folder / "flair").mkdir(parents=True, exist_ok=True)
    rows = []
    drawn = _placed(patients, seed, signal, True, SCANNER_OF_TEST, FAMILIAR)
    for number, (one, which) in enumerate(drawn):
        scanner, usual = SHIFTED[which]
        one = replace(one, scan=replace(one.scan, scanner=scanner))
        path = f"flair/{number + 1:04d}.png"
        if not (folder / path).exists():
            save_picture(folder / path, picture_of(_image(one, usual, seed, 0)))
        rows.append((one.patient, one.label, path, *_known(one)))
        if progress:
            progress(number + 1, patients)
    write_table(folder / "cases.csv", ("patient_id", "label", SEQUENCES[0], *COLUMNS), rows)


def write_missing_sequence(
    folder: Path, patients: int, seed: int, signal: bool = True, progress: Progress = None
) -> None:
    """Volumes in two sequences, each with a core drawn for itself; training and validation patients
    have both, and of the test patients four fifths lack one, the first or the second.

    The arguments are those of `write_shifted_scanner`.
    """
    for sequence in SEQUENCES:
        (folder / sequence).mkdir(parents=True, exist_ok=True)
    rows = []
    drawn = _placed(patients, seed, signal, False, MISSING_OF_TEST, COMPLETE)
    for number, (one, missing) in enumerate(drawn):
        paths = []
        for place, (sequence, usual) in enumerate(
            zip(SEQUENCES, (HOME, SECOND_SEQUENCE), strict=True)
        ):
            path = "" if sequence == missing else f"{sequence}/{number + 1:04d}.nii.gz"
            if path and not (folder / path).exists():
                own = _with_own_core(one, seed, place)
                write_nifti(folder / path, _image(own, usual, seed, place))
            paths.append(path)
        rows.append((one.patient, one.label, *paths, *_known(one)))
        if progress:
            progress(number + 1, patients)
    write_table(folder / "cases.csv", ("patient_id", "label", *SEQUENCES, *COLUMNS), rows)


def _placed(
    patients: int, seed: int, signal: bool, flat: bool, of_test: tuple[str, ...], of_others: str
) -> list[tuple[Examination, str]]:
    """Examinations with their side, and what is special about their images."""
    kind = KINDS["clean" if signal else "no_signal"]
    placed, turns = [], dict.fromkeys(LABELS, 0)
    tests = dict.fromkeys(LABELS, 0)
    for one in draw_examinations(kind, patients, seed, 1.0, flat):
        side = TURNS[turns[one.label] % len(TURNS)]
        turns[one.label] += 1
        special = of_others
        if side == TEST:
            special = of_test[tests[one.label] % len(of_test)]
            tests[one.label] += 1
        placed.append((replace(one, split=side), special))
    return placed


def _with_own_core(one: Examination, seed: int, sequence: int) -> Examination:
    """The head with a core that only this sequence shows, of the same class; classes lie far apart, so
    that a small network learns them from few volumes."""
    drawn = np.random.default_rng([seed, 6, one.person, sequence]).normal()
    core = core_signal(one.traits.bright_core, STRONG, drawn)
    return replace(one, head=replace(one.head, core=core))


def _image(one: Examination, usual: Look, seed: int, sequence: int) -> Volume:
    """The image of a head at a scanner with a usual look."""
    rng = np.random.default_rng([seed, 7, one.person, sequence])
    signal, _ = anatomy(one.head, one.scan)
    look = draw_look(usual, rng)
    return stored_image(seen(signal, look, one.scan.spacing_mm, rng), one.scan)


def _known(one: Examination) -> tuple[object, ...]:
    scanner = one.scan.scanner
    return one.split, scanner.site, scanner.name, MODALITY, one.age, one.sex
