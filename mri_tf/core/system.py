"""What operating systems do differently: locks, reading at a place, memory, owners, ends of processes.

Everything else of this project is the same on Linux, macOS and Windows.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None
    import msvcrt

LOCKED_BYTE = 2**40  # behind any content: on Windows, nobody else can read or write a locked byte
SECONDS_BETWEEN_LOOKS = 0.2  # of a process that waits for a lock
INHERITS_LOCKS = fcntl is not None  # whether a child process holds the locks of files handed to it
RENAMES_OPEN_FILES = fcntl is not None  # whether a folder can be renamed while a file in it is open
_reading = threading.Lock()


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def try_lock(file) -> bool:
    """Locks an open file against other processes; False if another one holds it.

    The lock ends when the file is closed, or with the process. Raises OSError where the file system has
    no locks.
    """
    if fcntl is None:
        place = file.tell()
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            file.seek(place)
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Up to `length` bytes of an open file from `offset` on; several threads may read one descriptor."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    with _reading:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


def peak_memory_gb() -> float | None:
    """The largest memory (in GiB) of this process so far; None where it is not known."""
    if resource is None:
        return None
    per_gb = 2**30 if sys.platform == "darwin" else 2**20  # Linux counts kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_gb


def memory_bytes(pid: int) -> int:
    """The memory of a running process; 0 where the system does not say (all but Linux)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def is_own(found: os.stat_result) -> bool:
    """Whether a file or folder is of the user of this process; true on Windows, which does not say."""
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def end_group(process) -> None:
    """Ends a child process that leads a session of its own, and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()


@contextlib.contextmanager
def sigterm_interrupts():
    """SIGTERM raises KeyboardInterrupt in the block, as Ctrl-C does, so that it can end what it began.

    Nothing is changed outside of the main thread, where Python handles no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def noting_interrupts():
    """Yields a list that gets the number of the signal when Ctrl-C comes, which is raised as always."""
    noted: list[int] = []
    usual = signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not usual
    ):
        yield noted
        return

    def note(number, frame):
        noted.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, usual)


def end_first_without_memory() -> None:
    """Writes no core file of this process, and lets the system end it first where memory runs out."""
    with contextlib.suppress(OSError, ValueError):
        if resource is not None:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
