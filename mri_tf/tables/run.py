"""The numbers of one run: as a Markdown page, and as lines for the terminal."""

import numpy as np

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import printed_name
from mri_tf.tables.baselines import baseline_section
from mri_tf.tables.classes import class_table
from mri_tf.tables.context import context_line, context_section
from mri_tf.tables.layout import markdown, number_text, value_text
from mri_tf.tables.looks import looks_sentence
from mri_tf.tables.members import member_section
from mri_tf.tables.sites import site_section, subgroup_section
from mri_tf.tables.units import agreement_line, reader_section, unit_section

SCORES = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc")
SCORES_OF_GRADES = ("quadratic_kappa", "mean_absolute_grade_error")
RECALIBRATED = ("log_loss", "brier", "balanced_accuracy", "calibration_in_the_large")
MAX_GROUPS = 50  # groups of copies on the page; manifest.json has all
MAX_PART_VALUES = 6  # values of a part on the terminal


def run_page(name: str, metrics: dict, class_names: tuple[str, ...]) -> str:
    """Markdown page of a classifier's metrics.json: caution, looks, notes, scores, parts, ends of
    stacks, copies, classes by F1.

    Args:
        name: of the task.
        metrics: the content of metrics.json.
        class_names: in the order of its confusion matrix.
    """
    said = (metrics.get("caution", ""), looks_sentence(metrics), *metrics["note"].split("; "))
    notes = [note for note in said if note]
    title = "\n".join([f"# {name}, split by {metrics['split']}", *(f"- {note}" for note in notes)])
    rows = [[name_of(score), number_text(metrics[score]), metrics[score]["method"] or ""]
            for score in (*SCORES, *SCORES_OF_GRADES) if score in metrics]  # fmt: skip
    rows += [[f"AUC, {cut}", number_text(number), number["method"] or ""]
             for cut, number in metrics.get("auc_per_cut", {}).items()]  # fmt: skip
    for score, number in metrics.get("most_probable", {}).items():
        name = f"{name_of(score)} of the most probable class"
        rows.append([name, number_text(number), number["method"] or ""])
    rows.append(["largest class", f"{metrics['majority_accuracy']:.3f} accuracy", ""])
    sections = [title, markdown(rows, ["score", "value (95 % interval)", "method"])]
    sentences = (operating_point_sentence(metrics), better_than_chance(metrics), sets_sentence(metrics),
                 unfamiliar_sentences(metrics))  # fmt: skip
    sections += [sentence for sentence in sentences if sentence]
    if "calibration" in metrics:
        sections.append(f"## Calibration\n\n{calibration_text(metrics)}")
    if metrics.get("recalibration", {}).get("sizes"):
        sections.append(f"## If it were recalibrated here\n\n{_recalibrated(metrics)}")
    for part, values in metrics.get("parts", {}).items():
        rows = [[value, number_text(number), values["records"][value]]
                for value, number in values["accuracy"].items()]  # fmt: skip
        agreement = number_text(values["agreement"])
        rows.append([f"**{part} right, other parts right or wrong**", agreement, metrics["records"]])
        columns = [part, "accuracy (95 % interval)", "records"]
        sections.append(f"## By {part}\n\n{markdown(rows, columns)}")
    further = (
        baseline_section, unit_section, context_section, reader_section, member_section, site_section,
        subgroup_section,
    )  # fmt: skip
    sections += filter(None, [section(metrics) for section in further])
    if "duplicates" in metrics:
        sections.append(f"## Copies\n\n{_copies(metrics['duplicates'])}")
    table = class_table(np.array(metrics["confusion"]), class_names)
    return "\n\n".join([*sections, f"## Classes\n\n{table}"]) + "\n"


