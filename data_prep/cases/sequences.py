"""Which series of a study is which sequence, by a rule of the task; facts and descriptions only."""

import re
from dataclasses import dataclass
from typing import Protocol

from data_prep.case import Unreadable
from mri_tf.core.errors import InputError, first_few

PATTERNS = ("description", "not_description")
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
    """What of a series is looked at; `data_prep.io.dicom.series.Series` is one."""

    label: str  # how a message names it; no description, in which names occur
    facts: dict
    description: str


@dataclass(frozen=True)
class Choice:
    """Numbers of the chosen candidates by sequence, and why the others were not chosen."""

    found: dict[str, int]
    missing: tuple[str, ...]
    left_out: dict[int, str]


def check_rules(rules: dict[str, dict]) -> None:
    """Raises InputError for a rule that cannot be used.

    A rule is a dictionary of any of: description and not_description (regular expressions, upper
    and lower case alike), contrast (True: with an agent, False: without), slices, tr_ms, te_ms,
    ti_ms, flip_angle_degrees, slice_thickness_mm, field_strength_t (each lowest and highest).
    """
    for sequence, rule in rules.items():
        unknown = sorted(set(rule) - set(KEYS))
        if unknown or not rule:
            raise InputError(
                f"The rule of a sequence has some of {', '.join(KEYS)}.",
                f"{first_few(unknown) or 'nothing'} for {sequence}",
                "Correct prep in the task file.",
            )
        for key, value in rule.items():
            if not _is_valid(key, value):
                raise InputError(
                    f"{key} of a sequence is {_form(key)}.",
                    f"{value!r} for {sequence}",
                    "Correct prep in the task file.",
                )


def choose_sequences(candidates: list[Candidate], rules: dict[str, dict]) -> Choice:
    """One candidate a sequence, none twice; raises Unreadable where several fit and lists them.

    Surest first: (1) the description fits and the contrast agent is as the rule says; (2) the
    description fits, and the header names no agent though the rule wants one, for many scanners
    leave it out; (3) the description fits none of the rule's patterns, but the agent and every
    range do (TR, TE, ...). Several at one of these are narrowed to those within the ranges; a
    candidate that alone fits one sequence is no candidate for another. `slices` and
    `not_description` always hold: a localizer is short in TR and TE, and only its slices tell it.
    """
    check_rules(rules)
    found: dict[str, int] = {}
    for sureness in (1, 2, 3):
        fitting = {
            sequence: [
                number
                for number, candidate in enumerate(candidates)
                if _sureness(candidate, rule) == sureness
            ]
            for sequence, rule in rules.items()
        }
        _settle(candidates, rules, fitting, found)
    left_out = {
        number: _why_left_out(candidate, rules, found)
        for number, candidate in enumerate(candidates)
        if number not in found.values()
    }
    return Choice(found, tuple(name for name in rules if name not in found), left_out)


def _settle(candidates, rules, fitting: dict[str, list[int]], found: dict[str, int]) -> None:
    """Adds to `found` what is settled among the fitting ones; raises Unreadable for the rest."""
    while True:
        open_ones = {
            sequence: [number for number in numbers if number not in found.values()]
            for sequence, numbers in fitting.items()
            if sequence not in found
        }
        open_ones = {
            name: _within_ranges(candidates, numbers, rules[name])
            for name, numbers in open_ones.items()
            if numbers
        }
        single = {name: numbers[0] for name, numbers in open_ones.items() if len(numbers) == 1}
        taken_once = {
            name: number for name, number in single.items() if list(single.values()).count(number) == 1
        }
        if not open_ones:
            return
        if not taken_once:
            raise Unreadable(_several(candidates, open_ones))
        found.update(taken_once)


def _sureness(candidate: Candidate, rule: dict) -> int:
    """1 to 3 as in `choose_sequences`; 0: it does not fit."""
    low, high = rule.get("slices", (0, float("inf")))
    if not low <= candidate.facts.get("slices", low) <= high:
        return 0
    if _matches(candidate, rule.get("not_description", ())):
        return 0
    wanted, named = rule.get("contrast"), bool(candidate.facts.get("contrast_agent"))
    if _matches(candidate, rule.get("description", ())):
        if wanted is None or wanted == named:
            return 1
        return 2 if wanted else 0
    ranges = [name for name in RANGES if name in rule]
    if (ranges or "description" not in rule) and wanted in (None, named):
        return 3 if all(_within(candidate, name, rule) for name in ranges) else 0
    return 0


def _matches(candidate: Candidate, patterns: tuple[str, ...]) -> bool:
    return any(re.search(pattern, candidate.description, re.IGNORECASE) for pattern in patterns)


def _within(candidate: Candidate, name: str, rule: dict) -> bool:
    low, high = rule[name]
    return name in candidate.facts and low <= candidate.facts[name] <= high


def _within_ranges(candidates, numbers: list[int], rule: dict) -> list[int]:
    """Those of several candidates whose numbers are as the rule says; all where none is."""
    ranges = [name for name in RANGES if name in rule]
    fitting = [
        number for number in numbers if all(_within(candidates[number], name, rule) for name in ranges)
    ]
    return fitting if len(numbers) > 1 and fitting else numbers


def _several(candidates, open_ones: dict[str, list[int]]) -> str:
    parts = []
    for name, numbers in open_ones.items():
        labels = first_few(candidates[number].label for number in numbers)
        parts.append(f"{name}: {labels}")
    return f"the rule does not tell series apart; {'; '.join(parts)}"


def _why_left_out(candidate: Candidate, rules: dict[str, dict], found: dict[str, int]) -> str:
    fits = [name for name, rule in rules.items() if _sureness(candidate, rule)]
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


def _form(key: str) -> str:
    if key in PATTERNS:
        return "a list of regular expressions"
    return "True, False or None" if key == "contrast" else "(lowest, highest)"
