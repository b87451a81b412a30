"""What the audit says of networks whose answer is known: what they look at, and which maps explain them.

    python benchmarks/network_checks.py [--kinds clean,shortcut_corner,border,label_noise] [--seeds 1]
        [--patients 60] [--steps 200] [--home DIR]
    python benchmarks/network_checks.py --sign-flips [--sets 1000]

Trains a small network on pictures of each kind of data_prep.phantom and prints a row: the AUC of the
test side, the adjusted p-value of each region (bold where it is found), and of each method of
explanation the correlation of its map with that of the network whose last half is random (bold where
the method fails). With --home a training that is there is not repeated. Fails where a known answer is
missed: a corner mark or border that is not found, one that is found in a clean set, guided
backpropagation that passes, or a gradient that fails.

With --sign-flips nothing is trained: regions of random meaning are drawn, and two tests are asked how
often they find something. One flips the signs of the patients' changes, where each patient gets the
region of a patient of the other class; the other exchanges the labels of donors.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

TASK = '''
from mri_tf.task import Task

TASK = Task(
    name="heads", layout="cases_table", channels=("flair",), image_shape=(64, 64), modality="MR",
    class_names=("benign", "malignant"), prep=dict(label_column="label"), model="vgg",
    model_args=dict(conv_filters=8, dense_units=32, dropout=0.2, blocks=3), batch_size=16,
    split_fractions=(0.5, 0.1, 0.4), choose_epoch="budget", schedule="cosine", warm_up=20, average=0.95,
)
'''
REGIONS = ("border", "background", "corners")
METHODS = ("gradient", "guided backpropagation", "Grad-CAM")
MUST = {"shortcut_corner": "corners", "border": "border"}  # what a kind's network looks at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", default="clean,shortcut_corner,border,label_noise")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--sign-flips", action="store_true")
    parser.add_argument("--sets", type=int, default=1000)
    flags = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if flags.sign_flips:
        sign_flips(flags.sets)
        return
    print(f"| kind | seed | AUC | {' | '.join((*REGIONS, *METHODS))} |\n{'|---' * 9}|", flush=True)
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        home = (flags.home or Path(temporary)).absolute()
        for seed in range(flags.seeds):
            for kind in flags.kinds.split(","):
                missed += row(home / f"{kind}-{seed}", kind, seed, flags)
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def row(home: Path, kind: str, seed: int, flags) -> list[str]:
    """Trains and audits one network, prints its row; returns what it missed."""
    import json

    run = trained(home, kind, seed, flags)
    auc = json.loads((run / "metrics.json").read_text())["auc"]["value"]
    found = findings_of(run)
    cells = [cell(found[f"the network looks at: {name}"], "p") for name in REGIONS]
    cells += [cell(found[f"explanation: {name}"], "statistic") for name in METHODS]
    print(f"| {kind} | {seed} | {auc:.2f} | {' | '.join(cells)} |", flush=True)
    missed = [f"{kind} {seed}: {name}" for name in REGIONS
              if (found[f"the network looks at: {name}"].status == "found")
              != (name == MUST.get(kind) or (kind == "shortcut_corner" and name == "background"))]
    known = {"gradient": "not found", "guided backpropagation": "found"}
    missed += [f"{kind} {seed}: {name}" for name, status in known.items()
               if found[f"explanation: {name}"].status != status]  # fmt: skip
    return missed


def cell(finding, number: str) -> str:
    """A number of a finding, bold where it is found; its status where it has none."""
    value = getattr(finding, number)
    if value is None:
        return finding.status
    return f"**{value:.2g}**" if finding.status == "found" else f"{value:.2g}"


def trained(home: Path, kind: str, seed: int, flags) -> Path:
    """The run of a kind, trained unless it is there."""
    from data_prep.phantom.write import write_kind
    from data_prep.write import main as write
    from mri_tf.core.command_line import run_command
    from mri_tf.train.__main__ import main as train

    home.mkdir(parents=True, exist_ok=True)
    (home / "heads.py").write_text(TASK, encoding="utf-8")
    run = home / "run"
    if not (run / "metrics.json").is_file():
        write_kind(kind, home / "raw", flags.patients, seed, True, None)
        task = ["--task", str(home / "heads.py")]
        for command, more in (
            (write, ["--raw", str(home / "raw"), "--out", str(home / "data")]),
            (train, ["--data", str(home / "data"), "--out", str(run), "--no-export", "--seed", str(seed),
                     "--set", f"steps={flags.steps}"]),
        ):  # fmt: skip
            with open(os.devnull, "w") as silent, Silent(silent):
                code = run_command(command, [*task, *more])
            if code:
                raise SystemExit(f"{command.__module__} ended with exit code {code}")
    return run


class Silent:
    """What is printed goes to a file."""

    def __init__(self, file):
        import contextlib

        self._out = contextlib.redirect_stdout(file)

    def __enter__(self):
        return self._out.__enter__()

    def __exit__(self, *error):
        return self._out.__exit__(*error)


def findings_of(run: Path) -> dict:
    """The findings about the network of a run, by name."""
    from mri_tf.audit.networks import network_findings
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_run

    prepared = Prepared.open(open_run(run).data_folder)
    return {one.name: one for one in network_findings(run, prepared, run / "audit")}


def sign_flips(sets: int) -> None:
    """Prints how often either test finds regions that have nothing to do with the class."""
    from mri_tf.metrics.class_pull import class_pull
    from mri_tf.metrics.sign_flip import sign_flip_p

    print("| patients | the cut lowers the true logit by | sign flips | exchanged donors |")
    print("|---|---|---|---|")
    for patients in (12, 24):
        for lowered in (0.0, 0.5):
            alarms = np.zeros(2)
            for number in range(sets):
                rng = np.random.default_rng([patients, number])
                labels = np.arange(patients) % 2
                means = rng.normal(size=patients)  # what a region says for class 1, of each patient
                others = means[(np.arange(patients) + 1) % patients]  # of a patient of the other class
                change = np.where(labels == 1, others - means, means - others) - lowered
                alarms[0] += sign_flip_p(-change, seed=number) <= 0.05
                logits = np.stack([np.zeros(patients), means], axis=1)
                alarms[1] += class_pull(logits, labels, 0 * labels, number).p <= 0.05
            cells = " | ".join(f"{100 * one / sets:.1f} %" for one in alarms)
            print(f"| {patients} | {lowered:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