def operating_point_sentence(metrics: dict) -> str:
    """A sentence on the operating point, whose value on the validation side is only apparent."""
    point = metrics.get("operating_point")
    if not point:
        return ""
    value = "undefined" if point["value"] is None else f"{point['value']:.3f}"
    threshold = f", threshold {point['threshold']:.3f}" if point["threshold"] is not None else ""
    unit = metrics["accuracy"]["unit"]
    patients = f"{point['patients']} {unit}" if point.get("patients") else f"{point['n']} records"
    reason = f"; {point['reason']}" if point["reason"] else ""
    made = f"Decisions are made for {_aim(point)}"
    if metrics.get("model_members"):
        return (
            f"{made}{threshold}, chosen on {patients} of the folds by what members said that had not "
            f"seen them (apparent value there: {value}){reason}."
        )
    if "members" in metrics:
        return (
            f"{made}. A fold is decided at a point that the other folds chose; the model of all members "
            f"decides at one that {patients} chose{threshold} (apparent value there: {value}){reason}."
        )
    return (
        f"{made}{threshold}, chosen on {patients} of the validation side (apparent value there: "
        f"{value}){reason}."
    )


def _aim(point: dict) -> str:
    """What the operating point was chosen for."""
    sought, _, fixed = point["criterion"].partition("_at_")
    if not fixed:
        return f"the highest {name_of(sought)}"
    return f"the highest {name_of(sought)} at a {name_of(fixed)} of {point['target']:g}"


def sets_sentence(metrics: dict) -> str:
    """A sentence on how often prediction sets hold the true class."""
    found = metrics.get("prediction_sets")
    if not found:
        return ""
    if found["says_nothing"]:
        return f"There are no prediction sets: {found['reason']}."
    unit, count = found["coverage"]["unit"], found["fitted_on_patients"]
    if "members" in metrics or metrics.get("model_members"):
        return f"{_held(found)} They were fitted on {count} {unit} of {_whom(metrics)}. {_meant(found)}"
    fitted = f"on {count} {unit} that chose nothing else" if count else (
        "on the validation side, which also chose all else, so that they promise too much"
    )  # fmt: skip
    return f"{_held(found)} They were fitted {fitted}. {_meant(found)}"


def _held(found: dict) -> str:
    return (
        f"Prediction sets for {100 * found['level']:.0f} % hold the true class in "
        f"{number_text(found['coverage'])} of the records of {found['coverage']['n']} "
        f"{found['coverage']['unit']}, with {found['mean_size']:.2f} classes on average."
    )


def _meant(found: dict) -> str:
    return f"The {100 * found['level']:.0f} % are meant {found['guarantee']}."


def _whom(metrics: dict) -> str:
    return "the folds" if metrics.get("model_members") else "the other folds"


def unfamiliar_sentences(metrics: dict) -> str:
    """Sentences on how many records are flagged as unlike the training data, by each of two scores."""
    sentences = []
    for name, what in (("images", "intensities or size"), ("features", "the network's features")):
        found = metrics.get("out_of_distribution", {}).get(name)
        if found and "flagged" in found:
            sentences.append(
                f"Flagged as unlike the training data in {what}: {number_text(found['flagged'])} of the "
                f"records; {found['stated']:.3f} is expected of new patients of the same source."
            )
        elif found:
            sentences.append(
                f"Whether records are unlike the training data in {what} is not known: "
                f"{found['reason']}."
            )
    return " ".join(sentences)


def better_than_chance(metrics: dict) -> str:
    """A sentence on whether the numbers are better than chance; empty where it was not asked."""
    found = metrics.get("better_than_chance")
    if not found:
        return ""
    words = {True: "better", False: "not shown to be better"}
    numbers = [f"{name_of(name)} {words[found['better'][name]]} (p = {p:.2g})"
               for name, p in found["p"].items()]  # fmt: skip
    return f"Compared with chance: {', '.join(numbers)}; {found['method']}."


def calibration_text(metrics: dict) -> str:
    """Of each class how often it was expected and seen, intercept and slope; then the binned error
    beside that of perfect probabilities."""
    rows = [
        [printed_name(name), f"{values['predicted']:.3f}", f"{values['observed']:.3f}",
         *(_with_p(values[key]) for key in ("intercept", "slope"))]
        for name, values in metrics["calibration"].items()
    ]  # fmt: skip
    columns = ["class", "mean probability", "share", "intercept (perfect: 0)", "slope (perfect: 1)"]
    table = markdown(rows, columns)
    perfect = metrics["ece"]["if_perfect"]
    error = (
        f"Expected calibration error {metrics['ece']['value']:.3f}; in a set of this size, perfectly "
        f"calibrated probabilities would show {perfect['mean']:.3f} "
        f"({perfect['low']:.3f} to {perfect['high']:.3f})."
    )
    return f"{table}\n\n{error}"


