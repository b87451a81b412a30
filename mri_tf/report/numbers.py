"""How numbers of metrics.json are written on a card."""

from mri_tf.core import metric_names
from mri_tf.report.options import Options
from mri_tf.tables.layout import with_interval


def name_of(metric: str, number: dict | None = None) -> str:
    """The name of a metric as people write it, with the specificity that it is at."""
    at = (number or {}).get("specificity")
    name = metric_names.name_of(metric)
    return f"{name} at a specificity of {at:g}" if isinstance(at, float) else name


def shown(number: dict | None, signed: bool = False) -> str:
    """`0.801 (0.741 to 0.858)`, with the reason where there is no value; "" where there is no number."""
    if not number:
        return ""
    reason = (number.get("reason") or "").replace("`", "")
    text = with_interval(number["value"], number.get("low"), number.get("high"), reason, signed)
    measured = f" {number['measured_in']}" if number.get("measured_in") else ""
    return text + measured


def brief(number: dict | None, signed: bool = False) -> str:
    """The same without the reason for a missing interval, for narrow tables."""
    if number and number["value"] is not None:
        return shown({**number, "reason": ""}, signed)
    return shown(number, signed)


def counted(number: dict, options: Options) -> str:
    """Over how many the interval is: `24 patients`."""
    return f"{options.count(number['n'])} {number['unit']}" if "n" in number else ""


def p_text(p: float | None) -> str:
    """`p = 0.034`; "" where there is none.

    >>> p_text(0.0341), p_text(0.00001), p_text(None)
    ('p = 0.034', 'p = 1e-05', '')
    """
    return "" if p is None else f"p = {p:.2g}"


def is_number(value: object) -> bool:
    """Whether a value of metrics.json is a number with its interval."""
    return isinstance(value, dict) and {"value", "low", "high"} <= set(value)
