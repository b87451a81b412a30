"""The models that the page offers: what each asks, what it takes, its card and what the audit says."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.core.exported import ASSETS, EXPORT
from mri_tf.core.words import printed_name
from mri_tf.export.reader import Exported, open_export
from mri_tf.report.page import data_of_page
from mri_tf.serve.version_folders import version_folders
from mri_tf.store.run import CARD
from mri_tf.task import Task

MODEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
NOT_AUDITED = {"verdict": "not audited", "sentence": "The export holds no card, so nothing is known."}
MOST_SHOWN = 6


@dataclass(frozen=True)
class Served:
    """A model as the page lists it: its newest version."""

    exported: Exported
    about: dict  # as the browser is told

    @property
    def name(self) -> str:
        return self.folder.parent.name  # as the server names it

    @property
    def folder(self) -> Path:
        return self.exported.folder

    @property
    def classifies(self) -> bool:
        return self.exported.task.kind == "classification"

    @property
    def card(self) -> Path:
        """Where its card is, if it has one."""
        return self.folder / ASSETS / CARD


class Catalogue:
    """The models of a folder; each is read again only when it has a new version or another card."""

    def __init__(self, models: Path):
        self._models = models
        self._known: dict[str, tuple[tuple, Served | None]] = {}

    def models(self) -> list[Served]:
        """All that can be used, by name. Exports that cannot be read are left out."""
        try:
            names = sorted(folder.name for folder in self._models.iterdir() if folder.is_dir())
        except OSError:
            names = []
        found = [self._served(name) for name in names if MODEL_NAME.fullmatch(name)]
        return [one for one in found if one is not None]

    def find(self, name: object) -> Served | None:
        """The model of a name, if there is one."""
        if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
            return None
        return self._served(name) if name not in (".", "..") else None

    def _served(self, name: str) -> Served | None:
        versions = version_folders(self._models / name)
        if not versions:
            return None
        newest = versions[max(versions)]
        card = newest / ASSETS / CARD
        try:
            written = card.stat().st_mtime_ns if card.is_file() else 0
            state = (str(newest), newest.stat().st_mtime_ns, written)
        except OSError:  # removed at this moment
            return None
        known = self._known.get(name)
        if known is None or known[0] != state:
            self._known[name] = known = (state, _open(self._models / name))
        return known[1]


def _open(folder: Path) -> Served | None:
    try:
        exported = open_export(folder)
        if exported.task.layout.endswith(".py"):  # a layout of the user's own is not in the export
            return None
        return Served(exported, _about(exported))
    except (InputError, OSError, ValueError):
        return None


def _about(exported: Exported) -> dict:
    """The model as the browser is told."""
    task = exported.task
    values = json.loads((exported.folder / ASSETS / EXPORT).read_text(encoding="utf-8"))
    card = exported.folder / ASSETS / CARD
    data = data_of_page(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return {
        "name": exported.folder.parent.name,
        "version": exported.version,
        "question": data.get("question") or _question(task),
        "kind": task.kind,
        "answers_for": "patient" if task.bag else "record",
        "classes": list(task.output_names),
        "modality": exported.modality or task.modality,
        "sequences": list(task.channels),
        "inputs": what_to_drop(task),
        "needs_mask": needs_mask(task),
        "explains": "explain" in values.get("signatures", ()),
        "members": values.get("members", 1),
        "card": f"/api/models/{exported.folder.parent.name}/card" if card.is_file() else None,
        "audit": data.get("audit") or NOT_AUDITED,
    }


def _question(task: Task) -> str:
    classes = ", ".join(map(printed_name, task.class_names[:MOST_SHOWN]))
    return f"{'Which of these' if task.kind == 'classification' else 'Where are'}: {classes}?"


def needs_mask(task: Task) -> bool:
    """Whether a case needs a tumour mask of the user's."""
    return bool(task.spacing) or (task.box.get("around") == "mask" and not task.boxes_from)


def what_to_drop(task: Task) -> str:
    """A sentence that says what a case is."""
    if len(task.channels) == 1 or "sequences" not in task.prep and len(task.image_shape) == 2:
        what = ("an image (PNG, JPEG, TIFF, NIfTI or DICOM)" if len(task.image_shape) == 2
                else "a volume (NIfTI, NRRD or MGH) or the folder of a DICOM series")  # fmt: skip
    else:
        named = ", ".join(task.channels)
        what = f"a folder with one volume for each of {named}, named by them, or with their DICOM series"
    mask = ", with its tumour mask beside it" if needs_mask(task) else ""
    unit = " All images of one folder are of one patient." if task.bag else ""
    return f"Drop {what}{mask}; a folder of several, or a zip of them.{unit}"
