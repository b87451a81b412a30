"""Tables made from confusion matrices: precision, recall and F1 of each class, and the matrix."""

import numpy as np

from mri_tf.core.words import plural, printed_name
from mri_tf.tables.layout import markdown, mean_sd, with_notes

WHY_UNDEFINED = {
    "precision": "never predicted",
    "recall": "no record",
    "F1": "no record and never predicted",
}


def class_table(confusions: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Precision, recall, F1 and support of each class, sorted by F1; macro and weighted averages below.

    Args:
        confusions: (cells, true class, predicted class) counts, or (true class, predicted class) of
            one test side. Of several cells each number is mean ± SD; averages over classes are taken
            in each cell first, without undefined numbers, which a note below the table names.
        class_names: in the order of `confusions`.
    """
    confusions = _stack(confusions, class_names)
    numbers = _numbers(confusions)
    support = confusions.sum(axis=2)  # (cells, classes)
    names = [printed_name(name) for name in class_names]
    f1 = _mean_over_cells(numbers["F1"])
    order = np.argsort(np.where(np.isnan(f1), 1, -f1), kind="stable")
    rows = []
    for label in order:
        texts = [_text(values[:, label], WHY_UNDEFINED[name]) for name, values in numbers.items()]
        rows.append([names[label], *texts, _count_text(support[:, label])])
    total = _count_text(support.sum(axis=1))
    for title, weights in (("macro average", np.ones_like(support)), ("weighted average", support)):
        averages = [_text(_average(values, weights), "no class") for values in numbers.values()]
        rows.append([f"**{title}**", *averages, total])
    columns = ["class", *numbers, "support"]
    return with_notes(markdown(rows, columns), _notes(confusions, numbers, names))


def confusion_table(confusions: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Counts, one line per true class; of several cells mean ± SD. Arguments as in `class_table`."""
    confusions = _stack(confusions, class_names)
    names = [printed_name(name) for name in class_names]
    rows = [
        [name, *(_count_text(confusions[:, label, guess]) for guess in range(len(names)))]
        for label, name in enumerate(names)
    ]
    table = markdown(rows, ["true \\ predicted", *names])
    cells = len(confusions)
    return with_notes(table, [f"Mean ± SD over {cells} cells."] if cells > 1 else [])


def _stack(confusions: np.ndarray, class_names: tuple[str, ...]) -> np.ndarray:
    confusions = np.asarray(confusions, float)
    confusions = confusions[None] if confusions.ndim == 2 else confusions
    classes = len(class_names)
    if not len(confusions) or confusions.shape[1:] != (classes, classes):
        raise ValueError(
            f"Confusions need the shape (cells, {classes}, {classes}). Received: {confusions.shape}."
        )
    return confusions


def _numbers(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1, (cells, classes) each; NaN where the denominator is 0."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    true, called = confusions.sum(axis=2), confusions.sum(axis=1)
    return {
        "precision": _ratio(hits, called),
        "recall": _ratio(hits, true),
        "F1": _ratio(2 * hits, true + called),
    }


def _average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(cells,) means over the classes that are defined."""
    weights = np.where(np.isnan(values), 0, weights)
    return _ratio(np.nansum(values * weights, axis=1), weights.sum(axis=1))


def _mean_over_cells(values: np.ndarray) -> np.ndarray:
    return _ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))


def _text(values: np.ndarray, why_undefined: str) -> str:
    if len(values) == 1 and not np.isnan(values[0]):
        return f"{values[0]:.3f}"  # one test side has no SD
    return mean_sd(values, [why_undefined])


def _count_text(counts: np.ndarray) -> str:
    return f"{counts[0]:g}" if len(counts) == 1 else mean_sd(counts, digits=1)


def _notes(confusions: np.ndarray, numbers: dict[str, np.ndarray], names: list[str]) -> list[str]:
    total = confusions.sum(axis=(1, 2))
    right = _text(_ratio(np.trace(confusions, axis1=1, axis2=2), total), "no record")
    majority = _mean_over_cells(_ratio(confusions.sum(axis=2).max(axis=1), total)[:, None])[0]
    notes = [f"Accuracy {right}; always predicting the largest class gives {majority:.3f}."]
    if len(confusions) > 1:
        notes.append(f"Mean ± SD over {len(confusions)} cells; support is the mean per cell.")
    for number, values in numbers.items():
        undefined = np.isnan(values).sum(axis=0)
        classes = [name if len(values) == 1 else f"{name} ({plural(int(count), 'cell')})"
                   for name, count in zip(names, undefined, strict=True) if count]  # fmt: skip
        if classes:
            averages = f"averages of {number} ({WHY_UNDEFINED[number]})"
            notes.append(f"Left out of the {averages}: {', '.join(classes)}.")
    return notes


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below; NaN where below is 0."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
