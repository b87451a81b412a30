"""Weights of other data: those of a file, or of a KerasHub preset by name or folder."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import keras

from mri_tf.core.errors import InputError

ORIGIN = "mri_tf_origin"  # attribute of a converted file


@dataclass(frozen=True)
class Origin:
    """Where converted weights come from."""

    file: str  # name of the file that was converted, without its folder
    sha256: str  # of that file
    licence: str

    def __str__(self) -> str:
        return f"{self.file} (SHA-256 {self.sha256[:12]}), licence: {self.licence}"


def write_converted(network: keras.Model, out: Path, origin: Origin) -> None:
    """Writes a network's weights and where they come from, under their final name when they are whole.

    Args:
        network: with the weights.
        out: a path that ends in .weights.h5.
        origin: kept in the file.
    """
    scratch = out.with_name(f".{out.name.removesuffix('.weights.h5')}-part.weights.h5")
    try:
        network.save_weights(scratch)
        with h5py.File(scratch, "r+") as file:
            file.attrs[ORIGIN] = json.dumps(asdict(origin))
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)


def origin_of(weights: str) -> Origin | None:
    """Where the weights that a task names come from; None where that is not a converted file."""
    if not weights.endswith(".weights.h5") or not Path(weights).is_file():
        return None
    try:
        with h5py.File(weights) as file:
            return Origin(**json.loads(file.attrs[ORIGIN]))
    except (OSError, KeyError, ValueError, TypeError):
        return None


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
