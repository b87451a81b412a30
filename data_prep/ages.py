"""Ages of patients: how tables and DICOM headers write them, and the oldest that is kept."""

import math
import re

AGE, OLDEST = "age", 90  # a column of tables, and what stands for every age above 89 years
AGES = re.compile(  # 63, 063Y, "63 years", 018M, "18 months"
    r"(\d+(?:[.,]\d+)?)\s*(?:([ymwd])|(y)ears?|(m)onths?|(w)eeks?|(d)ays?)?", re.IGNORECASE
)
IN_A_YEAR = {"y": 1.0, "m": 12.0, "w": 52.18, "d": 365.25}


def kept_age(text: str) -> str:
    """An age as records keep it: above 89 it is 90, as so few people are older.

    >>> kept_age("71"), kept_age("093Y"), kept_age("89.5"), kept_age("95 years"), kept_age("elderly")
    ('71', '90', '90', '90', 'elderly')
    """
    return str(OLDEST) if age_in_years(text) > OLDEST - 1 else text


def age_in_years(value: object) -> float:
    """Years of a number, of DICOM's `045Y` or `018M`, or of "45 years"; NaN where it is none of them.

    >>> age_in_years("063Y"), age_in_years("18 months"), age_in_years("62,5"), age_in_years("elderly")
    (63.0, 1.5, 62.5, nan)
    """
    found = AGES.fullmatch(str("" if value is None else value).strip())
    if not found:
        return math.nan
    unit = next((letter.lower() for letter in found.groups()[1:] if letter), "y")
    return float(found[1].replace(",", ".")) / IN_A_YEAR[unit]
