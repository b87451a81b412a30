"""The sections on limits, and on what more patients would be worth."""

from mri_tf.report.blocks import Author, Block, Listed, Section, Text
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.report.verdict import NOT_A_DEVICE, SYNTHETIC
from mri_tf.store.looks import is_closed, looks_of, times
from mri_tf.tables import looks_sentence
from mri_tf.tables.run import better_than_chance, unfamiliar_sentences

MORE = "More "  # how the section of a study's report begins, see mri_tf/study/more_patients.py
CURVE = "(figures/curves.svg)"  # how the line of the learning curves ends in such a report
POSITION = (
    "The label is a position in the stack by definition, so the order of the files is no shortcut and "
    "the audit does not look at it."
)
NOT_AUDITED = (
    "The training was started with --no-audit, or is of a version without one: leaks were not looked "
    "for."
)
NEEDS_SIZES = (
    "This needs a study of several training sizes: python -m mri_tf.study --train-sizes 4,8,16 "
    "--repeats 3."
)


def limits(material: Material, options: Options) -> Section:
    """What the numbers do not say."""
    task, metrics = material.task, material.metrics
    told = [one.metrics.get("note", "") for one in material.judged]
    notes = [task.caution, *(part for note in told for part in note.split("; "))]
    if material.prepared is not None and material.prepared.manifest.get("synthetic"):
        notes.insert(0, SYNTHETIC)
    if task.label_from_position:
        notes.append(POSITION)
    if (metrics.get("better_than_chance") or {}).get("better") and not all(
        metrics["better_than_chance"]["better"].values()
    ):
        notes.append(better_than_chance(metrics))
    if metrics.get("beats_majority") is False:
        notes.append("The network is not shown to be better than always naming the largest class.")
    if material.findings is None:
        notes.append(NOT_AUDITED)
    notes.append(
        "The numbers are for one data set; of another hospital they are not known before python -m "
        "mri_tf.evaluate --run RUN --data DATA has measured them."
    )
    notes = [_sentence(note) for note in dict.fromkeys(filter(None, notes))]
    return Section("limits", "Limits", (
        Listed(tuple(notes)), *_looks(material), *_unfamiliar(metrics), Text(NOT_A_DEVICE, "note"),
        Author("what the results mean for practice, and what else limits them."),
    ))  # fmt: skip


def _looks(material: Material) -> list[Block]:
    """How often the test side was looked at."""
    if material.kind == STUDY:
        return [Text("Looks at a test side: every cell of a study is evaluated once. Variants that were "
                     "tried in other studies of the same patients are not counted.")]  # fmt: skip
    if material.kind == MEMBERS and not material.run.sides["test"]:
        why = "Looks at a test side: none is held apart; each patient is tested once in a repeat."
        return [Text(why)]
    if is_closed(material.run):
        return [Text("The test side was locked before training ended, and nobody has looked at it.")]
    numbers = material.test or material.metrics
    sentence, total = looks_sentence(numbers), looks_of(material.run)
    shown = numbers["test_looks"]["look"] if sentence else 0
    more = f" The test side has been looked at {times(total)} in all." if total > max(shown, 1) else ""
    return [Text((sentence or "Looks at the test side were not counted by that version.") + more)]


def _unfamiliar(metrics: dict) -> list[Block]:
    said = unfamiliar_sentences(metrics)
    return [Text(said or "How often images are flagged as unlike the training data is not known.",
                 "plain" if said else "missing")]  # fmt: skip


def more_patients(material: Material, options: Options) -> Section:
    """The learning curve of a study."""
    title = "What more patients would be worth"
    found = [name for name in material.report if name.startswith(MORE)]
    if material.kind != STUDY or not found:
        why = NEEDS_SIZES
        if material.kind == STUDY:
            why = f"The study has one training size, or its primary metric is an error. {why}"
        return Section("more-patients", title, (Text(why, "missing"),))
    blocks = blocks_of(material.report[found[0]], found[0], material.folder)
    drawn = [line for line in material.report.get("Figures", "").splitlines() if line.endswith(CURVE)]
    curve = blocks_of("\n".join(drawn), title, material.folder)
    return Section("more-patients", title, (*blocks, *curve))


def _sentence(note: str) -> str:
    text = note[:1].upper() + note[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."

