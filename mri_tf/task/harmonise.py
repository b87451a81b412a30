"""Which differences between scanners or sites a task takes out: its `harmonise`, typed and checked.

docs/methods.md says what each method does and where it is fitted.
"""

from dataclasses import dataclass

from mri_tf.task.settings import built, require
from mri_tf.task.spec import WHITE_STRIPE, Task

NYUL, COMBAT = HARMONISATIONS = ("nyul", "combat")
BATCHES = ("site", "scanner")  # what ComBat calls a batch


@dataclass(frozen=True, kw_only=True)
class Harmonise:
    """Which differences between scanners or sites are taken out, fitted on the training side."""

    method: str  # nyul (histograms of images) or combat (features of a frozen network)
    batch: str = ""  # of combat: site or scanner


def harmonise_of(task: Task) -> Harmonise | None:
    """The task's `harmonise`, checked as far as it can be without a network; None if it has none."""
    if not task.harmonise:
        return None
    found, known = built(Harmonise, "harmonise", task.harmonise), " or ".join(HARMONISATIONS)
    require(
        found.method != WHITE_STRIPE,
        f'{WHITE_STRIPE} looks at one image alone: it is normalize=dict(method="{WHITE_STRIPE}").',
        f"harmonise.method {WHITE_STRIPE}",
    )
    require(found.method in HARMONISATIONS, f"harmonise.method must be {known}.", found.method)
    if found.method == COMBAT:
        _check_combat(task, found)
    else:
        _check_nyul(task, found)
    return found


def combat_batch(task: Task) -> str:
    """"site" or "scanner" where the task corrects features by it; else ""."""
    found = harmonise_of(task)
    return found.batch if found is not None and found.method == COMBAT else ""


def describe_harmonise(task: Task) -> str:
    """What is taken out between scanners, in words; empty where nothing is."""
    found = harmonise_of(task)
    if found is None:
        return ""
    if found.method == NYUL:
        return "histograms matched to the mean landmarks of the training patients (Nyul and Udupa)"
    return f"location and scale of each {found.batch} taken out of the features (ComBat)"


def _check_nyul(task: Task, found: Harmonise) -> None:
    require(not found.batch, "harmonise.batch is only for method combat.", found.batch)
    require(
        task.modality != "CT",
        "harmonise.method nyul is not for CT, whose intensities have a unit.", "modality CT",
    )  # fmt: skip
    cuts = [name for name in ("patch", "box", "spacing") if getattr(task, name)]
    require(
        not cuts,
        "harmonise.method nyul needs a network that sees whole images: the histogram of a part says "
        "which part it is.",
        ", ".join(cuts),
    )
    require(
        not task.intensity_classes,
        "harmonise.method nyul is not for tasks that learn classes of intensity.",
        f"intensity_classes {task.intensity_classes}",
    )


def _check_combat(task: Task, found: Harmonise) -> None:
    require(
        found.batch in BATCHES, f"harmonise.batch must be {' or '.join(BATCHES)}.",
        found.batch or "none",
    )  # fmt: skip
    # Both average answers, and what is corrected are the features of one image.
    for name in ("bag", "test_time"):
        require(
            not getattr(task, name),
            f"harmonise.method combat needs one answer for each image, without {name}.",
            f"{name} {getattr(task, name)}",
        )
