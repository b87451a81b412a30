"""Compares where two runs look that are normalised by the whole image and by the brain (recipe E).

    python benchmarks/normalisation_border.py IMAGE_RUN MASK_RUN

The runs are finished 3D classifiers on the same split that differ in normalize.region, for example

    python -m mri_tf.train --task glioma_grading --variant demo,image
    python -m mri_tf.train --task glioma_grading --variant demo,mask

Prints the mean share of guided backpropagation and Grad-CAM in the border of the brain (3 voxels of the
prepared grid, without tumour), outside the brain and in the tumour, for the true class of the held-out
patients: of each run, and the paired difference image - mask, with intervals over patients. Where a run
was trained on boxes, shares are of the box.
"""

import argparse
import os
from pathlib import Path

import numpy as np

PARTS = ("border", "outside", "tumour")
MAPS = ("guided", "cam")
TITLES = {"guided": "guided backpropagation", "cam": "Grad-CAM"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="of image, then of mask")
    parser.add_argument("--layer", default="", help="for Grad-CAM (default: the last image)")
    parser.add_argument("--all", action="store_true", help="every patient, not only the held-out ones")
    flags = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    runs = [opened(folder, region) for folder, region in zip(flags.runs, ("image", "mask"), strict=True)]
    patients = [run.values["patients"]["test"] for run in runs]
    if patients[0] != patients[1]:
        raise SystemExit("the runs hold out different patients: train both with the same split and seed")
    shares = [shares_of_run(run, flags.layer, flags.all) for run in runs]
    print_table(*shares)


def opened(folder: Path, region: str):
    """The finished run; ends unless it is a 3D classifier normalised over that region."""
    from mri_tf.store.run import open_finished

    run = open_finished(folder)
    normalize = {"region": "image", **run.task.normalize}
    flat = len(run.task.image_shape) == 2 or run.task.kind == "segmentation"
    if flat or (normalize["method"], normalize["region"]) != ("zscore", region):
        raise SystemExit(f"{folder} must be a 3D classifier with z-scores of region {region}")
    return run


def shares_of_run(run, layer: str, everybody: bool) -> dict[str, dict[str, dict[str, float]]]:
    """Map -> part -> patient -> mean share of their records."""
    from mri_tf.explain.maps import attribution_of, explain_record, explainer_of
    from mri_tf.explain.saliency import layer_to_explain
    from mri_tf.network.build import load_network
    from mri_tf.pipeline.subset import subset_of
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import positions_of

    prepared = Prepared.open(run.data_folder)
    model = load_network(run)
    layer = layer_to_explain(model, layer)
    explainer = explainer_of(model, run.task, layer, run.values["fitted"])
    records = np.arange(len(prepared)) if everybody else positions_of(run, prepared)[2]
    subset = subset_of(run, prepared, records)
    shares_by_map: dict = {kind: {part: {} for part in PARTS} for kind in MAPS}
    for position in records:
        label = int(prepared.labels[position])
        explained = explain_record(explainer, subset, int(position), label)
        for kind in MAPS:
            shares = attribution_of(explained, getattr(explained, kind)).shares
            for part in PARTS:
                patients = shares_by_map[kind][part]
                patients.setdefault(str(prepared.patients[position]), []).append(shares[part])
    return {
        kind: {
            part: {name: float(np.mean(values)) for name, values in patients.items()}
            for part, patients in parts.items()
        }
        for kind, parts in shares_by_map.items()
    }


def _cell(values: np.ndarray) -> str:
    """The mean of (patients,) values, of those where it is defined."""
    from scipy.stats import ttest_1samp

    from mri_tf.metrics.number import number
    from mri_tf.tables import format_interval

    known = values[np.isfinite(values)]
    limits = ttest_1samp(known, 0).confidence_interval()
    found = number(known.mean(), len(known), (limits.low, limits.high), "t over patients")
    return format_interval(found)


def print_table(image: dict, mask: dict) -> None:
    print("| map | share in | image | mask | image - mask, paired |\n" + "|---" * 5 + "|")
    for kind in MAPS:
        for part in PARTS:
            names = np.array(sorted(image[kind][part]))
            columns = [np.array([found[kind][part][name] for name in names]) for found in (image, mask)]
            cells = [_cell(values) for values in (*columns, columns[0] - columns[1])]
            print(f"| {TITLES[kind]} | {part} | {' | '.join(cells)} |")
    undefined = sum(not np.isfinite(value) for value in image["cam"]["border"].values())
    undefined += sum(not np.isfinite(value) for value in mask["cam"]["border"].values())
    if undefined:
        print(f"\n{undefined} Grad-CAM maps are 0 everywhere and left out: see the counts of patients")


if __name__ == "__main__":
    main()
