"""A network beside its baselines, and what its images add to the covariates."""

from mri_tf.tables.layout import markdown, with_interval

NAMES = {
    "auc": "AUC", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy",
    "quadratic_kappa": "quadratic κ",
}  # fmt: skip
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
    shown = [name for name in NAMES if any(name in one["numbers"] for one in counted)]
    rows = [
        [one["name"], *(_number(one["numbers"][name]) for name in shown),
         *(_difference(one["difference"][name]) for name in shown[:2])]
        for one in counted
    ]  # fmt: skip
    columns = ["baseline", *(NAMES[name] for name in shown),
               *(f"network minus baseline, {NAMES[name]}" for name in shown[:2])]  # fmt: skip
    text = (
        "What a classifier reaches that does not look at the image, or hardly. Each is a regularised "
        "logistic regression, learned from the patients that the network learned from and judged on the "
        "same held-out ones."
    )
    parts = [text, markdown(rows, columns), comparison(metrics)]
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
    if found["reason"]:
        return f"The image adds: not known ({found['reason']})."
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
    rows = [[name, _number(found[key])] for key, name in ALONE.items()]
    rows.append(["both minus covariates", _difference(found["difference"])])
    text = (
        "Both: a logistic regression on the answers of covariates and network, its weights fitted on "
        "other patients than those it is judged on."
    )
    return f"{sentence} {text}\n\n{markdown(rows, ['what answers', 'AUC (95 % interval)'])}"


def _number(number: dict) -> str:
    return with_interval(number["value"], number["low"], number["high"], number.get("reason") or "")


def _difference(number: dict) -> str:
    """Without the reason why there is no interval, which a sentence gives once for all."""
    reason = number.get("reason") or ""
    if number["value"] is None:
        return f"undefined ({reason})"
    return with_interval(number["value"], number["low"], number["high"], "", signed=True)
