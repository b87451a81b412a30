"""Counts a run on its held-out patients, or on other data: python -m mri_tf.evaluate --run RUN."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from mri_tf.command import Parser, import_tensorflow, run_command
from mri_tf.errors import InputError, some_of

BATCH_SIZE = 32


@dataclass(frozen=True)
class Evaluated:
    """The numbers of metrics.json and the files written."""

    metrics: dict
    files: list[Path]


def evaluate_run(run, prepared, records, out: Path, split: str, prior: str = "") -> Evaluated:
    """Predicts every record, writes metrics.json, predictions and the confusion figure to `out`.

    `records` are positions in the prepared set and `split` says how they were held out. `prior`
    shifts probabilities to other shares of the classes, "0.7,0.3" in the order of class_names.
    """
    import numpy as np

    from mri_tf import metrics
    from mri_tf.assemble import load_network
    from mri_tf.checkpoint import write_at_once
    from mri_tf.data.pipeline import damage_named, ordered_batches, walk
    from mri_tf.figures import save_confusion
    from mri_tf.runs import METRICS

    task = run.task
    model = load_network(run)
    patients = prepared.patients[records]
    out.mkdir(parents=True, exist_ok=True)
    files = [out / METRICS]
    if prior and task.kind == "segmentation":
        raise InputError("--prior is for classifiers.", task.name, "Leave it away.")
    if task.kind == "segmentation":
        _, patient_of = np.unique(patients.astype(str), return_inverse=True)
        batches = ordered_batches(
            walk(prepared, records, BATCH_SIZE), task, run.values["fitted"]
        )
        with damage_named(prepared):
            by_patient = pixel_confusions(model, batches, patient_of, len(task.output_names))
        values = metrics.segmentation_metrics(by_patient, task.output_names)
    else:
        probabilities = predict_records(model, run, prepared, records)
        if prior:
            probabilities = _with_prior(probabilities, prior, run)
        truth, predicted = prepared.labels[records], probabilities.argmax(axis=-1)
        by_patient = metrics.confusion_by_patient(
            truth, predicted, patients, len(task.class_names)
        )
        values = metrics.classification_metrics(
            truth, probabilities, predicted, patients, task.class_names
        )
        files.append(_write_predictions(out, prepared, records, probabilities, task.class_names))
        files += save_confusion(by_patient.sum(axis=0), task.class_names, out / "confusion")
    values |= {"split": split, "prior": prior or None}
    notes = [values["note"]]
    if split == "random":
        notes.insert(0, "LEAKY: slices of one patient on both sides")
    if task.model_args.get("weights") == "none":
        notes.insert(0, "the backbone has random weights, not ImageNet's")
    values["note"] = "; ".join(filter(None, notes))
    write_at_once(out / METRICS, json.dumps(values, indent=1).encode())
    return Evaluated(values, files)


def predict_records(model, run, prepared, records):
    """(records, classes) probabilities in the order of `records`; nothing augmented, none left out."""
    import numpy as np

    from mri_tf.data.pipeline import damage_named, ordered_batches, walk
    from mri_tf.progress import progress

    batches = ordered_batches(
        walk(prepared, records, BATCH_SIZE), run.task, run.values["fitted"]
    )
    found = []
    with damage_named(prepared), progress("evaluating", len(batches)) as advance:
        for image, _, _ in batches:
            found.append(model.predict_on_batch(image))
            advance(len(found))
    return np.concatenate(found)


def pixel_confusions(model, batches, patient_of, labels: int):
    """(patients, true label, predicted label) pixel counts; one batch in memory at a time."""
    import numpy as np

    from mri_tf.progress import progress

    counts = np.zeros((patient_of.max() + 1, labels, labels))
    done = 0
    with progress("evaluating", len(patient_of)) as advance:
        for image, mask, _ in batches:
            predicted = model.predict_on_batch(image).argmax(axis=-1)  # (batch, rows, columns)
            for truth, guess in zip(mask.numpy(), predicted, strict=True):
                pairs = np.bincount(np.ravel(truth * labels + guess), minlength=labels * labels)
                counts[patient_of[done]] += pairs.reshape(labels, labels)
                done += 1
            advance(done)
    return counts


def summary(metrics: dict) -> list[str]:
    """Lines for the terminal: each number with its interval."""
    lines = []
    for name in ("accuracy", "kappa", "f1_macro", "dice_mean"):
        if name in metrics:
            lines.append(f"{name:<10} {format_interval(metrics[name])}")
    if "majority_accuracy" in metrics:
        lines.append(f"{'majority':<10} {metrics['majority_accuracy']:.3f} accuracy")
    if metrics["note"]:
        lines.append(f"note: {metrics['note']}")
    return lines


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


def _write_predictions(out: Path, prepared, records, probabilities, class_names) -> Path:
    import pandas as pd

    from mri_tf.checkpoint import write_at_once
    from mri_tf.runs import PREDICTIONS

    table = pd.DataFrame(
        {
            "record_id": prepared.record_ids[records],
            "patient": prepared.patients[records],
            "site": prepared.sites[records],
            "truth": [class_names[label] for label in prepared.labels[records]],
            "predicted": [class_names[label] for label in probabilities.argmax(axis=-1)],
        }
    )
    for number, name in enumerate(class_names):
        table[f"p_{name}"] = probabilities[:, number]
    whole = io.BytesIO()
    table.to_parquet(whole, index=False)
    write_at_once(out / PREDICTIONS, whole.getbuffer())
    return out / PREDICTIONS


def _with_prior(probabilities, prior: str, run):
    import numpy as np

    from mri_tf.calibration import correct_prior
    from mri_tf.losses import class_weights

    class_count = probabilities.shape[-1]
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
    counts = np.array(run.values["training_counts"])
    drawn = np.where(counts > 0, counts.max(), 0) if run.task.oversample else counts
    seen = drawn * class_weights(counts, run.task.loss_weights)
    if not np.any((wanted > 0) & (seen > 0)):
        raise InputError(
            "--prior gives a share to a class that was trained on.", prior, "Change it."
        )
    return correct_prior(probabilities, seen, wanted)


def main(arguments: list[str]) -> int:
    """Evaluates a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    import numpy as np

    from mri_tf.fitting import positions_of
    from mri_tf.leakage import check_data_unseen
    from mri_tf.prepared import Prepared
    from mri_tf.runs import open_finished

    run = open_finished(flags.run)
    folder = flags.data or run.data_folder
    prepared = Prepared.open(folder)
    prepared.check_fits(run.task)
    home = flags.run
    if flags.data is None or prepared.content_fingerprint() == run.values["data"]:
        records, split = positions_of(run, prepared)[2], run.values["split"]
    else:
        records, split = np.arange(len(prepared)), "other data"
        shared = check_data_unseen(run, prepared)
        if shared:
            print(f"patient ids that the training had too: {some_of(shared)}; other people?")
        home = flags.run / "evaluations" / folder.absolute().name
    if flags.prior:
        home = flags.run / "evaluations" / f"{home.name}-prior-{flags.prior}"
    result = evaluate_run(run, prepared, records, flags.out or home, split, flags.prior)
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
