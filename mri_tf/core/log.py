"""Keeps what a command prints to standard output in a file too."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from mri_tf.core.errors import InputError, OutOfTime, RunFailed


class _Both:
    """A stream whose text is also appended to a file."""

    def __init__(self, stream, file):
        self._stream, self._file = stream, file

    def write(self, text: str) -> int:
        self._file.write(text)
        self._file.flush()
        return self._stream.write(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


@contextmanager
def logged(path: Path, title: str):
    """Appends a title, all that is printed inside the block, and how and after how long it ended.

    Standard error is left out: it shows progress, and may name files and patients. Of an error the rule
    is kept, not what was received.
    """
    begun, stream = time.monotonic(), sys.stdout
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        print(f"== {title}", file=file, flush=True)
        sys.stdout = _Both(stream, file)
        end = "done"
        try:
            yield
        except InputError as error:
            end = f"refused: {error.rule}"
            raise
        except RunFailed as error:
            end = f"failed: {error.what}"
            raise
        except OutOfTime:
            end = "stopped by --max-minutes"
            raise
        except KeyboardInterrupt:
            end = "interrupted"
            raise
        except BaseException as error:
            end = f"failed: {type(error).__name__}"
            raise
        finally:
            sys.stdout = stream
            print(f"== {end}, after {time.monotonic() - begun:.0f} s", file=file, flush=True)
