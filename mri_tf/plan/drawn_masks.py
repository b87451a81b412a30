"""Channels that hold drawn masks by what their files contain, whatever they are called."""

import numpy as np

from mri_tf.core.errors import InputError

MOST_VALUES = 5  # different ones of a drawn mask: the background and a few parts


def check_no_masks(channels: dict[str, list[np.ndarray]]) -> None:
    """Raises InputError for a channel that is a drawn mask in every case that was looked at.

    Args:
        channels: name -> the arrays of the cases, of any shape.

    A mask holds at most MOST_VALUES different values, all of them whole numbers, and in some case more
    than one.
    """
    for name, arrays in channels.items():
        values = [np.unique(array) for array in arrays]
        few = all(len(one) <= MOST_VALUES and np.array_equal(one, np.round(one)) for one in values)
        if not few or not any(len(one) > 1 for one in values):
            continue
        found = np.unique(np.concatenate(values))
        listed = ", ".join(f"{value:g}" for value in found[: 2 * MOST_VALUES])
        raise InputError(
            f"The channel {name} looks like a drawn mask: each of its files holds at most {MOST_VALUES} "
            "different whole numbers.",
            f"{listed} in the {len(values)} cases that were looked at",
            "A mask would tell the network what it is to find. Name it so that it is left out: put the "
            "word mask into the name of its column or of its files, or remove it. Where it is meant as "
            "an input, write the task file by hand (docs/task-file.md).",
        )  # fmt: skip
