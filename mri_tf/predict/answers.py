"""Answers of an exported model for the records of a case.

The records go through the code of prepared sets: they are encoded, parsed, cut and given to the model's
signature as evaluate gives them to the network, so that both give the same answers.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import tensorflow as tf

from data_prep.case import Unreadable
from data_prep.cases.to_predict import CaseToPredict
from data_prep.layout_calls import read_case
from mri_tf.calibration.calibrator import Calibrator
from mri_tf.calibration.familiar_images import familiar_scores
from mri_tf.calibration.prediction_sets import prediction_sets
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.evaluate.familiarity import reasons
from mri_tf.export.inputs import input_arrays
from mri_tf.export.members_graph import DISAGREEMENT, IN_SET
from mri_tf.export.out_of_distribution import CANNOT_TELL, DISTANCE, FAR, OUTSIDE, SPACING
from mri_tf.export.reader import Call, Exported
from mri_tf.pipeline.field_of_view import box_cut
from mri_tf.pipeline.image_statistics import statistics_of
from mri_tf.pipeline.subset import COMBAT_KNOWN, COMBAT_NUMBER
from mri_tf.splits.units import slices_of_case
from mri_tf.store.record import Record, encode_example, parse_examples, stored
from mri_tf.store.scanners import batch_of, numbers_of
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch

MAX_RECORDS = 16  # in one call
MAX_REASONS = 6
OVER_SLICES = "its slices together are further from the training data than those of its patients"
NO_TUMOUR = "no tumour was found: the whole image is used"


@dataclass(frozen=True)
class Model:
    """An opened model: its description, how to call it, and the model that finds its tumour boxes."""

    exported: Exported
    call: Call
    signatures: tuple[str, ...]
    segmenter: "Model | None" = None
    most_numbers: int = 2**26  # image values in one call of several records


@dataclass(frozen=True)
class Answer:
    """The answer for one record, or for all slices of a patient (`record` is None)."""

    probabilities: np.ndarray  # (classes,) calibrated, at the class shares of the training side
    decision: int  # class, at the operating point
    prediction_set: tuple[int, ...] | None  # classes; None where the model has none
    unlike: "Unlike"
    record: Record | None
    disagreement: np.ndarray | None = None  # (classes,) SD of the members' probabilities, if several
    corrected: bool | None = None  # whether its site or scanner is known, where features are corrected


@dataclass(frozen=True)
class Unlike:
    """Whether an input is unlike the training data; None where it cannot be told."""

    images: bool | None  # by intensities and size
    reasons: tuple[str, ...]  # why it is, or why it cannot be told
    features: bool | None = None  # by what the network's last layer reads
    distance: float | None = None  # of these features


def read_records(layout: ModuleType, case: CaseToPredict, task: Task) -> list[Record]:
    """The records of a case as preparation makes them; raises Unreadable."""
    records = read_case(layout, case.raw, case.case, task)
    if not records:
        raise Unreadable("it holds no image")
    if task.spacing and records[0].spacing_mm is None:
        raise Unreadable("its pixel spacing in mm is unknown, and the task resamples slices by it")
    mask = records[0].mask
    if task.box.get("around") == "mask" and mask is not None and not mask.any():
        raise Unreadable("its tumour mask is empty on the prepared grid")
    return records


def answer_records(model: Model, records: list[Record]) -> list[Answer]:
    """An answer for each record, by a classifier of single records."""
    answers = []
    size = max(1, min(MAX_RECORDS, model.most_numbers // records[0].image.size))
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        feed = feed_of(batch, model.exported)
        outputs = model.call(DEFAULT_SIGNATURE, feed)
        statistics = _statistics(feed, batch)
        for position, record in enumerate(batch):
            unlike = _unlike(model.exported, statistics[[position]], outputs, position)
            if model.exported.task.box.get("around") == "mask" and not record.predicted_mask.any():
                unlike = dataclasses.replace(
                    unlike, images=True, reasons=(NO_TUMOUR, *unlike.reasons)
                )
            answer = _answer(model.exported, outputs, position, unlike, record)
            if COMBAT_NUMBER in feed:
                known = bool(feed[COMBAT_NUMBER][position] > 0)
                answer = dataclasses.replace(answer, corrected=known)
            answers.append(answer)
    return answers


def sample_slices(exported: Exported, records: list[Record]) -> list[Record]:
    """The slices of a case about as far apart as in training; all where the task has no spacing."""
    if not exported.task.spacing:
        return records
    return records[slices_of_case(len(records), stored(records[0]), exported.fitted)]


def answer_patient(model: Model, records: list[Record]) -> Answer:
    """One answer for all sampled slices of a patient."""
    feed = feed_of(records, model.exported)
    bag = {"slices" if name == "image" else name: array[None] for name, array in feed.items()}
    outputs = model.call("slices", {**bag, "mask": np.ones((1, len(records)), np.float32)})
    unlike = _unlike(model.exported, _statistics(feed, records), outputs, 0)
    return _answer(model.exported, outputs, 0, unlike, None)


def with_box_mask(model: Model, record: Record) -> Record:
    """The record with `predicted_mask`, around which its box is cut: the segmenter's or the user's."""
    mask = record.mask if model.segmenter is None else label_map(model.segmenter, record)[0]
    return dataclasses.replace(record, predicted_mask=(mask > 0).astype(np.uint8))


def label_map(model: Model, record: Record) -> tuple[np.ndarray, Unlike]:
    """Each voxel's most probable label, (*grid) uint8, and whether the record is unlike the training."""
    feed = feed_of([record], model.exported)
    outputs = model.call(DEFAULT_SIGNATURE, feed)
    labels = outputs["probabilities"][0].argmax(axis=-1)  # (*grid)
    return labels.astype(np.uint8), _unlike(model.exported, _statistics(feed, [record]), outputs, 0)


