"""The sections on single answers: examples by a fixed rule, checks of explanations, and failures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mri_tf.audit.explanations import STATUS
from mri_tf.core.words import printed_name
from mri_tf.report.audited import OF_EXPLANATIONS
from mri_tf.report.blocks import Block, Fold, Pictures, Section, Text, table
from mri_tf.report.material import Material
from mri_tf.report.options import Options
from mri_tf.report.thumbnails import pictures_of

RULE = (
    "The rule is fixed: of all judged records those with the lowest, the median and the highest loss "
    "(minus the logarithm of the probability of the true class); of equal ones the first by record id."
)
MAPS = (
    "Where the network looked is drawn by python -m mri_tf.explain --run RUN --out DIR; maps are not "
    "part of the card."
)
UNCHECKED = (
    "The explanations of this network were not checked, so no map of it can be trusted. python -m "
    "mri_tf.audit --run RUN checks them."
)
MOST_IN_VIEW = 20  # rows that are shown without being opened
MOST_IDS, MOST_PICTURES = 6, 60


def explanations(material: Material, options: Options) -> Section:
    """Best, median and worst record, and what the checks of the explanations say."""
    blocks: list[Block] = [Text(RULE)]
    judged = material.judged[0]
    if judged.table is None:
        blocks.append(Text("The predictions are gone.", "missing"))
    else:
        losses = with_losses(judged.table)
        last = len(losses) - 1
        chosen = losses.iloc[[0, last // 2, last]].to_dict("records")
        rows = [[name, row["record_id"], printed_name(row["truth"]), printed_name(row["predicted"]),
                 f"{row['p_truth']:.3f}", f"{row['loss']:.3f}"]
                for name, row in zip(("best", "median", "worst"), chosen, strict=True)]  # fmt: skip
        columns = ["by loss", "record", "true class", "answer", "probability of the true class", "loss"]
        blocks.append(table("Three records by a fixed rule", columns, rows))
        captions = [(row[1], f"{row[0]}: record {row[1]}, true class {row[2]}, answer {row[3]}")
                    for row in rows]  # fmt: skip
        blocks += _shown(material, options, captions)
    blocks.append(Text(MAPS))
    return Section("explanations", "Explanations", (*blocks, *_checks(material)))


def _checks(material: Material) -> list[Block]:
    found = [one for one in material.findings or [] if one["name"].startswith(OF_EXPLANATIONS)]
    if not found:
        return [Text(UNCHECKED, "missing")]
    rows, meanings = [], {}
    for one in found:
        verdict = STATUS.get(one["status"], one["status"])
        evidence = one["evidence"].removeprefix(f"{verdict}: ")
        rows.append([one["name"].removeprefix(OF_EXPLANATIONS), verdict, evidence])
        if one.get("meaning"):
            told = f"What it means that a method {verdict}: {one['meaning']}"
            meanings[one["meaning"]] = Text(told, "note")
    listed = table("Checks of the explanations", ["method", "verdict", "evidence"], rows)
    return [listed, *meanings.values()]


def failures(material: Material, options: Options) -> Section:
    """Every patient with a wrong answer, under a running number."""
    judged = material.judged[0]
    title = "Failures"
    if judged.table is None:
        return Section("failures", title, (Text("The predictions are gone.", "missing"),))
    wrong = wrong_patients(judged.table)
    total = judged.table["patient"].nunique()
    if not len(wrong):
        none = Text(f"None of {total} {material.unit} has a wrong answer.")
        return Section("failures", title, (none,))
    if options.smallest_cell:
        return Section("failures", title, tuple(_counted(material, wrong, options)))
    rows = [[number, printed_name(row.truth), f"{row.wrong} of {row.answers}", printed_name(row.said),
             f"{row.p_truth:.3f}", row.records]
            for number, row in enumerate(wrong.itertuples(), 1)]  # fmt: skip
    blocks: list[Block] = [Text(_how_many(material, wrong))]
    columns = ["number", "true class", "wrong answers", "most frequent wrong answer",
               "mean probability of the true class", "wrong records"]  # fmt: skip
    listed = table(f"Every one of the {material.unit} with a wrong answer", columns, rows)
    if len(rows) > MOST_IN_VIEW:
        blocks.append(Fold(f"All {len(rows)} rows", (listed,)))
    else:
        blocks.append(listed)
    shown = [
        (row.first, f"number {number}: true class {printed_name(row.truth)}, "
                    f"answer {printed_name(row.said)}")
        for number, row in enumerate(wrong.itertuples(), 1)
    ]  # fmt: skip
    return Section("failures", title, (*blocks, *_shown(material, options, shown[:MOST_PICTURES])))


def _how_many(material: Material, wrong: pd.DataFrame) -> str:
    """How many patients have a wrong answer, and how many rows that makes."""
    judged = material.judged[0]
    mistaken = judged.table["predicted"] != judged.table["truth"]
    people = judged.table.loc[mistaken, "patient"].nunique()
    total = judged.table["patient"].nunique()
    whole = int((wrong["wrong"] == wrong["answers"]).sum())
    of = f" of variant {judged.name}" if len(material.judged) > 1 else ""
    classes = f": {len(wrong)} rows, one for each class of a patient" if len(wrong) > people else ""
    rows = "of the rows" if classes else "of them"
    return (
        f"{people} of {total} {material.unit} have a wrong answer{of}{classes}. In {whole} {rows} all "
        "records are wrong. Numbers are running numbers of this card; records have the ids of the "
        "prepared set."
    )


def _counted(material: Material, wrong: pd.DataFrame, options: Options) -> list[Block]:
    """How many are wrong in each class, where single ones are not to be shown."""
    counts = [int((wrong["truth"] == name).sum()) for name in material.task.class_names]
    rows = [list(pair) for pair in zip(material.class_titles, options.row(counts), strict=True)]
    return [
        Text("Single failures are not listed, as small counts are hidden.", "missing"),
        table(f"{material.unit.capitalize()} with a wrong answer", ["true class", material.unit], rows),
    ]


def with_losses(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows with the probability of their true class and its loss, by loss and record id."""
    names = [name.removeprefix("p_") for name in predictions if name.startswith("p_")]
    place = predictions["truth"].map({name: number for number, name in enumerate(names)}).to_numpy(int)
    all_p = predictions[[f"p_{name}" for name in names]].to_numpy(float)
    p_truth = all_p[np.arange(len(place)), place]
    table_of = predictions.assign(p_truth=p_truth, loss=-np.log(np.maximum(p_truth, 1e-12)))
    return table_of.sort_values(["loss", "record_id"], kind="stable").reset_index(drop=True)


