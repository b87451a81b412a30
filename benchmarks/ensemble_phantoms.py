"""One model of five folds beside the model of one split, on new patients of a phantom.

    python benchmarks/ensemble_phantoms.py --out ensemble --task meningioma_grading --variant demo \\
        --sizes 60 120 --seeds 5 --new 1000 [--set model_args.weights=FILE]

For every size and seed it writes a phantom of so many patients, trains one split (`mri_tf.train`) and
five folds (`--folds 5`), and asks both exported models about the same new patients, unseen by all.
The trainings that are
done are kept, so that the command continues where it stopped; at its end it prints the
tables: means over the seeds, and the difference of the two models with a 95 % interval from drawing new
patients and seeds 2,000 times. The spread is the SD over the seeds of the probability of the true class.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax

MODELS = ("one split", "five folds")
DRAWS = 2000
ANSWERS = ("probabilities", "decision", "prediction_set", "feature_out_of_distribution")


def run(*arguments: str | Path) -> None:
    """A command of the project; its output goes to the terminal."""
    subprocess.run([sys.executable, "-m", *map(str, arguments)], check=True)


def phantom(flags, folder: Path, patients: int, seed: int) -> Path:
    """A raw phantom, written once."""
    if not folder.exists():
        scratch = folder.with_name(f"{folder.name}.part")
        run("data_prep.phantom", "--task", flags.task, "--out", scratch, "--patients", str(patients),
            "--seed", str(seed))  # fmt: skip
        scratch.rename(folder)
    return folder.absolute()


def prepare_as_trained(flags, raw: Path, out: Path) -> None:
    """The prepared set of a raw phantom, on the grid of the models."""
    from data_prep.prepare.prepare import prepare
    from mri_tf.task.files import find_task_file, load_task, resolve_task

    file = find_task_file(flags.task)
    prepare(resolve_task(load_task(file), [flags.variant], flags.set), file, raw, out)


def trained(flags, size: int, seed: int) -> dict[str, Path]:
    """The exported models of a size and seed, trained unless they are there."""
    home = flags.out / f"{flags.task}-{size}-s{seed}"
    home.mkdir(parents=True, exist_ok=True)
    raw = phantom(flags, home / "raw", size, 100 + seed)
    settings = ["--set", *flags.set] if flags.set else []
    found = {}
    flags_of = ([], ["--folds", "5", "--workers", str(flags.workers)])
    for name, more in zip(MODELS, flags_of, strict=True):
        place = home / name.replace(" ", "-")
        place.mkdir(exist_ok=True)
        found[name] = place / "saved_models" / flags.task
        if not found[name].exists():
            command = ["mri_tf.train", "--task", flags.task, "--variant", flags.variant, "--raw", raw,
                       "--seed", str(seed), *more, *settings]  # fmt: skip
            with (place / "train.log").open("a") as log:
                subprocess.run([sys.executable, "-m", *map(str, command)], check=True, cwd=place,
                               stdout=log, stderr=log)  # fmt: skip
    return found


def answers(flags, model: Path, prepared_folder: Path) -> pd.DataFrame:
    """What an exported model answers for every record (or patient) of a prepared set; kept as a file."""
    kept = model.parent.parent / "answers.parquet"
    if kept.is_file():
        return pd.read_parquet(kept)
    from mri_tf.calibration.prediction_sets import prediction_sets
    from mri_tf.export.inputs import input_arrays
    from mri_tf.export.reader import load_graph, open_export
    from mri_tf.pipeline.bags import pad_slices, present_slices
    from mri_tf.pipeline.field_of_view import box_cut
    from mri_tf.pipeline.subset import Subset
    from mri_tf.store.prepared import Prepared

    exported = open_export(model)
    call, _ = load_graph(exported)
    task, prepared = exported.task, Prepared.open(prepared_folder)
    subset = Subset(task, prepared, np.arange(len(prepared)), exported.fitted).thinned()
    outputs = []
    if task.bag:
        for batch in subset.raw_bags(8, box_cut(task)):
            count = len(batch["weight"].numpy())
            feed = {"slices" if key == "image" else key: pad_slices(array, batch["bag"], count).numpy()
                    for key, array in input_arrays(batch, task).items()}  # fmt: skip
            feed["mask"] = present_slices(batch["bag"], count).numpy()
            outputs.append(call("slices", feed))
    else:
        for batch in subset.raw_batches(32, box_cut(task)):
            feed = {key: array.numpy() for key, array in input_arrays(batch, task).items()}
            outputs.append(call("serving_default", feed))
    kept_keys = [key for key in ANSWERS if key in outputs[0]]
    whole = {key: np.concatenate([one[key] for one in outputs]) for key in kept_keys}
    probabilities = whole["probabilities"].astype(float)
    sets = whole.get("prediction_set")
    if sets is None and exported.answers.has_sets:
        sets = prediction_sets(probabilities, exported.answers.set_threshold)
    table = pd.DataFrame({"patient": subset.patients, "truth": subset.labels,
                          "decision": whole["decision"]})  # fmt: skip
    for label in range(probabilities.shape[1]):
        table[f"p{label}"] = probabilities[:, label]
    table["far"] = whole["feature_out_of_distribution"]
    table["covered"] = np.nan if sets is None else np.asarray(sets, float)[
        np.arange(len(table)), table["truth"]
    ]  # fmt: skip
    table["size"] = np.nan if sets is None else np.asarray(sets, float).sum(axis=1)
    table.to_parquet(kept)
    return table


def probabilities_of(table: pd.DataFrame) -> np.ndarray:
    return table[[name for name in table if name[0] == "p" and name[1:].isdigit()]].to_numpy()


def numbers(table: pd.DataFrame) -> dict[str, float]:
    """Of one model: every record weighs the same."""
    p, truth = np.clip(probabilities_of(table), 1e-9, 1), table["truth"].to_numpy()
    recalls = [np.mean(table["decision"].to_numpy()[truth == label] == label)
               for label in np.unique(truth)]  # fmt: skip
    slope, intercept = calibration(p, truth)
    return {
        "log loss": float(-np.log(p[np.arange(len(p)), truth]).mean()),
        "balanced accuracy": float(np.mean(recalls)),
        "slope": slope, "intercept": intercept,
        "coverage": float(table["covered"].mean()), "set size": float(table["size"].mean()),
        "flagged as far": float((table["far"] == 1).mean()),
    }  # fmt: skip


def calibration(p: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope, and the largest intercept beside a slope of 1, of the classes' log probabilities (of two
    classes: the intercept of the log odds)."""
    logs, rows = np.log(p), np.arange(len(p))
    classes = p.shape[1]

    def loss(slope: float, free: np.ndarray) -> float:
        whole = slope * logs + np.append(0, free)
        return float(-log_softmax(whole, axis=1)[rows, truth].mean())

    start = np.append(1.0, np.zeros(classes - 1))
    both = minimize(lambda v: loss(v[0], v[1:]), start, method="BFGS").x
    alone = minimize(lambda v: loss(1.0, v), np.zeros(classes - 1), method="BFGS").x
    return float(both[0]), float(alone[np.abs(alone).argmax()])


