"""Searches values of a task with KerasTuner: python -m tuning.search --task T --data DIR --trials N."""

import shutil
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from mri_tf.core.command_flags import (
    add_max_minutes,
    add_set,
    add_split,
    add_variant,
    folder_to_write,
    positive_int,
    seed_int,
)
from mri_tf.core.command_line import DONE, OUT_OF_TIME, Parser, import_tensorflow, run_command
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import InputError, OutOfTime, RunFailed
from mri_tf.track.destination import add_track, check_track, track_finished

BANKS = "banks"  # folder of frozen features, deleted at the end of the search
TUNERS = ("hyperband", "bayesian", "random")


def main(arguments: list[str]) -> int:
    """Runs the trials that are missing and writes best.json and trials.csv; returns the exit code."""
    flags = _parser().parse_args(arguments)
    check_track(flags.track)
    deadline = Deadline(flags.max_minutes)
    import_tensorflow()
    from keras_tuner.errors import FatalError

    from mri_tf.core.progress import progress
    from mri_tf.store.searches import BEST, TRIALS
    from mri_tf.train.devices import configure_devices
    from tuning.results import describe, finished, summary, write_results
    from tuning.tuner import TrainingTuner, make_oracle, seconds_of_trials
    from tuning.workers import is_worker, run_workers, served

    configure_devices(0)
    problem, space, folder = _problem(flags, deadline)
    oracle = make_oracle(flags.tuner, space, flags.trials, problem.epochs, flags.seed)
    if is_worker():
        try:
            TrainingTuner(oracle, problem, folder).search()
        except FatalError as error:
            if isinstance(error.__cause__, OutOfTime):
                return OUT_OF_TIME  # the process that started it says so
            raise RunFailed(str(error), "Free some disk space.") from None
        return DONE
    describe(problem, flags, folder)
    print(f"{problem.task.name}: up to {flags.trials} trials with {len(space.space)} values in {folder}")
    with progress("trials", flags.trials) as advance:
        tuner = TrainingTuner(oracle, problem, folder, _shown(oracle, flags, advance))
        tuner.advance()
        try:
            if flags.workers > 1:
                with served(oracle) as port:
                    stopped = run_workers(arguments, flags.workers, port, tuner.advance, deadline)
            else:
                tuner.search()
                stopped = False
        except FatalError as error:
            stopped = isinstance(error.__cause__, OutOfTime)
            if not stopped:
                shutil.rmtree(folder / BANKS, ignore_errors=True)
                raise RunFailed(
                    str(error),
                    "Finished trials are kept; free some disk space and run the same command again.",
                ) from None
        except RuntimeError as error:
            if "consecutive" not in str(error):
                raise
            shutil.rmtree(folder / BANKS, ignore_errors=True)
            write_results(oracle, folder)
            raise RunFailed(
                "Three trials failed in a row.", f"The reasons are in {folder / TRIALS}."
            ) from None
    if not stopped:
        shutil.rmtree(folder / BANKS, ignore_errors=True)
    if not stopped or finished(oracle):
        best = write_results(oracle, folder)
        print("\n".join(summary(best, flags, problem.task.name)))
        print(f"wrote {folder / BEST}, {folder / TRIALS}")
    if stopped:
        seconds = statistics.mean(seconds_of_trials(oracle) or [0.0])
        raise deadline.out_of_time(_how_far(oracle, flags.trials, folder), seconds)
    track_finished(flags.track, "search", folder)
    return DONE


def _shown(oracle, flags, advance):
    """What shows how far the search is, and once what its other trials will take."""
    from mri_tf.core.progress import say_time_left
    from tuning.results import best_so_far
    from tuning.tuner import seconds_of_trials

    told = False

    def show(trial_id: str = "") -> None:
        nonlocal told
        done = len(oracle.end_order)
        if done:
            advance(min(done, flags.trials), best_so_far(oracle))
            seconds, left = seconds_of_trials(oracle), flags.trials - done
            told = told or say_time_left("trials", seconds, left, flags.workers)

    return show


def _how_far(oracle, trials: int, folder: Path) -> str:
    """How many trials have ended, and how many are begun."""
    from mri_tf.store.searches import TRIAL_RUNS

    open_trials = [name for name in oracle.start_order if name not in oracle.end_order]
    begun = sum((folder / TRIAL_RUNS / name).is_dir() for name in open_trials)
    return f"{len(oracle.end_order)} of {trials} trials are done, {begun} begun"


