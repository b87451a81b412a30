"""Audits sets of which it is known what must be found in them, and what must not.

    python benchmarks/audit_known_answers.py --out DIR [--raw $MRI_SHARED/data] [--sets 200] [--seed 0]
        [--minutes 60] [--only ROW ...] [--table]

`clean`: phantoms without a shortcut, and sets whose labels are exchanged among patients, or among the
records of a patient where these have several: how many have any alarm of the findings that carry a
p-value? With --raw these are sunnybrook (its pathology, its levels) and lgg too. `clean, records
exchanged` is the guard: the same sets of several records a patient, with labels of patients, tested as
if every record were a patient; a test that does so must have many alarms. Of the other rows every set
has one leak or shortcut that must be found, by its name. There are --sets of clean, half as many of
each other row.

Each set's result is kept in DIR/sets.jsonl, so an interrupted call continues; --table prints what is
done. Phantoms are written and prepared in a folder that is removed again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from data_prep.phantom.write import write_fake_raw, write_kind
from data_prep.prepare.prepare import prepare
from mri_tf.audit.audited import with_probes
from mri_tf.audit.certain import certain_findings
from mri_tf.audit.finding import FOUND, leaks
from mri_tf.audit.measured import Context, Measured, measure
from mri_tf.audit.shortcuts import NAME, Labels, shortcut_findings
from mri_tf.audit.subject import of_set
from mri_tf.metrics import clopper_pearson
from mri_tf.splits.sides import units_of
from mri_tf.store.prepared import Prepared
from mri_tf.tables import markdown
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task

KEPT = "sets.jsonl"
CLEAN, GUARD = "clean", "clean, records exchanged"
SIZES = (12, 16, 24, 40, 60)
# What is found in a set is right where it is any of these; a site brings its scanner's facts with it.
FOUND_AS = {
    "leaky_copies": ("copies",),
    "leaky_patients": ("patient ids",),
    "shortcut_corner": (NAME.format("corners"),),
    "shortcut_te": (NAME.format("echo time"),),
    "shortcut_site": tuple(map(NAME.format, (
        "site", "scanner", "scanner model", "manufacturer", "repetition time", "spacing",
        "slice thickness",
    ))),
    "border": (NAME.format("border"),),
}
SHORTCUTS = ("shortcut_corner", "shortcut_te", "shortcut_site", "border")
ALL_OF = 4  # of so many sets of a kind the last has volumes
HEADS = """layout = "cases_table"
class_names = ["benign", "malignant"]
channels = ["flair"]
modality = "MR"
model = "{model}"
image_shape = {shape}
[prep]
label_column = "label"
{covariates}
"""
# As a plan of such a folder has them; volumes are not cropped, so that the mark of a corner stays.
FACTS = 'covariates = ["manufacturer", "field_strength_t", "tr_ms", "te_ms", "pixel_mm"]'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets' results")
    parser.add_argument("--raw", type=Path, help="folder with sunnybrook and lgg")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="after which no set is begun")
    parser.add_argument("--only", nargs="+", help="the rows whose sets are made")
    parser.add_argument("--table", action="store_true", help="only print the table of what is done")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    if not flags.table:
        add_sets(flags)
    print_table(kept_in(flags.out))


def add_sets(flags: argparse.Namespace) -> None:
    """Audits the sets that are not done yet, one of each row after the other."""
    done = {(one["row"], one["number"], one["seed"]) for one in kept_in(flags.out)}
    rows = {CLEAN: flags.sets, **dict.fromkeys(planted_rows(), flags.sets // 2)}
    ends = time.monotonic() + 60 * flags.minutes
    home = Sets(flags.out, flags.raw, flags.seed)
    with (flags.out / KEPT).open("a", encoding="utf-8") as file:
        for number in range(flags.sets):
            for row, count in rows.items():
                if number >= count or row not in (flags.only or rows):
                    continue
                if (row, number, flags.seed) in done or time.monotonic() > ends:
                    continue
                begun = time.monotonic()
                found = home.clean(number) if row == CLEAN else planted(row, number, flags.seed)
                values = {"row": row, "number": number, "seed": flags.seed, **found}
                values["seconds"] = round(time.monotonic() - begun, 2)
                file.write(json.dumps(values) + "\n")
                file.flush()


def kept_in(folder: Path) -> list[dict]:
    """The results so far; a line that was not written to its end is none."""
    path, found = folder / KEPT, []
    if not path.is_file():
        return found
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def planted_rows() -> dict[str, tuple[tuple[str, ...], tuple[int, ...], float | None]]:
    """Row -> kinds of phantoms in turn, their numbers of patients in turn, and the dose."""
    return {
        "leaky_copies": (("leaky_copies",), (12, 16, 24), None),
        "leaky_patients": (("leaky_patients",), (12, 16, 24), None),
        "shortcuts, dose 1": (SHORTCUTS, (12, 16, 24), 1.0),
        "shortcuts, dose 0.9, 30 patients": (SHORTCUTS, (30,), 0.9),
    }


def planted(row: str, number: int, seed: int) -> dict:
    """One set with a leak or a shortcut, and whether it was found."""
    kinds, sizes, dose = planted_rows()[row]
    turn, place = divmod(number, len(kinds))
    kind, patients = kinds[place], sizes[turn % len(sizes)]
    # Who stands twice: from one patient of each class to all of them.
    dose = dose or (0.1, 0.25, 0.5, 1.0)[number // ALL_OF % 4]
    volumes = (turn % ALL_OF) == ALL_OF - 1
    found = audited(kind, patients, drawn_seed(seed, row, number), volumes, dose)
    return {"kind": kind, "patients": patients, "volumes": volumes, "dose": dose, **found}


def drawn_seed(seed: int, row: str, number: int) -> int:
    """A seed of its own for every set."""
    return int(np.random.default_rng([seed, number, *row.encode()]).integers(2**31))


def audited(kind: str, patients: int, seed: int, volumes: bool, dose: float | None = None) -> dict:
    """What is found in a phantom: names of the alarms and of the certain leaks, and the smallest p."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_kind(kind + "_3d" * volumes, folder / "raw", patients, seed, dose=dose)
        task_file = folder / "heads.toml"
        text = HEADS.format(
            shape=[24, 32, 32] if volumes else [64, 64], model="grader3d" if volumes else "vgg",
            covariates="" if volumes else FACTS,
        )  # fmt: skip
        task_file.write_text(text, encoding="utf-8")
        prepared, _ = prepare(load_task(task_file), task_file, folder / "raw", folder / "set")
        subject = replace(of_set(folder / "set"), modality="MR")
        findings = with_probes(certain_findings(subject), subject).findings
    return told(findings) | {"leaks": [one.name for one in leaks(findings)]}


