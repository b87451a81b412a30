"""The box on top of a card: the question, the patients, the headline number and what the audit says."""

from collections import Counter

from mri_tf.audit.finding import AUDIT, CANNOT_TELL, FOUND, STATUSES
from mri_tf.core.errors import first_few
from mri_tf.report.blocks import Block, Facts, Section, Text
from mri_tf.report.material import MEMBERS, RUN, STUDY, Judged, Material
from mri_tf.report.numbers import brief, counted, name_of, p_text, shown
from mri_tf.report.options import Options
from mri_tf.store.looks import is_closed

NOT_A_DEVICE = (
    "Research software. Not a medical device: no diagnosis and no treatment may rest on these numbers."
)
SYNTHETIC = "Trained and tested on a synthetic phantom: the numbers say nothing about patients."
MOST_CLASSES = 8  # that are named
# Nothing was found by the whole audit; something was; a leak that needs no statistics was; nothing was
# found by the certain checks of the training alone; nobody looked.
PASSED, ATTENTION, LEAK, ONLY_CERTAIN, NOT_AUDITED = (
    "passed", "attention", "leak", "certain checks only", "not audited",
)  # fmt: skip
NOT_LOOKED = "left out: the training was started with --no-audit, so nobody looked for leaks"


def verdict(material: Material, options: Options) -> Section:
    """The first section."""
    blocks: list[Block] = [Text(question_of(material))]
    if material.prepared is not None and material.prepared.manifest.get("synthetic"):
        blocks.append(Text(SYNTHETIC, "attention"))
    blocks.append(Text(NOT_A_DEVICE, "note"))
    blocks += _headline(material, options)
    blocks += _warning(material)
    rows = [("patients" if material.unit == "patients" else material.unit, _patients(material, options))]
    metrics = material.metrics
    if "majority_accuracy" in metrics:
        rows.append(("always naming the largest class", _majority(metrics)))
    rows.append(("audit", audit_status(material)))
    if material.task.caution:
        rows.append(("caution of the task", material.task.caution))
    return Section("verdict", "Verdict", (*blocks, Facts(tuple(rows))))


def question_of(material: Material) -> str:
    """What the task asks: the first line of its description, or its name and classes."""
    if asked := material.runs[0].values.get("question"):
        return asked
    classes = ", ".join(material.class_titles)
    if material.is_classifier:
        return f"Which of these is an image of the task {material.task.name}: {classes}?"
    return f"Where are, in an image of the task {material.task.name}: {classes}?"


def headline_metric(material: Material) -> str:
    """The number that the task names first; of a segmentation Dice."""
    if not material.is_classifier:
        return "dice_mean"
    within = material.kind == MEMBERS and material.task.primary_metric == "auc"
    return "auc_within_folds" if within else material.task.primary_metric


def p_of(metrics: dict, metric: str) -> str:
    """The p-value of a metric by exchanging labels, as a sentence's part; "" where there is none."""
    found = metrics.get("better_than_chance") or {}
    values = found.get("p") or {}
    name = metric.removesuffix("_within_folds")
    if name not in values:  # the exchange of labels counts AUC and balanced accuracy only
        name = next(iter(values), "")
    p = values.get(name)
    if p is None:
        return ""
    of = "" if name == metric.removesuffix("_within_folds") else f"of the {name_of(name)} "
    return f"{of}{p_text(p)} for no better than chance ({_how(found)})"


def _how(found: dict) -> str:
    """How a p-value was found, in few words: the whole method stands under Performance."""
    if "approximate" in found.get("method", ""):
        return "approximate, of networks that share training patients"
    if found.get("exact"):
        return "exact"
    return f"of {found.get('draws')} exchanges of the labels"


def _headline(material: Material, options: Options) -> list[Block]:
    if not material.metrics:
        closed = is_closed(material.run) if material.kind != STUDY else False
        why = ("The test side is locked and nobody has looked at it, so there are no numbers yet."
               if closed else "Nothing was evaluated, so there are no numbers.")  # fmt: skip
        if material.kind == STUDY and not material.is_classifier:
            why = "The numbers of a study of segmentations stand under Performance."
        return [Text(why, "missing")]
    return [block for judged in material.judged for block in _of_one(material, judged, options)]


