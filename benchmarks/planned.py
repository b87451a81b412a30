"""Compares a task as this project wrote it with the task that is planned from the same folder.

    python benchmarks/planned.py --task sax_levels --raw $MRI_SHARED/data/sunnybrook \\
        --label axial_level --out studies/planned [--folds 5] [--repeats 3] [--workers 2] [--set k=v ...]

Plans the raw folder and writes a task file with two variants, `hand_set` and `planned`, which differ in
all that the plan decides. `mri_tf.study` compares them on identical folds; its report.md has the paired
difference. The same command goes on where it stopped.
"""

import dataclasses

from written_task import run_study, study_parser, write_task

from data_prep.layout_calls import ListOptions
from mri_tf.plan.planned import plan_folder
from mri_tf.task import Task
from mri_tf.task.files import find_task_file, load_task

# What the variants have in common, or what is not the plan's.
ALIKE = ("name", "class_names", "class_parts", "ordered", "variants", "phantom", "demo_patients",
         "split_fractions", "primary_metric", "caution")  # fmt: skip


def planned_values(base: Task, planned: Task) -> dict:
    """Field -> value of the plan, where it differs from the task."""
    fields = [field.name for field in dataclasses.fields(Task) if field.name not in ALIKE]
    return {
        name: getattr(planned, name) for name in fields if getattr(planned, name) != getattr(base, name)
    }


def main() -> None:
    parser = study_parser(__doc__, repeats=3)
    parser.add_argument("--task", required=True)
    parser.add_argument("--label", default="", help="column of the labels, as planning takes it")
    flags = parser.parse_args()
    home = flags.out / flags.task
    home.mkdir(parents=True, exist_ok=True)
    base = load_task(find_task_file(flags.task))
    plan = plan_folder(flags.raw, ListOptions(), flags.label, home / "plan.toml")
    values = planned_values(base, plan.task)
    print("\n".join(f"planned: {name} = {value!r}" for name, value in values.items()), flush=True)
    changes = f"variants=dict(hand_set={{}}, planned={values!r})"
    file = write_task(home, f"{base.name}_planned", base.name, changes)
    run_study(flags, file, ["--raw", str(flags.raw)], home / "study", "hand_set;planned")


if __name__ == "__main__":
    main()