def spread(tables: list[pd.DataFrame]) -> np.ndarray:
    """(patients,) SD over the seeds of the probability of the true class, mean over records."""
    rows = np.arange(len(tables[0]))
    own = np.stack([probabilities_of(table)[rows, table["truth"]] for table in tables])
    values = pd.Series(own.std(axis=0, ddof=1)).groupby(tables[0]["patient"].to_numpy()).mean()
    return values.to_numpy()


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """What a difference is drawn from, by patient: loss, hits and records of each class, coverage."""
    p, truth = np.clip(probabilities_of(table), 1e-9, 1), table["truth"].to_numpy()
    own = -np.log(p[np.arange(len(p)), truth])
    parts = pd.DataFrame({"loss": own, "covered": table["covered"], "n": 1})
    for label in range(p.shape[1]):
        own = truth == label
        parts[f"n{label}"] = own.astype(int)
        parts[f"hit{label}"] = (own & (table["decision"].to_numpy() == label)).astype(int)
    return parts.groupby(table["patient"].to_numpy()).sum(min_count=1)


def drawn_numbers(parts: list[pd.DataFrame], times: np.ndarray) -> np.ndarray:
    """(seeds, 3) log loss, balanced accuracy and coverage with patients counted `times`."""
    found = []
    for one in parts:
        sums = {name: times @ one[name].to_numpy(float) for name in one}
        classes = [name[1:] for name in one if name[0] == "n" and name[1:]]
        rate = np.mean([sums[f"hit{label}"] / sums[f"n{label}"] for label in classes])
        found.append([sums["loss"] / sums["n"], rate, sums["covered"] / sums["n"]])
    return np.array(found)


