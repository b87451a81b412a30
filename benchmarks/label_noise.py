"""How many flipped labels the audit's order of doubt finds, beside cleanlab's on the same probabilities.

    python benchmarks/label_noise.py --out DIR [--patients 200] [--share 0.05] [--seeds 5] [--repeats 3]

Each seed writes `data_prep.phantom --kind label_noise`: pictures of heads whose lesion tells the label,
of which a share was flipped in each class. Probabilities are those of a logistic regression that never
saw the patient (5 folds, drawn anew for each repeat, averaged): of the audit's thumbnail of 16 x 16
pixels, which knows the label middling well, and of the brightest and darkest blurred places, which know
it well. Recall is the share of the flipped labels in the first tenth of the order; its lift is recall
over a tenth, which is what chance finds, with a 95 % interval over the seeds (Student's t). Resumable:
each seed leaves a file in DIR.
"""

import argparse
import csv
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.special import stdtrit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.phantom.write import write_kind
from mri_tf.audit.image_probes import View, thumbnail
from mri_tf.core.files import write_atomic
from mri_tf.metrics.label_quality import contradicted, expected_wrong, order_of_doubt

FIRST = 0.1  # of the order
FOLDS, STRENGTH = 5, 0.1
BLURS, QUANTILES = (0.0, 0.7, 1.2, 2.0, 3.0), (0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
AIR = 20  # grey value below which a pixel lies outside of the head
OURS, THEIRS, FILTERED = "ours", "cleanlab, self-confidence", "cleanlab, find_label_issues first"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    print("| probabilities | seed | flipped | AUC | contradicted | expected wrong | recall |"
          f" {THEIRS} | {FILTERED} |\n" + "|---" * 9 + "|")  # fmt: skip
    rows = []
    for seed in range(flags.seeds):
        name = f"{flags.patients}-{flags.share:g}-{flags.repeats}-{seed}"
        file = flags.out / f"{name}.json"
        if not file.is_file():
            found = of_seed(flags, flags.out / name, seed)
            write_atomic(file, json.dumps(found).encode())
        rows += json.loads(file.read_text())
    rows.sort(key=lambda row: row["features"])
    for row in rows:
        theirs = (" | ".join(f"{100 * row[name]:.0f} %" if name in row else "not installed"
                             for name in (THEIRS, FILTERED)))  # fmt: skip
        told = f"{row['contradicted']} | {row['expected']:.1f} | {100 * row[OURS]:.0f} % | {theirs}"
        print(f"| {row['features']} | {row['seed']} | {row['flipped']} | {row['auc']:.2f} | {told} |")
    for features in dict.fromkeys(row["features"] for row in rows):
        own = [row for row in rows if row["features"] == features]
        print(f"\n{features}: {summary(own)}")


def of_seed(flags: argparse.Namespace, folder: Path, seed: int) -> list[dict]:
    """The row of each kind of features."""
    write_kind("label_noise", folder, flags.patients, seed, dose=1 - flags.share)
    with (folder / "cases.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    with (folder / "truth.csv").open(newline="") as file:
        flipped = np.array([row["agrees"] == "no" for row in csv.DictReader(file)])
    labels = np.array([int(case["label"] == "malignant") for case in cases])
    images = [np.asarray(Image.open(folder / case["flair"]), np.float32) for case in cases]
    rows = []
    for name, of_image in (("thumbnail", thumbnail_of), ("blurred extremes", blurred_extremes)):
        features = np.array([of_image(image) for image in images])
        probabilities = cross_fitted(features, labels, flags.repeats)
        recall = {OURS: recall_of(order_of_doubt(labels, probabilities), flipped)}
        recall |= {how: recall_of(order, flipped) for how, order in orders_of_cleanlab(
            labels, probabilities).items()}  # fmt: skip
        rows.append({
            "features": name, "seed": seed, "flipped": int(flipped.sum()),
            "auc": auc(labels, probabilities[:, 1]), **recall,
            "contradicted": int(contradicted(labels, probabilities).sum()),
            "expected": expected_wrong(labels, probabilities),
        })  # fmt: skip
    return rows


def thumbnail_of(image: np.ndarray) -> list[float]:
    view = View(image[None, ..., None], ("flair",), image[None] > AIR)
    return list(thumbnail(view).values())


def blurred_extremes(image: np.ndarray) -> list[float]:
    """Quantiles of the picture, blurred more and more; in SDs of the head."""
    head = image > AIR
    scaled = (image - image[head].mean()) / image[head].std()
    blurred = [ndimage.gaussian_filter(scaled, blur) if blur else scaled for blur in BLURS]
    return np.concatenate([np.quantile(one, QUANTILES) for one in blurred]).tolist()


def cross_fitted(features: np.ndarray, labels: np.ndarray, repeats: int) -> np.ndarray:
    """(patients, classes) mean probabilities of models that never saw the patient."""
    found = np.zeros((len(labels), 2))
    for repeat in range(repeats):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
        for train, test in folds.split(features, labels):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=5000))
            found[test] += model.fit(features[train], labels[train]).predict_proba(features[test])
    return found / repeats


def orders_of_cleanlab(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Those of all records by its quality score, and by its issues first; {} where it is missing."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    order = np.argsort(get_label_quality_scores(labels, probabilities), kind="stable")
    issues = find_label_issues(labels, probabilities, filter_by="confident_learning",
                               return_indices_ranked_by="self_confidence", n_jobs=1)  # fmt: skip
    return {THEIRS: order, FILTERED: np.array([*issues, *(one for one in order if one not in issues)])}


def recall_of(order: np.ndarray, flipped: np.ndarray) -> float:
    """The share of the flipped labels in the first tenth of an order."""
    return float(flipped[order[: round(FIRST * len(order))]].sum() / flipped.sum())


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """By the labels as given."""
    pairs = scores[labels == 1][:, None] - scores[labels == 0]
    return float((pairs > 0).mean() + (pairs == 0).mean() / 2)


def summary(rows: list[dict]) -> str:
    """Mean recall, its lift over chance with an interval, and how far cleanlab's lies from it."""
    recalls = np.array([row[OURS] for row in rows])
    half = stdtrit(len(rows) - 1, 0.975) * recalls.std(ddof=1) / math.sqrt(len(rows))
    limits = recalls.mean() - half, min(recalls.mean() + half, 1.0)
    lifts = [one / FIRST for one in (recalls.mean(), *limits)]
    text = (f"recall {100 * recalls.mean():.0f} % in the first tenth, lift {lifts[0]:.1f} "
            f"({lifts[1]:.1f} to {lifts[2]:.1f})")  # fmt: skip
    known = [name for name in (THEIRS, FILTERED) if all(name in row for row in rows)]
    differences = [100 * (recalls.mean() - np.mean([row[name] for row in rows])) for name in known]
    told = (f"{difference:+.1f} points to {name}" for name, difference in zip(known, differences,
                                                                             strict=True))  # fmt: skip
    return "; ".join([text, *told])


if __name__ == "__main__":
    main()