def told(findings) -> dict:
    """The alarms of the family and its smallest p-value."""
    alarms = [one.name for one in findings if one.p is not None and one.status == FOUND]
    return {"alarms": alarms, "p": min((one.p for one in findings if one.p is not None), default=None)}


class Sets:
    """Clean sets in turn: phantoms, and prepared sets whose labels are exchanged.

    Args:
        out: where prepared sets are kept.
        raw: folder with sunnybrook and lgg; None without real data.
        seed: of everything that is drawn.
    """

    def __init__(self, out: Path, raw: Path | None, seed: int):
        self.out, self.raw, self.seed = out, raw, seed
        self.turns: list[Callable[[int, np.random.Generator], dict]] = [
            self._phantom, self._phantom, self._phantom, self._hearts,
            self._phantom, self._phantom, self._volumes, self._levels,
            self._phantom, self._phantom, self._lgg if raw else self._phantom, self._sunnybrook,
        ]  # fmt: skip

    def clean(self, number: int) -> dict:
        """What is found in one clean set."""
        rng = np.random.default_rng([self.seed, 1, number])
        return self.turns[number % len(self.turns)](number, rng)

    def _phantom(self, number: int, rng: np.random.Generator) -> dict:
        kind = ("clean", "no_signal", "volume_only", "label_noise")[rng.integers(4)]
        patients = int(rng.choice(SIZES))
        dose = 0.95 if kind == "label_noise" else None
        found = audited(kind, patients, drawn_seed(self.seed, CLEAN, number), False, dose)
        return {"kind": kind, "patients": patients, "volumes": False, **found}

    def _volumes(self, number: int, rng: np.random.Generator) -> dict:
        kind, patients = ("clean", "no_signal")[rng.integers(2)], int(rng.choice(SIZES[:3]))
        found = audited(kind, patients, drawn_seed(self.seed, CLEAN, number), True)
        return {"kind": kind, "patients": patients, "volumes": True, **found}

    def _hearts(self, number: int, rng: np.random.Generator) -> dict:
        """Phantom hearts of 24 patients with six slices each; the patients' classes are drawn."""
        prepared, measured = self._measured("short_axis", None)
        return of_patients("phantom hearts, drawn classes", prepared, measured, None, rng)

    def _sunnybrook(self, number: int, rng: np.random.Generator) -> dict:
        if not self.raw:
            return self._hearts(number, rng)
        prepared, measured = self._measured("sax_levels", self.raw / "sunnybrook")
        pathologies = [patient.rpartition("-")[0] for patient in prepared.patients]  # SC-HF-I-01
        return of_patients("sunnybrook, pathology exchanged", prepared, measured, pathologies, rng)

    def _levels(self, number: int, rng: np.random.Generator) -> dict:
        """Levels exchanged among the records of each patient."""
        name = "sunnybrook" if self.raw else "phantom hearts"
        prepared, measured = (
            self._measured("sax_levels", self.raw / "sunnybrook") if self.raw
            else self._measured("short_axis", None)
        )  # fmt: skip
        labels = prepared.labels.copy()
        for patient in np.unique(prepared.patients.astype(str)):
            own = np.flatnonzero(prepared.patients == patient)
            labels[own] = rng.permutation(labels[own])
        findings = shortcut_findings(measured, labels_of(prepared, labels))
        return {"kind": f"{name}, levels exchanged within patients", **told(findings)}

    def _lgg(self, number: int, rng: np.random.Generator) -> dict:
        prepared, measured = self._measured("lgg_grade", self.raw / "lgg")
        labels = list(prepared.labels)
        return of_patients("lgg, grade exchanged", prepared, measured, labels, rng)

    @cache  # noqa: B019
    def _measured(self, name: str, raw: Path | None) -> tuple[Prepared, Measured]:
        """A prepared set and what the probes see of it, which does not depend on the labels."""
        task_name = "sax_levels" if raw is None else name
        task_file = FOLDER / f"{task_name}.py"
        if raw is None:
            raw = self.out / f"{name}-raw"
            write_fake_raw(task_file, raw, 24, self.seed)
        task: Task = load_task(task_file)
        prepared, _ = prepare(task, task_file, raw, self.out / f"{name}-set")
        context = Context("MR", prepared.sources())
        return prepared, measure(prepared, np.arange(len(prepared)), context)


