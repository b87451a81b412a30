"""A network beside its baselines, and what its images add to the covariates."""

from collections.abc import Iterable

from mri_tf.core.metric_names import NAMES
from mri_tf.tables.layout import markdown, with_interval, with_notes

SCORES = ("auc", "balanced_accuracy", "accuracy", "quadratic_kappa")
ALONE = {"covariates": "covariates alone", "image": "image alone", "both": "both"}
COMPARED = "auc"  # what sentences are about


def baseline_section(metrics: dict) -> str:
    """Sections of a run's page; "" where nothing was compared."""
    parts = []
    if metrics.get("baselines"):
        parts.append(f"## Baselines\n\n{baseline_table(metrics)}")
    if metrics.get("added_value"):
        parts.append(f"## What the image adds\n\n{added_value_text(metrics)}")
    return "\n\n".join(parts)


def baseline_table(metrics: dict) -> str:
    """A row for each baseline: its numbers and the network's difference to it; below, why some are not
    there."""
    counted = [one for one in metrics["baselines"] if not one["reason"]]
    lacking = [one for one in metrics["baselines"] if one["reason"]]
    shown = [name for name in SCORES if any(name in one["numbers"] for one in counted)]
    rows = [
        [one["name"], *(_short(one["numbers"][name]) for name in shown),
         *(_short(one["difference"][name], signed=True) for name in shown[:2])]
        for one in counted
    ]  # fmt: skip
    columns = ["baseline", *(NAMES[name] for name in shown),
               *(f"network minus baseline, {NAMES[name]}" for name in shown[:2])]  # fmt: skip
    text = (
        "What a classifier reaches that does not look at the image, or hardly. Each is a regularised "
        "logistic regression, learned from the patients that the network learned from and judged on the "
        "same held-out ones."
    )
    without = [f"{NAMES[name]}: {reason}." for name in shown
               for reason in _reasons(one["numbers"][name] for one in counted)]  # fmt: skip
    parts = [text, with_notes(markdown(rows, columns), without), comparison(metrics)]
    if lacking:
        reasons = "; ".join(f"{one['name']}: {one['reason']}" for one in lacking)
        parts.append(f"Not compared: {reasons}.")
    return "\n\n".join(filter(None, parts))


def comparison(metrics: dict) -> str:
    """Which baselines the network is better than, in a sentence; "" where none was compared."""
    better, not_shown, unknown = [], [], {}
    for one in metrics.get("baselines", []):
        found = one["difference"].get(COMPARED)
        if found is None:
            continue
        if found["low"] is None:
            unknown.setdefault(found.get("reason", ""), []).append(one["name"])
        else:
            (better if found["low"] > 0 else not_shown).append(one["name"])
    parts = [f"better than {', '.join(better)}"] if better else []
    parts += [f"not shown to be better than {', '.join(not_shown)}"] if not_shown else []
    parts += [f"not compared with {', '.join(names)} ({reason})" for reason, names in unknown.items()]
    return f"By {NAMES[COMPARED]} the network is {'; '.join(parts)}." if parts else ""


def added_value_sentence(metrics: dict) -> str:
    """What the image adds to the covariates, in a sentence; "" where it was not asked.

    >>> difference = {"value": 0.08, "low": 0.01, "high": 0.15}
    >>> added_value_sentence({"added_value": {"shown": True, "difference": difference, "reason": ""}})
    'The image adds: AUC +0.08 (0.01 to 0.15).'
    """
    found = metrics.get("added_value")
    if not found:
        return ""
    value = found["difference"]
    if found["reason"] or value["low"] is None:
        return f"The image adds: not known ({found['reason'] or 'it has no interval'})."
    interval = f"{value['low']:.2f} to {value['high']:.2f}"
    if found["shown"]:
        return f"The image adds: AUC {value['value']:+.2f} ({interval})."
    return f"The image adds: not shown (AUC {value['value']:+.2f}, {interval})."


def baseline_line(metrics: dict) -> str:
    """Both in a line for the terminal."""
    return " ".join(filter(None, [comparison(metrics), added_value_sentence(metrics)]))


def added_value_text(metrics: dict) -> str:
    """The sentence, and the AUCs that it rests on."""
    found, sentence = metrics["added_value"], added_value_sentence(metrics)
    if found["covariates"]["value"] is None:
        return sentence
    rows = [[name, _short(found[key])] for key, name in ALONE.items()]
    rows.append(["both minus covariates", _short(found["difference"], signed=True)])
    text = (
        "Both: a logistic regression on the answers of covariates and network, its weights fitted on "
        "other patients than those it is judged on."
    )
    table = markdown(rows, ["what answers", "AUC (95 % interval)"])
    notes = [f"AUC: {reason}." for reason in _reasons(found[key] for key in ALONE)]
    return f"{sentence} {text}\n\n{with_notes(table, notes)}"


def _short(number: dict, signed: bool = False) -> str:
    """Without the reason why there is no interval, which is given once for all."""
    if number["value"] is not None and number["low"] is None:
        return f"{number['value']:+.3f}" if signed else f"{number['value']:.3f}"
    return with_interval(
        number["value"], number["low"], number["high"], number.get("reason") or "", signed
    )


def _reasons(numbers: Iterable[dict]) -> list[str]:
    """Why numbers have no interval, each reason once."""
    lacking = (one.get("reason") for one in numbers if one["value"] is not None and one["low"] is None)
    return list(dict.fromkeys(filter(None, lacking)))
