"""Sections of the model card with numbers: scores, calibration, and what is unlike the training data."""

import json

from mri_tf.calibration.answers import Answers, answers_from_json
from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.familiar_images import Familiar
from mri_tf.calibration.pooled import PooledAnswers
from mri_tf.calibration.prediction_sets import LEVEL
from mri_tf.core.metric_names import name_of
from mri_tf.evaluate.familiarity import usual_range
from mri_tf.export.card_members import correlation_rows
from mri_tf.export.members_graph import IN_SET
from mri_tf.export.out_of_distribution import FAR, OUTSIDE
from mri_tf.export.source import ExportSource
from mri_tf.pipeline.image_statistics import STATISTICS
from mri_tf.store.frozen import TEST_LOCK, lock_name
from mri_tf.store.looks import is_closed
from mri_tf.store.run import METRICS, Run
from mri_tf.tables import markdown
from mri_tf.tables.layout import with_interval

SCORES = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "ece", "dice_mean",
          "hausdorff95_mean")  # fmt: skip
OF_ONE_MEMBER = " These are rates of single members; their mean flags fewer."
CLASS_SCORES = ("precision", "recall", "f1", "auc", "dice", "hausdorff95")


def card_numbers(run: Run) -> str:
    """Tables of the scores on held-out records, or why there are none."""
    metrics = run_metrics(run)
    if is_closed(run):
        patients, records = len(run.values["patients"]["test"]), len(run.sides["test"])
        return (
            f"None yet: the test side ({patients} patients, {records} records) was locked before "
            f"training ended, and nobody has looked at it (lock {lock_name(run.values[TEST_LOCK])}). "
            "`python -m mri_tf.evaluate --run RUN` opens it; then export the run again."
        )
    if not metrics:
        return "Not evaluated: run `python -m mri_tf.evaluate --run RUN`, then export the run again."
    rows = [[name_of(key), *_cells(metrics[key])] for key in SCORES if key in metrics]
    if "majority_accuracy" in metrics:
        rows.insert(1, ["always the largest class", f"{metrics['majority_accuracy']:.3f} accuracy", ""])
    what = "On records that a member left out, by that member alone" if run.has_members else (
        "On held-out records"
    )  # fmt: skip
    text = f"{what}.\n\n" + markdown(rows, ["score", "value (95 % interval)", "n"])
    classes = metrics["per_class"]
    columns = [key for key in CLASS_SCORES if any(key in scores for scores in classes.values())]
    rows = [
        [name, *(_cells(scores[key])[0] if key in scores else "" for key in columns)]
        for name, scores in classes.items()
    ]
    return f"{text}\n\n{markdown(rows, ['class', *columns])}"


def run_metrics(run: Run) -> dict:
    """The content of the run's metrics.json; empty where it was not evaluated."""
    path = run.folder / METRICS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _cells(number: dict) -> list[str]:
    text = with_interval(number["value"], number["low"], number["high"], number.get("reason") or "")
    measured = f" {number['measured_in']}" if "measured_in" in number else ""
    return [text + measured, f"{number['n']} {number['unit']}"]


def _chosen_on(point: dict, has_members: bool) -> str:
    patients = f"{point['patients']} patients, " if point.get("patients") else ""
    value = "" if point["value"] is None else f" (apparent value there: {point['value']:.3f})"
    of = "that members left out" if has_members else "of the validation side"
    return f"{patients}{point['n']} records {of}{value}"


def card_calibration(run: Run) -> str:
    """A table of what turns a classifier's outputs into probabilities, decisions and sets."""
    answers, names = run.values["answers"], run.task.class_names
    point = answers["point"]
    target = f" {point['target']:g}" if point["target"] is not None else ""
    calibrator = answers_from_json(answers)
    rows = correlation_rows(run) if run.has_members else [
        ["temperature", f"{calibrator.temperature:.3g}"]
    ]  # fmt: skip
    rows += [
        ["intercepts beside it", _listed(names, calibrator.intercepts)],
        ["class shares assumed by the probabilities", _listed(names, answers["natural"])],
        ["operating point", f"{point['criterion']}{target}, on {_chosen_on(point, run.has_members)}"],
        ["factors of the decision", _listed(names, point["class_factors"])],
        [f"{LEVEL:.0%} prediction set", _sets(calibrator)],
    ]  # fmt: skip
    reasons = [text for text in (answers["reason"], point["reason"]) if text]
    notes = "".join(f"\n- {text}" for text in reasons)
    return markdown(rows, ["what", "value"]) + (f"\n{notes}" if notes else "")


