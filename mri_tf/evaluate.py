"""Counts a run on its held-out patients, or on other data: python -m mri_tf.evaluate --run RUN."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from mri_tf.command import Parser, import_tensorflow, run_command
from mri_tf.errors import InputError, some_of

MOST_TOLD = 6  # values of a part on the terminal


@dataclass(frozen=True)
class Evaluated:
    """The numbers of metrics.json and the files written."""

    metrics: dict
    files: list[Path]


@dataclass(frozen=True)
class HeldOut:
    """What a run is counted on: positions in a prepared set, and how they were held out."""

    prepared: object  # Prepared
    records: object  # (records,) int
    split: str


def evaluate_run(run, held_out: HeldOut, out: Path, prior: str = "") -> Evaluated:
    """Predicts every record; writes metrics.json, predictions and figures to `out`.

    `prior` asks for probabilities under other shares of the classes, "0.7,0.3" in the order of
    class_names, in place of the training side's. Decisions stay at the run's operating point.
    """
    import numpy as np

    from mri_tf import tables
    from mri_tf.assemble import load_network
    from mri_tf.caveats import NOBODY, counted_as_images, leak
    from mri_tf.checkpoint import write_at_once
    from mri_tf.fitting import positions_of
    from mri_tf.runs import METRICS, REPORT

    if prior and run.task.kind == "segmentation":
        raise InputError("--prior is for classifiers.", run.task.name, "Leave it away.")
    wanted = _shares(prior, run) if prior else None
    model = load_network(run)
    out.mkdir(parents=True, exist_ok=True)
    count = _count_records
    if run.task.kind == "segmentation":
        count = _count_pixels if len(run.task.image_shape) == 2 else _count_volumes
    values, files = count(model, run, held_out, out, wanted)
    prepared, notes = held_out.prepared, [values["note"]]
    if not prepared.patients_known:
        values = counted_as_images(values)
        notes.insert(0, NOBODY)
    if held_out.split == "random":
        decided = np.concatenate(positions_of(run, prepared)[:2])
        notes.insert(0, leak(prepared, decided, held_out.records))
    if run.task.model_args.get("weights") == "none":
        notes.insert(0, "the backbone has random weights, not ImageNet's")
    values |= {
        "split": held_out.split, "prior": prior or None, "note": "; ".join(filter(None, notes))
    }  # fmt: skip
    if "duplicates" in prepared.manifest:
        values["duplicates"] = prepared.manifest["duplicates"]
    write_at_once(out / METRICS, json.dumps(values, indent=1).encode())
    files = [out / METRICS, *files]
    if run.task.kind == "classification":
        page = tables.run_page(run.task.name, values, run.task.class_names)
        write_at_once(out / REPORT, page.encode())
        files.append(out / REPORT)
    return Evaluated(values, files)


def _count_pixels(model, run, held_out: HeldOut, out: Path, wanted) -> tuple[dict, list[Path]]:
    from mri_tf import metrics
    from mri_tf.predicting import pixel_confusions

    by_patient = pixel_confusions(model, run, held_out.prepared, held_out.records)
    return metrics.segmentation_metrics(by_patient, run.task.output_names), []


def _count_volumes(model, run, held_out: HeldOut, out: Path, wanted) -> tuple[dict, list[Path]]:
    from mri_tf import metrics
    from mri_tf.volume_scores import score_volumes, write_volume_scores

    prepared, records, names = held_out.prepared, held_out.records, run.task.output_names
    scores = score_volumes(model, run, prepared, records)
    file = write_volume_scores(scores, prepared, records, names, out)
    patients = prepared.patients[records]
    return metrics.volume_metrics(scores.confusions, scores.distances, patients, names), [file]


def _count_records(model, run, held_out: HeldOut, out: Path, wanted) -> tuple[dict, list[Path]]:
    import numpy as np

    from mri_tf import metrics
    from mri_tf.answered import answered
    from mri_tf.answers import PREDICTION_SET_LEVEL, from_values
    from mri_tf.calibration import reliability_curve
    from mri_tf.decisions import decision_curve
    from mri_tf.figures import draw_decision_curve, draw_reliability, save, save_confusion
    from mri_tf.predicting import predict_records

    task, prepared = run.task, held_out.prepared
    answers = from_values(run.values["answers"])
    outputs = predict_records(model, run, prepared, held_out.records)
    records = answered(task, prepared, held_out.records)
    probabilities, predicted = answers.probabilities(outputs, wanted), answers.decisions(outputs)
    truth, patients = prepared.labels[records], prepared.patients[records]
    values = metrics.classification_metrics(
        truth, probabilities, predicted, patients, task.class_names, ordered=task.ordered
    )
    if task.class_parts:
        values["parts"] = metrics.part_metrics(truth, predicted, patients, task.class_parts)
    sets = answers.sets(outputs)
    shares = answers.natural if wanted is None else wanted.tolist()
    values |= {
        "operating_point": run.values["answers"]["point"],
        "temperature": answers.temperature,
        "class_shares": dict(zip(task.class_names, shares, strict=True)),
        "prediction_sets": {
            "level": PREDICTION_SET_LEVEL,
            "coverage": float(sets[np.arange(len(truth)), truth].mean()),
            "mean_size": float(sets.sum(axis=1).mean()),
        },
    }  # fmt: skip
    predictions = Predictions(truth, outputs, probabilities, predicted, sets)
    files = [_write_predictions(out, replace(held_out, records=records), predictions, task.class_names)]
    files += save_confusion(np.array(values["confusion"]), task.class_names, out / "confusion")
    # Of two classes what matters is the probability of the last one; of more, that of the top one.
    curve = reliability_curve(probabilities, truth, label=1 if len(task.class_names) == 2 else None)
    files += save(draw_reliability({task.name: curve}), out / "reliability")
    if len(task.class_names) == 2:
        worth = decision_curve(probabilities, truth)
        drawn = draw_decision_curve(worth.thresholds, {task.name: worth.model}, worth.treat_all)
        files += save(drawn, out / "decision_curve")
    return values, files


def summary(metrics: dict) -> list[str]:
    """Lines for the terminal: each number with its interval."""
    lines = []
    for name in ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "dice_mean"):
        if name in metrics:
            lines.append(f"{name:<17} {format_interval(metrics[name])}")
    if "hausdorff95_mean" in metrics:
        distance = metrics["hausdorff95_mean"]
        unit = f" {distance['measured_in']}" if distance["value"] is not None else ""
        lines.append(f"{'hausdorff95_mean':<17} {format_interval(distance)}{unit}")
    for part, values in metrics.get("parts", {}).items():
        told = ", ".join(f"{value} {_plain(number)} ({values['records'][value]})"
                         for value, number in values["accuracy"].items() if number["n"])  # fmt: skip
        if len(values["accuracy"]) <= MOST_TOLD:
            lines.append(f"by {part}: {told}")
    if "majority_accuracy" in metrics:
        lines.append(f"{'majority':<17} {metrics['majority_accuracy']:.3f} accuracy")
    if metrics["note"]:
        lines.append(f"note: {metrics['note']}")
    return lines


def _plain(number: dict) -> str:
    return "undefined" if number["value"] is None else f"{number['value']:.3f}"


def format_interval(number: dict) -> str:
    """`0.612 (95 % interval 0.520 to 0.704, 24 patients)`."""
    if number["value"] is None:
        return "undefined"
    if number["low"] is None:
        return f"{number['value']:.3f} (no interval, {number['n']} {number['unit']})"
    return (
        f"{number['value']:.3f} (95 % interval {number['low']:.3f} to {number['high']:.3f}, "
        f"{number['n']} {number['unit']})"
    )


@dataclass(frozen=True)
class Predictions:
    """Arrays of one entry a record; (records, classes) where a class has a number each."""

    truth: object
    outputs: object  # the network's own probabilities
    probabilities: object  # the reported ones
    predicted: object
    sets: object


def _write_predictions(out: Path, held_out: HeldOut, found: Predictions, class_names) -> Path:
    import pandas as pd

    from mri_tf.checkpoint import write_table
    from mri_tf.runs import PREDICTIONS

    prepared, records = held_out.prepared, held_out.records
    table = pd.DataFrame(
        {
            "record_id": prepared.record_ids[records],
            "patient": prepared.patients[records],
            "site": prepared.sites[records],
            "truth": [class_names[label] for label in found.truth],
            "predicted": [class_names[label] for label in found.predicted],
            "set": [[name for name, held in zip(class_names, row, strict=True) if held]
                    for row in found.sets],
        }
    )  # fmt: skip
    for number, name in enumerate(class_names):
        table[f"p_{name}"] = found.probabilities[:, number]
        table[f"output_{name}"] = found.outputs[:, number]
    return write_table(out / PREDICTIONS, table)


def _shares(prior: str, run):
    """(classes,) shares from --prior, 0 for a class that was never trained on; raises InputError."""
    import numpy as np

    class_count = len(run.task.class_names)
    try:
        wanted = np.array([float(part) for part in prior.split(",")])
    except ValueError:
        wanted = np.array([])
    sound = len(wanted) == class_count and np.isfinite(wanted).all() and wanted.min() >= 0
    if not sound or wanted.sum() <= 0:
        raise InputError(
            f"--prior takes {class_count} shares of the classes, comma between, in the order "
            f"{', '.join(run.task.class_names)}.",
            prior,
            "For example --prior " + ",".join(["1"] * class_count) + ".",
        )
    wanted = np.where(np.array(run.values["answers"]["trained"]) > 0, wanted, 0)
    if not wanted.any():
        raise InputError(
            "--prior gives a share to a class that was trained on.", prior, "Change it."
        )
    return wanted / wanted.sum()


def main(arguments: list[str]) -> int:
    """Evaluates a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    import numpy as np

    from mri_tf.data.cut import check_masks
    from mri_tf.fitting import positions_of
    from mri_tf.leakage import check_data_unseen, check_derived_unseen
    from mri_tf.prepared import Prepared
    from mri_tf.runs import open_finished

    run = open_finished(flags.run)
    folder = flags.data or run.data_folder
    prepared = Prepared.open(folder)
    prepared.check_fits(run.task)
    check_masks(run.task, prepared)
    home = flags.run
    if flags.data is None or prepared.content_fingerprint() == run.values["data"]:
        records, split = positions_of(run, prepared)[2], run.values["split"]
    else:
        records, split = np.arange(len(prepared)), "other data"
        shared = check_data_unseen(run, prepared)
        check_derived_unseen(prepared, [records[:0], records])
        if shared:
            print(f"patient ids that the training had too: {some_of(shared)}; other people?")
        home = flags.run / "evaluations" / folder.absolute().name
    if flags.prior:
        home = flags.run / "evaluations" / f"{home.absolute().name}-prior-{flags.prior}"
    held_out = HeldOut(prepared, records, split)
    result = evaluate_run(run, held_out, flags.out or home, flags.prior)
    print("\n".join(summary(result.metrics)))
    print(f"wrote {', '.join(str(path) for path in result.files)}")
    return 0


def _parser() -> Parser:
    parser = Parser("python -m mri_tf.evaluate", __doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument(
        "--data", type=Path, help="another prepared set; every record of it counts as test"
    )
    parser.add_argument(
        "--prior", default="", help="shares of the classes to correct for, e.g. 0.7,0.3"
    )
    parser.add_argument("--out", type=Path, help="folder of the numbers (default: the run)")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
