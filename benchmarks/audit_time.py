"""How long an audit of a prepared set of volumes takes, and the memory at its peak.

    python benchmarks/audit_time.py --out DIR [--patients 50,200] [--side 96]

Draws gliomas in four sequences of side x side x side voxels, prepares them and runs
`python -m mri_tf.audit --data` in a process of its own, faces and burned-in text included. The prepared
sets are kept in DIR and found there by the next run.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.prepare.prepare import prepare
from data_prep.volume import Volume
from mri_tf.tables import markdown
from mri_tf.task.files import load_task

TASK = """
from mri_tf.task import Task
TASK = Task(
    name="drawn_gliomas", layout="brats", modality="MR", channels=("t1", "t1ce", "t2", "flair"),
    image_shape={shape}, class_names=("LGG", "HGG"), model="grader3d",
)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of raw and prepared sets")
    parser.add_argument("--patients", default="50,200")
    parser.add_argument("--side", type=int, default=96, help="voxels")
    flags = parser.parse_args()
    rows = []
    for patients in map(int, flags.patients.split(",")):
        data = prepared(flags.out, patients, flags.side)
        rows.append((patients, *audited(data, flags.out / f"audit_{patients}")))
    columns = ("patients", "exit code", "s", "s of CPU", "GB at the peak")
    print(f"{len(os.sched_getaffinity(0))} cores\n\n{markdown(rows, columns)}")


def prepared(out: Path, patients: int, side: int) -> Path:
    """The prepared set of so many patients; drawn where it is missing."""
    raw, data = out / f"raw_{patients}", out / f"data_{patients}"
    if not (data / "manifest.json").exists():
        for number in range(patients):
            write_case(raw, number, side)
        task_file = out / "drawn_gliomas.py"
        task_file.write_text(TASK.format(shape=(side,) * 3), encoding="utf-8")
        prepare(load_task(task_file), task_file, raw, data)
    return data


def write_case(raw: Path, number: int, side: int) -> None:
    """Four sequences and the mask of one patient, in the layout `brats`."""
    grade = ("LGG", "HGG")[number % 2]
    drawn = draw_case(grade, np.random.default_rng([11, number]))
    images, labels = render_case(drawn, (side,) * 3)
    case = raw / grade / f"Brats17_SYA_{number:03d}_1"
    case.mkdir(parents=True, exist_ok=True)
    for name, array in {**images, "seg": labels}.items():
        write_nifti(case / f"{case.name}_{name}.nii.gz", Volume(array, np.eye(4)), "LPS")


def audited(data: Path, out: Path) -> tuple:
    """Exit code, seconds, seconds of processor time and peak memory of one audit."""
    command = [sys.executable, "-m", "mri_tf.audit", "--data", str(data), "--out", str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    spent = time.perf_counter() - started
    cpu = used.ru_utime + used.ru_stime
    return os.waitstatus_to_exitcode(status), f"{spent:.0f}", f"{cpu:.0f}", f"{used.ru_maxrss / 1e6:.2f}"


if __name__ == "__main__":
    main()