def _problem(flags, deadline: Deadline):
    """What the trials share, the search space, and the folder, named by all that decides a score."""
    from mri_tf.core.hashing import fingerprint
    from mri_tf.network.build import check_task
    from mri_tf.splits.sides import SplitOptions, choose_sides
    from mri_tf.store.prepared import Prepared
    from mri_tf.task.files import find_task_file, variant_names
    from mri_tf.task.loaded import LoadedTask
    from mri_tf.task.overrides import check_searchable, with_precision
    from mri_tf.task.rules import AUTO
    from mri_tf.task.spec import to_json
    from mri_tf.train.datasets import DataOptions
    from mri_tf.train.devices import precision_here
    from mri_tf.train.pretrain import PretrainOptions, feature_task_of, features_for
    from tuning.code_version import code_version
    from tuning.spaces import space_of
    from tuning.trials import Problem, inner_sides

    file = find_task_file(flags.task)
    loaded = LoadedTask.of(file, variant_names(flags.variant), flags.set)
    # "auto" is settled here, for all trials on all machines.
    task = with_precision(loaded.task, precision_here(AUTO))
    check_task(task)
    check_searchable(task)
    loaded = replace(loaded, task=task)
    prepared = Prepared.open(flags.data)
    prepared.check_fits(task)
    split = SplitOptions(flags.split, flags.split_file, None, flags.seed)
    outer = choose_sides(prepared, task, split)
    space = space_of(task)
    home = flags.out or Path("runs", task.name, f"search-{flags.tuner}-s{flags.seed}")
    options = PretrainOptions(
        flags.features, DataOptions(None, flags.data, flags.features_data, deadline=deadline),
        flags.seed, devices=0,
    )  # fmt: skip
    features, pretraining = None, feature_task_of(loaded, options)
    if pretraining and flags.inner_folds > 1:
        raise InputError(
            "With inner folds the network that gives the features would be trained on patients who "
            "score the trials.",
            f"--inner-folds {flags.inner_folds}, features of {pretraining.task.name}",
            "Leave out --inner-folds: the validation side scores the trials.",
        )  # fmt: skip
    if pretraining:
        features, _ = features_for(pretraining, loaded, prepared, outer.records, home, options)
    inner = inner_sides(prepared, task, outer, flags.inner_folds, flags.seed)
    key = fingerprint(
        {
            "space": [[part.__class__.__name__, part.get_config()] for part in space.space],
            "task": to_json(task),
            "data": prepared.content_fingerprint(),
            "sides": [[part.tolist() for part in sides.records] for sides in inner],
            "features": features.values["weights_sha256"] if features else "",
            "tuner": [flags.tuner, flags.seed],
            "code": code_version(),
        }
    )
    folder = home / key[:12]
    others = [path for path in home.glob("*/oracle") if path.parent != folder]
    if others and not folder.is_dir():
        print(f"{len(others)} earlier searches in {home} are not used: other data, values or code")
    folder.mkdir(parents=True, exist_ok=True)
    problem = Problem(
        task, prepared, inner, features, flags.seed, folder / BANKS, deadline=deadline
    )
    return problem, space, folder


def _parser() -> Parser:
    parser = Parser(
        "python -m tuning.search", __doc__,
        examples=(
            "--task cardiac_levels --data data/cardiac_levels --tuner hyperband --trials 30",
            "--task grade.toml --data data/grade --tuner random --trials 10 --seed 1",
        ),
    )  # fmt: skip
    parser.add_argument("--task", required=True, help="name of a task, or path of a task file")
    add_variant(parser)
    parser.add_argument("--data", required=True, type=Path, help="prepared set")
    features = parser.add_mutually_exclusive_group()
    features.add_argument(
        "--features",
        type=Path,
        help="finished run of the segmentation task that features_from or boxes_from names",
    )
    features.add_argument(
        "--features-data", type=Path, help="prepared set to train that segmentation task on"
    )
    parser.add_argument("--tuner", choices=TUNERS, default="bayesian", help="method (default bayesian)")
    parser.add_argument("--trials", required=True, type=positive_int, help="largest number of trials")
    add_split(parser, "as in mri_tf.train", modes=("patient", "group", "column"))
    parser.add_argument(
        "--inner-folds", type=positive_int, default=1,
        help="folds of training and validation side that score a trial (default 1: those sides)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive_int, default=1, help="processes that run trials (default 1)"
    )
    add_max_minutes(parser)
    parser.add_argument("--out", type=folder_to_write, help="(default runs/TASK/search-TUNER-sSEED)")
    add_track(parser, "all trials with their values and scores")
    parser.add_argument("--seed", type=seed_int, default=0, help="of split, weights, search (default 0)")
    add_set(parser, "; those in the search space are searched")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
