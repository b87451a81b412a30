"""Answers of an exported model for the records of a case.

The records go through the code of prepared sets: they are encoded, parsed, cut and given to the model's
signature as evaluate gives them to the network, so that both give the same answers.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from data_prep.case import Unreadable
from data_prep.cases.to_predict import CaseToPredict
from data_prep.layout import read_case
from mri_tf.calibration.prediction_sets import prediction_sets
from mri_tf.export.inputs import box_cut, input_arrays
from mri_tf.export.out_of_distribution import OUTSIDE, SPACING, reasons, source_sizes
from mri_tf.export.reader import Call, Exported
from mri_tf.splits.units import slices_of_case
from mri_tf.store.record import Record, encode_example, parse_examples, stored
from mri_tf.task import Task

MAX_RECORDS = 16  # in one call
MAX_REASONS = 6
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
    out_of_distribution: bool | None  # None where the model has no training ranges
    reasons: tuple[str, ...]  # why it is out of distribution
    record: Record | None


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
        outputs = model.call("serving_default", feed)
        for position, record in enumerate(batch):
            texts = _reasons(model.exported, feed, [position], [record])
            if model.exported.task.box.get("around") == "mask" and not record.predicted_mask.any():
                texts.insert(0, NO_TUMOUR)
            answers.append(_answer(model.exported, outputs, position, texts, record))
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
    texts = _reasons(model.exported, feed, list(range(len(records))), records)
    return _answer(model.exported, outputs, 0, texts, None)


def with_box_mask(model: Model, record: Record) -> Record:
    """The record with `predicted_mask`, around which its box is cut: the segmenter's or the user's."""
    mask = record.mask if model.segmenter is None else label_map(model.segmenter, record)[0]
    return dataclasses.replace(record, predicted_mask=(mask > 0).astype(np.uint8))


def label_map(model: Model, record: Record) -> tuple[np.ndarray, list[str]]:
    """Each voxel's most probable label, (*grid) uint8, and why the record is out of distribution."""
    feed = feed_of([record], model.exported)
    probabilities = model.call("serving_default", feed)["probabilities"][0]  # (*grid, classes)
    texts = _reasons(model.exported, feed, [0], [record])
    return probabilities.argmax(axis=-1).astype(np.uint8), texts


def feed_of(records: list[Record], exported: Exported) -> dict[str, np.ndarray]:
    """The inputs of the signature `serving_default` by name, each (records, ...)."""
    task = exported.task
    masks = ("mask",) if task.spacing else ()
    masks += ("predicted_mask",) if task.box.get("around") == "mask" else ()
    first = records[0].image
    batch = parse_examples(
        [encode_example(record) for record in records], first.shape, first.dtype.name, masks
    )
    cut = box_cut(task)
    arrays = input_arrays(cut(batch) if cut else batch, task)
    return {name: array.numpy() for name, array in arrays.items()}


def _answer(exported: Exported, outputs: dict, row: int, texts: list[str], record) -> Answer:
    """The answer in a row of a model's outputs; `texts` say why the input is out of distribution."""
    probabilities = np.asarray(outputs["probabilities"][row], np.float64)  # (classes,)
    labels = None
    if exported.answers is not None and exported.answers.has_sets:
        inside = prediction_sets(probabilities[None], exported.answers.set_threshold)[0]
        labels = tuple(np.flatnonzero(inside).tolist())
    outside = None if exported.ranges is None else bool(texts)
    if OUTSIDE in outputs:
        outside = bool(outside) or bool(outputs[OUTSIDE][row])
    if outside and not texts:
        texts = ["its intensities or its spacing are outside the range of the training data"]
    return Answer(probabilities, int(outputs["decision"][row]), labels, outside, tuple(texts), record)


def _reasons(exported: Exported, feed: dict, rows: list[int], records: list[Record]) -> list[str]:
    """Why records are out of distribution: the reasons that at least half of them have."""
    if exported.ranges is None:
        return []
    count: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for row, record in zip(rows, records, strict=True):
        sizes = source_sizes(record.facts)
        if SPACING in feed:
            sizes[SPACING] = tuple(feed[SPACING][row].tolist())
        for text in reasons(feed["image"][row], exported.ranges, sizes):
            statistic = text.partition(" is ")[0]
            count[statistic] += 1
            examples.setdefault(statistic, text)
    frequent = [statistic for statistic, times in count.items() if 2 * times >= len(records)]
    shown = [examples[statistic] for statistic in frequent[:MAX_REASONS]]
    if len(frequent) > MAX_REASONS:
        shown.append(f"and {len(frequent) - MAX_REASONS} more")
    return shown