def wrong_patients(predictions: pd.DataFrame) -> pd.DataFrame:
    """A row for each patient and true class with a wrong answer, the worst first; no ids of patients.

    Returns:
        Columns `truth`, `wrong` and `answers` (counts), `said` (the most frequent wrong answer),
        `p_truth` (mean), `records` (of the wrong answers, in words) and `first` (the record with the
        largest loss).
    """
    losses = with_losses(predictions)
    rows = []
    for (_, truth), own in losses.groupby(["patient", "truth"], sort=True):
        wrong = own[own["predicted"] != own["truth"]]
        if not len(wrong):
            continue
        ids = list(dict.fromkeys(wrong["record_id"][::-1]))
        more = f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else ""
        rows.append({
            "truth": truth, "wrong": len(wrong), "answers": len(own),
            "said": wrong["predicted"].value_counts().index[0], "p_truth": own["p_truth"].mean(),
            "records": ", ".join(ids[:MOST_IDS]) + more, "first": ids[0],
        })  # fmt: skip
    found = pd.DataFrame(rows)
    if not rows:
        return found
    return found.sort_values(["p_truth", "first"], kind="stable").reset_index(drop=True)


def _shown(material: Material, options: Options, wanted: Sequence[tuple[str, str]]) -> list[Block]:
    """Images of records with their captions, where --thumbnails asks for them."""
    if not options.thumbnails:
        return []
    if material.prepared is None:
        return [Text("No images: the prepared set is no longer where it was.", "missing")]
    pictures = pictures_of(material, wanted)
    blocks: list[Block] = [Pictures(tuple(pictures))] if pictures else []
    if left_out := len(wanted) - len(pictures):
        blocks.append(Text(f"{left_out} images are left out: they show a face or text.", "missing"))
    return blocks
