"""How often somebody looked at the same test patients: what is chosen among looks is too good."""

from collections import defaultdict
from collections.abc import Sequence

from mri_tf.audit.finding import FOUND, NOT_FOUND, Finding
from mri_tf.core.errors import InputError
from mri_tf.store.looks import looks_of, times
from mri_tf.store.run import RUN_FILE, Run, open_run

NAME = "looks at the test side"
CHOSEN_AMONG = (
    "Where epoch, variant or seed was chosen among these looks, the number of the chosen one is too "
    "good: it is luck in part. Nothing here says that it was."
)
WHAT_TO_DO = (
    "Quote what was named before the first look, or all of them; for a final number lock other patients "
    "away with train --lock-test."
)


def looks_finding(looks: int, networks: int, patients: int) -> Finding:
    """Whether more than one look was taken at the same test side.

    Args:
        looks: at the test side that was looked at most often.
        networks: whose predictions were shown.
        patients: of that side.
    """
    if not looks:
        return Finding(NAME, NOT_FOUND, "nobody has looked at the test side", n=patients)
    of_networks = "" if networks < 2 else f", by {networks} networks"
    evidence = f"looked at {times(looks)}{of_networks}"
    if looks == 1:
        return Finding(NAME, NOT_FOUND, evidence, n=patients)
    return Finding(NAME, FOUND, evidence, n=patients, meaning=CHOSEN_AMONG, what_to_do=WHAT_TO_DO)


def most_looks(runs: Sequence[Run]) -> tuple[int, int, int]:
    """(looks, networks, patients) of the test side that was looked at most often.

    Args:
        runs: each of one network; those with the same data and test records share a test side.
    """
    sides: dict[tuple, list[Run]] = defaultdict(list)
    for run in runs:
        sides[run.values["data"], tuple(sorted(run.sides["test"]))].append(run)
    counted = [
        (sum(map(looks_of, own)), sum(looks_of(run) > 0 for run in own),
         len(own[0].values["patients"]["test"]))
        for own in sides.values()
    ]  # fmt: skip
    return max(counted)


def beside(run: Run) -> list[Run]:
    """The runs in the folders beside a run, itself included, that were tested on the same records."""
    found = [run]
    for path in sorted(run.folder.absolute().parent.glob(f"*/{RUN_FILE}")):
        if path.parent == run.folder.absolute():
            continue
        try:
            other = open_run(path.parent)
        except InputError:
            continue  # damaged, and not what was asked about
        same = other.values["data"] == run.values["data"] and not other.has_members
        if same and set(other.sides["test"]) == set(run.sides["test"]):
            found.append(other)
    return found