def _with_p(number: dict) -> str:
    return f"{number_text(number)}, p = {number['p']:.2g}" if "p" in number else number_text(number)


def _recalibrated(metrics: dict) -> str:
    """What a recalibration on some of these patients would give on the others."""
    found = metrics["recalibration"]
    rows = []
    for size in found["sizes"]:
        for score in RECALIBRATED:
            values = size[score]
            rows.append([
                size["patients"], name_of(score), f"{values['as_is']:.3f}",
                f"{values['recalibrated']:.3f}", f"{values['low']:+.3f} to {values['high']:+.3f}",
            ])  # fmt: skip
    single = [f"{size['one_class']} of {found['draws']} draws of {size['patients']} patients"
              for size in found["sizes"] if size["one_class"]]  # fmt: skip
    warning = f" Only one class was drawn in {', '.join(single)}." if single else ""
    columns = ["patients", "score on the others", "as it is", "recalibrated", "change in 95 % of draws"]
    return (
        "Temperature, intercepts, class shares and operating point are fitted anew on patients drawn "
        f"at random from these, and counted on the others; means of {found['draws']} draws. The "
        f"network stays as it is.{warning}\n\n{markdown(rows, columns)}"
    )


def _copies(duplicates: dict) -> str:
    across = duplicates["across_classes"]
    shown = f"; the records of the first {MAX_GROUPS} of these groups:" if across else "."
    return (
        f"{duplicates['in_groups']} images of the prepared set are in {duplicates['groups']} groups of "
        f"copies, the largest of {duplicates['largest_group']}; {duplicates['exact_copies']} are exact "
        f"copies.\n{len(across)} groups contain several classes{shown}"
        + "".join(f"\n- {', '.join(records)}" for records in across[:MAX_GROUPS])
    )




def summary(metrics: dict) -> list[str]:
    """Lines for the terminal from a metrics.json: each number with its interval, the look, the note."""
    lines = [_line(name_of(name), format_interval(metrics[name]))
             for name in (*SCORES, *SCORES_OF_GRADES, "dice_mean") if name in metrics]  # fmt: skip
    if "hausdorff95_mean" in metrics:
        distance = metrics["hausdorff95_mean"]
        unit = f" {distance['measured_in']}" if distance["value"] is not None else ""
        lines.append(_line(name_of("hausdorff95_mean"), f"{format_interval(distance)}{unit}"))
    for part, values in metrics.get("parts", {}).items():
        if len(values["accuracy"]) <= MAX_PART_VALUES:
            texts = [f"{value} {value_text(number)} ({values['records'][value]})"
                     for value, number in values["accuracy"].items() if number["n"]]  # fmt: skip
            lines.append(f"by {part}: {', '.join(texts)}")
    if "majority_accuracy" in metrics:
        lines.append(_line("always the largest class", f"{metrics['majority_accuracy']:.3f} accuracy"))
    lines += filter(None, [context_line(metrics), agreement_line(metrics)])
    if chance := better_than_chance(metrics):
        lines.append(chance)
    lines += filter(None, [looks_sentence(metrics), metrics.get("caution", "")])
    return [*lines, f"note: {metrics['note']}"] if metrics["note"] else lines


def _line(name: str, text: str) -> str:
    """Names of usual length above each other, so that the numbers are."""
    return f"{name:<24} {text}"


def format_interval(number: dict) -> str:
    """A number of metrics.json in words.

    >>> format_interval({"value": 0.612, "low": 0.52, "high": 0.704, "n": 24, "unit": "patients"})
    '0.612 (95 % interval 0.520 to 0.704, 24 patients)'
    """
    if number["value"] is None:
        return "undefined"
    counted = f"{number['n']} {number['unit']}"
    if number["low"] is None:
        return f"{number['value']:.3f} (no interval, {counted})"
    interval = f"{number['low']:.3f} to {number['high']:.3f}"
    return f"{number['value']:.3f} (95 % interval {interval}, {counted})"
