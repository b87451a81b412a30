"""The sections on the data: who and what they are, and the proof that no patient is on two sides."""

from collections.abc import Sequence

import numpy as np

from mri_tf.audit.finding import FOUND
from mri_tf.report.blocks import Author, Block, Facts, Section, Text, table
from mri_tf.report.facts import Known, known_of
from mri_tf.report.material import RUN, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.store.looks import is_closed
from mri_tf.store.scanners import NOT_KNOWN
from mri_tf.task.spec import SIDES

CERTAIN = (
    "patients on two sides", "patient ids", "shared identities", "copies on two sides", "copies",
    "copies under two labels", "pre-training overlap", "time points",
)  # the findings that need no statistics, by their names in mri_tf/audit
MOST_NAMED = 30  # sites or scanners with a row of their own
SPLITS = {
    "patient": "patients drawn at random, classes in equal shares; all records of a patient on one side",
    "group": "groups of patients drawn at random; all records of a group on one side",
    "random": "records drawn at random: a patient may be on several sides, and the numbers are LEAKY",
    "column": "by the split column of the table",
    "file": "by a file that names the patients of each side",
}
NO_SET = "The prepared set is no longer where it was."


def data(material: Material, options: Options) -> Section:
    """Sites, scanners, spacing, age and sex, and missing sequences."""
    title = "Data"
    if material.prepared is None:
        return Section("data", title, (Text(NO_SET, "missing"), *_source_boxes()))
    task, prepared = material.task, material.prepared
    may_lack = task.prep.get("missing") == "zero_fill"
    closed = material.positions("test") if is_closed(material.run) else np.array([], int)
    known = known_of(prepared, tuple(prepared.manifest["channels"]), may_lack, closed)
    layout = (prepared.manifest.get("layout") or {}).get("name", task.layout)
    what = [
        ("modality", task.modality or "not stated by the task"),
        ("channels", ", ".join(task.image_channels)),
        ("grid", f"{' x '.join(map(str, task.image_shape))} ({_axes(task)})"),
        ("how the folder was read", f"layout {layout}"),
        ("records read for this section", _read(material, known)),
    ]
    blocks: list[Block] = [Facts(tuple(what)), *_people(material, known, options)]
    blocks += _grouped(material, known, _sites(material, known), "site", options)
    blocks += _grouped(material, known, known.scanners(), "scanner", options)
    blocks += [_spacing(known), *_missing(material, known, options)]
    return Section("data", title, (*blocks, *_source_boxes()))


def _read(material: Material, known: Known) -> str:
    each = "one a patient and class" if material.is_classifier else "one a patient"
    locked = "; none of the test side, which is locked" if is_closed(material.run) else ""
    return f"{len(known.records)}, {each}" + ("" if known.whole else ", evenly spread") + locked


def split(material: Material, options: Options) -> Section:
    """How patients were assigned to sides, and what says that none is on two."""
    blocks: list[Block] = []
    mode = material.run.values["split"]
    if material.kind == RUN:
        blocks.append(Text(f"Split by {mode}: {SPLITS.get(mode, 'as given')}."))
        blocks.append(_overlap(material))
    else:
        blocks += [Text(_folds(material)), _overlap(material)]
    if material.findings is None:
        blocks.append(Text("The certain checks were left out (--no-audit), or are not kept.", "missing"))
    else:
        rows = [[one["name"], status_text(one), one["evidence"]]
                for one in material.findings if one["name"] in CERTAIN]  # fmt: skip
        columns = ["check", "status", "evidence"]
        blocks.append(table("What was compared between the sides", columns, rows))
    return Section("split", "Split and its proof", tuple(blocks))


def _folds(material: Material) -> str:
    """How the sides of several trainings were made."""
    if material.leaves_sites_out:
        return "Each site is held out once as a whole: a network is tested on a site that it never saw."
    if material.kind == STUDY and material.results["fold"].nunique() == 1:
        return ("Not cross-validated: one split in each repeat, by the split column of the table or, "
                "without one, of whole patients drawn at random.")  # fmt: skip
    return ("Cross-validation: whole patients (and groups) are assigned to folds, classes in equal "
            "shares; each network is tested on the fold that it never saw.")  # fmt: skip


def status_text(finding: dict) -> str:
    """The status of a finding; a certain leak is called so."""
    leak = finding["status"] == FOUND and finding.get("certain")
    return "found: a certain leak" if leak else finding["status"]


def _overlap(material: Material) -> Text:
    """The patients on two sides of each training, counted from the lists that the runs keep."""
    torn = 0
    for run in material.runs:
        sides = [set(run.values["patients"][side]) for side in SIDES]
        torn += len((sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2]))
    many = "" if len(material.runs) == 1 else f" in {len(material.runs)} trainings"
    if torn:
        said = f"{torn} {material.unit} are on two sides{many}, by the lists of the runs."
        return Text(said, "attention")
    one = "patient" if material.unit == "patients" else "group of images"
    return Text(f"By the lists of the runs, no {one} is on two sides{many}.", "good")


def _axes(task) -> str:
    return "rows, columns" if len(task.image_shape) == 2 else "depth, rows, columns"


