"""Parts of the model card of a model of several members: who they are, how they answer, their cost."""

import json

from mri_tf.calibration.answers import answers_from_json
from mri_tf.core.metric_names import name_of
from mri_tf.export.cost import Cost
from mri_tf.export.members_graph import DISAGREEMENT, IN_SET
from mri_tf.store.run import MEMBERS, METRICS, TEST, Run, open_run
from mri_tf.tables import looks_sentence, markdown
from mri_tf.tables.run import format_interval

ON_TEST_SIDE = ("auc", "balanced_accuracy", "accuracy", "log_loss")
OF_SINGLE = (
    "The numbers above are of single members: each was trained on other folds than those it is judged "
    "on, by answers that were fitted without them, too. They do not measure the model of all members, "
    "since every patient of the folds was seen by some of its members."
)


def card_members(run: Run, cost: Cost | None) -> str:
    """How many members there are, what each learned from, and what they cost beside one.

    Args:
        run: a model of several members.
        cost: measured for a SavedModel of more than one member.
    """
    rows = [
        [f"{about['repeat']}-{about['fold']}", *(len(one.values["patients"][side])
                                                 for side in ("train", "validation", "test")),
         one.values["best_epoch"]]
        for one, about in zip(run.members, run.values[MEMBERS], strict=True)
    ]  # fmt: skip
    columns = ["repeat and fold", "trained on", "validated on", "left out (patients)", "epoch kept"]
    first = f"{len(rows)} networks that answer together."
    if len(rows) == 1:
        first = "One network of those that were trained together."
    parts = [first, markdown(rows, columns), OF_SINGLE, _on_test_side(run)]
    if cost is not None:
        parts.append(cost_sentence(cost))
    return "\n\n".join(filter(None, parts))


def _on_test_side(run: Run) -> str:
    """The numbers of the model of all members on patients that no member saw; "" without such."""
    file = run.folder / TEST / METRICS
    if not file.is_file() or len(run.members) < len(open_run(run.folder).values[MEMBERS]):
        return ""
    metrics = json.loads(file.read_text(encoding="utf-8"))
    names = [name for name in ON_TEST_SIDE if name in metrics]
    shown = "; ".join(f"{name_of(name)} {format_interval(metrics[name])}" for name in names)
    looks = looks_sentence(metrics)
    return f"The model of all members, on the test side, which no member saw: {shown}. {looks}".strip()


def outputs_of_members(run: Run) -> tuple[str, ...]:
    """The outputs that the graph of this run has because it has several members."""
    if not run.has_members:
        return ()
    found = (DISAGREEMENT,) if len(run.members) > 1 else ()
    return (*found, IN_SET) if answers_from_json(run.values["answers"]).has_sets else found


def cost_sentence(cost: Cost) -> str:
    """Time and size beside one member."""
    return (
        f"One answer took {cost.answer_ms:.1f} ms on the machine of the export, that of one member "
        f"alone {cost.answer_ms_of_one:.1f} ms ({cost.answer_ms / cost.answer_ms_of_one:.1f} times); "
        f"the weights take {cost.megabytes:.1f} MB, those of one member {cost.megabytes_of_one:.1f} MB. "
        "`python -m mri_tf.export --run RUN --members 1` exports one."
    )


def correlation_rows(run: Run) -> list[list[str]]:
    """Rows of the table of calibration: how alike two members answer, and what follows from it."""
    answers = answers_from_json(run.values["answers"])
    found, count = answers.correlation, len(answers.scales)
    measured = f"{found.value:.2f}, on {found.patients} patients that two members had not seen"
    alike = ["correlation of two members within a class", found.reason or measured]
    if count == 1:
        return [["slope", f"{answers.mean.slope:.3g}"], alike]
    slopes = (
        f"{answers.one.slope:.3g}, {answers.mean.slope:.3g}; the mean of {count} varies "
        f"{found.variance_of_mean(count):.2f} times as much within a class as one member"
    )
    return [["slope of one member, and of the mean of all", slopes], alike]
