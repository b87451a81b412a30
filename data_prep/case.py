"""What a prep module lists before anything is read: one source a patient's file or series."""

from dataclasses import asdict, dataclass, field


class Unreadable(ValueError):
    """A source that cannot be used; the message is the reason, without paths or ids."""


@dataclass(frozen=True)
class Case:
    """Files that become one or several records. Paths are relative to the raw folder."""

    patient: str
    files: dict[str, str]  # role -> path, e.g. {"image": "a.png", "mask": "b.png"}
    label: str = ""  # name of the class; empty for a segmentation task
    group: str = ""
    split: str = ""
    facts: dict = field(default_factory=dict)  # site, scanner, age, sex
    slices: tuple[tuple[float, str], ...] = ()  # (height in mm, label) of the slices of a volume
    to_predict: bool = False  # without labels, and without masks that only training needs

    def as_json(self) -> dict:
        values = asdict(self)
        del values["to_predict"]  # no source of a prepared set is
        return values


def main_file(case: Case) -> str:
    """The file that names a source in messages and in the sidecar."""
    return next(iter(case.files.values()), case.patient)
