"""Weights of other data: those of a file, or of a KerasHub preset by name or folder."""

from collections.abc import Callable

import keras

from mri_tf.core.errors import InputError


def load_file(network: keras.Model, file: str, whose: str) -> None:
    """Gives a network the weights of a file.

    `whose` says of what they must be, for the InputError of a file that holds others.
    """
    try:
        network.load_weights(file)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise other_weights(whose, f"{file} ({type(error).__name__})") from None


def load_preset(
    load: Callable[[str], keras.Model], published: str, folder: str, whose: str, what_to_do: str
) -> keras.Model:
    """A KerasHub preset.

    Args:
        load: gives the network of a preset by its name or folder.
        published: name of the preset, which is downloaded unless it is in the cache; "" for a folder.
        folder: of a preset, where it is not a published one.
        whose: of what the weights must be, for the error where a folder holds others.
        what_to_do: where a published preset cannot be had.

    Raises:
        InputError: the preset cannot be had, or the folder holds none.
    """
    try:
        return load(published or folder)
    except Exception as error:  # it downloads in four ways, which raise different errors
        if not published:
            raise other_weights(whose, f"{folder} ({type(error).__name__})") from None
        raise InputError(
            f"KerasHub's preset {published} is not available.",
            f"not in its cache, and the download failed ({type(error).__name__})",
            what_to_do,
        ) from None


def other_weights(whose: str, received: str) -> InputError:
    """The error for weights of another network."""
    return InputError(
        f"model_args.weights does not hold the weights of {whose}.", received,
        "Give another file or folder.",
    )  # fmt: skip
