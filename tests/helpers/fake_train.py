"""A `train` that costs nothing: writes what a study reads of a run; dies, fails or waits if told to."""

import json
import os
import sys
from pathlib import Path

from mri_tf.store.run import NEEDED
from mri_tf.task import Task
from mri_tf.task.spec import to_json

PYTHON = sys.executable  # tests put the fake in its place
SCRIPT = '''#!{python} -S
import json, os, signal, sys, time
from pathlib import Path

flag = lambda name: sys.argv[sys.argv.index(name) + 1]
out, home = Path(flag("--out")), Path(os.environ["FAKE_TRAIN"])
name = f"{{out.parent.name}}-{{out.name}}"
with (home / f"{{name}}.begun").open("a") as file:
    print(os.getpid(), file=file)
(home / f"{{name}}.arguments").write_text(" ".join(sys.argv))
attempt = len((home / f"{{name}}.begun").read_text().split())
orders = home / f"{{name}}.orders"
orders = orders.read_text().splitlines() if orders.exists() else []
word, _, rest = (orders[attempt - 1] if attempt <= len(orders) else "").partition(" ")
if word == "die":
    os.kill(os.getpid(), int(rest))
if word == "say":
    code, _, text = rest.partition(" ")
    print("a line before")
    print(text, file=sys.stderr)
    sys.exit(int(code))
while word == "wait" and not (home / "go").exists():
    time.sleep(0.02)
if "tuning.search" in sys.argv:
    (out / "key").mkdir(parents=True)
    (out / "key" / "best.json").write_text(json.dumps({{"values": {{"learning_rate": 0.005}}}}))
    sys.exit(0)
result = home / f"{{name}}.json"
result = json.loads(result.read_text()) if result.exists() else {{}}
assert json.loads(Path(flag("--split-file")).read_text())
(out / "tensorboard").mkdir(parents=True, exist_ok=True)
(out / "features").mkdir(exist_ok=True)
for name_of_weights in ("weights.weights.h5", "features/weights.weights.h5"):
    (out / name_of_weights).write_text("weights")
run = dict.fromkeys({needed!r}) | {{
    "task": json.loads({task!r}), "seed": int(flag("--seed")),
    "sides": {{"train": ["r0", "r1"], "validation": [], "test": ["r2"]}},
    "patients": {{"train": ["p1"], "test": ["p2"]}}, "epochs_trained": 3,
    "best_epoch": result.get("best_epoch", 2),
    "parameters": 10,
    "state": "finished",
}}
run["task"]["choose_epoch"] = result.get("choose_epoch", "validation")
(out / "run.json").write_text(json.dumps(run))
losses = result.get("losses", [1.0, 0.5])
accuracies = result.get("accuracies", [0.0] * len(losses))
rows = [f"1,{{loss}},{{accuracy}}" for loss, accuracy in zip(losses, accuracies)]
(out / "history.csv").write_text("\\n".join(["epoch,val_loss,val_accuracy", *rows]))
accuracy = {{"value": result.get("accuracy", 0.5), "low": None, "high": None}}
undefined = {{"value": None, "low": None, "high": None, "reason": "one class"}}
metrics = {{"accuracy": accuracy, "auc": undefined, "majority_accuracy": 0.4, "note": "",
           "per_class": {{"a": {{"f1": accuracy}}, "b": {{"f1": undefined}}}}}}
(out / "metrics.json").write_text(json.dumps(metrics))
(out / "predictions.parquet").write_text("predictions")
with (home / f"{{name}}.ended").open("a") as file:
    print(os.getpid(), file=file)
'''


class FakeTrain:
    """The fake and its orders; a run is named CELL-sSEED."""

    def __init__(self, home: Path):
        task = Task(name="t", channels=("mr",), image_shape=(8, 8), class_names=("a", "b"), model="vgg")
        self.home = home
        self.program = home / "python"
        script = SCRIPT.format(python=PYTHON, needed=NEEDED, task=json.dumps(to_json(task)))
        self.program.write_text(script, encoding="utf-8")
        self.program.chmod(0o755)
        self.environment = {"FAKE_TRAIN": str(home)}

    def order(self, run: str, *attempts: str) -> None:
        """What each attempt does: "die SIGNAL", "say CODE LINE", "wait" for `go`, "" to succeed."""
        (self.home / f"{run}.orders").write_text("\n".join(attempts), encoding="utf-8")

    def result(self, run: str, json_text: str) -> None:
        """Of a run `losses` and `accuracies` of validation, `choose_epoch`, `best_epoch`, `accuracy`."""
        (self.home / f"{run}.json").write_text(json_text, encoding="utf-8")

    def go(self) -> None:
        (self.home / "go").touch()

    def begun(self, run: str) -> list[int]:
        """Process ids of the attempts so far."""
        return self._ids(f"{run}.begun")

    def ended(self, run: str) -> list[int]:
        """Process ids of the attempts that came to their end."""
        return self._ids(f"{run}.ended")

    def _ids(self, name: str) -> list[int]:
        path = self.home / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def job_of(folder: Path, name: str, **changes) -> dict:
    """A job of `run_cell`, as `mri_tf.folds.jobs` makes them."""
    values = {
        "name": name,
        "folder": str(folder / "cells" / name),
        "arguments": ["--task", "t.py", "--data", str(folder)],
        "search": [],
        "split": {"train": ["p0"], "validation": ["p1"], "test": ["p2"]},
        "seeds": [0],
        "threads": 1,
        "identity": "one",
        "keep": "runs",
        "needs": "",
        "row": {"cell": name, "task": "t", "variant": "manual", "fold": 0, "repeat": 0,
                "train_size": None},
    }  # fmt: skip
    assert set(changes) <= set(values)
    job = values | changes
    return job | {"runs": [str(Path(job["folder"]) / f"s{seed}") for seed in job["seeds"]]}


def driver(jobs_file: Path, workers: int) -> list[str]:
    """The arguments after `python` of a study's process without its data: the jobs of a JSON file."""
    code = (
        "import json, os, sys\n"
        "from mri_tf.core.subprocesses import terminate_children\n"
        "from mri_tf.core.command_line import run_command\n"
        "from mri_tf.core.executors import cell_executor\n"
        "from mri_tf.folds.all_cells import run_all\n"
        f"sys.executable = os.environ['FAKE_TRAIN'] + {os.sep + 'python'!r}\n"
        "def main(arguments):\n"
        f"    jobs = json.load(open({str(jobs_file)!r}))\n"
        f"    with cell_executor({workers}) as pool, terminate_children():\n"
        "        print(json.dumps(run_all(pool, jobs, 'cells')))\n"
        "    return 0\n"
        "sys.exit(run_command(main, []))\n"
    )
    return ["-c", code]
