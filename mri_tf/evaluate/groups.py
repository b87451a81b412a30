"""Groups of evaluated records by what preparation kept of them, and a classifier's numbers in each.

Site, scanner, sex and bands of age and spacing: from the table of the raw data and, of a scanner, from
DICOM headers. They describe machines and many patients at once, and name nobody.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.ages import age_in_years
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.subgroups import subgroups
from mri_tf.metrics.within_sites import within_sites
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record, source_spacing_mm
from mri_tf.store.scanners import NOT_KNOWN, SCANNER, SITE, scanner_of

SEX, AGE, SPACING = "sex", "age", "spacing"
SEX_WORDS = {
    "f": "female", "female": "female", "w": "female", "woman": "female", "weiblich": "female",
    "m": "male", "male": "male", "man": "male", "männlich": "male", "maennlich": "male",
}  # fmt: skip
AGES = (20, 40, 60, 80)  # years, where bands begin
SPACINGS_MM = (1.0, 2.0, 4.0, 6.0)  # where bands end


def group_values(
    prepared: Prepared, records: np.ndarray, scored: Predictions, class_names: Sequence[str],
    folds: np.ndarray | None = None,
) -> dict:  # fmt: skip
    """`within_sites` and `subgroups` for metrics.json, each only where there is something to tell.

    Args:
        prepared: the set.
        records: (units,) positions of one record a unit.
        scored: (units,) what was predicted.
        class_names: in the order of the class numbers.
        folds: (units,) the fold that each was held out in, of predictions of several networks.
    """
    values = {}
    if within := within_sites(scored, prepared.sites[records], class_names, folds):
        values["within_sites"] = within
    if rows := subgroups(scored, groups_of(prepared, records), class_names, folds):
        values["subgroups"] = rows
    return values


def groups_of(prepared: Prepared, records: np.ndarray) -> dict[str, np.ndarray]:
    """Kind of group -> (records,) names, by position in a set; a record may be there several times."""
    once, place = np.unique(records, return_inverse=True)
    rows = []
    for position in once.tolist():
        record = prepared.record(position)
        known = str(prepared.sites[position]) or NOT_KNOWN
        facts = record.facts
        rows.append((known, scanner_of(facts), sex_of(facts), age_band(facts), spacing_band(record)))
    columns = np.array(rows, dtype=object).reshape(len(once), 5)[place].T
    return dict(zip((SITE, SCANNER, SEX, AGE, SPACING), columns, strict=True))


def sex_of(facts: dict) -> str:
    """female, male or other; a free word of a table is not printed."""
    word = str(facts.get("sex", "")).strip().lower()
    return SEX_WORDS.get(word, "other") if word else NOT_KNOWN


def age_band(facts: dict) -> str:
    """Such as "40 to 59".

    >>> age_band({"age": "063Y"}), age_band({"age": "18 M"}), age_band({"age": "90 years"})
    ('60 to 79', 'under 20', '80 and above')
    >>> age_band({"age": 90}), age_band({})
    ('80 and above', 'not known')
    """
    years = age_in_years(facts.get("age"))
    if np.isnan(years):
        return NOT_KNOWN
    band = int(np.searchsorted(AGES, years, side="right"))
    if band == 0:
        return f"under {AGES[0]}"
    return f"{AGES[-1]} and above" if band == len(AGES) else f"{AGES[band - 1]} to {AGES[band] - 1}"


def spacing_band(record: Record) -> str:
    """The largest step of the original voxels, mostly the distance of slices, such as "2 to 4 mm"."""
    spacing = source_spacing_mm(record.facts) or record.spacing_mm
    if spacing is None or not np.isfinite(spacing).all():
        return NOT_KNOWN
    # Rounded, so that steps of exactly a limit are not parted by the last digit.
    band = int(np.searchsorted(SPACINGS_MM, round(max(spacing), 2), side="left"))
    if band == 0:
        return f"up to {SPACINGS_MM[0]:g} mm"
    if band == len(SPACINGS_MM):
        return f"above {SPACINGS_MM[-1]:g} mm"
    return f"{SPACINGS_MM[band - 1]:g} to {SPACINGS_MM[band]:g} mm"
