"""What every object says of the model that made it, and how an object becomes a file."""

import errno
import io
import logging
import os
import uuid
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mri_tf
from data_prep.case import Unreadable
from data_prep.io.dicom.header import quiet_pydicom
from mri_tf.core.command_line import TRACEBACK
from mri_tf.core.errors import InputError, install_hint
from mri_tf.dicom.codes import LONG_STRING

# What os.link says on a file system without hard links: some network shares and buckets.
NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
MANUFACTURER = "mri_tf"
UNKNOWN = "unknown"
UTF_8 = "ISO_IR 192"
TEXTS = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}  # kinds of values that need a character set
RESEARCH = "Research software, not a medical device."
# New series of a study; numbers need not be unique in it, and scanners rarely reach these.
SERIES_NUMBERS = {"report": 9001, "labels": 9002, "gradcam": 9003}


@dataclass(frozen=True)
class Maker:
    """A model as its objects name it."""

    task: str
    version: str  # of the export; "unknown" of the newest one on a server
    export_sha256: str  # of the export's files; "unknown" where only a server has them
    weights_sha256: str = UNKNOWN

    @property
    def equipment(self) -> dict:
        """Arguments of highdicom's constructors about the device that made an object.

        The serial number is the hash of the export: the standard asks for one, and no other number
        tells two models apart.
        """
        return dict(
            manufacturer=MANUFACTURER, manufacturer_model_name=self.task[:LONG_STRING],
            software_versions=mri_tf.__version__, device_serial_number=self.export_sha256,
        )  # fmt: skip

    @property
    def parameters(self) -> dict[str, str]:
        """What identifies the model beside its name and version."""
        return {"export_sha256": self.export_sha256, "weights_sha256": self.weights_sha256}

    @property
    def uid(self) -> str:
        """A UID of the model: the same for the same export."""
        named = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.task} {self.version} {self.export_sha256}")
        return f"2.25.{named.int}"


def new_uids(kind: str) -> dict:
    """Arguments of highdicom's constructors that place a new object in a new series."""
    from pydicom.uid import generate_uid

    return dict(
        series_instance_uid=generate_uid(prefix=None), sop_instance_uid=generate_uid(prefix=None),
        series_number=SERIES_NUMBERS[kind], instance_number=1,
    )  # fmt: skip


def check_highdicom() -> None:
    """Raises InputError unless the package is there that writes DICOM objects."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise InputError(
            "--dicom-out needs the package highdicom.", "no such package", install_hint("dicom")
        ) from None


@contextmanager
def making(what: str):
    """Turns what highdicom raises into Unreadable, whose reason quotes no value of a header."""
    levels = {name: logging.getLogger(name).level for name in ("highdicom", "highdicom.base")}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with quiet_pydicom(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # its messages may quote names and UIDs
        if os.environ.get(TRACEBACK):
            raise
        reason = f"no {what} can be made of its headers ({type(error).__name__})"
        raise Unreadable(reason) from None
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def write_new(path: Path, dataset) -> None:
    """Writes an object to a new file, whole or not at all; raises InputError where the file exists."""
    buffer = io.BytesIO()
    with quiet_pydicom():
        texts = (str(element.value) for element in dataset.iterall() if element.VR in TEXTS)
        if not all(text.isascii() for text in texts):
            dataset.SpecificCharacterSet = UTF_8
        dataset.save_as(buffer, enforce_file_format=True)
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        _rename_to_new(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _rename_to_new(scratch: Path, path: Path) -> None:
    link: Callable = getattr(os, "link", os.rename)  # both refuse an existing name, os.rename on Windows
    try:
        try:
            link(scratch, path)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if path.exists():
                raise FileExistsError from None
            scratch.rename(path)
    except FileExistsError:
        raise InputError(
            "A file of --dicom-out exists and is not overwritten.", path, "Choose another folder."
        ) from None
