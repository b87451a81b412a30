"""Finds which DICOM series of a case is which sequence, by the rules of the task.

The reasons given here are kept in the records and in answers, so they hold acquisition facts only: names
of people occur in descriptions, which are free text, and in the names of files.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from data_prep.case import Unreadable
from mri_tf.core.errors import InputError, first_few

PATTERNS = ("description", "not_description")
TIMES = ("tr_ms", "te_ms", "ti_ms")
RANGES = {  # key of a rule -> how a message names it
    "tr_ms": "TR {:g} ms",
    "te_ms": "TE {:g} ms",
    "ti_ms": "TI {:g} ms",
    "flip_angle_degrees": "flip angle {:g} degrees",
    "slice_thickness_mm": "thickness {:g} mm",
    "field_strength_t": "{:g} T",
}
KEYS = (*PATTERNS, "contrast", "slices", *RANGES)


class Candidate(Protocol):
    """What is looked at of a series; `data_prep.io.dicom.series.Series` is one."""

    facts: dict
    description: str


@dataclass(frozen=True)
class Choice:
    """The chosen candidates, and why the others were left out; candidates by their position."""

    chosen: dict[str, int]  # sequence -> candidate
    missing: tuple[str, ...]
    left_out: dict[int, str]  # candidate -> reason


def check_rules(rules: dict[str, dict]) -> None:
    """Raises InputError for a rule that cannot be used.

    Args:
        rules: sequence -> dictionary with any of: description and not_description (regular
            expressions, ignoring case), contrast (True: with an agent, False: without), slices, tr_ms,
            te_ms, ti_ms, flip_angle_degrees, slice_thickness_mm, field_strength_t (each lowest and
            highest).
    """
    if not isinstance(rules, dict) or not all(isinstance(rule, dict) for rule in rules.values()):
        raise InputError(
            "sequences in prep must give a rule for each sequence.", repr(rules)[:80],
            'For example sequences=dict(t1=dict(description=("t1",))).',
        )  # fmt: skip
    for sequence, rule in rules.items():
        unknown = sorted(set(rule) - set(KEYS))
        if unknown or not rule:
            raise InputError(
                "The rule of a sequence is empty or has unknown keys.",
                f"{first_few(unknown) or 'nothing'} for {sequence}",
                f"Correct prep in the task file; known keys: {', '.join(KEYS)}.",
            )
        for key, value in rule.items():
            if not _is_valid(key, value):
                raise InputError(
                    f"{key} in the rule of a sequence must be {_expected(key)}.",
                    f"{value!r} for {sequence}",
                    "Correct prep in the task file.",
                )


def choose_sequences(candidates: list[Candidate], rules: dict[str, dict]) -> Choice:
    """Chooses at most one candidate for each sequence, and none twice.

    A candidate fits a rule with one of three levels of certainty, tried in this order:
    (1) the description matches and the contrast agent is as the rule says;
    (2) the description matches, and the header names no agent though the rule wants one: many scanners
        leave it out;
    (3) the description does not match, but the agent and every range of the rule do (TR, TE, ...).
    Several candidates of one level are narrowed to those within the ranges, and a candidate that is the
    only one for a sequence is not considered for another. `slices` and `not_description` always hold: a
    localizer has short TR and TE, and only its few slices give it away.

    Raises:
        Unreadable: several candidates fit a sequence equally well; the message says what their headers
            hold.
    """
    check_rules(rules)
    chosen: dict[str, int] = {}
    for level in (1, 2, 3):
        _choose_at_level(level, candidates, rules, chosen)
    left_out = {
        number: _why_left_out(candidate, rules)
        for number, candidate in enumerate(candidates)
        if number not in chosen.values()
    }
    return Choice(chosen, tuple(name for name in rules if name not in chosen), left_out)


def _choose_at_level(
    level: int, candidates: list[Candidate], rules: dict[str, dict], chosen: dict[str, int]
) -> None:
    """Adds to `chosen` the sequences with one candidate at this level; Unreadable if one has several."""
    while True:
        free = [number for number in range(len(candidates)) if number not in chosen.values()]
        fitting = {}
        for name, rule in rules.items():
            numbers = [number for number in free if _level(candidates[number], rule) == level]
            if name not in chosen and numbers:
                fitting[name] = _within_ranges(candidates, numbers, rule)
        if not fitting:
            return
        single = {name: numbers[0] for name, numbers in fitting.items() if len(numbers) == 1}
        claims = list(single.values())
        unambiguous = {name: number for name, number in single.items() if claims.count(number) == 1}
        if not unambiguous:
            raise Unreadable(_several(candidates, fitting))
        chosen.update(unambiguous)


def _level(candidate: Candidate, rule: dict) -> int:
    """1 to 3 as in `choose_sequences`; 0: it does not fit."""
    low, high = rule.get("slices", (0, float("inf")))
    if not low <= candidate.facts.get("slices", low) <= high:
        return 0
    if _matches(candidate, rule.get("not_description", ())):
        return 0
    wants_agent, has_agent = rule.get("contrast"), bool(candidate.facts.get("contrast_agent"))
    if _matches(candidate, rule.get("description", ())):
        if wants_agent is None or wants_agent == has_agent:
            return 1
        return 2 if wants_agent else 0
    ranges = [name for name in RANGES if name in rule]
    if (ranges or "description" not in rule) and wants_agent in (None, has_agent):
        return 3 if all(_within(candidate, name, rule) for name in ranges) else 0
    return 0


def _matches(candidate: Candidate, patterns: tuple[str, ...]) -> bool:
    return any(re.search(pattern, candidate.description, re.IGNORECASE) for pattern in patterns)


def _within(candidate: Candidate, name: str, rule: dict) -> bool:
    low, high = rule[name]
    return name in candidate.facts and low <= candidate.facts[name] <= high


def _within_ranges(candidates: list[Candidate], numbers: list[int], rule: dict) -> list[int]:
    """Those of several candidates that lie within the rule's ranges; all of them if none does."""
    ranges = [name for name in RANGES if name in rule]
    fitting = [
        number for number in numbers if all(_within(candidates[number], name, rule) for name in ranges)
    ]
    return fitting if len(numbers) > 1 and fitting else numbers


