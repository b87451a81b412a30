"""Another library in an interpreter of its own that waits for its turn; used by augment3d.py and
augmentation.py."""

import subprocess
from pathlib import Path

import numpy as np


class Peer:
    """A process that does what each line says, and answers with the wall and CPU seconds that it took.

    Args:
        command: interpreter, script and its arguments.
        name: of the library; the result of a line lies in NAME_result.npy.
        folder: for files of both sides.
    """

    def __init__(self, command: list[str], name: str, folder: Path):
        self.folder, self.name = folder, name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, line: str) -> tuple[float, float]:
        """Wall and CPU seconds of one line."""
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended early")
        return tuple(map(float, answer.split()))

    def result(self, line: str) -> np.ndarray:
        """(1, [depth,] rows, columns, channels) that a line made."""
        self.run(line)
        return np.moveaxis(np.load(self.folder / f"{self.name}_result.npy"), 0, -1)[None]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
