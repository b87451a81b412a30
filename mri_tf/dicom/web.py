"""Fetches a study or a series from a DICOMweb server (PS3.18, WADO-RS and QIDO-RS).

No message names a UID of the address, which may lead to the patient.
"""

import http.client
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from data_prep.io.dicom.header import PREFIX_AT, begins_like_dicom, read_identities
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.progress import progress
from mri_tf.core.redacted import DICOMWEB
from mri_tf.dicom.multipart import READ_AT_ONCE, Cut, parts_of

FORM = "dicomweb:https://HOST/dicom-web/studies/UID, or .../studies/UID/series/UID"
ADDRESS = re.compile(
    r"(?P<base>https?://[^?#]+?)/studies/(?P<study>[0-9.]{1,64})(/series/(?P<series>[0-9.]{1,64}))?/?"
)
MOST_FILES, MOST_BYTES = 20_000, 16 * 2**30  # of one address
FILES_OF_DICOM = 'multipart/related; type="application/dicom"'
NOTHING_KEPT = "No answers were written, and nothing of the study is kept."
MB, GB = 10**6, 2**30


@dataclass(frozen=True)
class Address:
    """A study or a series on a server."""

    base: str  # http://host/dicom-web
    study: str = field(repr=False)
    series: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The whole address; not for messages."""
        series = f"/series/{self.series}" if self.series else ""
        return f"{self.base}/studies/{self.study}{series}"

    @property
    def what(self) -> str:
        """What it names, for messages."""
        return "series" if self.series else "study"


@dataclass(frozen=True)
class Limits:
    """What is fetched of one address at most."""

    files: int = MOST_FILES
    bytes: int = MOST_BYTES


def parse_address(text: str) -> Address:
    """The address after `dicomweb:`; raises InputError for another form."""
    found = ADDRESS.fullmatch(text.removeprefix(DICOMWEB))
    try:
        place = urlsplit(found["base"]).netloc if found else ""
    except ValueError:  # brackets that are no IPv6 address
        place = ""
    if not place:
        raise InputError(
            f"The address after {DICOMWEB} is not that of one study or one series.",
            "an address that is not repeated here, as it may lead to a patient", FORM,
        )  # fmt: skip
    if "@" in place:
        raise InputError(
            "An address of DICOMweb must not contain a user name or password.", "one with an @",
            "Give a token by --dicomweb-token-file.",
        )  # fmt: skip
    return Address(found["base"], found["study"], found["series"] or "")


def fetch(
    address: Address, folder: Path, token: str = "", timeout_s: float = 120.0,
    limits: Limits = Limits(),
) -> int:  # fmt: skip
    """Fetches all files of a study into a folder for each of its series, or of a series into `folder`.

    Args:
        address: on the server; nothing is sent anywhere else.
        folder: made by this; files and folders in it get numbers as names.
        token: sent as a bearer token; none where it is empty.
        timeout_s: seconds without any answer after which it ends.
        limits: that are refused beyond.

    Returns:
        The number of files.

    Raises:
        InputError: the server refuses, has no such study, redirects, or speaks no DICOMweb; or there is
            more than the limits allow.
        RunFailed: the server fails, or the connection ends before the study is complete.
    """
    server = _Server(address, token, timeout_s)
    folder.mkdir(parents=True)
    expected = server.count()
    if expected > limits.files:
        raise _too_large(address, f"{expected} files", f"{limits.files} files")
    done, size = 0, 0
    with progress(f"fetching a {address.what}", max(expected, 1)) as advance, server.open() as response:
        try:
            for pieces in parts_of(response.read1, _boundary(response, address)):
                if done == limits.files:
                    raise _too_large(address, f"more than {done} files", f"{limits.files} files")
                with (folder / f"{done + 1:05d}.dcm").open("xb") as file:
                    for piece in pieces:
                        size += len(piece)
                        if size > limits.bytes:
                            received = f"more than {limits.bytes / GB:.3g} GB"
                            raise _too_large(address, received, f"{limits.bytes / GB:.3g} GB")
                        file.write(piece)
                done += 1
                advance(done, f"{size / MB:.0f} MB", max(expected, done + 1))
        except InputError:
            raise
        except (Cut, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = "" if isinstance(error, Cut) else f" ({type(error).__name__})"
            raise RunFailed(
                f"The connection to {address.base} ended after {done} files, before the "
                f"{address.what} was complete{reason}.", NOTHING_KEPT,
            ) from None  # fmt: skip
        except ValueError:
            raise _no_dicomweb(address, "a body without parts") from None
    if done < expected:
        raise RunFailed(f"{address.base} sent {done} of {expected} files.", NOTHING_KEPT)
    _check_and_sort(address, folder)
    return done


class _Server:
    """Requests about an address, with the token, which follow no redirect."""

    def __init__(self, address: Address, token: str, timeout_s: float):
        from mri_tf.core.web import opener_of

        self._address, self._timeout_s = address, timeout_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = opener_of(address.base)

    def open(self):
        """The response with the files."""
        try:
            # Files as they are stored; a server may know only its default, which needs no name.
            return self._get("", f"{FILES_OF_DICOM}; transfer-syntax=*")
        except _NotAcceptable:
            pass
        try:
            return self._get("", FILES_OF_DICOM)
        except _NotAcceptable:
            raise _no_dicomweb(self._address, "406 for files of DICOM") from None

    def count(self) -> int:
        """How many files there are; 0 where the server does not say."""
        try:
            with self._get("/instances", "application/dicom+json") as response:
                text = response.read(READ_AT_ONCE * 2**12)
            found = json.loads(text)
        except (_NotAcceptable, RunFailed, ValueError, OSError, http.client.HTTPException):
            return 0
        return len(found) if isinstance(found, list) else 0

    def _get(self, path: str, accept: str):
        request = urllib.request.Request(
            self._address.url + path, headers={**self._headers, "Accept": accept}
        )
        try:
            return self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            if error.code == 406:
                raise _NotAcceptable from None
            raise self._refusal(error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise RunFailed(f"{self._address.base} does not answer ({reason}).", NOTHING_KEPT) from None

    def _refusal(self, code: int) -> Exception:
        address = self._address
        if code in (401, 403):
            return InputError(
                "The DICOMweb server asks for a token, or refuses the one it was sent.",
                f"{code} from {address.base}",
                "Give one by --dicomweb-token-file or the environment variable MRI_TF_DICOMWEB_TOKEN.",
            )  # fmt: skip
        if code in (404, 410):
            return InputError(
                f"The server has no such {address.what}, or speaks DICOMweb at another path.",
                f"{code} from {address.base}", "Correct the address.",
            )  # fmt: skip
        if 300 <= code < 400:
            return InputError(
                "The server redirects to another address, which is not followed.",
                f"{code} from {address.base}", "Give the address where the study lies.",
            )  # fmt: skip
        if code == 429 or code >= 500:
            return RunFailed(f"{address.base} failed with {code}.", NOTHING_KEPT)
        return InputError(
            "The DICOMweb server refused the request.", f"{code} from {address.base}",
            "Correct the address.",
        )  # fmt: skip


class _NotAcceptable(Exception):
    """406: the server cannot answer in the form that was asked for."""


def _boundary(response, address: Address) -> bytes:
    kind, boundary = response.headers.get_content_type(), response.headers.get_boundary()
    if response.status == 204:
        raise InputError(f"The {address.what} holds no files.", address.base, "Correct the address.")
    if kind != "multipart/related" or not boundary:
        raise _no_dicomweb(address, kind)
    return boundary.encode("latin-1", "replace")


def _check_and_sort(address: Address, folder: Path) -> None:
    """Moves the files of a study into a folder for each series; raises InputError for other files."""
    series: dict[tuple[int, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            is_dicom = begins_like_dicom(file.read(PREFIX_AT + 4))
        if not is_dicom:
            raise _no_dicomweb(address, "parts that are no DICOM files")
        found = read_identities(path, ("SeriesInstanceUID", "SeriesNumber"))
        number = found.get("SeriesNumber", "")
        key = (int(number) if number.isdigit() else 0, found.get("SeriesInstanceUID", ""))
        series.setdefault(key, []).append(path)
    if not series:
        raise InputError(f"The {address.what} holds no files.", address.base, "Correct the address.")
    for number, key in enumerate(sorted(series) if not address.series else (), 1):
        home = folder / f"series-{number:02d}"
        home.mkdir()
        for path in series[key]:
            path.rename(home / path.name)


def _too_large(address: Address, received: str, limit: str) -> InputError:
    return InputError(
        f"At most {limit} are fetched from one address.", received,
        "Give the address of one series: .../studies/UID/series/UID."
        if not address.series else "Copy it to this machine and give its folder.",
    )  # fmt: skip


def _no_dicomweb(address: Address, received: str) -> InputError:
    return InputError(
        f"{address.base} does not answer as a DICOMweb server does.", received, f"Its form is {FORM}."
    )
