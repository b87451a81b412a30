"""The raw folder of a task, whose cases are read in workers, and how it is prepared."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from data_prep.case import Case, Unreadable
from data_prep.layout import find_layout
from data_prep.layout_calls import ListOptions, identities_of, read_case
from data_prep.prepare.pseudonyms import Pseudonyms
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.store.record import Record
from mri_tf.task import Task


@dataclass(frozen=True)
class PrepareOptions:
    """Where the work runs, how strict it is, what becomes of patient ids, and when it stops."""

    workers: int = 1
    scheduler: str = ""  # address of a Dask scheduler
    strict: bool = False  # write nothing if any case cannot be read
    pseudonyms: Pseudonyms = Pseudonyms()
    listing: ListOptions = ListOptions()
    deadline: Deadline = NO_LIMIT

    @property
    def calls_ahead(self) -> int:
        """How many cases wait in the workers."""
        return 1 if self.workers == 1 and not self.scheduler else 4 * max(self.workers, 4)


USUAL = PrepareOptions()


@dataclass(frozen=True)
class Source:
    """What a worker needs to read a case.

    Attributes:
        task: what is prepared.
        task_file: the task's file, beside which a layout of the user's own may lie.
        raw: folder of the raw data.
    """

    task: Task
    task_file: Path
    raw: Path

    @property
    def layout(self) -> ModuleType:
        """The layout that reads the raw folder."""
        return find_layout(self.task, self.task_file)

    def records(self, case: Case) -> list[Record] | str:
        """The records of one case, or the reason why there are none."""
        try:
            return read_case(self.layout, self.raw, case, self.task) or "it gave no image"
        except Unreadable as error:
            return str(error)

    def identities(self, case: Case) -> set[str]:
        """What only one patient can have, of a layout that knows it."""
        return identities_of(self.layout, self.raw, case, self.task)
