"""Exports to show on the page, their files, and a page around a folder of them with a client a tab."""

import time
from contextlib import chdir
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from in_thread import running_in_thread
from small import write_small

from data_prep.io.nifti import write_nifti
from data_prep.volume import Volume
from mri_tf.calibration import false_alarms
from mri_tf.page.jobs import Asked
from mri_tf.page.limits import Limits
from mri_tf.page.server import PageOptions, PageServer
from mri_tf.train.__main__ import main as train

BLOBS_FILE = '''
"""On which side is the blob?"""
from mri_tf.task import Task

TASK = Task(
    name="blobs", channels=("t1",), image_shape=(16, 24, 24), class_names=("left", "right"),
    modality="MR", model="vgg3d", model_args=dict(conv_filters=4, dense_units=8, blocks=2),
    batch_size=4, steps=40, learning_rate=3e-3,
)
'''
PATIENTS, SHAPE = 24, (24, 24, 16)  # x, y, z


def write_models(home: Path) -> Path:
    """Trains and exports thirds (2D), pools (2D, segmentation) and blobs (3D); returns their folder.

    Their raw folders are `home/raw` and `home/volumes`.
    """
    write_small(home)
    write_volumes(home / "volumes")
    (home / "blobs.py").write_text(BLOBS_FILE, encoding="utf-8")
    with chdir(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr(false_alarms, "FEWEST", 2)  # limits for a handful of patients
        for task, raw, *flags in (
            ("thirds", "raw", "--variant", "scratch", "--set", "epochs=2"),
            ("pools", "raw", "--set", "epochs=2"),
            ("blobs", "volumes"),
        ):
            assert train(["--task", f"{task}.py", "--raw", raw, "--out", f"run_{task}", *flags]) == 0
    return home / "saved_models"


def blob(side: str, seed: int) -> Volume:
    """A noisy volume of 2 x 2 x 3 mm with a bright blob on the patient's left or right, at MARK_MM."""
    rng = np.random.default_rng(seed)
    array = rng.normal(100, 10, SHAPE).astype(np.float32)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = [-24, -20, -30]
    x = 17 if side == "right" else 5
    array[x - 2 : x + 3, 10:15, 6:10] += 200
    return Volume(array, affine)


def write_volumes(folder: Path) -> None:
    """A NIfTI file a patient, and the table of labels."""
    (folder / "t1").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(PATIENTS):
        side = ("left", "right")[number % 2]
        write_nifti(folder / "t1" / f"p{number:02d}.nii.gz", blob(side, number))
        rows.append({"patient_id": f"p{number:02d}", "t1": f"t1/p{number:02d}.nii.gz", "label": side})
    pd.DataFrame(rows).to_csv(folder / "cases.csv", index=False)


def page(models: Path, folder: Path, options: dict | None = None, **limits):
    """A page around a folder of models, in a thread of this process; uploads lie in `folder`.

    `options` are those of PageOptions; yields the server when it is ready.
    """
    return running_in_thread(PageServer(
        PageOptions(models, **{"asked": Asked(), "folder": folder, **(options or {})}),
        Limits(**{"free_bytes": 0, **limits}), "127.0.0.1", 0, loopback=True,
    ))  # fmt: skip


class Tab:
    """A tab of a browser: a session of its own."""

    def __init__(self, server, **headers: str):
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60, headers=headers)
        self.token = self.http.post("/api/session").json()["session"]
        self.http.headers["x-session"] = self.token

    def add(self, model: str, files: dict[str, bytes | Path], **values) -> str:
        """A study with these files by path; returns its id."""
        made = self.http.post("/api/studies", json={"model": model, **values})
        assert made.status_code == 201, made.text
        study = made.json()["study"]
        for path, content in files.items():
            answer = self.put(study, path, content)
            assert answer.status_code == 204, answer.text
        return study

    def put(self, study: str, path: str, content, **kwargs) -> httpx.Response:
        """The answer to one uploaded file, given as bytes, or by its path on this disk."""
        data = content.read_bytes() if isinstance(content, Path) else content
        address = f"/api/studies/{study}/files"
        return self.http.put(address, params={"path": path}, content=data, **kwargs)

    def run(self, study: str) -> dict:
        """Has a study answered and waits for it."""
        assert self.http.post(f"/api/studies/{study}/run").status_code == 202
        return self.wait(study)

    def wait(self, study: str, *states: str) -> dict:
        """The study once it is done or failed, or in one of these states."""
        end = time.monotonic() + 120
        while True:
            found = self.http.get(f"/api/studies/{study}").json()
            if found["state"] in (states or ("done", "failed")):
                return found
            assert time.monotonic() < end, found
            time.sleep(0.02)

    def close(self) -> None:
        """Closes the tab as browsers do."""
        assert self.http.post("/api/session/close", content=self.token).status_code == 204
        self.http.close()