def _sets(calibrator: Answers) -> str:
    if not calibrator.has_sets:
        return f"none: {calibrator.why_no_sets}"
    if isinstance(calibrator, PooledAnswers):
        return (
            f"the output `{IN_SET}`, from {calibrator.set_patients} patients; the "
            f"{LEVEL:.0%} are meant {calibrator.guarantee}"
        )
    fitted = f"{calibrator.set_patients} patients that chose nothing else"
    lowest = 1 - calibrator.set_threshold
    return (
        f"classes with a probability of {lowest:.3g} or more, fitted on "
        f"{fitted if calibrator.set_patients else 'the validation side'}; the "
        f"{LEVEL:.0%} are meant {calibrator.guarantee}"
    )


def _listed(names, values) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True))


def card_familiarity(source: ExportSource) -> str:
    """The flags for unfamiliar input with their rates of false alarms, and the usual values."""
    images, features = source.familiarity.images, source.familiarity.features
    counted = run_metrics(source.run).get("out_of_distribution", {})
    what = "patients" if source.run.task.bag else "images"
    sizes = "the spacing" if source.run.task.spacing else "no size"
    lines = [
        f"- `{OUTSIDE}` of a signature, by intensities and {sizes}: "
        f"{_alarms(images.graph_limits.of_answers(), None, what)}",
        "- `out_of_distribution` of `mri_tf.predict`, by the sizes of the original file too: "
        f"{_alarms(images.limits.of_answers(), counted.get('images'), what)}",
    ]
    if features is not None:
        lines.append(
            f"- `{FAR}`, by what the network's last layer reads: "
            f"{_alarms(features.limit, counted.get('features'), what)}"
            + (OF_ONE_MEMBER if source.run.has_members else "")
        )
    text = "\n".join(lines)
    return text if images.limits.records.value is None else f"{text}\n\n{_usual(images)}"


def _alarms(limit: Limit, counted: dict | None, what: str) -> str:
    """The rate of false alarms that a flag was made for, and the share of held-out records it flags."""
    if limit.value is None:
        return f"{limit.reason}."
    text = (
        f"made to flag {100 * limit.rate:.1f} % of new {what} of the same source, from "
        f"{limit.patients} patients"
    )
    if not counted or "flagged" not in counted:
        return f"{text}."
    share, patients = _cells(counted["flagged"])
    if abs(counted["stated"] - limit.rate) > 1e-9:  # the limits of a cross-validation's folds
        made_for = f"limits of the other folds, made to flag {100 * counted['stated']:.1f} %"
        return f"{text}; {made_for}, flag a share of {share} of the held-out {what} ({patients})."
    return f"{text}; of the held-out {what} it flags a share of {share} ({patients})."


def _usual(images: Familiar) -> str:
    """The values that are not flagged: a row a channel, then the sizes that are known."""
    ranges = dict(zip(images.names, (usual_range(images, n) for n in range(len(images.names))),
                      strict=True))  # fmt: skip
    first = f"{STATISTICS[0]} of "
    channels = [name.removeprefix(first) for name in images.names if name.startswith(first)]
    rows = [[channel, *(_range(ranges.pop(f"{name} of {channel}")) for name in STATISTICS)]
            for channel in channels]  # fmt: skip
    text = markdown(rows, ["channel", *STATISTICS])
    if rows := [[name, _range(usual)] for name, usual in ranges.items() if usual]:
        text += "\n\n" + markdown(rows, ["size", "usual"])
    return f"Usual values of whole images, from {images.records} records:\n\n{text}"


def _range(limits: tuple[float, float] | None) -> str:
    return "not known" if limits is None else "{:.4g} to {:.4g}".format(*limits)
