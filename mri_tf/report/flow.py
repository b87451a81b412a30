"""The flow diagram: from the cases that were listed to the sides of the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from mri_tf.report.blocks import Block, Figure, Section, Text
from mri_tf.report.material import MEMBERS, RUN, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.splits.known_copies import known_copies_note
from mri_tf.task.spec import SIDES

WIDE, BOX, LINE, GAP, TOP = 720, 300, 19, 34, 12  # of the drawing, in pixels
MOST_CLASSES = 8  # in a box
SAID = ("train on", "validate on", "test on")


@dataclass(frozen=True)
class Box:
    """A box of the diagram: its lines, and what leaves the flow there, to its right."""

    lines: tuple[str, ...]
    beside: tuple[str, ...] = ()


def flow(material: Material, options: Options) -> Section:
    """The section with the diagram, and the same in a sentence."""
    title = "From the data to the sides"
    if material.prepared is None:
        why = "The prepared set is no longer where it was, so cases and skipped files are not known."
        blocks: tuple[Block, ...] = (Text(why, "missing"), *_sides_alone(material, options))
        return Section("flow", title, blocks)
    boxes, sides = _boxes(material, options), _sides(material, options)
    said = " → ".join([*map(_in_words, boxes), "; ".join(map(_in_words, sides))])
    figure = Figure(_drawn(boxes, sides, said), f"In words: {said}.")
    return Section("flow", title, (figure, *_notes(material)))


def _in_words(box: Box) -> str:
    left = f" ({' '.join(box.beside)})" if box.beside else ""
    return ", ".join(box.lines) + left


def _boxes(material: Material, options: Options) -> list[Box]:
    prepared = material.prepared
    counts = prepared.manifest.get("counts", {})
    skipped, cases = counts.get("skipped", 0), counts.get("cases")
    boxes = []
    if cases is not None:
        left = (f"{skipped} could not be read", "and were skipped") if skipped else ("none was skipped",)
        boxes.append(Box((f"{cases + skipped} cases listed",), left))
        boxes.append(Box((f"{cases} cases read",)))
    else:
        boxes.append(Box(("cases listed: not known",), (f"{skipped} skipped",)))
    labelled = int((prepared.labels >= 0).sum())
    beside = ()
    if material.is_classifier and labelled < len(prepared):
        beside = (f"{len(prepared) - labelled} records", "without a label")
    boxes.append(Box((f"{len(prepared)} records on the grid",), beside))
    patients = options.count(len(set(prepared.patients)))
    boxes.append(Box((f"{patients} {material.unit}",), _unused(material, options)))
    return boxes


def _unused(material: Material, options: Options) -> tuple[str, ...]:
    """The patients of the set who are on no side."""
    used = {name for run in material.runs for names in run.values["patients"].values() for name in names}
    used |= {name for names in material.run.values["patients"].values() for name in names}
    left = len(set(material.prepared.patients) - used)
    return (f"{options.count(left)} {material.unit}", "are on no side") if left else ()


def _sides(material: Material, options: Options) -> list[Box]:
    if material.kind == RUN:
        return [_side(material, side, said, options) for side, said in zip(SIDES, SAID, strict=True)]
    folds = [Box((_folds(material), *_range(material, options)))]
    if material.kind == MEMBERS and material.run.sides["test"]:
        folds.append(_side(material, "test", "held apart, test on", options))
    return folds


def _folds(material: Material) -> str:
    if material.kind == STUDY:
        return f"{len(material.runs)} trainings of the study"
    return f"{material.run.values['split']}: {len(material.runs)} networks"


def _range(material: Material, options: Options) -> list[str]:
    """How many patients the trainings have on each side."""
    lines = []
    for side, said in zip(SIDES, SAID, strict=True):
        counts = [len(run.values["patients"][side]) for run in material.runs]
        reach = " to ".join(dict.fromkeys(options.count(end) for end in (min(counts), max(counts))))
        lines.append(f"{said} {reach} {material.unit} each")
    return lines


def _side(material: Material, side: str, said: str, options: Options) -> Box:
    patients = len(material.run.values["patients"][side])
    lines = [f"{said} {options.count(patients)} {material.unit}",
             f"{len(material.run.sides[side])} records"]  # fmt: skip
    if material.is_classifier and material.prepared is not None:
        counts = patients_of_classes(material, material.positions(side))
        named = zip(material.class_titles, options.row(counts), strict=True)
        lines += [f"{title}: {count}" for title, count in named][:MOST_CLASSES]
        if (more := len(counts) - MOST_CLASSES) > 0:
            lines.append(f"and {more} more classes")
    return Box(tuple(lines))


def patients_of_classes(material: Material, records: np.ndarray) -> list[int]:
    """How many patients have records of each class among these positions of the set."""
    prepared = material.prepared
    pairs = set(zip(prepared.patients[records], prepared.labels[records].tolist(), strict=True))
    return [sum(label == own for _, label in pairs) for own in range(len(material.task.class_names))]


def _sides_alone(material: Material, options: Options) -> list[Block]:
    boxes = _sides(material, options)
    return [Text("; ".join(", ".join(box.lines) for box in boxes) + ".")]


def _notes(material: Material) -> list[Block]:
    notes = []
    if material.kind == RUN and (kept := material.run.values.get("reserved")) and kept["records"]:
        notes.append(Text(f"{len(kept['records'])} records of the validation side were kept apart for "
                          "prediction sets and chose nothing else."))  # fmt: skip
    if material.kind == RUN and (copies := material.run.values.get("known_copies")):
        said = known_copies_note(copies, len(material.run.sides["test"]))
        notes.append(Text(f"{said}.", "note"))
    return notes


def _drawn(boxes: Sequence[Box], sides: Sequence[Box], said: str) -> str:
    """The diagram as SVG: one box below the other, then the sides beside each other."""
    parts, top, middle = [], TOP, WIDE // 2 - 90
    for box in boxes:
        height = len(box.lines) * LINE + 16
        parts.append(_box(middle - BOX // 2, top, BOX, box.lines))
        if box.beside:
            line = top + height / 2
            parts.append(_arrow(middle + BOX / 2, line, middle + BOX / 2 + 44, line))
            parts.append(_words(middle + BOX / 2 + 52, top + 12 + LINE * 0.6, box.beside))
        top += height
        if box is not boxes[-1]:
            parts.append(_arrow(middle, top, middle, top + GAP - 4))
        top += GAP
    width = (WIDE - 16 * (len(sides) - 1)) / len(sides)
    parts.append(_arrow(middle, top - GAP, middle, top - 4))
    for number, box in enumerate(sides):
        parts.append(_box(number * (width + 16) + 1, top, width - 2, box.lines))
    height = top + max(len(box.lines) for box in sides) * LINE + 30
    return (
        f'<svg role="img" aria-labelledby="flow-title" viewBox="0 0 {WIDE} {height:.0f}" '
        f'width="{WIDE}" height="{height:.0f}" font-family="system-ui, Verdana, sans-serif" '
        f'font-size="14"><title id="flow-title">Flow diagram. {escape(said)}</title>'
        '<defs><marker id="flow-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#1b1b1b"/></marker></defs>'
        f'{"".join(parts)}</svg>'
    )


def _box(left: float, top: float, width: float, lines: Sequence[str]) -> str:
    height = len(lines) * LINE + 16
    rect = (f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height}" rx="4" '
            'fill="#f4f8fb" stroke="#1b1b1b"/>')  # fmt: skip
    return rect + _words(left + 12, top + 8 + LINE * 0.75, lines)


def _words(left: float, top: float, lines: Sequence[str]) -> str:
    return "".join(
        f'<text x="{left:.0f}" y="{top + number * LINE:.0f}" fill="#1b1b1b">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#1b1b1b" '
            'stroke-width="1.5" marker-end="url(#flow-head)"/>')  # fmt: skip
