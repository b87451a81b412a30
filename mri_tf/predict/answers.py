"""One study's records, as preparation makes them of its files, to an exported model's answers.

The records take the way of a prepared set: encoded, parsed, cut and given to the signature as evaluate
gives them to the network. What stands between a file and its answer has no second implementation.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.prediction_sets import prediction_sets
from mri_tf.export.inputs import arrays_of, cut_before
from mri_tf.export.out_of_distribution import OUTSIDE, SPACING, reasons, source_sizes
from mri_tf.export.reader import Call, Exported
from mri_tf.splits.units import slices_of_case
from mri_tf.store.record import Record, encode_example, parse_examples, stored

MAX_RECORDS = 16  # in one call
MAX_REASONS = 6
NO_BOX = "no tumour was found in it: the box is the whole image"


@dataclass(frozen=True)
class Model:
    """A model to ask: what it is, how it is called, and the model that finds its boxes."""

    exported: Exported
    call: Call
    signatures: tuple[str, ...]
    segmenter: "Model | None" = None
    most_numbers: int = 2**26  # in one call, where it can be split


@dataclass(frozen=True)
class Answer:
    """Of one record, or of a patient with all of its slices (`record` None)."""

    probabilities: np.ndarray  # (classes,) calibrated, for the shares of the training side
    decision: int  # at the operating point
    held: tuple[int, ...] | None  # classes of the prediction set; None where it is not known
    outside: bool | None  # unlike the training side; None where the model does not say
    reasons: tuple[str, ...]
    record: Record | None


def answer_records(model: Model, records: list[Record]) -> list[Answer]:
    """An answer a record of a classifier that sees single records."""
    found = []
    size = max(1, min(MAX_RECORDS, model.most_numbers // records[0].image.size))
    for start in range(0, len(records), size):
        part = records[start : start + size]
        feed = feed_of(part, model.exported)
        outputs = model.call("serving_default", feed)
        for number, record in enumerate(part):
            why = _reasons(model.exported, feed, [number], [record])
            if model.exported.task.box.get("around") == "mask" and not record.predicted_mask.any():
                why.insert(0, NO_BOX)
            found.append(_answer(model.exported, outputs, number, why, record))
    return found


def taken_records(exported: Exported, study: list[Record]) -> list[Record]:
    """Of a study with thin slices those about as far apart as the training took; else all."""
    if not exported.task.spacing:
        return study
    return study[slices_of_case(len(study), stored(study[0]), exported.fitted)]


def answer_patient(model: Model, records: list[Record]) -> Answer:
    """One answer for all taken slices of a patient."""
    feed = feed_of(records, model.exported)
    padded = {"slices" if name == "image" else name: array[None] for name, array in feed.items()}
    outputs = model.call("slices", {**padded, "mask": np.ones((1, len(records)), np.float32)})
    why = _reasons(model.exported, feed, list(range(len(records))), records)
    return _answer(model.exported, outputs, 0, why, None)


def boxed(model: Model, record: Record) -> Record:
    """The record with the mask its box lies around: the segmenter's, or the one a user gave."""
    found = record.mask if model.segmenter is None else label_map(model.segmenter, record)
    return dataclasses.replace(record, predicted_mask=(found > 0).astype(np.uint8))


def label_map(model: Model, record: Record) -> np.ndarray:
    """(*grid) uint8: the most probable label of each voxel, by a segmentation model."""
    outputs = model.call("serving_default", feed_of([record], model.exported))
    return outputs["probabilities"][0].argmax(axis=-1).astype(np.uint8)


def label_reasons(model: Model, record: Record) -> list[str]:
    """Why a record is unlike those a segmentation model was trained on."""
    return _reasons(model.exported, feed_of([record], model.exported), [0], [record])


def feed_of(records: list[Record], exported: Exported) -> dict[str, np.ndarray]:
    """The arrays of `serving_default` by name, (records, ...), through the code of a prepared set."""
    task = exported.task
    masks = ("mask",) if task.spacing else ()
    masks += ("predicted_mask",) if task.box.get("around") == "mask" else ()
    first = records[0].image
    batch = parse_examples(
        [encode_example(record) for record in records], first.shape, first.dtype.name, masks
    )
    cut = cut_before(task)
    arrays = arrays_of(cut(batch) if cut else batch, task)
    return {name: array.numpy() for name, array in arrays.items()}


def _answer(exported: Exported, outputs: dict, number: int, why: list[str], record) -> Answer:
    probabilities = np.asarray(outputs["probabilities"][number], np.float64)
    held = None
    if exported.answers is not None:
        inside = prediction_sets(probabilities[None], exported.answers.set_threshold)[0]
        held = tuple(np.flatnonzero(inside).tolist())
    outside = None if exported.ranges is None else bool(why)
    if OUTSIDE in outputs:
        outside = bool(outside) or bool(outputs[OUTSIDE][number])
    if outside and not why:
        why = ["its intensities or its spacing are outside the training's"]
    decision = int(outputs["decision"][number])
    return Answer(probabilities, decision, held, outside, tuple(why), record)


def _reasons(exported: Exported, feed: dict, places: list[int], records: list[Record]) -> list[str]:
    """Of a patient's slices those that at least half of them have."""
    if exported.ranges is None:
        return []
    count: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for place, record in zip(places, records, strict=True):
        sizes = source_sizes(record.facts)
        if SPACING in feed:
            sizes[SPACING] = tuple(feed[SPACING][place].tolist())
        for text in reasons(feed["image"][place], exported.ranges, sizes):
            what = text.partition(" is ")[0]
            count[what] += 1
            examples.setdefault(what, text)
    often = [what for what, times in count.items() if 2 * times >= len(records)]
    shown = [examples[what] for what in often[:MAX_REASONS]]
    if len(often) > MAX_REASONS:
        shown.append(f"and {len(often) - MAX_REASONS} more")
    return shown
