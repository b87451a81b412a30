"""Reading mode: no answer before the reader's label, the CSV of readings, agreement."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from test_page_answers import png

from mri_tf.metrics.agreement import agreement_among, agreement_of_two
from mri_tf.page.readings import Readings, agreement
from mri_tf.page.refused import Refused

VALUES = (10, 200, 20, 220, 30, 240, 40, 120)  # dark below 128


@pytest.fixture
def reading(tab):
    """A study in reading mode, answered, and nothing of it read."""
    files = {f"p/{number}.png": png(value) for number, value in enumerate(VALUES)}
    study = tab.add("bright", files, reading=True, reader="=anna")
    found = tab.run(study)
    assert found["state"] == "done" and len(found["cases"]) == len(VALUES)
    return study


def _label(tab, study: str, case: str, label: str, **values):
    body = {"label": label, "seconds": 1.5, "corrected": None, **values}
    return tab.http.put(f"/api/studies/{study}/cases/{case}/reading", json=body)


def test_no_answer_is_sent_before_the_reader_s_label(tab, reading):
    shown = tab.http.get(f"/api/studies/{reading}")
    for word in ("probabilities", "decision", "most_probable", "out_of_distribution"):
        assert word not in shown.text
    for case in shown.json()["cases"]:
        assert not case["answered"] and case["rows"] == [] and case["map"] is None
        base = f"/api/studies/{reading}/cases/{case['id']}"
        assert tab.http.get(f"{base}/map.nii.gz").status_code == 404
        assert tab.http.get(f"{base}/image.nii.gz").status_code == 200
    answered = _label(tab, reading, "c2", "dark")
    assert answered.status_code == 200 and answered.json()["answered"]
    assert answered.json()["rows"][0]["decision"] == "light"
    found = tab.http.get(f"/api/studies/{reading}").json()["cases"]
    assert [case["id"] for case in found if case["answered"]] == ["c2"]
    assert all(not case["rows"] for case in found if not case["answered"])
    assert tab.http.get(f"/api/studies/{reading}/cases/c2/map.nii.gz").status_code == 200


def test_a_label_stays_and_can_be_corrected(tab, reading):
    assert _label(tab, reading, "c1", "light").json()["reading"]["order"] == 1
    assert _label(tab, reading, "c1", "dark").status_code == 409
    corrected = _label(tab, reading, "c1", "light", corrected="dark")
    given = {"label": "light", "corrected": "dark", "seconds": 1.5, "order": 1}
    assert corrected.json()["reading"] == given
    for values in ({"label": "none"}, {"label": None}, {"corrected": "none"}, {"seconds": -1},
                   {"seconds": "1"}, {"seconds": True}, {"seconds": None}):  # fmt: skip
        assert _label(tab, reading, "c3", **{"label": "dark", **values}).status_code == 400
    assert _label(tab, reading, "c99", "dark").status_code == 404
    other = tab.add("bright", {"a.png": png(9)})
    tab.run(other)
    assert _label(tab, other, "c1", "dark").status_code == 409


def test_readings_are_a_table_that_no_spreadsheet_takes_for_formulas(tab, reading):
    for case, label in (("c3", "light"), ("c1", "dark")):
        _label(tab, reading, case, label)
    answer = tab.http.get(f"/api/readings.csv?study={reading}")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["case"], row["label"], row["order"], row["decision"]) for row in rows] == [
        ("case 3", "light", "1", "dark"), ("case 1", "dark", "2", "dark")
    ]  # fmt: skip
    assert rows[0]["file"] == "p/2.png" and rows[0]["reader"] == "'=anna"
    assert (rows[0]["patient"], rows[0]["seconds"], rows[0]["corrected"]) == ("3", "1.5", "")


def test_agreement_is_that_of_the_metrics(tab, reading):
    truth = ["dark" if value < 128 else "light" for value in VALUES]
    own = ["light", *truth[1:]]
    for number, label in enumerate(own, 1):
        _label(tab, reading, f"c{number}", label)
    other = ["dark", "light", "dark", "light", "light", "light", "dark", "dark"]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "label"])
    writer.writerows([f"p/{number}.png", label] for number, label in enumerate(other))
    readers = [{"name": "ben", "csv": table.getvalue()}, {"name": "ben", "csv": table.getvalue()}]
    found = tab.http.post(f"/api/agreement?study={reading}", json={"readers": readers}).json()
    names = ("dark", "light")
    of = {name: np.array([names.index(label) for label in labels])
          for name, labels in (("own", own), ("truth", truth), ("other", other))}  # fmt: skip
    patients = np.array([str(number) for number in range(1, len(VALUES) + 1)])
    wanted = agreement_of_two(of["own"], of["truth"], patients, 2, False)
    assert found["with_model"]["kappa"] == wanted["kappa"] and wanted["kappa"]["low"] is not None
    assert found["with_model"]["agreement"] == wanted["agreement"] and found["with_model"]["n"] == 8
    assert [(one["a"], one["b"]) for one in found["between"]] == [
        ("=anna", "ben"), ("=anna", "ben (2)"), ("ben", "ben (2)")
    ]  # fmt: skip
    wanted = agreement_of_two(of["own"], of["other"], patients, 2, False)
    assert found["between"][0]["kappa"] == wanted["kappa"]
    among = agreement_among(np.stack([of["own"], of["other"], of["other"]]), patients, 2, False)
    assert found["among"]["kappa"] == among["kappa"]
    for wrong in ("", "a,b\n1,2", "file,label\np/0.png,purple"):
        body = {"readers": [{"name": "x", "csv": wrong}]}
        assert tab.http.post(f"/api/agreement?study={reading}", json=body).status_code == 422
    for wrong in ({"readers": 3}, {"readers": [3]}, {"readers": [{"name": "x"}]}):
        assert tab.http.post(f"/api/agreement?study={reading}", json=wrong).status_code == 400


def test_agreement_of_an_uploaded_table_tells_nothing_of_cases_that_are_not_read(tab, reading):
    _label(tab, reading, "c1", "dark")
    found = []
    for guess in ("dark", "light"):
        table = f"file,label\np/0.png,dark\np/1.png,{guess}\n"
        body = {"readers": [{"name": "spy", "csv": table}]}
        found.append(tab.http.post(f"/api/agreement?study={reading}", json=body).json())
    assert found[0]["readers_with_model"] == found[1]["readers_with_model"]
    assert found[0]["readers_with_model"][1]["n"] == 1


def test_intervals_of_agreement_are_over_patients_and_not_over_their_cases():
    from made_up_export import TASKS

    def cases(patients):
        return {f"c{n}": {"id": f"c{n}", "files": str(n), "patient": patient, "decision": "dark" if n % 2
                          else "light"} for n, patient in enumerate(patients)}  # fmt: skip

    readings = Readings("anna")
    for n in range(12):
        label = "dark" if n % 2 and n > 2 else "light"
        readings.read(f"c{n}", {"label": label, "seconds": 1.0}, ("dark", "light"))
    alone, clustered = (agreement(readings, cases(patients), TASKS["bright"], [])["with_model"]
                        for patients in (range(12), [n // 3 for n in range(12)]))  # fmt: skip
    assert alone["kappa"]["value"] == clustered["kappa"]["value"]
    assert alone["kappa"]["n"] == 12 and clustered["kappa"]["n"] == 4
    ordered = replace(TASKS["bright"], class_names=("low", "dark", "light"), ordered=True)
    graded = agreement(readings, cases(range(12)), ordered, [])["with_model"]
    assert graded["method"] == "Cohen's kappa, quadratic"
    with pytest.raises(Refused):
        agreement(readings, cases(range(12)), TASKS["bright"], "none")


def test_what_is_kept_is_what_was_asked_for_and_shown(exports, tmp_path, reading, tab, shared_page):
    from pathlib import Path

    from mri_tf.page.keep import keep_study

    _label(tab, reading, "c2", "dark")
    assert tab.http.post(f"/api/studies/{reading}/keep").status_code == 404  # a page without --keep
    study = shared_page.sessions.get(tab.token).studies[reading]
    folder = tmp_path / keep_study(study, tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    document = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    assert [row["case"] for row in document["answers"]] == ["c2"] and document["task"] == "bright"
    assert {path.name for path in Path(folder).iterdir()} == {
        "answers.json", "readings.csv", "c2_image_0.nii.gz", "c2_map.nii.gz",
    }  # fmt: skip
