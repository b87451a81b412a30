"""Softmax against the head of grades, on pictures whose grade is how bright a noisy spot is.

    python benchmarks/grades_head.py --seeds 10

A seed draws training, validation and test patients with one picture each, of four grades. Both heads
train on the same patients from the same start; the epoch with the lowest validation loss counts, and
the decision is the most probable grade. Printed are means over seeds, and the paired difference
(cumulative minus softmax) with its 95 % interval of Student's t over seeds.
"""

import argparse

import keras
import numpy as np
from scipy.stats import t as student

from mri_tf.metrics import confusion_by_patient, mean_absolute_grade_error, quadratic_kappa
from mri_tf.network.build import build_network
from mri_tf.task import Task
from mri_tf.task.overrides import with_values
from mri_tf.train.loss import weighted_cross_entropy

SIDE, GRADES = 24, ("I", "II", "III", "IV")
VALIDATION, TEST = 40, 400
TASK = Task(
    name="grades", channels=("t1",), image_shape=(SIDE, SIDE), model="vgg", class_names=GRADES,
    ordered=True, model_args=dict(conv_filters=4, dense_units=16, blocks=3),
)  # fmt: skip


def pictures(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(count, side, side, 1) pictures and (count,) grades: brightness is the grade and noise."""
    grades = rng.integers(0, len(GRADES), count)
    centre = rng.uniform(8, SIDE - 8, (2, count, 1, 1))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    square = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    brightness = 1.5 + grades + rng.normal(0, 0.7, count)
    images = brightness[:, None, None] * np.exp(-square / 18) + rng.normal(0, 1, square.shape)
    return images[..., None].astype("float32"), grades


def trained(head: str, patients: int, seed: int, epochs: int) -> tuple[float, float, float]:
    """Quadratic kappa, mean absolute grade error and log loss on the test pictures."""
    rng = np.random.default_rng(seed)
    (images, grades), validation, test = (pictures(n, rng) for n in (patients, VALIDATION, TEST))
    keras.utils.set_random_seed(seed)
    network = build_network(with_values(TASK, {"head": head}))
    network.compile(keras.optimizers.Adam(3e-3), weighted_cross_entropy(np.ones(len(GRADES))))
    best = keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True)
    network.fit(images, grades, batch_size=20, epochs=epochs, validation_data=validation,
                callbacks=[best], verbose=0)  # fmt: skip
    chances = network.predict(test[0], verbose=0)
    one_each = np.arange(TEST)
    confusion = confusion_by_patient(test[1], chances.argmax(axis=1), one_each, len(GRADES)).sum(axis=0)
    loss = -np.log(np.maximum(chances[one_each, test[1]], 1e-7)).mean()
    return float(quadratic_kappa(confusion)), float(mean_absolute_grade_error(confusion)), float(loss)


def compared(patients: int, seeds: int, epochs: int) -> list[str]:
    """Lines of the table for one number of training patients."""
    values = np.array([
        [trained(head, patients, seed, epochs) for head in ("softmax", "cumulative")]
        for seed in range(seeds)
    ])  # (seeds, heads, numbers)
    difference = values[:, 1] - values[:, 0]
    half = student.ppf(0.975, seeds - 1) * difference.std(axis=0, ddof=1) / np.sqrt(seeds)
    lines = []
    for number, name in enumerate(("quadratic kappa", "mean absolute grade error", "log loss")):
        softmax, cumulative = values[:, :, number].mean(axis=0)
        mean = difference[:, number].mean()
        lines.append(
            f"| {patients} | {name} | {softmax:.3f} | {cumulative:.3f} | "
            f"{mean:+.3f} ({mean - half[number]:+.3f} to {mean + half[number]:+.3f}) |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--patients", default="40,160", help="of the training, comma-separated")
    parser.add_argument("--epochs", type=int, default=40)
    flags = parser.parse_args()
    print("| training patients | number | softmax | cumulative | difference |\n|---|---|---|---|---|")
    for patients in flags.patients.split(","):
        print("\n".join(compared(int(patients), flags.seeds, flags.epochs)), flush=True)


if __name__ == "__main__":
    main()
