"""How often an image is said to add to covariates, and a network to be better than the mask's volume.

    python benchmarks/added_value.py --out FOLDER [--seeds 100]

Trains no network: the image's answer is a regularised logistic regression on features of the image, as
that of a frozen probe. Covariates and image answer in five folds, and are compared as train --folds does
it (mri_tf/audit/compared.py), or as train does it for one held-out side of 60 patients. The strength of
the penalty is drawn in each fold, as one that is chosen there differs between folds too; choosing it
would take ten times as long. A seed of a row is kept in FOLDER, so an interrupted call is continued by
repeating it. Prints a table.

nothing added   age and sex tell the label (AUC about 0.7). 128 features of the image hold the age, a
                scanner and noise, and nothing of the label beyond the age.
effect          the same, and one direction of the features tells the label too, by 1.6 SD or 2.5.
volume only     60 patients of `data_prep.phantom --kind volume_only`, in 90 % of whom the size of the
                lesion agrees with the label. The image is seen as components of thumbnail and histogram
                and the lesion's size with an error of a third of its SD.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from data_prep.phantom.known_answers.dataset import picture_of, volumes_of
from data_prep.phantom.known_answers.examinations import KINDS, LABELS, draw_examinations
from mri_tf.audit.baseline_fit import scaled_alike
from mri_tf.audit.compared import added_value, differences_of
from mri_tf.audit.image_probes import View, histogram, mask_volume, thumbnail
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.logistic import Rows, fit_logistic
from mri_tf.task import Task

VOLUME_PATIENTS, FEATURES, FOLDS, HELD_OUT = 60, 128, 5, 60
OF_AGE_AND_SEX, OF_SCANNER = (0.7, 0.4), 1.0  # differences of the classes, in SDs
TEST_SHARE = 1 / (FOLDS - 2)  # of five folds one tests, one validates and three train
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
VOLUME_DOSE, COMPONENTS, SIZE_NOISE = 0.9, 8, 0.33
TASK = Task(name="simulated", channels=("mr",), image_shape=(64, 64), class_names=LABELS, model="vgg")
VOLUME_ONLY = "volume only"
ROWS = {  # patients, difference of the classes in SDs, folds
    "nothing added": (100, 0.0, FOLDS),
    "small effect": (100, 1.6, FOLDS),
    "large effect": (200, 2.5, FOLDS),
    "nothing added, one side": (160, 0.0, 1),
    "large effect, one side": (160, 2.5, 1),
    VOLUME_ONLY: (VOLUME_PATIENTS, 0.0, FOLDS),
}


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--out", required=True, type=Path)
    flags.add_argument("--seeds", type=int, default=100)
    flags = flags.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    found = {row: [] for row in ROWS}
    for seed in range(flags.seeds):
        for row in ROWS:
            name = row.replace(",", "").replace(" ", "_")
            found[row].append(_kept(flags.out / f"{name}-{seed}.json", row, seed))
    print("| data | patients | question | said in | mean difference of the AUC | mean AUCs |")
    print("|---" * 6 + "|")
    for row, values in found.items():
        question = "network better than volume" if row == VOLUME_ONLY else "the image adds"
        said = sum(one["shown"] for one in values)
        difference = np.mean([one["difference"] for one in values])
        means = {name: np.mean([one["aucs"][name] for one in values]) for name in values[0]["aucs"]}
        aucs = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
        said = f"{said} of {len(values)}"
        print(f"| {row} | {ROWS[row][0]} | {question} | {said} | {difference:+.3f} | {aucs} |")


def _kept(file: Path, row: str, seed: int) -> dict:
    if not file.is_file():
        made = _volume_only(seed) if row == VOLUME_ONLY else _added(seed, *ROWS[row])
        file.write_text(json.dumps(made))
    return json.loads(file.read_text())


def _added(seed: int, patients: int, effect: float, folds: int) -> dict:
    """What is said of one drawn set of patients."""
    rng = np.random.default_rng([seed, 1])
    labels = np.arange(patients) % 2
    age = rng.normal(size=patients) + OF_AGE_AND_SEX[0] * labels
    sex = (rng.normal(size=patients) + OF_AGE_AND_SEX[1] * labels > 0).astype(float)
    hidden = np.stack([age, OF_SCANNER * rng.integers(3, size=patients),
                       rng.normal(size=patients) + effect * labels], axis=1)  # fmt: skip
    mixing = rng.normal(size=(3, FEATURES)) / np.sqrt(3)
    features = hidden @ mixing + rng.normal(size=(patients, FEATURES))
    covariates, image = _answered(labels, [np.stack([age, sex], axis=1), features], seed, folds)
    value = added_value(covariates, image, [0] * folds, TASK, TEST_SHARE)
    return {
        "shown": value["shown"], "difference": value["difference"]["value"],
        "aucs": {name: value[name]["value"] for name in ("covariates", "image", "both")},
    }  # fmt: skip


def _volume_only(seed: int) -> dict:
    """An image's answer that rests on the lesion's size against the volume of the mask."""
    drawn = draw_examinations(KINDS["volume_only"], VOLUME_PATIENTS, seed, VOLUME_DOSE, flat=True)
    labels = np.array([LABELS.index(one.label) for one in drawn])
    seen, volumes = [], []
    for one in drawn:
        image, mask = (picture_of(volume) for volume in volumes_of(one))
        everywhere = np.ones((1, *image.shape), bool)
        view = View(image[None, ..., None].astype(np.float32), ["flair"], everywhere)
        seen.append([*thumbnail(view).values(), *histogram(view).values()])
        volumes.append([*mask_volume((mask > 0).astype(np.uint8), None).values()])
    sizes = np.array(volumes)
    noise = np.random.default_rng([seed, 2]).normal(size=sizes.shape)
    components = scaled_alike(np.array(seen), np.array(seen))[0][:, :COMPONENTS]
    as_seen = np.concatenate([components, sizes + SIZE_NOISE * sizes.std() * noise], axis=1)
    image, volume = _answered(labels, [as_seen, sizes], seed, FOLDS)
    difference = differences_of(image, volume, TASK, TEST_SHARE)["auc"]
    aucs = {name: float(np.mean([_auc(one) for one in cells]))
            for name, cells in (("image", image), ("volume", volume))}  # fmt: skip
    return {"shown": difference["low"] > 0, "difference": difference["value"], "aucs": aucs}


def _answered(labels: np.ndarray, of_each: list[np.ndarray], seed: int, folds: int) -> list[list]:
    """For each set of features the answers in every fold, by what the other folds taught; or those for
    the last patients, by what the others taught."""
    patients, everyone = np.arange(len(labels)).astype(str), np.arange(len(labels))
    if folds == 1:
        splits = [(everyone[:-HELD_OUT], everyone[-HELD_OUT:])]
    else:
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(everyone, labels)
    found, rng = [[] for _ in of_each], np.random.default_rng([seed, 3])
    for learned, tested in splits:
        for cells, features in zip(found, of_each, strict=True):
            one, other = scaled_alike(features[learned], features[tested])
            everything = np.ones(len(learned))
            rows = Rows(one, labels[learned], everything, learned, everything > 0, 2)
            probabilities = fit_logistic(rows, rng.choice(STRENGTHS)).probabilities(other)
            decided = probabilities.argmax(axis=1)
            cells.append(checked(labels[tested], probabilities, decided, patients[tested]))
    return found


def _auc(cell) -> float:
    scores = cell.probabilities[:, 1]
    pairs = scores[cell.truth == 1][:, None] - scores[cell.truth == 0][None]
    return float((pairs > 0).mean() + (pairs == 0).mean() / 2)


if __name__ == "__main__":
    main()
