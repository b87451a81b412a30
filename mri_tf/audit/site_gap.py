"""Whether a network's numbers rest on the sites: a cross-validation against leaving one site out."""

from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_FOUND, Finding
from mri_tf.metrics.classifier import Predictions, predictions_of
from mri_tf.metrics.site_gap import site_gap
from mri_tf.metrics.within_sites import patients_of_classes, too_few_sites
from mri_tf.store.cells import DoneCell, done_cells
from mri_tf.store.run import PREDICTIONS, Run, open_run

SITE_STUDY = "sites"  # folder of a study that leaves one site out, in that of the cross-validation
NAME = "cross-validation minus leaving one site out"


def site_findings(study: Path) -> list[Finding]:
    """What a cross-validation and the study in its folder `sites` say together.

    Args:
        study: folder of a study with a trained cell.

    Returns:
        One finding; none of segmentations and where fewer than two sites are known.
    """
    crossed, by_site = _cells(study), _cells(study / SITE_STUDY)
    if len(set().union(*(cell.sites for cell in crossed))) < 2:
        return []
    if crossed[0].site:
        around = "Audit the folder of the cross-validation, with this study in it as the folder sites."
        return [_cannot_tell("this study leaves one site out itself", around)]
    if not by_site:
        other = "Run the same study with --leave-one-site-out and --out the folder sites in this one."
        return [_cannot_tell("no study in the folder sites of this one leaves one site out", other)]
    first = [cell for cell in by_site if cell.key == by_site[0].key]
    counts = [dict(enumerate(patients_of_classes(cell.predictions).tolist())) for cell in first]
    if few := too_few_sites(counts):
        return [_cannot_tell(few, "Add patients of further sites.")]
    pairs = {}
    for variant in dict.fromkeys(cell.variant for cell in crossed):
        pair = [[cell for cell in cells if cell.variant == variant] for cells in (crossed, by_site)]
        if all(pair):
            pairs[variant] = pair
    gaps = {}
    for variant, pair in pairs.items():
        shares = tuple(float(np.mean([cell.share for cell in cells])) for cells in pair)
        gaps[variant] = site_gap(
            *([cell.predictions for cell in cells] for cells in pair), shares, comparisons=len(pairs)
        )  # fmt: skip
    if not gaps:
        same = "Run both studies with the same variants."
        return [_cannot_tell("no variant is trained on all records in both studies", same)]
    return [_finding(gaps)]


def _finding(gaps: dict[str, dict]) -> Finding:
    """Found where a variant's gap is above 0 at a level of 0.05 over the number of variants."""
    told = "; ".join(f"{name}: {_in_words(gap)}" for name, gap in gaps.items())
    if len(gaps) > 1:
        told += f"; found where a gap is above 0 at a level of 0.05 / {len(gaps)}"
    count = max(gap["n"] for gap in gaps.values())
    lows = [gap["low_adjusted"] for gap in gaps.values()]
    if not any(low is not None and low > 0 for low in lows):
        return Finding(NAME, CANNOT_TELL if None in lows else NOT_FOUND, told, n=count)
    return Finding(
        NAME, FOUND, told, n=count,
        meaning="A part of the AUC rests on differences between sites, or the network does not carry "
        "over to a site that it has not seen.",
        what_to_do="Report the AUC of the held-out sites beside that of the cross-validation.",
    )  # fmt: skip


class _Cell:
    """A finished cell of a study with the predictions of its run."""

    def __init__(self, done: DoneCell, run: Run):
        predictions = pd.read_parquet(run.folder / PREDICTIONS)
        self.variant, self.site, self.share = done.variant, done.site, done.test_share
        self.key = (done.variant, done.repeat)
        self.sites = set(predictions["site"]) - {""}
        self.predictions: Predictions = predictions_of(predictions, run.task.class_names)


def _cells(study: Path) -> list[_Cell]:
    """Those of classifiers that learned from all records; a segmentation predicts no classes."""
    done = [cell for cell in done_cells(study) if not cell.train_size]
    return [_Cell(cell, open_run(cell.run)) for cell in done if (cell.run / PREDICTIONS).is_file()]


def _cannot_tell(why: str, what_to_do: str) -> Finding:
    return Finding(NAME, CANNOT_TELL, why, what_to_do=what_to_do)


def _in_words(gap: dict) -> str:
    if gap["value"] is None:
        return gap["reason"]
    aucs = f"AUC {gap['crossed']:.3f} - {gap['by_site']:.3f} = {gap['value']:+.3f}"
    if gap["low"] is None:
        return f"{aucs} (no interval: {gap['reason']})"
    return f"{aucs} ({gap['low']:+.3f} to {gap['high']:+.3f}, {gap['method']})"