def of_patients(
    kind: str, prepared: Prepared, measured: Measured, classes: list | None, rng: np.random.Generator
) -> dict:
    """What is found when patients exchange their classes, and when every record counts as a patient.

    `classes` is of each record, the same in all of a patient; None draws one of two for each patient.
    """
    owners, place = np.unique(units_of(prepared, "group"), return_inverse=True)
    if classes is None:
        of_owner = np.arange(len(owners)) % 2
    else:
        number_of = np.unique(np.asarray(classes).astype(str), return_inverse=True)[1]
        of_owner = number_of[[int(np.flatnonzero(place == one)[0]) for one in range(len(owners))]]
    labels = rng.permutation(of_owner)[place]
    found = {"kind": kind, "patients": len(owners)}
    found |= told(shortcut_findings(measured, labels_of(prepared, labels)))
    if len(owners) < len(prepared):
        own = labels_of(prepared, labels)
        alone = np.arange(len(prepared))
        of_records = replace(own, patients=alone.astype(str).astype(object), owners=alone)
        found["guard"] = told(shortcut_findings(measured, of_records))
    return found


def labels_of(prepared: Prepared, labels: np.ndarray) -> Labels:
    """Labels of a set's records, and who exchanges them."""
    names = tuple(map(str, range(labels.max() + 1)))
    owners = units_of(prepared, "group")
    return Labels(labels, prepared.patients, owners, prepared.sites, names)


def print_table(results: list[dict]) -> None:
    """Counts, shares and exact intervals of each row, then of the clean sets by kind."""
    rows = []
    for row in (CLEAN, GUARD, *planted_rows()):
        hits = [_hit(one) for one in results if one["row"] == row]
        if row == GUARD:
            hits = [bool(one["guard"]["alarms"]) for one in results if "guard" in one]
        what = "any alarm" if row in (CLEAN, GUARD) else "found"
        rows.append(_row(row, what, hits))
    for row in (CLEAN, *planted_rows()):
        for kind in sorted({one["kind"] for one in results if one["row"] == row}):
            of_kind = [one for one in results if one["row"] == row and one["kind"] == kind]
            for volumes in sorted({one.get("volumes", False) for one in of_kind}):
                own = [one for one in of_kind if one.get("volumes", False) == volumes]
                hits = [_hit(one) for one in own]
                name = f"{row}: {kind}{', volumes' if volumes else ''}"
                rows.append(_row(name, "any alarm" if row == CLEAN else "found", hits))
    print(markdown(rows, ("sets", "what is counted", "count", "share", "95 % interval")))
    seconds = [one["seconds"] for one in results]
    print(f"\n{len(seconds)} sets, {np.mean(seconds or [0]):.1f} s each")


def _hit(result: dict) -> bool:
    """Whether a clean set has an alarm; of another, whether what is in it was found."""
    if result["row"] == CLEAN:
        return bool(result["alarms"])
    return bool(set(FOUND_AS[result["kind"]]) & {*result["alarms"], *result["leaks"]})


def _row(name: str, what: str, hits: list[bool]) -> tuple:
    if not hits:
        return (name, what, "-", "-", "-")
    low, high = clopper_pearson(sum(hits), len(hits))
    share = f"{100 * np.mean(hits):.1f} %"
    return (name, what, f"{sum(hits)} of {len(hits)}", share, f"{100 * low:.1f} to {100 * high:.1f} %")


if __name__ == "__main__":
    main()
