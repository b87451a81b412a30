"""Tables: numbers equal pandas and scikit-learn; what failed or is undefined is named."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mri_tf import tables
from mri_tf.metrics import paired_differences, spread
from mri_tf.tables.layout import mean_sd

VARIANTS = ("manual", "scratch")


def results(sizes=(2, 18, None)) -> pd.DataFrame:
    """One row per cell: 2 folds x 3 repeats per variant and size."""
    rng = np.random.default_rng(0)
    rows = [
        {"task": "levels", "variant": variant, "train_size": size, "fold": fold, "repeat": repeat,
         "seed": repeat, "status": "done", "reason": "", "accuracy": rng.uniform(0.5, 0.9),
         "kappa": rng.uniform(0.3, 0.8), "auc": rng.uniform(0.6, 1),
         "majority_accuracy": 0.3 + fold / 10}
        for variant, size, fold, repeat in itertools.product(VARIANTS, sizes, range(2), range(3))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def parsed(text: str) -> list[dict[str, str]]:
    """The rows of a Markdown table by column; without what follows it."""
    lines = text.split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert all(re.fullmatch(r"-+:?", rule) for rule in cells[1])
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def line(rows: list[dict], **wanted) -> dict[str, str]:
    names = {"size": "samples per class"}
    found = [row for row in rows if all(row[names.get(k, k)] == v for k, v in wanted.items())]
    assert len(found) == 1
    return found[0]


@given(st.lists(st.tuples(st.text(max_size=12), st.integers()), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_any_text_stays_in_its_cell(rows):
    text = tables.markdown(rows, ("name | of it", "count"))
    lines = text.splitlines()
    assert len(lines) == len(rows) + 2
    assert len({len(line) for line in lines}) == 1
    for line, (_, count) in zip(lines[2:], rows, strict=True):
        cells = re.split(r"(?<!\\)\|", line)
        assert len(cells) == 4 and int(cells[2]) == count


def test_numbers_stand_to_the_right_and_names_to_the_left():
    lines = tables.markdown([("manual", "0.8"), ("x", "-10.25")], ("variant", "value")).splitlines()
    assert lines[1] == "| ------- | -----: |"
    assert lines[2] == "| manual  |    0.8 |"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 cells. Received: 1"):
        tables.markdown([("manual",)], ("variant", "value"))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
@settings(max_examples=50, deadline=None)
def test_mean_and_sd_are_those_of_pandas(values):
    mean, sd = map(float, mean_sd(values).split(" ± "))
    assert mean == pytest.approx(pd.Series(values).mean(), abs=0.000501)
    assert sd == pytest.approx(pd.Series(values).std(), abs=0.000501)


def test_one_value_has_no_sd_and_none_has_no_mean():
    assert mean_sd([0.5]) == "0.500 (one cell)"
    assert mean_sd([None, float("nan")], ["one class", "one class"]) == "undefined (one class)"
    assert mean_sd([]) == "undefined (no cell)"
    assert mean_sd([None]) == "undefined (no reason recorded)"


def test_scores_are_mean_and_sd_over_cells_as_pandas_has_them():
    table = results()
    rows = parsed(tables.score_table(table, ("accuracy", "kappa")))
    assert [(row["samples per class"], row["variant"]) for row in rows] == [
        (size, variant) for size in ("2", "18", "all") for variant in VARIANTS
    ]
    for row in rows:
        size = row["samples per class"]
        same = table["train_size"].isna() if size == "all" else table["train_size"] == int(size)
        cells = table[same & (table["variant"] == row["variant"])]
        for metric in ("accuracy", "kappa"):
            shown = f"{cells[metric].mean():.3f} ± {cells[metric].std():.3f}"
            assert row[tables.name_of(metric)] == shown
        assert row["cells done"] == "6 of 6"


def test_the_majority_class_stands_beside_accuracy():
    columns = list(parsed(tables.score_table(results(), ("kappa", "accuracy")))[0])
    assert columns[columns.index("accuracy") + 1] == "majority class"
    rows = parsed(tables.score_table(results(), ("accuracy",)))
    assert {row["majority class"] for row in rows} == {"0.350"}


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_missing_size_means_all_samples(missing):
    rows = parsed(tables.score_table(results((2,)).assign(train_size=missing), ("kappa",)))
    assert [row["samples per class"] for row in rows] == ["all", "all"]


def test_a_failed_cell_is_counted_and_named_and_in_no_mean():
    table = results()
    lost = [0, 1, 7]  # two of manual at size 2, one at size 18
    assert list(table.loc[lost, "train_size"]) == [2, 2, 18]
    table.loc[lost, "status"] = "failed"
    table.loc[lost, "accuracy"] = 1e6
    table.loc[[0, 1], "reason"] = "killed (signal 9)"
    text = tables.score_table(table, ("accuracy",))
    row = line(parsed(text), size="2", variant="manual")
    kept = table.query("variant == 'manual' and train_size == 2 and status == 'done'")["accuracy"]
    assert row["cells done"] == "4 of 6"
    assert row["accuracy"] == f"{kept.mean():.3f} ± {kept.std():.3f}"
    failed = (
        "3 cells of 36 failed, left out of the means: manual, 2 samples per class: 2 "
        "(killed (signal 9)); manual, 18 samples per class: 1 (no reason recorded)."
    )
    assert tables.left_out(table) == failed and failed in text
    assert tables.left_out(results()) == ""
    assert "failed" not in tables.score_table(results(), ("accuracy",))


def test_a_variant_without_a_done_cell_keeps_its_line():
    table = results((2,))
    table.loc[table["variant"] == "scratch", ["status", "reason"]] = ["failed", "exit 3"]
    row = line(parsed(tables.score_table(table, ("accuracy",))), size="2", variant="scratch")
    assert row["accuracy"] == row["majority class"] == "undefined (no cell done)"
    assert row["cells done"] == "0 of 6"


def test_an_undefined_number_is_counted_with_its_reason():
    table = results((2,))
    table.loc[0, ["auc", "reason"]] = [np.nan, "only one class occurs"]
    table.loc[table["variant"] == "scratch", "auc"] = np.nan
    rows = parsed(tables.score_table(table, ("auc",)))
    kept = table.loc[1:5, "auc"]
    expected = f"{kept.mean():.3f} ± {kept.std():.3f} (1 of 6 undefined: only one class occurs)"
    assert rows[0]["AUC"] == expected
    assert rows[1]["AUC"] == "undefined (no reason recorded)"
    own = table.assign(auc_reason="no patient of it")
    assert "1 of 6 undefined: no patient of it" in parsed(tables.score_table(own, ("auc",)))[0]["AUC"]


def test_pooled_numbers_have_their_interval_or_say_why_not():
    columns = ["variant", "train_size", "metric", "value", "low", "high", "n", "unit", "reason"]
    pooled = pd.DataFrame(
        [
            ("manual", 2, "auc", 0.8, 0.7, 0.9, 24, "patients", "1 of 2000 resamples left out"),
            ("manual", 18, "auc", 0.9, None, None, 1, "patients", "one patient"),
            ("scratch", 2, "auc", None, None, None, 24, "patients", "only one class occurs"),
        ],
        columns=columns,
    )
    text = tables.score_table(results((2, 18)), ("auc",), pooled)
    rows, column = parsed(text), "AUC, pooled (95 % interval)"
    assert line(rows, size="2", variant="manual")[column] == "0.800 (0.700 to 0.900)"
    assert line(rows, size="2", variant="manual")["counted"] == "24 patients"
    assert line(rows, size="18", variant="manual")[column] == "0.900 (no interval: one patient)"
    assert line(rows, size="2", variant="scratch")[column] == "undefined (only one class occurs)"
    assert line(rows, size="18", variant="scratch")[column] == "not counted"
    assert "AUC, pooled, manual, 2: 1 of 2000 resamples left out." in text


def a_confusion(seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, 60)])
    guessed = np.where(rng.random(len(truth)) < 0.6, truth, rng.integers(0, classes, len(truth)))
    guessed[:classes] = truth[:classes]  # every class occurs and is predicted
    return sk.confusion_matrix(truth, guessed, labels=range(classes)), truth, guessed


@pytest.mark.parametrize("seed", range(5))
def test_the_class_table_is_scikit_learns_report_sorted_by_f1(seed):
    confusion, truth, guessed = a_confusion(seed)
    names = tuple(f"class_{number}" for number in range(5))
    report = sk.classification_report(
        truth, guessed, labels=range(5), target_names=names, output_dict=True
    )
    text = tables.class_table(confusion, names)
    rows = parsed(text)
    for row in rows:
        name = row["class"].strip("*").replace("average", "avg")
        expected = report[name if "avg" in name else name.replace(" ", "_")]
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("F1", "f1-score")):
            assert row[ours] == f"{expected[theirs]:.3f}"
        assert int(row["support"]) == expected["support"]
    scores = [float(row["F1"]) for row in rows[:5]]
    assert scores == sorted(scores, reverse=True)
    assert [row["class"] for row in rows[5:]] == ["**macro average**", "**weighted average**"]
    majority = np.bincount(truth).max() / len(truth)
    assert f"Accuracy {report['accuracy']:.3f}; always predicting" in text
    assert f"the largest class gives {majority:.3f}." in text


def test_what_is_undefined_of_a_class_is_said_and_left_out_by_name():
    confusion = [[8, 0, 2, 0], [4, 0, 0, 0], [1, 0, 5, 0], [0, 0, 0, 0]]
    text = tables.class_table(np.array(confusion), ("a", "never_said", "c", "nowhere"))
    rows = {row["class"]: row for row in parsed(text)}
    assert list(rows)[:4] == ["c", "a", "never said", "nowhere"]
    assert rows["never said"]["precision"] == "undefined (never predicted)"
    assert rows["never said"]["recall"] == rows["never said"]["F1"] == "0.000"
    assert rows["nowhere"]["recall"] == "undefined (no record)"
    assert rows["nowhere"]["F1"] == "undefined (no record and never predicted)"
    assert rows["**macro average**"]["recall"] == f"{(0.8 + 0 + 5 / 6) / 3:.3f}"
    assert "averages of precision (never predicted): never said, nowhere." in text
    assert "averages of recall (no record): nowhere." in text


def test_over_cells_the_class_table_has_mean_and_sd():
    cells = np.stack([a_confusion(seed)[0] for seed in range(6)])
    rows = {row["class"]: row for row in parsed(tables.class_table(cells, tuple("abcde")))}
    recall = np.diagonal(cells, axis1=1, axis2=2) / cells.sum(axis=2)  # (cells, classes)
    for label, name in enumerate("abcde"):
        values = pd.Series(recall[:, label])
        assert rows[name]["recall"] == f"{values.mean():.3f} ± {values.std():.3f}"
    macro = pd.Series(recall.mean(axis=1))
    assert rows["**macro average**"]["recall"] == f"{macro.mean():.3f} ± {macro.std():.3f}"


def test_a_number_undefined_in_one_cell_is_counted():
    cells = np.array([[[5, 0], [0, 4]], [[5, 0], [3, 0]]])
    text = tables.class_table(cells, ("a", "b"))
    b = next(row for row in parsed(text) if row["class"] == "b")
    assert b["precision"] == "1.000 (one cell; 1 of 2 undefined: never predicted)"
    assert "averages of precision (never predicted): b (1 cell)." in text


def test_the_confusion_over_cells_is_mean_and_sd_a_count():
    cells = np.random.default_rng(0).poisson([[19, 7], [2, 7]], (5, 2, 2))
    rows = parsed(tables.confusion_table(cells, ("grade_I", "grade_II_III")))
    mean, sd = cells.mean(axis=0), cells.std(axis=0, ddof=1)
    for truth, row in enumerate(rows):
        assert row["grade II III"] == f"{mean[truth, 1]:.1f} ± {sd[truth, 1]:.1f}"
    assert "over 5 cells" in tables.confusion_table(cells, ("a", "b"))
    one = parsed(tables.confusion_table(cells[0], ("a", "b")))
    assert [int(one[0]["a"]), int(one[1]["b"])] == [cells[0, 0, 0], cells[0, 1, 1]]


def test_confusions_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="Received"):
        tables.class_table(np.eye(3), ("a", "b"))


def a_cell(seed: int, signal: float):
    rng = np.random.default_rng(seed)
    truth = np.arange(60) % 2
    odds = np.exp(rng.normal(0, 1, (60, 2)) + signal * np.eye(2)[truth])
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return truth, probabilities, probabilities.argmax(axis=1), np.arange(60) // 3


def test_paired_differences_are_laid_out_as_they_were_counted():
    numbers = paired_differences(
        [a_cell(seed, 3.0) for seed in range(3)], [a_cell(seed + 50, 0.0) for seed in range(3)]
    )
    frame = pd.DataFrame(
        [{"first": "manual", "second": "scratch", "train_size": 4, "metric": metric} | number
         for metric, number in numbers.items()]
    )  # fmt: skip
    rows = parsed(tables.paired_table(frame))
    row, number = rows[list(numbers).index("brier")], numbers["brier"]
    assert row["metric"] == "Brier score (lower is better)" and row["pair"] == "manual - scratch"
    assert row["difference (95 % interval)"] == (
        f"{number['difference']:+.3f} ({number['low']:+.3f} to {number['high']:+.3f})"
    )
    assert row["finding"] == "excludes 0"
    assert row["first better in"] == "3 of 3 cells" and row["counted"] == "20 patients"


def test_a_difference_across_zero_and_one_that_is_undefined_say_so():
    frame = pd.DataFrame(
        [("a", "b", "kappa", 0.02, -0.1, 0.14, ""), ("a", "b", "auc", None, None, None, "one class"),
         ("a", "b", "f1", 0.1, None, None, "one patient")],
        columns=["first", "second", "metric", "difference", "low", "high", "reason"],
    )  # fmt: skip
    rows = parsed(tables.paired_table(frame))
    assert [row["difference (95 % interval)"] for row in rows] == [
        "+0.020 (-0.100 to +0.140)", "undefined (one class)", "+0.100 (no interval: one patient)",
    ]  # fmt: skip
    assert [row["finding"] for row in rows] == ["includes 0", "none", "none"]
    assert "counted" not in rows[0]


def test_spread_is_laid_out_as_it_was_counted():
    table = results((2, 18))
    table.loc[0, "kappa"] = np.nan
    rows, counted = [], {}
    for (variant, size), cells in table.groupby(["variant", "train_size"]):
        cells = cells[cells["fold"] == 0] if size == 18 else cells
        cell_rows = cells[["fold", "repeat", "seed", "kappa"]].itertuples(index=False)
        counted[variant, size] = spread(cell_rows, same_folds=True)
        rows += [
            {"variant": variant, "train_size": size, "metric": "kappa", "part": part} | number
            for part, number in counted[variant, size].items()
        ]
    text = tables.spread_table(pd.DataFrame(rows))
    row = line(parsed(text), size="2", variant="scratch")
    for column, part in (("SD of folds", "folds"), ("SD of seeds", "seeds"), ("total SD", "total")):
        assert row[column] == f"{counted['scratch', 2][part]['value']:.3f}"
    one_fold = line(parsed(text), size="18", variant="manual")
    assert one_fold["SD of folds"].startswith("undefined (one fold")
    assert "Cohen's κ, manual, 2: undefined in 1 of 6 cells: left out" in text
    assert "without an interval" not in text


def test_what_holds_for_every_difference_is_said_once():
    base = {"first": "a", "second": "b", "difference": 0.1, "low": 0.0, "high": 0.2, "train_size": 2}
    lines = [base | {"metric": name, "reason": "7 resamples were left out"} for name in ("auc", "kappa")]
    text = tables.paired_table(pd.DataFrame(lines))
    assert text.count("- Every line: 7 resamples were left out.") == 1
    lines[1]["reason"] = ""
    assert "- AUC, a - b, 2: 7 resamples were left out." in tables.paired_table(pd.DataFrame(lines))