def _people(material: Material, known: Known, options: Options) -> list[Block]:
    """Age and sex by side and class."""
    ages, sexes = known.ages(), np.array(known.sexes())
    if not np.isfinite(ages).any() and not (sexes != NOT_KNOWN).any():
        return [Text("Age and sex are not in the records.", "missing")]
    rows = []
    for name, own in _groups(material, known):
        count = _patients_among(material, known.records[own])
        if not count:
            continue
        if options.is_small(count):
            rows.append([name, options.count(count), "hidden", "hidden"])
            continue
        rows.append([name, count, _quartiles(ages[own], options), _sex_counts(sexes[own], options)])
    group = "side and class" if material.is_classifier else "side"
    columns = [group, material.unit, "age: median (quartiles)", "sex"]
    return [table(f"Age and sex by {group}", columns, rows)]


def _groups(material: Material, known: Known) -> list[tuple[str, np.ndarray]]:
    """(name, (read,) bool) of each side and class; of several trainings of all patients together."""
    sides = {"all": np.ones(len(known.records), bool)}
    if material.kind == RUN:
        sides = {side: np.isin(known.records, material.positions(side)) for side in SIDES}
    if not material.is_classifier:
        return list(sides.items())
    labels = material.prepared.labels[known.records]
    return [(f"{side}, {title}", own & (labels == label)) for side, own in sides.items()
            for label, title in enumerate(material.class_titles)]  # fmt: skip


def _quartiles(values: np.ndarray, options: Options) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return "not known"
    if options.is_small(len(values)):
        return f"hidden, known of {options.count(len(values))}"
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f}), known of {len(values)}"


def _sex_counts(sexes: np.ndarray, options: Options) -> str:
    names, counts = np.unique(sexes, return_counts=True)
    return ", ".join(f"{name} {count}" for name, count in
                     zip(names, options.row(counts.tolist()), strict=True))  # fmt: skip


def _patients_among(material: Material, records: np.ndarray) -> int:
    return len(set(material.prepared.patients[records]))


def _sites(material: Material, known: Known) -> list[str]:
    return [str(site) for site in material.prepared.sites[known.records]]


def _grouped(
    material: Material, known: Known, names: Sequence[str], what: str, options: Options
) -> list[Block]:  # fmt: skip
    """Patients of each class by site or scanner."""
    names = np.array(names, dtype=object)
    if not (names != "").any():
        return [Text(f"The {what} is not in the records.", "missing")]
    rows, patients = [], material.prepared.patients[known.records]
    titles = material.class_titles if material.is_classifier else []
    labels = material.prepared.labels[known.records]
    ordered = sorted(set(names), key=lambda name: (name == "", -len(set(patients[names == name])), name))
    for name in ordered[:MOST_NAMED]:
        own = names == name
        counts = [len(set(patients[own & (labels == label)])) for label in range(len(titles))]
        rows.append([name or "not known", options.count(len(set(patients[own]))), *options.row(counts)])
    shown: list[Block] = [
        table(f"{material.unit.capitalize()} by {what}", [what, material.unit, *titles], rows)
    ]
    if len(ordered) > MOST_NAMED:
        shown.append(Text(f"{len(ordered) - MOST_NAMED} more of fewer {material.unit} are not listed."))
    return shown


def _spacing(known: Known) -> Block:
    measured = known.spacing[np.isfinite(known.spacing).all(axis=1)]
    if not len(measured):
        why = "The spacing is not known: the files give none, or none that is measured."
        return Text(why, "missing")
    axes = ("depth (between slices)", "rows", "columns")
    rows = [[axis, f"{np.median(own):.2f}", f"{own.min():.2f}", f"{own.max():.2f}"]
            for axis, own in zip(axes, measured.T, strict=True)]  # fmt: skip
    return table(f"Spacing on the prepared grid in mm, of {len(measured)} records",
                 ["axis", "median", "smallest", "largest"], rows)  # fmt: skip


def _missing(material: Material, known: Known, options: Options) -> list[Block]:
    """Which sequences are missing, by class."""
    if known.missing is None:
        if len(material.task.channels) == 1:
            return []
        return [Text("No sequence may be missing: cases that lack one were skipped.")]
    titles, labels = ["all"], np.zeros(len(known.records), int)
    if material.is_classifier:
        titles, labels = material.class_titles, material.prepared.labels[known.records]
    rows = []
    for sequence in sorted({name for lacking in known.missing for name in lacking}):
        lacks = np.array([sequence in lacking for lacking in known.missing])
        counts = [int((lacks & (labels == label)).sum()) for label in range(len(titles))]
        rows.append([sequence, *options.row(counts)])
    if not rows:
        return [Text("Sequences may be missing, and none is.")]
    return [table("Records that lack a sequence, by class", ["sequence", *titles], rows)]


def _source_boxes() -> tuple[Block, ...]:
    return (
        Author(
            "where the examinations come from, when they were made, and who was included and excluded."
        ),
        Author(
            "how the reference standard (the labels or masks) was made, by whom, and how well readers "
            "agree."
        ),
    )

