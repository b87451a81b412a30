"""Looks at data and task before anything is trained: python -m mri_tf.check --raw DIR."""

import json
import sys
from pathlib import Path

from mri_tf.core.command_flags import (
    add_label,
    add_listing,
    add_set,
    add_split,
    add_task,
    add_variant,
    folder_to_write,
    seed_int,
)
from mri_tf.core.command_line import DONE, SOME_SKIPPED, Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError, first_few

NEEDS_ATTENTION = SOME_SKIPPED


def main(arguments: list[str]) -> int:
    """Prints what was found and writes it; exit 1 where something needs attention."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    import mri_tf
    from data_prep.layout_calls import listing_of
    from mri_tf.audit.finding import as_json
    from mri_tf.check.findings import ATTENTION
    from mri_tf.check.look import look
    from mri_tf.check.page import page
    from mri_tf.check.pictures import write_pictures
    from mri_tf.core.files import write_atomic
    from mri_tf.network.build import check_task
    from mri_tf.plan.planned import label_setting, task_file_for
    from mri_tf.splits.sides import SplitOptions
    from mri_tf.task.files import feature_task, variant_names
    from mri_tf.task.loaded import LoadedTask
    from mri_tf.train.datasets import DataOptions, classifier_set, look_before_preparing

    if not (flags.raw or flags.data):
        given = "neither --raw nor --data"
        raise InputError("A check needs data.", given, "Give --raw DIR or --data DIR.")
    listing = listing_of(flags)
    file = task_file_for(flags.task, flags.raw, listing, flags.label, flags.set)
    settings = [*label_setting(flags.task, flags.label), *flags.set]
    loaded = LoadedTask.of(file, variant_names(flags.variant), settings)
    check_task(loaded.task)
    features = feature_task(loaded.task, file)[0] if loaded.task.pretrained_on else None
    split = SplitOptions(flags.split, flags.split_file, None, flags.seed)
    sets = DataOptions(flags.raw, flags.data, None, listing)
    look_before_preparing(loaded, sets, split)
    prepared, _ = classifier_set(loaded, sets)
    looked = look(loaded, features, prepared, split)
    sources = prepared.sources()
    width = max(len(one.name) for one in looked.findings)
    for one in looked.findings:
        print(f"{one.status:<11}  {one.name:<{width}}  {one.text}")
        if one.advice:
            print(f"{'':<{width + 15}}{one.advice}")
        if one.on_terminal:
            print(f"{'':<{width + 15}}{one.on_terminal}")
        if one.records:
            ids = [str(prepared.record_ids[position]) for position in one.records]
            print(f"{'':<{width + 15}}{first_few(sources.get(name, name) for name in ids)}")
    out = flags.out or Path("checks", loaded.task.name)
    out.mkdir(parents=True, exist_ok=True)
    values = [as_json(one, prepared.record_ids) for one in looked.findings]
    write_atomic(out / "check.json", json.dumps(values, indent=1).encode())
    (out / "check.html").unlink(missing_ok=True)  # of an earlier check
    written = [out / "check.json"]
    pictures = write_pictures(loaded.task, prepared, out / "pictures") if flags.pictures else []
    if pictures:
        html = page(loaded.task.name, values, pictures, mri_tf.__version__)
        write_atomic(out / "check.html", html.encode())
        written += [*(one.file for one in pictures), out / "check.html"]
    print(f"wrote {', '.join(map(str, written))}")
    return NEEDS_ATTENTION if any(one.status == ATTENTION for one in looked.findings) else DONE


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.check", __doc__,
        examples=("--raw scans --label grade --pictures", "--task lgg_grade --data data/lgg_grade"),
    )  # fmt: skip
    add_task(parser)
    add_variant(parser)
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--raw", type=Path, help="folder of raw data; prepared into data/, as train does")
    data.add_argument("--data", type=Path, help="prepared set")
    add_listing(parser)
    add_label(parser)
    add_split(parser, "what would stay on one side, as for train")
    parser.add_argument("--seed", type=seed_int, default=0, help="of the split (default 0)")
    parser.add_argument(
        "--pictures", action="store_true",
        help="draw sheets of each class and histograms, and one HTML page with everything",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=folder_to_write, help="folder of what is written (default: checks/TASK)"
    )
    add_set(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
