"""Draws the accuracy on held-out patients against training steps, with and without the average.

    PYTHONPATH=. python benchmarks/average.py RUN [RUN ...] --out FOLDER [--steps 300] [--average 0.98]

Each RUN is a finished run of a classifier, one a seed. Its task is trained anew on the same data, split
and features, at a constant learning rate: the last step's weights and the average of the same training
are both asked for the held-out records, at the end of every second epoch. Writes FOLDER/average.svg and
.png, and prints the mean and SD over the seeds.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from mri_tf.figures.style import COLUMN_MM, described, new_figure, save, series, styled
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.subset import Subset
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run, open_finished, positions_of
from mri_tf.tables import markdown
from mri_tf.task.spec import to_json
from mri_tf.train import fit

KINDS = ("last step", "average")


class Ask(keras.callbacks.Callback):
    """The accuracy of both weights; called before the callback that swaps them."""

    def __init__(self, test: Subset, steps: int):
        super().__init__()
        self.test, self.steps, self.rows, self.epoch = test, steps, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_test_begin(self, logs=None):
        if self.epoch % 2:
            self.before = self._accuracy()

    def on_test_end(self, logs=None):
        if self.epoch % 2:
            self.rows.append(((self.epoch + 1) * self.steps, self.before, self._accuracy()))

    def _accuracy(self) -> float:
        answers = predict_records(self.model, self.test).argmax(axis=-1)
        return float(np.mean(answers == self.test.labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--average", type=float, default=0.98)
    flags = parser.parse_args()
    curves = [trained(open_finished(folder), flags) for folder in flags.runs]
    # Seeds may differ in the steps of an epoch by one: points are paired by their number.
    points = min(len(curve) for curve in curves)
    steps = np.mean([curve[:points, 0] for curve in curves], axis=0)
    accuracy = np.stack([curve[:points, 1:] for curve in curves])  # (seeds, points, kinds)
    draw(steps, accuracy, flags.out)
    rows = [
        [f"{step:.0f}", *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(means, sds, strict=True))]
        for step, means, sds in zip(steps, accuracy.mean(axis=0), accuracy.std(axis=0), strict=True)
    ]
    print(markdown(rows, ["step", *KINDS]))


def trained(run: Run, flags) -> np.ndarray:
    """(points, 3): step, accuracy of the last step's weights and of the average."""
    prepared = Prepared.open(run.data_folder)
    task = replace(
        run.task, steps=flags.steps, schedule="constant", average=flags.average, feature_bank=0,
        choose_epoch="validation", patience=0,
    )  # fmt: skip
    features = open_finished(run.folder / "features") if task.features_from else None
    test = Subset(task, prepared, positions_of(run, prepared)[2], run.values["fitted"])
    steps = -(-len(run.sides["train"]) // task.batch_size)
    ask = Ask(test, steps)
    original = fit.callbacks_of
    fit.callbacks_of = lambda *arguments: [*original(*arguments), ask]
    with tempfile.TemporaryDirectory() as folder:
        values = {**run.values, "task": to_json(task), "state": "running"}
        fit.fit_run(Run(Path(folder, "run"), values), prepared, features, devices=1)
    fit.callbacks_of = original
    return np.array(ask.rows)


@styled
def draw(steps: np.ndarray, accuracy: np.ndarray, folder: Path) -> None:
    """Thin lines are seeds, thick ones their mean."""
    figure = new_figure(COLUMN_MM, 60)
    axes = figure.add_subplot()
    for kind, name in enumerate(KINDS):
        look = series(kind)
        axes.plot(steps, accuracy[:, :, kind].T, color=look["color"], linewidth=0.5, alpha=0.6)
        axes.plot(steps, accuracy[:, :, kind].mean(axis=0), label=name, **look)
    axes.set_xlabel("training steps")
    axes.set_ylabel("accuracy, held-out patients")
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    what = "Accuracy on held-out patients against training steps: last step, and average of the weights."
    save(described(figure, what), folder / "average")


if __name__ == "__main__":
    main()
