"""Patient ids as given, or replaced by salted pseudonyms; the salt stays in a file outside the set."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from types import ModuleType

from mri_tf.core.errors import InputError

SHORTEST_SALT_BYTES = 16


class Pseudonyms:
    """Turns patient ids into pseudonyms with one salt; without a salt, ids stay as given.

    >>> Pseudonyms().of("P1"), Pseudonyms(b"sixteen bytes ok").of("P1")
    ('P1', 'p-ac2245d11f82')
    """

    def __init__(self, salt: bytes = b""):
        self._salt = salt

    def of(self, patient: str) -> str:
        """The name a patient has in the prepared set."""
        if not self._salt:
            return patient
        return "p-" + hmac.new(self._salt, patient.encode(), hashlib.sha256).hexdigest()[:12]

    def keyed(self, digest: str) -> str:
        """A digest of ids, keyed with the salt, so that ids cannot be guessed and tried without it."""
        if not self._salt:
            return digest
        return hmac.new(self._salt, digest.encode(), hashlib.sha256).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Equal for sets with the same salt, without giving the salt away; empty without a salt."""
        return hashlib.sha256(b"mri_tf" + self._salt).hexdigest()[:16] if self._salt else ""


def pseudonyms_for(
    layout: ModuleType, out: Path, wanted: bool | None = None, salt_file: Path | None = None
) -> Pseudonyms:
    """The pseudonyms of a prepared set: for patients whose ids come from DICOM headers, unless they are
    not wanted; for others only if they are.

    Args:
        layout: lists the patients.
        out: folder of the set.
        wanted: True for --pseudonyms, False for --keep-ids, None for neither.
        salt_file: where the salt is, or will be made; the set's name with .salt unless given.
    """
    if not (getattr(layout, "IDS_FROM_HEADERS", False) if wanted is None else wanted):
        return Pseudonyms()
    file = salt_file or Path(f"{out.absolute()}.salt")
    is_new = not file.is_file()
    salt = read_or_make_salt(file, out)
    if is_new or wanted:
        print(f"The pseudonyms depend on the salt in {file}: keep this file, and keep it private.")
    return Pseudonyms(salt)


def read_or_make_salt(path: Path, out: Path) -> bytes:
    """The salt in a file, made (mode 0600) if missing; raises InputError for one in the set `out`."""
    out = out.absolute()
    inside = {out.resolve(), out.with_name(out.name + ".partial").resolve()}
    if inside & set(path.resolve().parents):
        raise InputError(
            "The salt must lie outside the prepared set: with both, pseudonyms can be undone.",
            path,
            "Choose a file elsewhere with --salt-file.",
        )
    if os.path.lexists(path) and not path.is_file():  # a device would be replaced by a file
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise InputError("--salt-file must be a file.", f"{path}, {kind}", "Give the name of a file.")
    if path.is_file():
        salt = path.read_bytes().strip()
        if len(salt) < SHORTEST_SALT_BYTES:
            raise InputError(
                f"The salt is shorter than {SHORTEST_SALT_BYTES} bytes.",
                f"{path} with {len(salt)} bytes",
                "Choose another file, or one that does not exist yet: a salt is then made in it.",
            )
        return salt
    salt = secrets.token_hex(32).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written whole or not at all: later runs would refuse half a salt.
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(salt + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return salt
