"""Material of cards whose numbers are known, made without a training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from made_up_set import MadeUpSet

from mri_tf.metrics import classification_metrics, volume_metrics
from mri_tf.report.card import write_card
from mri_tf.report.material import RUN, STUDY, Judged, Material
from mri_tf.report.options import Options
from mri_tf.store.run import FINISHED, Run
from mri_tf.task import Task
from mri_tf.task.spec import SIDES, to_json

GRADE = Task(
    name="grade", channels=("t1", "t2"), image_shape=(16, 16), class_names=("low_grade", "high_grade"),
    model="vgg", modality="MR", caution="Made-up numbers.",
)  # fmt: skip
LUMPS = Task(
    name="lumps", kind="segmentation", channels=("t1",), image_shape=(8, 16, 16), model="unet3d",
    class_names=("background", "lump", "core"),
)  # fmt: skip
SIZES = (20, 10, 16)  # patients of the three sides
SECRET = "SMITH^JOHN"  # begins the id of every patient


def made_up_set(folder: Path, task: Task, seed: int = 0) -> MadeUpSet:
    """Two records a patient, with ages, sexes, sites and scanners."""
    rng = np.random.default_rng(seed)
    count = 2 * sum(SIZES)
    patients = [f"{SECRET}{number // 2:03d}" for number in range(count)]
    shape = (*task.image_shape, len(task.channels))
    facts = [{"age": 30 + number % 40, "sex": "FM"[number // 2 % 2],
              "scanner": f"S{number // 2 % 3}"} for number in range(count)]  # fmt: skip
    prepared = MadeUpSet(
        folder, [rng.integers(0, 255, shape, np.uint8) for _ in range(count)], patients, facts,
        label=[number // 2 % 2 for number in range(count)],
        site=["north", "south"] * (count // 2),
    )  # fmt: skip
    prepared.manifest |= {
        "channels": list(task.channels), "versions": {},
        "operations": ["orient", "n4 if set", "resize, or slices if set"],
        "counts": {"cases": count, "records": count, "patients": sum(SIZES), "skipped": 3},
    }  # fmt: skip
    return prepared


def made_up_run(folder: Path, task: Task, prepared: MadeUpSet) -> Run:
    """A finished run whose sides are the patients in their order."""
    ends = np.cumsum([0, *(2 * size for size in SIZES)])
    own = {side: slice(ends[n], ends[n + 1]) for n, side in enumerate(SIDES)}
    sides = {side: list(prepared.record_ids[part]) for side, part in own.items()}
    patients = {side: sorted(set(prepared.patients[part])) for side, part in own.items()}
    return Run(folder, {
        "task": to_json(task), "seed": 3, "data": "d" * 64, "data_folder": "../set", "split": "patient",
        "sides": sides, "patients": patients, "state": FINISHED, "parameters": 12345, "best_epoch": 7,
        "epochs_trained": 9, "versions": {"mri_tf": "0", "keras": "3"}, "weights_sha256": "w" * 64,
        "question": "Is the tumour of high grade?", "test_looks": 2,
        "code": {"commit": "c" * 40, "changed": False, "lock_sha256": None},
    })  # fmt: skip


def predictions_of_run(run: Run, prepared: MadeUpSet, seed: int = 0) -> pd.DataFrame:
    """Rows of predictions.parquet of the test side: about two in three right."""
    rng = np.random.default_rng(seed)
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    records = [place[name] for name in run.sides["test"]]
    truth = prepared.labels[records]
    p = 1 / (1 + np.exp(-rng.normal(1.2 * (2 * truth - 1), 1.5)))
    names = np.array(run.task.class_names)
    return pd.DataFrame({
        "record_id": prepared.record_ids[records], "patient": prepared.patients[records],
        "site": prepared.sites[records], "truth": names[truth],
        "predicted": names[(p > 0.5).astype(int)],
        f"p_{names[0]}": 1 - p, f"p_{names[1]}": p,
    })  # fmt: skip


def numbers_of(table: pd.DataFrame, task: Task) -> dict:
    """metrics.json of such rows."""
    place = {name: number for number, name in enumerate(task.class_names)}
    p = table[[f"p_{name}" for name in task.class_names]].to_numpy()
    values = classification_metrics(
        table["truth"].map(place).to_numpy(), p, table["predicted"].map(place).to_numpy(),
        table["patient"].to_numpy(), task.class_names,
    )  # fmt: skip
    return values | {
        "most_probable": {name: values[name] for name in ("accuracy", "balanced_accuracy")},
        "split": "patient", "test_looks": {"locked": False, "look": 1, "lock": None, "counted": True},
    }  # fmt: skip


def finding(name: str, status: str, **values) -> dict:
    """A finding as findings.json holds it."""
    known = {"statistic": None, "p": None, "n": 46, "meaning": "", "what_to_do": "", "records": [],
             "certain": False, "smallest_agreement": None}  # fmt: skip
    return {"name": name, "status": status, "evidence": f"evidence on {name}", **known, **values}


FINDINGS = [
    finding("patients on two sides", "not found"),
    finding("copies", "found", certain=True, records=["000003-0000"], meaning="too good",
            what_to_do="join"),
    finding("label from size", "not found", statistic=0.1, p=0.4, smallest_agreement=0.85),
    finding("site against label", "cannot tell"),
    finding("label from histogram", "baseline", statistic=0.33),
    finding("explanation: Grad-CAM, cascade", "not found"),
]


def example_material(home: Path, findings: list[dict] | None = FINDINGS) -> Material:
    """Of a run of a classifier."""
    prepared = made_up_set(home / "set", GRADE)
    run = made_up_run(home / "run", GRADE, prepared)
    table = predictions_of_run(run, prepared)
    judged = Judged("", numbers_of(table, GRADE), table)
    return Material(RUN, home / "run", run, (run,), (judged,), prepared, findings, findings is not None)


def example_card(home: Path) -> Path:
    """The card of `example_material`."""
    return write_card(example_material(home), home / "card.html", Options(thumbnails=True))


def example_study(home: Path) -> Path:
    """The card of a study of two variants."""
    of_run = example_material(home, FINDINGS[:1])
    (first,) = of_run.judged
    table = predictions_of_run(of_run.run, of_run.prepared, seed=1)
    judged = (replace(first, name="manual"), Judged("scratch", numbers_of(table, GRADE), table))
    results = pd.DataFrame({"variant": ["manual", "scratch"], "fold": [0, 0], "repeat": [0, 0]})
    report = {"Scores": "| variant | auc |\n| --- | --: |\n| manual | 0.8 |\n\n- Mean over cells."}
    material = replace(of_run, kind=STUDY, judged=judged, results=results, report=report)
    return write_card(material, home / "study.html", Options())


def example_segmentation(home: Path) -> Path:
    """The card of a segmentation of volumes."""
    prepared = made_up_set(home / "lumps", LUMPS)
    run = made_up_run(home / "lumps-run", LUMPS, prepared)
    rng = np.random.default_rng(1)
    count = len(run.sides["test"])
    confusions = rng.integers(5, 50, (count, 3, 3)) + 200 * np.eye(3, dtype=int)
    owners = [name for name in run.values["patients"]["test"] for _ in range(2)]
    none = [[] for _ in range(count)]
    metrics = volume_metrics(confusions, none, np.array(owners), LUMPS.class_names)
    table = pd.DataFrame({"record_id": run.sides["test"], "dice_lump": rng.random(count),
                          "dice_lump_reason": "", "dice_core": rng.random(count)})  # fmt: skip
    judged = Judged("", metrics, table)
    material = Material(
        RUN, home / "lumps-run", run, (run,), (judged,), prepared, FINDINGS[:1], False
    )
    return write_card(material, home / "lumps.html", Options())
