"""Sections of a run's page: numbers by what one answer is about, and the agreement of readers."""

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural
from mri_tf.tables.layout import markdown, value_text, with_interval

ABOUT = {
    "record": "one record: a slice, an image or a volume",
    "case": "one case: the mean probability of its records",
    "patient": "one patient: the mean probability of the patient's cases",
}
SHOWN = ("accuracy", "balanced_accuracy", "auc", "quadratic_kappa", "mean_absolute_grade_error")


def unit_section(metrics: dict) -> str:
    """A line for each unit, with those of records from the numbers of the whole page; may be empty."""
    found = metrics.get("by_unit")
    if not found:
        return ""
    shown = [name for name in SHOWN if name in metrics]
    rows, notes = [], []
    for unit, values in found.items():
        numbers = metrics if unit == "record" else values
        texts = [_number(numbers[name]) if name in numbers else "none" for name in shown]
        rows.append([ABOUT[unit], values["n"], *texts])
        if left_out := values.get("left_out"):
            notes.append(f"Left out there: {plural(left_out, unit)} with records of several labels.")
    table = markdown(rows, ["one answer is about", "n", *map(name_of, shown)])
    return "\n\n".join(["## By record, case and patient", table, *notes])


def reader_section(metrics: dict) -> str:
    """Who agrees with whom; empty where no readers are known."""
    found = metrics.get("readers")
    if not found:
        return ""
    rows = []
    if "among" in found:
        rows.append(_row("the readers with each other", found["among"]))
    for name, values in found["network"].items():
        whom = "the truth" if name == "truth" else _named(name)
        rows.append(_row(f"the network with {whom}", values))
    for name, values in found.get("with_the_others", {}).items():
        rows.append(_row(f"{_named(name)} with what the other readers agree on", values))
    table = markdown(rows, ["who", "cases", "kappa (95 % interval)", "same class (95 % interval)"])
    kinds = {"of two": next(iter(found["network"].values())).get("kind")}
    if "with_the_others" in found:
        kinds = {"of all readers together": found["among"]["kind"]} | kinds
    named = [f"{of} it is {kind}" for of, kind in kinds.items() if kind]
    notes = [f"The kappa: {'; '.join(named)}."] if named else []
    notes += [found["note"][0].upper() + found["note"][1:] + "."] if found["note"] else []
    return "\n\n".join(["## Readers", table, *notes])


def agreement_line(metrics: dict) -> str:
    """A sentence for the terminal; empty where no readers are known."""
    found = metrics.get("readers")
    if not found:
        return ""
    kappas = {name: value_text(values["kappa"]) for name, values in found["network"].items()}
    parts = [f"{_named(name)} at kappa {kappa}" for name, kappa in kappas.items() if name != "truth"]
    line = f"the network agrees with {', '.join(parts)}"
    return line + (f"; the readers with each other at {value_text(found['among']['kappa'])}"
                   if "among" in found else "")  # fmt: skip


def _row(who: str, values: dict) -> list:
    return [who, values["cases"], _number(values["kappa"]), _number(values["agreement"])]


def _named(reader: str) -> str:
    """`reader 2` of "reader2"."""
    return reader.replace("reader", "reader ")


def _number(number: dict) -> str:
    """The reason only where there is no value: why there is no interval stands in metrics.json."""
    why = number.get("reason") or "" if number["value"] is None else ""
    return with_interval(number["value"], number["low"], number["high"], why)