def _several(candidates: list[Candidate], fitting: dict[str, list[int]]) -> str:
    parts = [
        f"{name}: {first_few(_measured(candidates[number].facts) for number in numbers)}"
        for name, numbers in fitting.items()
    ]
    return f"several series fit the rule of one sequence; {'; '.join(parts)}"


def _measured(facts: dict) -> str:
    """Such as "24 slices (TR 500 ms, TE 10 ms, contrast agent)"."""
    known = [RANGES[name].format(facts[name]) for name in TIMES if name in facts]
    known += ["contrast agent"] if facts.get("contrast_agent") else []
    return f"{facts.get('slices', 0)} slices" + (f" ({', '.join(known)})" if known else "")


def _why_left_out(candidate: Candidate, rules: dict[str, dict]) -> str:
    fits = [name for name, rule in rules.items() if _level(candidate, rule)]
    if fits:
        return f"another series was surer to be {' or '.join(fits)}"
    facts = candidate.facts
    described = [
        name
        for name, rule in rules.items()
        if _matches(candidate, rule.get("description", ()))
        and not _matches(candidate, rule.get("not_description", ()))
    ]
    agent = "a contrast agent" if facts.get("contrast_agent") else "no contrast agent"
    count = facts.get("slices", 0)
    if described:
        return f"described as {' or '.join(described)}, but has {agent} and {count} slices"
    known = [RANGES[name].format(facts[name]) for name in ("tr_ms", "te_ms") if name in facts]
    if not known:
        return "its description fits no sequence, and its header gives no TR or TE"
    return f"its description fits no sequence, nor do {', '.join(known)} with {agent} and {count} slices"


def _is_valid(key: str, value) -> bool:
    if key in PATTERNS:
        return isinstance(value, tuple | list) and all(_is_pattern(item) for item in value)
    if key == "contrast":
        return value is None or isinstance(value, bool)
    numbers = isinstance(value, tuple | list) and len(value) == 2
    return numbers and all(type(item) in (int, float) for item in value) and value[0] <= value[1]


def _is_pattern(item) -> bool:
    try:
        re.compile(item)
    except (re.error, TypeError):
        return False
    return isinstance(item, str)


def _expected(key: str) -> str:
    if key in PATTERNS:
        return "a list of regular expressions"
    return "True, False or None" if key == "contrast" else "(lowest, highest)"
