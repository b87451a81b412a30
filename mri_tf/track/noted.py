"""Notes beside a run, study or search: what of it is logged where, so that nothing is logged twice."""

import json
from pathlib import Path

from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import file_hash, fingerprint, folder_hash
from mri_tf.track.numbers import json_of
from mri_tf.track.tracked import Tracked

TRACKED = "tracked.json"  # tracker -> id of the run there, and fingerprint of what was logged
ID, LOGGED = "id", "logged"


def fingerprint_of(tracked: Tracked) -> str:
    """Fingerprint of all that is logged: values, numbers, history and contents of files."""
    return fingerprint(_values(tracked))


def _values(tracked: Tracked) -> list:
    files = {
        f"{folder}/{path.name}": folder_hash(path) if path.is_dir() else file_hash(path)
        for path, folder in tracked.files.items()
    }  # fmt: skip
    own = [tracked.experiment, tracked.name, tracked.parameters, tracked.metrics, tracked.history]
    return [*own, files, tracked.failed, [_values(one) for one in tracked.inside]]


def tracked_before(folder: Path, place: str, logged: str) -> str:
    """The id of the run as which the same was logged to a tracker; "" where it was not.

    Args:
        folder: of the run, study or search.
        place: names the tracker as `destination.shown` does, without what may be secret.
        logged: of `fingerprint_of`.
    """
    noted = json_of(folder / TRACKED).get(place)
    same = isinstance(noted, dict) and noted.get(LOGGED) == logged
    return noted[ID] if same else ""


def note_tracked(folder: Path, place: str, identity: str, logged: str) -> None:
    """Writes down that it was logged as the run `identity`; else as `tracked_before`."""
    noted = {**json_of(folder / TRACKED), place: {ID: identity, LOGGED: logged}}
    write_atomic(folder / TRACKED, json.dumps(noted, indent=1).encode())