def feed_of(records: list[Record], exported: Exported) -> dict[str, np.ndarray]:
    """The inputs of the signature `serving_default` by name, each (records, ...)."""
    task = exported.task
    masks = ("mask",) if task.spacing else ()
    masks += ("predicted_mask",) if task.box.get("around") == "mask" else ()
    first = records[0].image
    batch = parse_examples(
        [encode_example(record) for record in records], first.shape, first.dtype.name, masks
    )
    if kind := combat_batch(task):
        names = [batch_of(record.facts, kind) for record in records]
        known = exported.fitted[COMBAT_KNOWN]["batches"]
        batch[COMBAT_NUMBER] = tf.constant(numbers_of(names, known), tf.float32)
    cut = box_cut(task)
    arrays = input_arrays(cut(batch) if cut else batch, task)
    return {name: array.numpy() for name, array in arrays.items()}


def _answer(exported: Exported, outputs: dict, row: int, unlike: Unlike, record) -> Answer:
    """The answer in a row of a model's outputs."""
    probabilities = np.asarray(outputs["probabilities"][row], np.float64)  # (classes,)
    inside, answers = None, exported.answers
    if IN_SET in outputs:
        inside = outputs[IN_SET][row]
    elif isinstance(answers, Calibrator) and answers.has_sets:
        inside = prediction_sets(probabilities[None], answers.set_threshold)[0]
    labels = None if inside is None else tuple(np.flatnonzero(inside).tolist())
    apart = np.asarray(outputs[DISAGREEMENT][row], float) if DISAGREEMENT in outputs else None
    return Answer(probabilities, int(outputs["decision"][row]), labels, unlike, record, apart)


def _statistics(feed: dict, records: list[Record]) -> np.ndarray:
    """(records, statistics) of the arrays that a model is given, and of the records' files."""
    spacing_mm = feed.get(SPACING)
    return statistics_of(feed["image"], spacing_mm, [record.facts for record in records])


def _unlike(exported: Exported, statistics: np.ndarray, outputs: dict, row: int) -> Unlike:
    """Whether the input of an answer is unlike the training data.

    Args:
        exported: its statistics count; without them the flags in the model's outputs.
        statistics: (records, statistics) of the record, or of all slices of a patient.
        outputs: of the model.
        row: of the answer in the outputs.
    """
    features = _flag(outputs, FAR, row)
    distance = float(outputs[DISTANCE][row]) if DISTANCE in outputs else None
    familiar = exported.familiar
    if familiar is None:
        images = _flag(outputs, OUTSIDE, row)
        texts = ("the server flags its intensities or its spacing",) if images else ()
        return Unlike(images, texts, features, distance)
    score = familiar_scores(statistics, familiar).mean()
    limit = familiar.limits.of_answers()
    if limit.value is None:
        return Unlike(None, (limit.reason,), features, distance)
    if score <= limit.value:
        return Unlike(False, (), features, distance)
    texts = _frequent([reasons(values, familiar) for values in statistics])
    return Unlike(True, tuple(texts) or (OVER_SLICES,), features, distance)


def _flag(outputs: dict, name: str, row: int) -> bool | None:
    """A flag in a model's outputs; None where it has none or cannot tell."""
    flag = int(outputs[name][row]) if name in outputs else CANNOT_TELL
    return None if flag == CANNOT_TELL else bool(flag)


def _frequent(texts_of: list[list[str]]) -> list[str]:
    """The reasons that at least half of the records have, in words of the first record that has them."""
    count: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text in (text for texts in texts_of for text in texts):
        statistic = text.partition(" is ")[0]
        count[statistic] += 1
        examples.setdefault(statistic, text)
    frequent = [statistic for statistic, times in count.items() if 2 * times >= len(texts_of)]
    shown = [examples[statistic] for statistic in frequent[:MAX_REASONS]]
    if len(frequent) > MAX_REASONS:
        shown.append(f"and {len(frequent) - MAX_REASONS} more")
    return shown
