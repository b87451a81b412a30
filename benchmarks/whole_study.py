"""Times N4, preparation and grading of one case of 240 x 240 x 155 voxels in four sequences.

    python benchmarks/whole_study.py [--part n4|grading] [--rounds 3]

Uses the glioma phantom in full size. Prints measured times and peak memory beside the goals: N4 at
shrink factor 4, one sequence after the other in a separate process (30 s a sequence, 3 GB); preparation
without N4; grading (segmentation in overlapping windows, box of the tumour, grader; 60 s); and grading
from the box on (2 s). The networks have random weights, which take as long as trained ones; so the box
is that of the phantom's mask, because an untrained network finds none.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPE = (240, 240, 155)
SEQUENCES = ("t1", "t1ce", "t2", "flair")
GOALS = {"n4_seconds": 30.0, "n4_gigabytes": 3.0, "study_seconds": 60.0, "crop_seconds": 2.0}
CHILD = "--child"  # `whole_study.py --child n4|grading RAW ROUNDS` prints one line of JSON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=("n4", "grading"), help="(default: both)")
    parser.add_argument("--rounds", type=int, default=3, help="of the grading")
    flags = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as home:
        write_study(Path(home))
        parts = [flags.part] if flags.part else ["n4", "grading"]
        found = {part: in_child(part, home, flags.rounds) for part in parts}
    print("| what | measured | goal | held |\n" + "|---" * 4 + "|")
    missed = [row for part in parts for row in print_rows(found[part])]
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def write_study(raw: Path) -> None:
    """One high-grade case in the layout of 2017."""
    import numpy as np

    from data_prep.io.nifti import write_nifti
    from data_prep.phantom.glioma.dataset import draw_case, render_case
    from data_prep.volume import Volume

    start = time.perf_counter()
    images, labels = render_case(draw_case("HGG", np.random.default_rng(0)), SHAPE)
    case = raw / "HGG" / "Brats17_SYA_001_1"
    case.mkdir(parents=True)
    for name, array in {**images, "seg": labels}.items():
        write_nifti(case / f"{case.name}_{name}.nii.gz", Volume(array, np.eye(4)), "LPS")
    print(f"phantom case drawn and written in {time.perf_counter() - start:.0f} s", flush=True)


def in_child(part: str, home: str, rounds: int) -> dict:
    command = [sys.executable, __file__, CHILD, part, home, str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_rows(found: dict) -> list[str]:
    """Prints the rows of a part; the names of those whose goal was missed."""
    missed = []
    for name, value in found.items():
        goal = GOALS.get(name.partition(" ")[0])
        held = "" if goal is None else "yes" if value <= goal else "no"
        print(f"| {name} | {value:.2f} | {'' if goal is None else f'{goal:g}'} | {held} |")
        if held == "no":
            missed.append(name)
    return missed


# ---- what the children do


def measure_n4(raw: Path) -> dict:
    """Seconds a sequence, and the peak of the whole process in gigabytes."""
    from data_prep.io.nifti import read_nifti
    from data_prep.ops.n4 import correct_bias_field

    found = {}
    for name in SEQUENCES:
        volume = read_nifti(next(raw.rglob(f"*_{name}.nii.gz")))
        start = time.perf_counter()
        correct_bias_field(volume, shrink_factor=4)
        found[f"n4_seconds {name}"] = time.perf_counter() - start
    return found | {"n4_gigabytes": peak_gigabytes()}


def measure_grading(raw: Path, rounds: int) -> dict:
    """Seconds of preparing without N4, and of grading the prepared study and its crop."""
    import numpy as np

    from data_prep.layouts.brats import list_cases, read_case
    from mri_tf.models.registry import builder
    from mri_tf.network.inference import predict_whole
    from mri_tf.pipeline.batches import batch_function
    from mri_tf.pipeline.field_of_view import cut_function
    from mri_tf.pipeline.normalize import normalize
    from mri_tf.task.files import find_task_file, load_task
    from mri_tf.task.overrides import with_values

    plain = {"prep": dict(crop_to_brain=True, dtype="float16")}
    segmenting, grading = (
        with_values(load_task(find_task_file(name)), plain)
        for name in ("glioma_tumour", "glioma_grading")
    )
    segmenter, grader = (
        builder(task.model)(
            (*task.network_shape, len(task.channels)), len(task.class_names), **task.model_args
        )
        for task in (segmenting, grading)
    )
    start = time.perf_counter()
    (record,) = read_case(raw, list_cases(raw, grading)[0], grading)
    found = {"preparing without N4, seconds": time.perf_counter() - start}
    cut, finish = cut_function(grading, training=False), batch_function(grading, training=False)
    stats = record.intensity_stats[None]

    def masks() -> np.ndarray:
        inputs = normalize(np.asarray(record.image, np.float32)[None], stats, segmenting.normalize)
        return predict_whole(segmenter, segmenting, inputs)[0].argmax(axis=-1)

    def grade() -> np.ndarray:
        batch = {
            "image": record.image[None], "mask": record.mask[None].astype(np.int32),
            "predicted_mask": record.mask[None].astype(np.int32), "label": np.zeros(1, np.int32),
            "intensity_stats": stats, "weight": np.ones(1, np.float32),
        }  # fmt: skip
        image, _, _ = finish(cut(batch))
        return grader.predict_on_batch(image)

    masks(), grade()  # graphs are traced once
    windows, crop = (min(_seconds(work) for _ in range(rounds)) for work in (masks, grade))
    return found | {
        "study_seconds (windows, box, grader)": windows + crop,
        "crop_seconds (box, grader)": crop,
        "grading: peak, gigabytes": peak_gigabytes(),
    }


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def child() -> None:
    _, _, part, home, rounds = sys.argv
    raw = Path(home)
    print(json.dumps(measure_n4(raw) if part == "n4" else measure_grading(raw, int(rounds))))


if __name__ == "__main__":
    child() if CHILD in sys.argv[1:2] else main()
