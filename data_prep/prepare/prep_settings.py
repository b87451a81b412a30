"""The settings in prep of a task: their types, and the refusal of unknown ones."""

import dataclasses
import difflib
from dataclasses import dataclass, field

from data_prep.layout import is_user_layout
from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task


@dataclass(frozen=True)
class SettingTypes:
    """Types of the settings that several layouts share; a layout checks the values of its own."""

    # Where the brain is: "otsu" (found from the image), "file" (a mask of the case), or by an installed
    # program, "synthstrip" or "hd-bet".
    brain_mask: str = ""
    bits: int = 0  # 8 scales 16-bit images to 0..255
    # Contrast-limited equalisation to 0..255: of images dict(low=..., high=...) in the task's unit, of
    # volumes its arguments.
    clahe: dict = field(default_factory=dict)
    covariates: tuple[str, ...] = ()  # further columns of the table that the records keep
    crop_to_brain: bool = False  # cuts volumes to the box of the brain or head
    dtype: str = ""  # of the record: uint8, uint16 (images), int16, float16 (volumes) or float32
    # How copies of images are looked for: dict(distance=..., similarity=...).
    duplicates: dict = field(default_factory=dict)
    finest_mm: tuple[float, float] = (0.0, 0.0)  # of pixels and from slice to slice; finer is resampled
    intercept: float = 0.0  # added to stored values times slope
    keep_aspect: bool = True  # a volume keeps its proportions on the grid, with a margin
    label_column: str = ""  # of the table
    missing: str = ""  # of a sequence that a case lacks: fail, skip or zero_fill
    n4: dict = field(default_factory=dict)  # bias field correction: its arguments
    nominal_spacing: bool = False  # the spacing in the headers is not the true one
    # "rigid" turns and shifts a case's sequences onto the first; a registration that fails is named.
    register: str = ""
    reference: str = ""  # the sequence that gives the grid; the first unless set
    sequences: dict = field(default_factory=dict)  # name -> rule that finds its DICOM series
    # Of single images: the column with the number of a slice in its stack, for context_slices.
    slice_column: str = ""
    slice_step: int = 1  # every how many slices one is taken
    slices: dict = field(default_factory=dict)  # of a 2D task: dict(count=12, low=0.2, high=0.8)
    slope: float = 1.0  # from stored values to the task's unit
    split_column: str = ""  # of the table, which says each case's side; split unless set
    # Further columns in which the slices of one stack of a patient agree, such as series and phase.
    stack_columns: tuple[str, ...] = ()
    table: str = ""  # name of the table in the raw folder, where it has another than usual
    window: tuple[float, float] = (0.0, 0.0)  # percentiles that become 0 and 255


def check_settings(task: Task, settings: set[str]) -> None:
    """Raises InputError for a setting that the task's layout does not know, or of a wrong type.

    `settings` are the names that the layout knows.
    """
    unknown = sorted(set(task.prep) - settings)
    if unknown:
        near = difflib.get_close_matches(unknown[0], settings, n=1)
        raise InputError(
            f"Unknown settings in prep of task {task.name}.",
            first_few(unknown),
            (f"Did you mean {near[0]}? " if near else "")
            + f"Its layout knows {', '.join(sorted(settings)) or 'none'}.",
        )
    typed = {one.name for one in dataclasses.fields(SettingTypes)}
    shared = {name: value for name, value in task.prep.items() if name in typed}
    if not is_user_layout(task):
        check_arguments("prep", SettingTypes, shared)
