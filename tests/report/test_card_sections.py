"""The sections of a card from made-up numbers: what they tell, and what they must not tell."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from carded import (
    FINDINGS,
    GRADE,
    SECRET,
    example_material,
    finding,
    made_up_run,
    made_up_set,
    numbers_of,
)

from mri_tf.audit.compared import not_known
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.exchange import exchange_labels
from mri_tf.report import thumbnails
from mri_tf.report.blocks import NOT_COMPUTED, Facts, Fold, Heading, Listed, Pictures, Table, Text
from mri_tf.report.card import sections_of, write_card
from mri_tf.report.examples import wrong_patients
from mri_tf.report.facts import Known
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, STUDY, Judged
from mri_tf.report.options import Options
from mri_tf.report.reproduce import reproduce
from mri_tf.report.verdict import audit_status, p_of
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.spec import to_json

ORDER = (
    "verdict", "flow", "data", "split", "model", "performance", "probabilities", "subgroups",
    "baselines", "audit", "explanations", "failures", "more-patients", "limits", "reproduce",
    "checklist",
)  # fmt: skip


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return example_material(tmp_path_factory.mktemp("made-up"))


@pytest.fixture(scope="module")
def sections(material):
    return {one.name: one for one in sections_of(material, Options())}


def words(blocks) -> str:
    """All texts of blocks, in their order."""
    parts = []
    for block in blocks:
        if isinstance(block, (Text, Heading)):
            parts.append(block.text)
        elif isinstance(block, Listed):
            parts += block.items
        elif isinstance(block, Facts):
            parts += [f"{term}: {said}" for term, said in block.rows]
        elif isinstance(block, Table):
            parts += [block.caption, *(" | ".join(row) for row in (block.columns, *block.rows))]
        elif isinstance(block, Fold):
            parts += [block.summary, words(block.blocks)]
        else:
            parts.append(getattr(block, "caption", getattr(block, "text", "")))
    return "\n".join(parts)


def text_of(section) -> str:
    return words(section.blocks)


def test_the_sections_stand_in_the_order_of_the_issue(sections):
    assert tuple(sections) == ORDER


def test_the_verdict_has_question_headline_interval_p_majority_and_audit(sections, material):
    said, numbers = text_of(sections["verdict"]), material.metrics
    auc = numbers["auc"]
    assert "Is the tumour of high grade?" in said and "Not a medical device" in said
    assert f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})" in said
    assert f"p = {numbers['better_than_chance']['p']['auc']:.2g}" in said
    assert "16 on the test side: low grade 8, high grade 8" in said
    assert f"accuracy {numbers['majority_accuracy']:.3f}" in said
    assert "CERTAIN LEAK: copies" in said and "Made-up numbers." in said


def test_the_flow_counts_cases_records_patients_and_sides(sections):
    said = text_of(sections["flow"])
    for part in ("95 cases listed (3 could not be read and were skipped)", "92 cases read",
                 "92 records on the grid", "46 patients", "train on 20 patients", "test on 16 patients"):
        assert part in said


def test_the_data_tell_age_sex_site_and_scanner_of_each_class(sections):
    said = text_of(sections["data"])
    assert "test, high grade | 8" in said and "female" in said
    assert "Patients by site" in said and "Patients by scanner" in said


def test_the_split_is_proven_by_the_certain_findings_and_the_lists_of_the_run(sections):
    said = text_of(sections["split"])
    assert "no patient is on two sides" in said
    assert "patients on two sides | not found" in said and "copies | found: a certain leak" in said
    assert "label from size" not in said


def test_a_patient_on_two_sides_of_the_lists_is_told(material):
    values = json.loads(json.dumps(material.run.values))
    values["patients"]["test"].append(values["patients"]["train"][0])
    run = replace(material.run, values=values)
    torn = replace(material, run=run, runs=(run,))
    (split,) = (one for one in sections_of(torn, Options()) if one.name == "split")
    assert "1 patients are on two sides" in text_of(split)


def test_operations_of_the_preparation_are_those_that_were_set(sections, material):
    assert "prepared once: orient, resize\n" in text_of(sections["model"])
    task = {**material.run.values["task"], "prep": {"n4": True, "slices": {"count": 3}}}
    values = {**material.run.values, "task": task}
    run = replace(material.run, values=values)
    (model,) = (one for one in sections_of(replace(material, run=run), Options()) if one.name == "model")
    assert "prepared once: orient, n4, slices\n" in text_of(model)


def test_performance_names_methods_and_counts_patients_in_the_confusion(sections, material):
    said, table = text_of(sections["performance"]), material.judged[0].table
    assert material.metrics["accuracy"]["method"] in said
    own = table[(table["truth"] == "low_grade") & (table["predicted"] == "low_grade")]
    assert f"low grade (8) | {len(own)} ({own['patient'].nunique()})" in said
    assert "Two ways to decide" in said and "Spread over folds and seeds: not known" in said


def test_what_other_versions_compute_is_told_as_missing_and_shown_where_it_is_there(sections, material):
    assert "There are no subgroups" in text_of(sections["subgroups"])
    assert "the records do not name two sites" in text_of(sections["subgroups"])
    assert text_of(sections["baselines"]).count(NOT_COMPUTED) == 2
    number = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 16, "unit": "patients", "method": "m"}
    few = {"value": None, "low": None, "high": None, "n": 1, "unit": "patients", "reason": "too few"}
    counts = {"low_grade": 8, "high_grade": 1}
    numbers = material.metrics | {
        "subgroups": [{"by": "sex", "group": "female", "patients": counts, "records": 18,
                       "numbers": {"auc": number}},
                      {"by": "site", "group": "north", "patients": counts, "records": 2,
                       "numbers": {"auc": few}}],
        "within_sites": {"auc": number, "sites": [{"site": "north", "patients": counts, "auc": few}]},
        "baselines": [{"name": "age and sex", "numbers": {"auc": number}, "difference": {"auc": number},
                       "reason": ""}, {"name": "volume", "numbers": {}, "reason": "no mask"}],
        "added_value": {"metric": "auc", "covariates": number, "image": number, "both": number,
                        "difference": number, "shown": False, "reason": "n is small"},
    }  # fmt: skip
    judged = Judged("", numbers, material.judged[0].table)
    changed = replace(material, judged=(judged,))
    shown = {one.name: text_of(one) for one in sections_of(changed, Options())}
    assert "sex: female | low grade 8, high grade 1 | 18 | 0.700 (0.600 to 0.800)" in shown["subgroups"]
    assert "undefined (too few)" in shown["subgroups"] and "cannot raise: 0.700" in shown["subgroups"]
    assert "age and sex | AUC | 0.700 (0.600 to 0.800) | +0.700 (+0.600 to +0.800)" in shown["baselines"]
    assert "volume | none | no mask" in shown["baselines"]
    assert "not shown that the image adds anything to them. n is small" in shown["baselines"]


def test_the_audit_tells_clean_checks_with_their_dose_and_keeps_explanations_apart(sections):
    said = text_of(sections["audit"])
    assert "label from size | not found | 0.4 | 46 | 85%" in said
    assert "patients on two sides | not found |  | 46 | any: it needs no statistics" in said
    assert "copies: found: a certain leak" in said and "000003-0000" in said
    assert "Grad-CAM" not in said
    assert "Grad-CAM, cascade | passes" in text_of(sections["explanations"])
    assert "label from histogram | 0.33" in text_of(sections["baselines"])


def test_an_audit_that_was_left_out_is_told(material):
    values = {**material.run.values, "audit": None}
    run = replace(material.run, values=values)
    none = replace(material, run=run, runs=(run,), findings=None)
    assert "--no-audit" in audit_status(none)


def test_best_median_and_worst_are_those_of_the_loss(sections, material):
    table = material.judged[0].table
    loss = -np.log(np.where(table["truth"] == "low_grade", table["p_low_grade"], table["p_high_grade"]))
    worst = table["record_id"].to_numpy()[loss.argmax()]
    said = text_of(sections["explanations"])
    assert f"worst | {worst}" in said
    assert f"best | {table['record_id'].to_numpy()[loss.argmin()]}" in said


def test_every_patient_with_a_wrong_answer_is_listed_and_no_other(sections, material):
    table = material.judged[0].table
    wrong = table[table["truth"] != table["predicted"]]
    rows = wrong_patients(table)
    assert len(rows) == wrong["patient"].nunique() and "patient" not in rows
    assert rows["wrong"].sum() == len(wrong)
    said = text_of(sections["failures"])
    assert all(record in said for record in wrong["record_id"])
    assert not any(record in said for record in set(table["record_id"]) - set(wrong["record_id"]))


def test_patients_with_wrong_answers_in_two_classes_count_once(material):
    judged = material.judged[0]
    table = judged.table.iloc[:4].assign(
        patient=["a", "a", "b", "c"], truth=["low_grade", "high_grade", "low_grade", "low_grade"],
        predicted=["high_grade", "low_grade", "high_grade", "low_grade"],
    )  # fmt: skip
    of_both = replace(material, judged=(replace(judged, table=table),))
    said = text_of({one.name: one for one in sections_of(of_both, Options())}["failures"])
    assert "2 of 3 patients have a wrong answer: 3 rows, one for each class of a patient" in said
    assert "In 3 of the rows all records are wrong" in said


def test_settings_with_a_slash_are_whole_and_of_a_path_the_last_part_is_compared_and_shown(material):
    task = to_json(load_task(FOLDER / "meningioma_grading.py"))

    def differences(**changes) -> str:
        run = replace(material.run, values={**material.run.values, "task": {**task, **changes}})
        return words(reproduce(replace(material, run=run), Options()).blocks)

    assert task["fine_tune"]["train"][1] == "probabilities/.*"
    assert "Every setting is that of the task file" in differences()
    weights = "C:\\Users\\somebody\\net.h5"
    said = differences(
        model_args=task["model_args"] | {"weights": weights},
        fine_tune=task["fine_tune"] | {"train": ["stack4_.*", "probabilities/.*"]},
    )
    assert "net.h5" in said and "somebody" not in said and "'probabilities/.*'" in said


def test_what_the_image_adds_is_not_judged_where_there_is_nothing_to_add_to(material):
    metrics = {**material.metrics, "added_value": not_known("no covariates: no age")}
    without = replace(material, judged=(replace(material.judged[0], metrics=metrics),))
    said = text_of({one.name: one for one in sections_of(without, Options())}["baselines"])
    assert "cannot be told (no covariates: no age)" in said and "not shown that" not in said


def test_a_card_holds_no_id_of_a_patient_no_path_and_numbers_as_they_stand(material, tmp_path):
    card = write_card(material, tmp_path / "card.html", Options()).read_text()
    assert SECRET not in card and str(tmp_path) not in card and "../set" not in card
    data = json.loads(re.search(r'id="card-data">(.*?)</script>', card, re.DOTALL)[1])
    assert data["numbers"]["run"] == material.metrics
    assert "<script" not in card.replace('<script type="application/json"', "")
    assert "data:image/png" not in card


def test_thumbnails_are_there_on_request_without_images_of_faces(
    material, tmp_path, monkeypatch
):
    table = material.judged[0].table
    wrong = table[table["truth"] != table["predicted"]]["record_id"].tolist()
    faces = finding("faces", "found", records=wrong)
    shown = replace(material, findings=[*FINDINGS, faces])
    said = {one.name: text_of(one) for one in sections_of(shown, Options(thumbnails=True))}
    assert "images are left out: they show a face or text" in said["failures"]
    card = write_card(material, tmp_path / "card.html", Options(thumbnails=True)).read_text()
    assert card.count("data:image/png") >= 3
    monkeypatch.setattr(thumbnails, "shows_identity", lambda record, modality: ("face",))
    unaudited = write_card(material, tmp_path / "none.html", Options(thumbnails=True)).read_text()
    assert "data:image/png" not in unaudited  # nobody audited this run, and each record is looked at


def test_small_counts_are_hidden_on_request_everywhere(tmp_path):
    material = example_material(tmp_path)
    table = material.judged[0].table
    few = table[(table["truth"] == "low_grade") | table["patient"].isin(
        table[table["truth"] == "high_grade"]["patient"].unique()[:3])]  # fmt: skip
    group = {"by": "sex", "group": "female", "patients": {"low_grade": 8, "high_grade": 3},
             "records": 22, "numbers": {}}  # fmt: skip
    judged = Judged("", numbers_of(few, GRADE) | {"subgroups": [group]}, few)
    shown = replace(material, judged=(judged,))
    card = write_card(shown, tmp_path / "card.html", Options(smallest_cell=5)).read_text()
    sections = {one.name: text_of(one) for one in sections_of(shown, Options(smallest_cell=5))}
    assert "low grade hidden, high grade < 5" in sections["verdict"].replace("&lt;", "<")
    assert "ROC curve left out" in sections["performance"]
    assert "Single failures are not listed" in sections["failures"]
    data = json.loads(re.search(r'id="card-data">(.*?)</script>', card, re.DOTALL)[1])
    assert data["numbers"]["run"]["per_class"]["high_grade"]["patients"] is None
    assert data["numbers"]["run"]["confusion"] is None
    assert data["numbers"]["run"]["per_class"]["low_grade"]["patients"] is None  # 11 less 3
    assert data["numbers"]["run"]["subgroups"][0]["patients"] == {"low_grade": None, "high_grade": None}
    assert not re.search(r"\b3 patients", card)


def test_ages_that_are_known_of_few_patients_are_hidden(material, monkeypatch):
    def of_three(known) -> np.ndarray:
        ages = np.full(len(known.records), np.nan)
        ages[[0, 2, 4]] = 77  # of the ten of a class on the training side
        return ages

    monkeypatch.setattr(Known, "ages", of_three)
    shown, hidden = (
        {one.name: words(one.blocks) for one in sections_of(material, options)}["data"]
        for options in (Options(), Options(smallest_cell=5))
    )  # fmt: skip
    assert "77 (77 to 77), known of 3" in shown
    assert "77" not in hidden and "hidden, known of < 5" in hidden


def test_images_of_a_card_are_left_as_they_are_where_small_counts_are_hidden(material, monkeypatch):
    source = "data:image/png;base64,+1/2="
    monkeypatch.setattr(thumbnails, "as_data", lambda plane: source)
    sections = sections_of(material, Options(smallest_cell=5, thumbnails=True))
    pictures = [one for section in sections for block in section.blocks
                if isinstance(block, Pictures) for one in block.pictures]  # fmt: skip
    assert len(pictures) >= 3 and {one.source for one in pictures} == {source}


def test_the_drawing_of_the_flow_hides_small_counts_too(material):
    values = json.loads(json.dumps(material.run.values))
    values["patients"]["train"] = values["patients"]["train"][:-2]
    run = replace(material.run, values=values)
    few = replace(material, run=run, runs=(run,))
    section = {one.name: one for one in sections_of(few, Options(smallest_cell=5))}["flow"]
    assert "&lt; 5 patients" in section.blocks[0].svg and ">2 patients" not in section.blocks[0].svg
    everything = {one.name: one for one in sections_of(few, Options())}["flow"]
    assert ">2 patients" in everything.blocks[0].svg


def test_copies_that_were_kept_are_told_and_not_called_dropped(material):
    copies = {"choice": "keep", "exact": 3, "near": 9, "held_out": ["a"] * 12, "dropped": []}
    run = replace(material.run, values={**material.run.values, "known_copies": copies})
    said = {one.name: text_of(one) for one in sections_of(replace(material, run=run), Options())}
    assert "KNOWN COPIES: 12 of 32 held-out records have a copy" in said["flow"]
    assert "dropped" not in said["flow"]


def test_a_study_says_how_its_sides_were_made_and_by_which_command(material):
    def card(**columns) -> tuple[str, str]:
        results = pd.DataFrame({
            "variant": ["manual", "manual+tuned"] * 2, "fold": [0, 0, 1, 1], "repeat": 0,
            "study_seed": 7, "restarts": 3, "trials": [np.nan, 8] * 2, "n_train": 9,
        } | columns)  # fmt: skip
        study = replace(material, kind=STUDY, results=results, runs=(material.run,))
        said = {one.name: text_of(one) for one in sections_of(study, Options())}
        return said["split"], said["reproduce"]

    split, command = card()
    assert "assigned to folds" in split
    assert '--folds 2 --repeats 1 --seed 7 --restarts 3 --tuned 8 --variants "manual"' in command
    split, command = card(site=["A", "A", "B", "B"])
    assert "Each site is held out once as a whole" in split and "--leave-one-site-out" in command
    assert "Not cross-validated: one split in each repeat" in card(fold=0)[0]


def test_a_model_of_members_without_an_audit_says_that_nobody_looked(material):
    values = {key: value for key, value in material.run.values.items() if key != "audit"}
    ensemble, member = replace(material.run, values=values), replace(material.run, values=values)
    member = replace(member, values={**values, "audit": None})
    folds = replace(material, kind=MEMBERS, run=ensemble, runs=(member,), findings=None)
    assert "earlier version" not in audit_status(folds)
    assert "earlier version" in audit_status(replace(folds, runs=(ensemble,)))


def test_a_model_of_members_tells_the_spread_of_its_folds(material):
    numbers = material.metrics | {
        "auc_within_folds": {**material.metrics["auc"], "low": None, "high": None, "reason": "of folds"},
        "members": [{"repeat": 0, "fold": fold, "best_epoch": 3, "epochs": 4,
                     "patients": {"train": 20, "validation": 10, "test": 8},
                     **{name: material.metrics[name] for name in ("auc", "balanced_accuracy")}}
                    for fold in (0, 1)],
        "correlation": {"value": 0.5, "patients": 10, "reason": ""},
    }  # fmt: skip
    members = [{"fold": fold, "repeat": 0} for fold in (0, 1)]
    values = {**material.run.values, "members": members, "split": "2 folds"}
    run = replace(material.run, values=values)
    judged = Judged("", numbers, material.judged[0].table)
    folds = replace(material, kind=MEMBERS, run=run, judged=(judged,))
    said = {one.name: text_of(one) for one in sections_of(folds, Options())}
    assert "AUC, mean of the folds" in said["verdict"] and "; all folds together" in said["verdict"]
    assert "0 | 1 | 20 | 10 | 8 | 3" in said["performance"]
    assert "--folds 2" in said["reproduce"]


def test_no_record_of_a_locked_test_side_is_read(material, monkeypatch):
    values = {**material.run.values, "test_lock": {"contents": []}, "test_looks": None}
    run = replace(material.run, values=values)
    closed = replace(material, run=run, runs=(run,), judged=(Judged("", {}),))
    read, record = set(), type(material.prepared).record

    def logged(prepared, position):
        read.add(str(prepared.record_ids[position]))
        return record(prepared, position)

    monkeypatch.setattr(type(material.prepared), "record", logged)
    said = {one.name: text_of(one) for one in sections_of(closed, Options(thumbnails=True))}
    assert read and not read & set(run.sides["test"])
    assert "locked and nobody has looked at it" in said["verdict"] and "locked" in said["data"]


def test_a_set_that_is_gone_leaves_a_card_that_says_so(material):
    gone = replace(material, prepared=None)
    said = {one.name: text_of(one) for one in sections_of(gone, Options(thumbnails=True))}
    assert "no longer where it was" in said["flow"] and "no longer where it was" in said["data"]
    assert "train on 20 patients" in said["flow"]


def test_markdown_of_tables_becomes_blocks():
    rows = "| a | b |\n| - | -: |\n| x\\|y | 1 |"
    text = f"A **sentence**\nover lines.\n\n{rows}\n\n- one\n- two\n\n## More\n\nend"
    sentence, table, listed, heading, end = blocks_of(text, "caption")
    assert sentence.text == "A sentence over lines." and end.text == "end"
    assert (table.caption, table.columns, table.rows) == ("caption", ("a", "b"), (("x|y", "1"),))
    assert listed.items == ("one", "two") and heading.text == "More"


def test_three_classes_have_a_card_too(tmp_path):
    task = replace(GRADE, class_names=("one", "two", "three"))
    prepared = made_up_set(tmp_path / "set", task)
    prepared.labels = np.arange(len(prepared)) // 2 % 3
    run = made_up_run(tmp_path / "run", task, prepared)
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    truth = prepared.labels[[place[name] for name in run.sides["test"]]]
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], len(truth)) / 2 + np.eye(3)[truth] / 2
    names = np.array(task.class_names)
    table = pd.DataFrame({
        "record_id": run.sides["test"], "truth": names[truth], "predicted": names[p.argmax(axis=1)],
        "patient": prepared.patients[[place[name] for name in run.sides["test"]]],
        **{f"p_{name}": p[:, n] for n, name in enumerate(names)},
    })  # fmt: skip
    material = replace(example_material(tmp_path), run=run, runs=(run,), prepared=prepared,
                       judged=(Judged("", numbers_of(table, task), table),))  # fmt: skip
    said = {one.name: text_of(one) for one in sections_of(material, Options())}
    assert "A decision curve is for two classes only." in said["probabilities"]
    assert "one | " in said["performance"] and "three" in said["performance"]


@pytest.mark.parametrize("folds, said", [
    (None, "(exact)"),
    ([0] * 4 + [1] * 4, "(approximate, of networks that share training patients)"),
])  # fmt: skip
def test_a_p_value_of_folds_is_not_called_exact(folds, said):
    truth = np.tile([0, 1], 4)
    chance = np.linspace(0.1, 0.9, 8)
    made = checked(truth, np.stack([1 - chance, chance], axis=1), chance > 0.5, np.arange(8))
    found = exchange_labels(made, None if folds is None else np.array(folds)).as_json()
    assert p_of({"better_than_chance": found}, "auc").endswith(said)
