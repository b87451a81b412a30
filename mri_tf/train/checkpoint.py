"""Checkpoints: the whole state of a training in one file, replaced atomically, for exact resume.

All variables of model and optimizer (seed generators included), the best weights so far and
the history. Keras' BackupAndRestore does not resume exactly; this does, to the bit on CPU.
"""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic

FILE = "checkpoint.npz"  # in the run's folder


@dataclass
class TrainingState:
    """Where a training stands after a whole epoch."""

    epoch: int = 0  # epochs done
    history: list[dict] = field(default_factory=list)  # one row an epoch
    best_epoch: int = -1
    best_weights: list[np.ndarray] = field(default_factory=list)


def save_checkpoint(path: Path, state: TrainingState, variables: list, identity: str) -> None:
    """Writes the state beside `path` and renames it: a kill leaves the old one or the new one."""
    arrays = {f"variable_{number}": np.asarray(v) for number, v in enumerate(variables)}
    arrays |= {f"best_{number}": v for number, v in enumerate(state.best_weights)}
    facts = {
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "identity": identity,
    }
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
    write_atomic(path, buffer.getbuffer())


def load_checkpoint(path: Path, variables: list, identity: str) -> TrainingState | None:
    """Assigns the saved variables and gives the state; None where there is no checkpoint.

    Raises InputError for a damaged file or one of another training.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as saved:
            facts = json.loads(str(saved["facts"]))
            values = [saved[f"variable_{number}"] for number in range(len(variables))]
            best = [saved[name] for name in _numbered(saved.files, "best_")]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            "Cannot read the checkpoint.",
            f"{path}, damaged ({type(error).__name__})",
            "Remove it to train this run again from its first epoch.",
        ) from None
    shapes_fit = all(
        value.shape == tuple(variable.shape)
        for value, variable in zip(values, variables, strict=True)
    )
    if facts["identity"] != identity or not shapes_fit:
        raise InputError(
            "The checkpoint belongs to another training, or to another version of mri_tf.",
            path,
            "Choose another --out folder, or remove this run folder.",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return TrainingState(facts["epoch"], facts["history"], facts["best_epoch"], best)


def _numbered(names: list[str], prefix: str) -> list[str]:
    own = [name for name in names if name.startswith(prefix)]
    return sorted(own, key=lambda name: int(name.removeprefix(prefix)))
