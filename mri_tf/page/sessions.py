"""Sessions: one a tab of a browser, with studies of its own, deleted when it closes or is silent."""

import asyncio
import hashlib
import secrets
import shutil
import stat
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.core.system import is_own, try_lock
from mri_tf.page.limits import MB, Limits
from mri_tf.page.readings import Readings
from mri_tf.page.refused import Refused, unknown

PREFIX, LOCK = "mri_tf-page-", "lock"  # of the folder of everything that browsers send
UPLOADING, QUEUED, PREPARING, ANSWERING = "uploading", "queued", "preparing", "answering"
DONE, FAILED = "done", "failed"
AT_WORK = (QUEUED, PREPARING, ANSWERING)


@dataclass
class Study:
    """What a user dropped at a time, and what the model says of it.

    Attributes:
        study_id: in addresses.
        folder: `input/` holds the files as they were named, `partial/` those on their way, `out/` the
            volumes of answers.
        model: a Served of `catalogue`.
        readings: of reading mode; None where answers are shown at once.
        state: UPLOADING to DONE or FAILED.
        done, of: cases answered, and how many there are.
        sentence: what goes on, or why it failed.
        cases: of the worker, in their order, by id.
        skipped: `{"input", "reason"}` of what cannot be read.
        about: of predict's JSON: task, version, class names.
        files, size: uploaded so far, in bytes.
        uploading: uploads on their way.
        gone: whether it is deleted: nothing may be written into its folder any more.
    """

    study_id: str
    folder: Path
    model: object
    readings: Readings | None
    state: str = UPLOADING
    done: int = 0
    of: int = 0
    sentence: str = ""
    cases: dict[str, dict] = field(default_factory=dict)
    skipped: list[dict] = field(default_factory=list)
    about: dict = field(default_factory=dict)
    files: int = 0
    size: int = 0
    uploading: int = 0
    gone: bool = False

    @property
    def inputs(self) -> Path:
        return self.folder / "input"

    @property
    def partial(self) -> Path:
        return self.folder / "partial"

    @property
    def out(self) -> Path:
        return self.folder / "out"


@dataclass
class Session:
    """A tab: its studies by id, and when it was last heard of (time.monotonic)."""

    folder: Path
    heard: float
    studies: dict[str, Study] = field(default_factory=dict)

    def study(self, study_id: str) -> Study:
        """Raises Refused (404) for one that is not of this session."""
        if study_id not in self.studies:
            raise unknown("study")
        return self.studies[study_id]


