"""What follows the training of one network: numbers, baselines beside them, the card and the export."""

import argparse
import json

from mri_tf.evaluate.evaluation import BASELINES, evaluate_run
from mri_tf.export.publish import FOLDERS, SAVEDMODEL, export_with_segmenter
from mri_tf.pipeline.subset import run_sides
from mri_tf.report.card import card_of_run
from mri_tf.store.looks import SECONDS_TO_WAIT
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import CARD, METRICS, Run, locked
from mri_tf.tables import summary
from mri_tf.train.baselines import baselines_of_run
from mri_tf.train.finished_card import write_card


def is_done(run: Run, flags: argparse.Namespace, trained_before: bool) -> bool:
    """Whether an earlier command has done all that this one asks for.

    Args:
        run: the trained run.
        flags: of the command.
        trained_before: whether the training was finished when the command began.
    """
    if not (run.values.get("exported") or flags.no_export):
        return False
    if not (run.folder / METRICS).is_file():
        return flags.lock_test and bool(run.values.get("exported") or trained_before)
    return not _lacks_baselines(run, flags) and (flags.no_card or (run.folder / CARD).is_file())


def evaluate_and_export(
    run: Run, prepared: Prepared, features: Run | None, flags: argparse.Namespace
) -> None:
    """Writes the numbers of a finished run, unless its test side is locked, its card, and its model,
    which holds the card, unless --no-export.

    Args:
        run: the trained run.
        prepared: its prepared set.
        features: the run of the segmentation network before it, if there is one.
        flags: of the command.
    """
    written, numbers = [run.folder], run.folder / METRICS
    if numbers.is_file():  # a command that was interrupted after it looked does not look again
        print("\n".join(summary(json.loads(numbers.read_text(encoding="utf-8")))))
    elif not flags.lock_test:
        result = evaluate_run(run, run_sides(run, prepared)[2], run.values["split"], run.folder)
        print("\n".join(summary(result.metrics)))
        written += result.files
    if _lacks_baselines(run, flags):
        print(baselines_of_run(run, prepared, run.folder))
    if not flags.no_card:
        write_card(card_of_run, run.folder, f"python -m mri_tf.report --run {run.folder}")
    if not flags.no_export and not run.values.get("exported"):
        written += export_with_segmenter(run, prepared, features, FOLDERS[SAVEDMODEL])
        with locked(run.folder, SECONDS_TO_WAIT):
            run.save(exported=str(written[-1]))
    print(f"wrote {', '.join(str(path) for path in written)}")


def _lacks_baselines(run: Run, flags: argparse.Namespace) -> bool:
    """Whether the numbers of a classifier are there and the baselines beside them are not."""
    numbers = run.folder / METRICS
    if flags.no_baselines or run.task.kind != "classification" or not numbers.is_file():
        return False
    return BASELINES not in json.loads(numbers.read_text(encoding="utf-8"))
