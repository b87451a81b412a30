"""The sections on single answers: examples by a fixed rule, checks of explanations, and failures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mri_tf.core.words import printed_name
from mri_tf.report.audited import OF_EXPLANATIONS
from mri_tf.report.blocks import Block, Fold, Pictures, Section, Text, table
from mri_tf.report.material import Material
from mri_tf.report.options import Options
from mri_tf.report.thumbnails import may_be_shown, pictures_of

RULE = (
    "The rule is fixed: of all judged records those with the lowest, the median and the highest loss (minus "
    "the logarithm of the probability of the true class); of equal ones the first by record id."
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
        places = dict(zip(("best", "median", "worst"), (0, (len(losses) - 1) // 2, len(losses) - 1), strict=True))
        rows = [[name, losses.iloc[place]["record_id"], printed_name(losses.iloc[place]["truth"]),
                 printed_name(losses.iloc[place]["predicted"]), f"{losses.iloc[place]['p_truth']:.3f}",
                 f"{losses.iloc[place]['loss']:.3f}"] for name, place in places.items()]  # fmt: skip
        columns = ["by loss", "record", "true class", "answer", "probability of the true class", "loss"]
        blocks.append(table("Three records by a fixed rule", columns, rows))
        blocks += _shown(material, options, [(row[1], f"{row[0]}: record {row[1]}, true class {row[2]}, "
                                              f"answer {row[3]}") for row in rows])  # fmt: skip
    blocks.append(Text("Where the network looked is drawn by python -m mri_tf.explain --run RUN --out DIR; maps "
                       "are not part of the card."))  # fmt: skip
    return Section("explanations", "Explanations", (*blocks, *_checks(material)))


def _checks(material: Material) -> list[Block]:
    found = [one for one in material.findings or [] if one["name"].startswith(OF_EXPLANATIONS)]
    if not found:
        return [Text("The explanations of this network were not checked, so no map of it can be trusted: "
                     "not computed by this version, or by no audit so far.", "missing")]  # fmt: skip
    rows = [[one["name"].removeprefix(OF_EXPLANATIONS), one["status"], one["evidence"],
             one.get("meaning") or ""] for one in found]  # fmt: skip
    return [table("Checks of the explanations", ["method and check", "verdict", "evidence", "meaning"], rows)]


def failures(material: Material, options: Options) -> Section:
    """Every patient with a wrong answer, under a running number."""
    judged = material.judged[0]
    title = "Failures"
    if judged.table is None:
        return Section("failures", title, (Text("The predictions are gone.", "missing"),))
    wrong = wrong_patients(judged.table)
    total = judged.table["patient"].nunique()
    if not len(wrong):
        return Section("failures", title, (Text(f"None of {total} {material.unit} has a wrong answer."),))
    rows = [[number, printed_name(row.truth), f"{row.wrong} of {row.answers}", printed_name(row.said),
             f"{row.p_truth:.3f}", row.records]
            for number, row in enumerate(wrong.itertuples(), 1)]  # fmt: skip
    whole = int((wrong["wrong"] == wrong["answers"]).sum())
    of = f" of variant {judged.name}" if len(material.judged) > 1 else ""
    lead = Text(
        f"{len(wrong)} of {total} {material.unit} have a wrong answer{of}, {whole} of them in all records. "
        "Numbers are running numbers of this card; records have the ids of the prepared set."
    )
    columns = ["number", "true class", "wrong answers", "most frequent wrong answer",
               "mean probability of the true class", "wrong records"]  # fmt: skip
    listed = table(f"Every one of the {material.unit} with a wrong answer", columns, rows)
    blocks: list[Block] = [lead]
    if len(rows) > MOST_IN_VIEW:
        blocks.append(Fold(f"All {len(rows)} of them", (listed,)))
    else:
        blocks.append(listed)
    shown = [(row.first, f"number {number}: true class {printed_name(row.truth)}, answer {printed_name(row.said)}")
             for number, row in enumerate(wrong.itertuples(), 1)]  # fmt: skip
    return Section("failures", title, (*blocks, *_shown(material, options, shown[:MOST_PICTURES])))


def with_losses(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows with the probability of their true class and its loss, by loss and record id."""
    names = [name.removeprefix("p_") for name in predictions if name.startswith("p_")]
    place = predictions["truth"].map({name: number for number, name in enumerate(names)}).to_numpy(int)
    all_p = predictions[[f"p_{name}" for name in names]].to_numpy(float)
    p_truth = all_p[np.arange(len(place)), place]
    table_of = predictions.assign(p_truth=p_truth, loss=-np.log(np.maximum(p_truth, 1e-12)))
    return table_of.sort_values(["loss", "record_id"], kind="stable").reset_index(drop=True)


def wrong_patients(predictions: pd.DataFrame) -> pd.DataFrame:
    """A row for each patient and true class with a wrong answer, the worst first, without ids of patients.

    Returns:
        Columns `truth`, `wrong` and `answers` (counts), `said` (the most frequent wrong answer), `p_truth`
        (mean), `records` (of the wrong answers, in words) and `first` (the record with the largest loss).
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
    table_of = pd.DataFrame(rows)
    return table_of.sort_values(["p_truth", "first"], kind="stable").reset_index(drop=True) if rows else table_of


def _shown(material: Material, options: Options, wanted: Sequence[tuple[str, str]]) -> list[Block]:
    """Images of records with their captions, where --thumbnails asks for them."""
    if not options.thumbnails:
        return []
    if material.prepared is None:
        return [Text("No images: the prepared set is no longer where it was.", "missing")]
    allowed = may_be_shown(material.findings)
    kept = [(record, caption) for record, caption in wanted if record not in allowed.hidden]
    blocks: list[Block] = [Pictures(tuple(pictures_of(material, kept)))] if kept else []
    if len(kept) < len(wanted):
        blocks.append(Text(f"{len(wanted) - len(kept)} images are left out: {allowed.why}.", "missing"))
    return blocks