def differences(tables: dict[str, list[pd.DataFrame]]) -> dict[str, tuple[float, float, float]]:
    """Five folds less one split, with 95 % intervals over new patients and seeds."""
    rng = np.random.default_rng(0)
    parts = {name: [losses(table) for table in own] for name, own in tables.items()}
    spreads = {name: spread(own) for name, own in tables.items()}
    patients, seeds = len(parts[MODELS[0]][0]), len(parts[MODELS[0]])

    def once(times: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        split, folds = (drawn_numbers([parts[name][n] for n in chosen], times) for name in MODELS)
        apart = times @ (spreads[MODELS[1]] - spreads[MODELS[0]]) / times.sum()
        return np.append((folds - split).mean(axis=0), apart)

    value = once(np.ones(patients), np.arange(seeds))
    draws = np.array([
        once(rng.multinomial(patients, np.full(patients, 1 / patients)), rng.integers(0, seeds, seeds))
        for _ in range(DRAWS)
    ])  # fmt: skip
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    names = ("log loss", "balanced accuracy", "coverage", "spread over the seeds")
    return {name: (value[n], low[n], high[n]) for n, name in enumerate(names)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", default="meningioma_grading")
    parser.add_argument("--variant", default="demo")
    parser.add_argument("--sizes", type=int, nargs="+", default=[60, 120])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--new", type=int, default=1000, help="new patients")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", nargs="+", default=[])
    flags = parser.parse_args()
    flags.out = flags.out.absolute()
    flags.out.mkdir(parents=True, exist_ok=True)
    new = phantom(flags, flags.out / f"{flags.task}-new", flags.new, 999)
    prepared = flags.out / f"{flags.task}-new-prepared"
    prepare_as_trained(flags, new, prepared)
    for size in flags.sizes:
        tables: dict[str, list[pd.DataFrame]] = {name: [] for name in MODELS}
        for seed in range(flags.seeds):
            for name, model in trained(flags, size, seed).items():
                tables[name].append(answers(flags, model, prepared))
                print(f"{flags.task}, {size} patients, seed {seed}, {name}: " + ", ".join(
                    f"{key} {value:.3f}" for key, value in numbers(tables[name][-1]).items()
                ), flush=True)  # fmt: skip
        columns = list(numbers(tables[MODELS[0]][0]))
        print(f"\n{flags.task}, {size} patients to train on, {flags.new} new ones\n")
        print(f"| model | {' | '.join(columns)} | spread over the seeds |")
        print("|---" * (len(columns) + 2) + "|")
        for name in MODELS:
            rows = pd.DataFrame([numbers(table) for table in tables[name]])
            cells = [f"{rows[key].mean():.3f} ± {rows[key].std(ddof=1):.3f}" for key in columns]
            print(f"| {name} | {' | '.join(cells)} | {spread(tables[name]).mean():.3f} |")
        for name, (value, low, high) in differences(tables).items():
            print(f"five folds less one split, {name}: {value:+.3f} ({low:+.3f} to {high:+.3f})")
        print(flush=True)


if __name__ == "__main__":
    main()