class Sessions:
    """All sessions, below a folder that only this user can read.

    `cancel` is told of a study before its files are deleted.
    """

    def __init__(self, limits: Limits, cancel=None, parent: Path | None = None):
        remove_left_over(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 0700
        self._lock_file = (self.folder / LOCK).open("wb")
        try_lock(self._lock_file)
        self._limits, self._cancel = limits, cancel
        self._sessions: dict[bytes, Session] = {}
        self._size = 0  # bytes of all studies
        self._counting = threading.Lock()  # archives are unpacked in threads
        self._number = 0

    def create(self) -> str:
        """A new session; returns its token. Raises Refused (429)."""
        if len(self._sessions) >= self._limits.sessions:
            raise Refused(429, "Too many tabs are open.", f"{len(self._sessions)} tabs",
                          "Close one, or try again in two minutes.")  # fmt: skip
        token = secrets.token_urlsafe(32)  # 256 bits
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        self._sessions[_key(token)] = Session(folder, time.monotonic())
        return token

    def get(self, token: str | None) -> Session:
        """The session of a token, which is heard of by that; raises Refused (404)."""
        session = self._sessions.get(_key(token or ""))
        if session is None:
            what = "an unknown X-Session" if token else "no X-Session"
            raise Refused(404, "This tab's session has ended, and its studies are deleted.", what,
                          "Reload the page.")  # fmt: skip
        session.heard = time.monotonic()
        return session

    def add(self, session: Session, model, readings: Readings | None) -> Study:
        """A new study of a session; raises Refused (429)."""
        if len(session.studies) >= self._limits.studies:
            raise Refused(429, "This tab has too many studies.", f"{len(session.studies)}",
                          "Remove some, or reload the page.")  # fmt: skip
        study_id = secrets.token_hex(8)
        self._number += 1
        study = Study(study_id, session.folder / str(self._number), model, readings)
        for folder in (study.folder, study.inputs, study.partial, study.out):
            folder.mkdir(mode=0o700)
        session.studies[study_id] = study
        return study

    def take(self, study: Study, files: int, size: int) -> None:
        """Counts files and bytes for a study before they are written; raises Refused (413, 429, 507)."""
        limits = self._limits
        with self._counting:
            if study.gone:
                raise unknown("study")
            if study.files + files > limits.files:
                raise Refused(429, f"A study can have at most {limits.files} files.",
                              f"{study.files + files}", "Drop fewer files at a time.")  # fmt: skip
            if study.size + size > limits.study_bytes:
                raise Refused(413, f"A study can have at most {limits.study_bytes // MB} MB.", "more",
                              "Drop fewer files at a time.")  # fmt: skip
            if self._size + size > limits.total_bytes:
                raise no_space("all studies together are too large")
            study.files += files
            study.size += size
            self._size += size

    def give_back(self, study: Study, files: int, size: int) -> None:
        """Takes back what `take` counted of a file that does not stay."""
        with self._counting:
            if not study.gone:
                study.files -= files
                study.size -= size
                self._size -= size

    async def remove(self, session: Session, study: Study) -> None:
        """Cancels a study and deletes all of its files."""
        session.studies.pop(study.study_id, None)
        with self._counting:
            if study.gone:
                return
            study.gone = True
            self._size -= study.size
        if self._cancel is not None:
            await self._cancel(study)
        await asyncio.to_thread(_delete, study.folder)

    async def close(self, token: str) -> None:
        """Ends a session and deletes all of its files; nothing happens for an unknown one."""
        session = self._sessions.pop(_key(token), None)
        if session is not None:
            await self._end(session)

    async def end_silent(self) -> None:
        """Ends the sessions that were silent for too long."""
        latest = time.monotonic() - self._limits.silence_s
        for key, session in list(self._sessions.items()):
            uploads = any(study.uploading for study in session.studies.values())
            if session.heard < latest and not uploads:
                self._sessions.pop(key, None)
                await self._end(session)

    async def end_all(self) -> None:
        """Ends all sessions and removes the folder."""
        while self._sessions:
            await self._end(self._sessions.popitem()[1])
        self.remove_folder()

    def remove_folder(self) -> None:
        """Removes the folder with all that is in it."""
        self._lock_file.close()
        _delete(self.folder)

    async def _end(self, session: Session) -> None:
        for study in list(session.studies.values()):
            await self.remove(session, study)
        await asyncio.to_thread(_delete, session.folder)


def no_space(why: str) -> Refused:
    """507: the disk, or the share of it that the page may use, is full."""
    return Refused(507, "There is no space left for this study.", why,
                   "Close other tabs of the page, or free some space on the server's disk.")  # fmt: skip


def remove_left_over(parent: Path | None = None) -> None:
    """Removes what pages that were killed have left behind; the folders of running ones are locked."""
    home = Path(parent or tempfile.gettempdir())
    for folder in home.glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or not is_own(found):
                continue
            with (folder / LOCK).open("r+b") as lock:
                abandoned = try_lock(lock)
        except OSError:
            continue  # none of ours, or one that is being made
        if abandoned:
            _delete(folder)


def _delete(folder: Path) -> None:
    """Removes a folder; what another process still writes into it is removed by a second try."""
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _key(token: str) -> bytes:
    """By which a token is looked up: a hash, so that no comparison tells how good a guess is."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
