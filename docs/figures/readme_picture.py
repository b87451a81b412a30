"""The picture of the README: a held-out slice, its Grad-CAM, and the reliability curve of a run.

    python docs/figures/readme_picture.py RUN MAPS [RECORD] [--out docs/figures/readme.png]

RUN is a finished run of a 2D classifier, MAPS the folder that `python -m mri_tf.explain --run RUN`
wrote. Without RECORD, the slice is a correctly classified one of median probability.
"""

import argparse
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

from mri_tf.core.words import printed_name
from mri_tf.explain.air import air_of
from mri_tf.figures.overlay import Overlay, show_image, show_overlay
from mri_tf.figures.style import COLOURS, PAGE_MM, REFERENCE, new_figure, settle, styled
from mri_tf.metrics.reliability import reliability_curve
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import PREDICTIONS, Run, open_finished

WIDTH_PIXELS = 1200


@styled
def draw(run: Run, maps: Path, record_id: str, out: Path) -> None:
    """Writes the PNG."""
    table, names = pd.read_parquet(run.folder / PREDICTIONS), run.task.class_names
    columns = [f"p_{name}" for name in names]
    table["top"] = table[columns].max(axis=1)
    if not record_id:
        correct = table[table["truth"] == table["predicted"]].sort_values("top")
        record_id = correct.iloc[len(correct) // 2]["record_id"]
    row = table[table["record_id"] == record_id].iloc[0]
    prepared = Prepared.open(run.data_folder)
    position = int(np.flatnonzero(np.array(prepared.record_ids) == record_id)[0])
    image = prepared.record(position).image[..., 0].astype(np.float32)  # (rows, columns)
    stored = nibabel.load(maps / f"{record_id}_gradcam.nii.gz").get_fdata()  # (columns, rows, 1), RAS
    cam = np.flip(np.moveaxis(stored, (0, 2), (2, 0)), axis=(0, 1, 2))[0]  # (rows, columns)
    settings = run.task.normalize  # the window in which the network sees the image
    low, high = settings.get("low", image.min()), settings.get("high", image.max())
    overlay = Overlay(np.clip(image, low, high), cam, air_of(image))
    (plane,) = overlay.planes()
    figure = new_figure(PAGE_MM, 80.0)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    show_image(left, plane)
    left.set_title("a slice of a held-out patient")
    truth, predicted = printed_name(row["truth"]), printed_name(row["predicted"])
    probability = row[f"p_{row['predicted']}"]
    left.set_xlabel(f"true: {truth}\npredicted: {predicted}\nprobability {probability:.2f}")
    show_overlay(middle, plane, overlay.top)
    middle.set_title("where the network looked")
    middle.set_xlabel("Grad-CAM: coloured regions speak\nfor the predicted class; line:\n"
                      "half of the map's maximum")  # fmt: skip

    truth = np.array([names.index(name) for name in table["truth"]])
    curve = reliability_curve(table[columns].to_numpy(), truth, table["patient"].to_numpy(), bins=8)
    filled = curve.counts > 0
    predicted, observed = curve.predicted[filled], curve.observed[filled]
    bars = np.maximum([observed - curve.low[filled], curve.high[filled] - observed], 0)
    right.plot([0, 1], [0, 1], label="ideal", **REFERENCE)
    style = dict(color=COLOURS[0], marker="o", capsize=2, label="this run")
    right.errorbar(predicted, observed, yerr=bars, **style)
    right.set(xlim=(0, 1.03), ylim=(0, 1.03), box_aspect=1, ylabel="share that was right",
              xlabel="predicted probability\nof the most probable class")  # fmt: skip
    right.set_title(f"reliability, {len(table)} held-out slices")
    right.legend(loc="lower right", handlelength=1.6)
    settle(figure)
    figure.savefig(out, dpi=WIDTH_PIXELS / figure.get_figwidth(), metadata={"Software": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draws the picture of the README.")
    parser.add_argument("run", type=Path)
    parser.add_argument("maps", type=Path)
    parser.add_argument("record", nargs="?", default="")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("readme.png"))
    flags = parser.parse_args()
    draw(open_finished(flags.run), flags.maps, flags.record, flags.out)
