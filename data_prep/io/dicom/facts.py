"""Fields of a DICOM header, read without trust, and the acquisition facts kept of them."""

import math

# Fact -> fields, the first that is there wins (enhanced multi-frame files name some otherwise).
NUMBERS = {
    "field_strength_t": ("MagneticFieldStrength",),
    "tr_ms": ("RepetitionTime",),
    "te_ms": ("EffectiveEchoTime", "EchoTime"),
    "ti_ms": ("InversionTime", "InversionTimes"),
    "flip_angle_degrees": ("FlipAngle",),
    "slice_thickness_mm": ("SliceThickness",),
}
TEXTS = {"manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
SCANNING_SEQUENCES = ("SE", "IR", "GR", "EP", "RM")  # the standard's terms; others may be free text
NO_AGENT = {"", "no", "none", "n", "nein", "0"}
IDENTITIES = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientBirthDate", "PatientMotherBirthName", "PatientAddress", "StudyDate", "AccessionNumber",
    "StudyID", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
)  # fmt: skip
GAUSS_PER_TESLA = 10_000.0
SHORTEST_WORD = 3


class Fields:
    """Header values by keyword; the first source that has one wins. Bad values count as absent."""

    def __init__(self, sources: list):
        self._sources = sources

    def get(self, keyword: str):
        """The value, or None."""
        for source in self._sources:
            try:
                value = source.get(keyword)
            except Exception:  # noqa: S112 - pydicom converts here, and raises anything
                continue
            if value is not None and value != "":
                return value
        return None

    def text(self, keyword: str) -> str:
        """The value as text, several joined by a backslash as in the file; empty if absent."""
        value = self.get(keyword)
        parts = value if _is_list(value) else [] if value is None else [value]
        return "\\".join(str(part).strip() for part in parts)

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly so many finite numbers, or None."""
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
    """What of a header is worth auditing and identifies nobody; a fact that is not known is absent.

    modality, manufacturer, model, field_strength_t, tr_ms, te_ms, ti_ms, flip_angle_degrees,
    slice_thickness_mm, scanning_sequence, contrast_agent (whether one is named; which one is free
    text). A text that holds a word of a name, id or date of the same header is left out.
    """
    facts = {"contrast_agent": has_contrast_agent(fields)}
    modality = fields.text("Modality")
    if len(modality) == 2 and modality.isalpha():
        facts["modality"] = modality
    for name, keywords in NUMBERS.items():
        found = [fields.number(keyword) for keyword in keywords]
        found = [number for number in found if number is not None and number >= 0]
        if found:
            facts[name] = found[0]
    if facts.get("field_strength_t", 0) > 100:  # some scanners write gauss
        facts["field_strength_t"] /= GAUSS_PER_TESLA
    words = _identifying_words(fields)
    for name, keyword in TEXTS.items():
        text = " ".join(fields.text(keyword).split())
        if text and not words & _words(text):
            facts[name] = text
    terms = [term for term in fields.text("ScanningSequence").split("\\") if term in SCANNING_SEQUENCES]
    if terms:
        facts["scanning_sequence"] = "\\".join(terms)
    return facts


def has_contrast_agent(fields: Fields) -> bool:
    """Whether the header names an agent. That it names none does not prove that none was given."""
    administered = fields.text("ContrastBolusAgentAdministered")  # a frame's, in enhanced files
    if administered:
        return administered == "YES"
    if fields.get("ContrastBolusAgentSequence"):
        return True
    return fields.text("ContrastBolusAgent").lower() not in NO_AGENT


def _identifying_words(fields: Fields) -> set[str]:
    return set().union(*(_words(fields.text(keyword)) for keyword in IDENTITIES))


def _words(text: str) -> set[str]:
    letters = "".join(letter if letter.isalnum() else " " for letter in text.lower())
    return {word for word in letters.split() if len(word) >= SHORTEST_WORD}


def _is_list(value) -> bool:
    return isinstance(value, list | tuple) or type(value).__name__ == "MultiValue"
