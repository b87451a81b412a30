"""Alarms of the audit of trained networks on sets in which nothing is to be found.

    python benchmarks/audit_clean_runs.py --out DIR [--sets 20] [--seed 0] [--minutes 60]

Each set is a phantom of heads without a shortcut, of 24 to 60 patients: with a faint signal, without
one, and with a clear one that networks learn (`label_noise` with no label wrong). A small network is
trained on it by `python -m mri_tf.train`, and `python -m mri_tf.audit --run` looks at the run. Counted
are sets with any alarm among the findings that carry a p-value, which share an error rate of 5 %, and
every finding by name. Results are kept in DIR/sets.jsonl: an interrupted call continues.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from audit_known_answers import KEPT, kept_in

from data_prep.phantom.write import write_kind
from mri_tf.audit.finding import FOUND
from mri_tf.metrics import clopper_pearson
from mri_tf.tables import markdown

KINDS = ("clean", "no_signal", "label_noise")
SIZES = (24, 40, 60)
TASK = """layout = "cases_table"
class_names = ["benign", "malignant"]
channels = ["flair"]
modality = "MR"
model = "vgg"
image_shape = [64, 64]
batch_size = 8
epochs = 20
patience = 20
learning_rate = 1e-3
augment_probability = 0.5
[model_args]
dense_units = 32
[augment.random_affine]
max_degrees = 10
[prep]
label_column = "label"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets' results")
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="after which no set is begun")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    ends, results = time.monotonic() + 60 * flags.minutes, kept_in(flags.out)
    for number in range(flags.sets):
        if any((one["number"], one["seed"]) == (number, flags.seed) for one in results):
            continue
        if time.monotonic() > ends:
            break
        results.append(audited(number, flags.seed))
        with (flags.out / KEPT).open("a", encoding="utf-8") as file:
            file.write(json.dumps(results[-1]) + "\n")
        told = f"{number + 1} of {flags.sets}: {results[-1]['seconds']:.0f} s"
        print(told, file=sys.stderr, flush=True)
    print_tables(results)


def audited(number: int, seed: int) -> dict:
    """Draws, trains and audits one set: names, states and p-values of the findings."""
    kind, patients = KINDS[number % len(KINDS)], SIZES[number // len(KINDS) % len(SIZES)]
    started = time.monotonic()
    drawn = int(np.random.default_rng([seed, 5, number]).integers(2**31))
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        write_kind(kind, home / "raw", patients, drawn)
        (home / "heads.toml").write_text(TASK, encoding="utf-8")
        run = ("--task", "heads.toml", "--raw", "raw", "--out", "run", "--seed", str(number))
        command(home, "mri_tf.train", *run, "--no-export", "--no-baselines", "--no-card")
        command(home, "mri_tf.audit", "--run", "run")
        found = json.loads((home / "run" / "audit" / "findings.json").read_text(encoding="utf-8"))
        auc = json.loads((home / "run" / "metrics.json").read_text(encoding="utf-8"))["auc"]["value"]
    findings = [{key: one[key] for key in ("name", "status", "p")} for one in found]
    spent = time.monotonic() - started
    return {"number": number, "seed": seed, "kind": kind, "patients": patients, "seconds": spent,
            "auc": auc, "findings": findings}  # fmt: skip


def command(home: Path, module: str, *flags: str) -> None:
    """Runs a command in a folder; exit 1 of an audit is a certain leak, and of no interest here."""
    done = subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=home, text=True, capture_output=True
    )  # fmt: skip
    if done.returncode not in (0, 1):
        sys.exit(f"{module} ended with {done.returncode}: {done.stderr[-1500:]}")


def print_tables(results: list[dict]) -> None:
    """Sets with an alarm of the family, then every finding with its states."""
    rows = []
    for kind in ("all", *KINDS):
        own = [one for one in results if kind in ("all", one["kind"])]
        hits = sum(any(_alarm(finding) for finding in one["findings"]) for one in own)
        if own:
            low, high = clopper_pearson(hits, len(own))
            auc = np.mean([one["auc"] for one in own])
            interval = f"{100 * low:.1f} to {100 * high:.1f} %"
            rows.append((kind, f"{hits} of {len(own)}", interval, f"{auc:.2f}"))
    print(markdown(rows, ("sets", "any alarm with a p-value", "95 % interval", "mean AUC")))
    states: dict[str, dict[str, int]] = {}
    for one in results:
        for finding in one["findings"]:
            counts = states.setdefault(finding["name"], {})
            label = finding["status"] + (", with p" if finding["p"] is not None else "")
            counts[label] = counts.get(label, 0) + 1
    rows = [
        (name, ", ".join(f"{label}: {count}" for label, count in sorted(counts.items())))
        for name, counts in states.items()
    ]
    print(f"\n{markdown(rows, ('finding', 'sets'))}")
    print(f"\n{len(results)} sets, {np.mean([one['seconds'] for one in results]):.0f} s each")


def _alarm(finding: dict) -> bool:
    return finding["p"] is not None and finding["status"] == FOUND


if __name__ == "__main__":
    main()
