"""Tables of confusion counts: recipe D's numbers a class, recipe B's matrix as mean ± SD."""

import numpy as np

from mri_tf.tables.layout import many, markdown, mean_sd, with_notes

WHY = {
    "precision": "never predicted",
    "recall": "no record",
    "F1": "no record and never predicted",
}


def class_table(confusions: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Precision, recall, F1 and support a class, sorted by F1; macro and weighted averages below.

    `confusions` (cells, true class, predicted class), or without cells for one test side. With
    several cells each number is mean ± SD over cells (recipe B), the averages are taken within a
    cell first. An undefined number is left out of its average, and said; weights are supports.
    """
    confusions = _stack(confusions, class_names)
    numbers = _numbers(confusions)
    support = confusions.sum(axis=2)  # (cells, classes)
    names = [name.replace("_", " ") for name in class_names]
    f1 = _mean_over_cells(numbers["F1"])
    order = np.argsort(np.where(np.isnan(f1), 1, -f1), kind="stable")
    rows = []
    for label in order:
        texts = [_text(values[:, label], WHY[name]) for name, values in numbers.items()]
        rows.append([names[label], *texts, _count_text(support[:, label])])
    total = _count_text(support.sum(axis=1))
    for title, weights in (("macro average", np.ones_like(support)), ("weighted average", support)):
        averages = [_text(_average(values, weights), "no class") for values in numbers.values()]
        rows.append([f"**{title}**", *averages, total])
    columns = ["class", *numbers, "support"]
    return with_notes(markdown(rows, columns), _notes(confusions, numbers, names))


def confusion_table(confusions: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Counts, one line a true class; of several cells (cells, true, predicted) mean ± SD."""
    confusions = _stack(confusions, class_names)
    names = [name.replace("_", " ") for name in class_names]
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
        raise ValueError(f"confusions are (cells, {classes}, {classes}). Received: {confusions.shape}.")
    return confusions


def _numbers(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1, (cells, classes) each; NaN where there is nothing to divide by."""
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


def _text(values: np.ndarray, why: str) -> str:
    if len(values) == 1 and not np.isnan(values[0]):
        return f"{values[0]:.3f}"  # one test side: an SD was not to be expected
    return mean_sd(values, [why])


def _count_text(counts: np.ndarray) -> str:
    return f"{counts[0]:g}" if len(counts) == 1 else mean_sd(counts, digits=1)


def _notes(confusions: np.ndarray, numbers: dict[str, np.ndarray], names: list[str]) -> list[str]:
    total = confusions.sum(axis=(1, 2))
    right = _text(_ratio(np.trace(confusions, axis1=1, axis2=2), total), "no record")
    majority = _mean_over_cells(_ratio(confusions.sum(axis=2).max(axis=1), total)[:, None])[0]
    notes = [f"Accuracy {right}; naming the largest class gives {majority:.3f}."]
    if len(confusions) > 1:
        notes.append(f"Mean ± SD over {len(confusions)} cells; support is of one cell.")
    for number, values in numbers.items():
        lost = np.isnan(values).sum(axis=0)
        named = [name if len(values) == 1 else f"{name} ({many(int(count), 'cell')})"
                 for name, count in zip(names, lost, strict=True) if count]  # fmt: skip
        if named:
            notes.append(f"Left out of the averages of {number}: {', '.join(named)}, {WHY[number]}.")
    return notes


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