def _of_one(material: Material, judged: Judged, options: Options) -> list[Block]:
    metric, metrics = headline_metric(material), judged.metrics
    if metric not in metrics:
        return [Text(f"{judged.name}: {name_of(metric)} was not computed.", "missing")]
    number = metrics[metric]
    name = f"{judged.name}: " if len(material.judged) > 1 else ""
    headline, over = f"{name}{name_of(metric, number)} {brief(number)}", counted(number, options)
    together = metrics.get("auc") if metric == "auc_within_folds" else None
    if together and number["value"] is not None:
        headline = f"{name}{name_of(metric)} {number['value']:.3f}; all folds together {brief(together)}"
        said = [f"95 % interval over {over}, of all folds together"]
    elif number.get("low") is not None:
        said = [f"95 % interval over {over}"]
    else:
        said = [f"counted on {over}; no interval: {number.get('reason', 'no reason recorded')}"]
    said += [text for text in [p_of(metrics, metric)] if text]
    return [Text(headline, "headline"), Text("; ".join(said) + ".")]


def _warning(material: Material) -> list[Block]:
    """What stands in the way of believing the headline: certain leaks, and marks that tell the label."""
    found = [one for one in material.findings or [] if one["status"] == FOUND]
    certain = [one["name"] for one in found if one.get("certain")]
    marks = [one["name"] for one in found if one.get("p") is not None]
    if certain:
        named = first_few(certain)
        said = f"Do not believe the numbers above: the audit found a certain leak ({named})."
    elif marks:
        said = (
            "The numbers above may rest on something other than what the task asks. The audit found: "
            f"{first_few(marks)}. Read the section Audit first."
        )
    return [Text(said, "attention")] if certain or marks else []


def _patients(material: Material, options: Options) -> str:
    """How many patients the numbers are over, of each class."""
    classes = material.metrics.get("per_class", {})
    counts = [values.get("patients") for values in classes.values()]
    if not counts or None in counts:
        number = material.metrics.get(headline_metric(material)) or {}
        return counted(number, options) or f"{_in_set(material)} in the prepared set"
    named = [f"{title} {count}" for title, count in
             zip(material.class_titles, options.row(counts), strict=True)]  # fmt: skip
    where = "on the test side" if material.kind == RUN else "tested, by networks that never saw them"
    total = options.count(material.metrics["accuracy"]["n"])
    return f"{total} {where}: {first_few(named, MOST_CLASSES)}"


def _in_set(material: Material) -> str:
    if material.prepared is None:
        return "not known how many"
    return f"{len(set(material.prepared.patients))} {material.unit}"


def _majority(metrics: dict) -> str:
    better = metrics.get("beats_majority")
    verdicts = {True: "the network is better", False: "the network is not shown to be better"}
    said = f"; {verdicts[better]}" if better in verdicts else ""
    own = f" beside {shown(metrics['accuracy'])} of the network" if "accuracy" in metrics else ""
    return f"accuracy {metrics['majority_accuracy']:.3f}{own}{said}"


def audit_verdict(material: Material) -> str:
    """What the audit found, in a word or two."""
    found = [one for one in material.findings or () if one["status"] == FOUND]
    if material.findings is None:
        return NOT_AUDITED
    if any(one.get("certain") for one in found):
        return LEAK
    if found:
        return ATTENTION
    return PASSED if material.whole_audit else ONLY_CERTAIN


def audit_status(material: Material) -> str:
    """What the audit found, in a line."""
    if material.findings is None:
        looked = any(AUDIT in run.values for run in material.runs)
        return NOT_LOOKED if looked else "not known: of an earlier version"
    findings = material.findings
    certain = [one["name"] for one in findings if one["status"] == FOUND and one.get("certain")]
    found = [one["name"] for one in findings if one["status"] == FOUND and not one.get("certain")]
    counts = Counter(one["status"] for one in findings)
    parts = [f"CERTAIN LEAK: {', '.join(certain)}" if certain else "no certain leak"]
    parts += [f"found: {', '.join(found)}"] if found else []
    shown_counts = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    what = "findings of the whole audit" if material.whole_audit else "certain checks of the training"
    parts.append(f"{len(findings)} {what}: {', '.join(shown_counts)}")
    if not material.whole_audit:
        parts.append("shortcuts were not looked for; python -m mri_tf.audit does")
    elif counts[CANNOT_TELL]:
        parts.append("what cannot be told is not excluded")
    return "; ".join(parts)
