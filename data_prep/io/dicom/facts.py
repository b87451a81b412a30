"""Reads fields of a DICOM header that may be damaged, and the acquisition facts that are kept."""

import math
import re

from data_prep.ages import kept_age

# Fact -> header fields; the first that is present counts (enhanced files name some differently).
NUMBERS = {
    "field_strength_t": ("MagneticFieldStrength",),
    "tr_ms": ("RepetitionTime",),
    "te_ms": ("EffectiveEchoTime", "EchoTime"),
    "ti_ms": ("InversionTime", "InversionTimes"),
    "flip_angle_degrees": ("FlipAngle",),
    "slice_thickness_mm": ("SliceThickness",),
}
PATIENT = ("sex", "age")  # facts of the patient; all others are of the acquisition
SEXES = ("F", "M", "O")
DICOM_AGE = re.compile(r"\d{3}[DWMY]")
TEXTS = {"manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
SCANNING_SEQUENCES = ("SE", "IR", "GR", "EP", "RM")  # the standard's terms; others may be free text
# Free text that says that no contrast agent was given, or not which: whole texts and first words.
NO_AGENT = {"", "n", "na", "unk", "false", "native", "nativ", "plain", "unenhanced", "n a"}
NO_AGENT_BEGINS = {
    "no", "none", "not", "non", "nil", "without", "wo", "nein", "ohne", "kein", "keine", "sans",
    "unknown", "undefined", "pre", "precontrast", "noncontrast", "nc",
}  # fmt: skip
NOTHING_GIVEN = re.compile(r"0+([.,]0+)?\s*(ml|cc|mg|g|mmol|mmol/kg|l)?")
IDENTITIES = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientBirthDate", "PatientMotherBirthName", "PatientAddress", "StudyDate", "AccessionNumber",
    "StudyID", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
)  # fmt: skip
GAUSS_PER_TESLA = 10_000.0
SHORTEST_WORD = 3


class Fields:
    """Header values by keyword, from the first source that has one; bad values count as absent."""

    def __init__(self, sources: list):
        self._sources = sources

    def get(self, keyword: str):
        """The value, or None."""
        for source in self._sources:
            try:
                value = source.get(keyword)
            except Exception:  # noqa: S112 - pydicom converts the value here and raises any error
                continue
            if value is not None and value != "":
                return value
        return None

    def text(self, keyword: str) -> str:
        """The value as text, several values joined by backslashes as in the file; "" if absent."""
        value = self.get(keyword)
        parts = value if _is_list(value) else [] if value is None else [value]
        return "\\".join(str(part).strip() for part in parts)

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly `count` finite numbers, or None."""
        value = self.get(keyword)
        parts = list(value) if _is_list(value) else [value]
        try:
            numbers = tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            return None
        return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None

    def number(self, keyword: str) -> float | None:
        """One finite number, or None."""
        numbers = self.numbers(keyword, 1)
        return numbers[0] if numbers else None


def acquisition_facts(fields: Fields) -> dict:
    """The facts of a header that are worth auditing and do not identify the patient.

    Returns:
        modality, manufacturer, model, field_strength_t, tr_ms, te_ms, ti_ms, flip_angle_degrees,
        slice_thickness_mm, scanning_sequence, and of the patient sex and age (at most 90), without those
        that are unknown; contrast_agent (bool; its name would be free text); and low_is_white, True,
        where low values are shown bright (MONOCHROME1). A manufacturer or model that contains a word of
        a name, id or date in the same header is left out.
    """
    facts = {"contrast_agent": has_contrast_agent(fields)}
    if fields.text("PhotometricInterpretation") == "MONOCHROME1":
        facts["low_is_white"] = True
    modality = fields.text("Modality")
    if len(modality) == 2 and modality.isalpha():
        facts["modality"] = modality
    for name, keywords in NUMBERS.items():
        numbers = [fields.number(keyword) for keyword in keywords]
        numbers = [number for number in numbers if number is not None and number >= 0]
        if numbers:
            facts[name] = numbers[0]
    if facts.get("field_strength_t", 0) > 100:  # some scanners write gauss
        facts["field_strength_t"] /= GAUSS_PER_TESLA
    identifying = set().union(*(_words(fields.text(keyword)) for keyword in IDENTITIES))
    for name, keyword in TEXTS.items():
        text = " ".join(fields.text(keyword).split())
        if text and not identifying & _words(text):
            facts[name] = text
    terms = [term for term in fields.text("ScanningSequence").split("\\") if term in SCANNING_SEQUENCES]
    if terms:
        facts["scanning_sequence"] = "\\".join(terms)
    return facts | _of_patient(fields)


def _of_patient(fields: Fields) -> dict:
    """Sex and age, where the header gives them as the standard says."""
    sex, age = fields.text("PatientSex").upper(), fields.text("PatientAge").upper()
    found = {"sex": sex} if sex in SEXES else {}
    return found | ({"age": kept_age(age)} if DICOM_AGE.fullmatch(age) else {})


def has_contrast_agent(fields: Fields) -> bool:
    """Whether the header names a contrast agent; False does not prove that none was given."""
    administered = fields.text("ContrastBolusAgentAdministered")  # per frame, in enhanced files
    if administered:
        return administered == "YES"
    agents = fields.get("ContrastBolusAgentSequence")
    if agents:
        meanings = [Fields([agent]).text("CodeMeaning") for agent in agents]
        return any(not meaning or names_agent(meaning) for meaning in meanings)
    return names_agent(fields.text("ContrastBolusAgent"))


def names_agent(text: str) -> bool:
    """Whether free text names a contrast agent, and does not say that there was none.

    >>> names_agent("10 ml Dotarem"), names_agent("W/O"), names_agent("NO CONTRAST"), names_agent("0 ml")
    (True, False, False, False)
    """
    text = text.strip().lower()
    if NOTHING_GIVEN.fullmatch(text):
        return False
    joined = text
    for written, meant in (
        ("w/o", "without"), ("n/a", "na"), ("pre-", "pre"), ("non-", "non"), ("non ionic", "nonionic"),
    ):  # fmt: skip
        joined = joined.replace(written, meant)
    words = "".join(letter if letter.isalnum() else " " for letter in joined).split()
    if " ".join(words) in NO_AGENT:
        return False
    # "without and with", "pre and post": it was given between two parts of the examination
    return words[0] not in NO_AGENT_BEGINS or bool({"with", "post"} & set(words[1:]))


def _words(text: str) -> set[str]:
    """Words of three or more letters or digits, in lower case."""
    letters = "".join(letter if letter.isalnum() else " " for letter in text.lower())
    return {word for word in letters.split() if len(word) >= SHORTEST_WORD}


def _is_list(value) -> bool:
    return isinstance(value, list | tuple) or type(value).__name__ == "MultiValue"
