"""The usual names of MR sequences and of CT, in file names and in DICOM headers.

Sets name the same sequence differently: BraTS alone has written t1ce, t1c and T1GD. A task may use any
of these names for its channels.
"""

import re
from pathlib import Path

from mri_tf.core.errors import first_few
from mri_tf.core.progress import say_once

AFTER_CONTRAST = r"t1.*(ce\b|post|gad|gd|\+ ?c)"
SMALLEST_STACK = 5  # slices; localizers have fewer
SLICES = (SMALLEST_STACK, 10_000)
BRAIN_WORDS = ("brainmask", "brain")  # last words of the names of brain masks
# Sequence -> its other names, in lower case and without signs between the letters.
NAMES = {
    "t1": ("t1w", "t1n", "t1pre", "t1native", "t1se", "mprage", "t1mprage"),
    "t1ce": ("t1c", "t1gd", "t1post", "t1wce", "t1km", "t1contrast", "cet1", "t1cew", "cet1w"),
    "t2": ("t2w", "t2tse"),
    "flair": ("t2f", "t2flair", "flairw", "fl"),
    "pd": ("pdw",),
    "t2star": ("t2starw", "swi", "swan", "gre"),
    "dwi": ("trace", "b1000", "dwib1000"),
    "adc": ("adcmap",),
    "ct": ("cta", "ctmr", "ncct", "cect"),
}
# Sequence -> how its DICOM series is recognised (data_prep/cases/sequences.py).
RULES = {
    "t1": dict(
        description=("t1", "mprage", "spgr"), not_description=(AFTER_CONTRAST, "flair.*t2"),
        contrast=False, tr_ms=(0, 3000), te_ms=(0, 30),
    ),
    "t1ce": dict(description=(AFTER_CONTRAST,), contrast=True, tr_ms=(0, 3000), te_ms=(0, 30)),
    "t2": dict(
        description=("t2",), not_description=("flair", r"t2 ?\*", "t2star", "t1"),
        tr_ms=(2000, 12000), te_ms=(70, 200),
    ),
    "flair": dict(
        description=("flair",), not_description=("t1",), tr_ms=(6000, 15000), te_ms=(70, 200)
    ),
    "pd": dict(description=("pd", "proton")),
    "t2star": dict(description=(r"t2 ?\*", "t2star", "swi", "swan", "gre")),
    "dwi": dict(description=("dwi", "diff", "trace"), not_description=("adc",)),
    "adc": dict(description=("adc", "apparent")),
}  # fmt: skip


def usual_name(name: str) -> str:
    """The sequence that a name means, or the name itself in lower case where it is not a usual one.

    >>> usual_name("T1Gd"), usual_name("t2f"), usual_name("T1w"), usual_name("cine")
    ('t1ce', 'flair', 't1', 'cine')
    """
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((sequence for sequence, names in NAMES.items() if word in names), word)


def usual_rules(sequences: tuple[str, ...]) -> dict[str, dict]:
    """A rule for the DICOM series of each sequence, in the order given.

    A sequence of another name is looked for by its name in the description; a single one may be any
    series that is no localizer.
    """
    if len(sequences) == 1 and usual_name(sequences[0]) not in RULES:
        return {sequences[0]: dict(slices=SLICES)}
    known = {name: RULES.get(usual_name(name)) for name in sequences}
    return {
        name: {**(rule or dict(description=(re.escape(name),))), "slices": SLICES}
        for name, rule in known.items()
    }


def files_of_sequences(
    files: list[Path], sequences: tuple[str, ...], warn: bool = True
) -> dict[str, str]:
    """Sequence -> name of its file, from the ends of file names: `P01_t1ce.nii.gz`, `T1.nrrd`.

    A file named exactly as the sequence counts before one with another usual name of it. A sequence
    that several files fit is left out, and the terminal says so unless `warn` is False.
    """
    ends = {file.name: last_word(file.name) for file in files}
    found = {}
    for sequence in sequences:
        exact = [name for name, end in ends.items() if end == sequence.lower()]
        usual = [name for name, end in ends.items() if usual_name(end) == usual_name(sequence)]
        fitting = exact or usual
        if len(fitting) == 1:
            found[sequence] = fitting[0]
        elif fitting and len(sequences) > 1 and warn:
            names = first_few(fitting)
            say_once(f"warning: several files fit {sequence}, so none is read: {names}")
    return found


def last_word(file_name: str) -> str:
    """What stands after the last _, - or blank of a file's name, without its suffix.

    >>> last_word("BraTS-GLI-00005-000-t1c.nii.gz"), last_word("FLAIR.mha")
    ('t1c', 'flair')
    """
    stem = file_name.lower().removesuffix(".gz").rpartition(".")[0] or file_name.lower()
    return re.split(r"[_\- ]", stem)[-1]
