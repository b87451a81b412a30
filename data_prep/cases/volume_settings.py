"""The settings in `prep` by which the volumes of a case become a record, and which of them fit together.

All are optional: `missing` (what to do if a sequence is missing: fail, skip, zero_fill), `register`
("rigid" turns and shifts the sequences onto the first), `brain_mask` (otsu, file, or a program), `n4`
(arguments of `correct_bias_field`), `crop_to_brain`, `keep_aspect`, `clahe` (of each channel, inside the
brain mask; the record is then uint8) and `dtype`.
"""

from data_prep.ops.clahe import clahe3d
from data_prep.ops.n4 import correct_bias_field
from data_prep.ops.skull_strip import PROGRAMS
from data_prep.ops.stack import MISSING, channel_names
from data_prep.ops.white_stripe import peaks_of
from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.spec import PRESENCE

SETTINGS = {"missing", "n4", "crop_to_brain", "keep_aspect", "clahe", "dtype", "register"}
RIGID = "rigid"
OTSU, OF_FILE, BRAIN_MASK = "otsu", "file", "brain_mask"  # brain masks: two ways, and their role
OPERATIONS = (
    "orient_ras", "register if set", "n4 if set", "resample_to_first_sequence", "brain_mask",
    "region_stats", "standardise if set", "crop_to_brain if set", "resize_to_grid", "clahe if set",
)  # fmt: skip
DTYPES = ("uint8", "int16", "float16", "float32")


def sequences_of(task: Task) -> tuple[str, ...]:
    """The channels of a task that are sequences, without those that tell whether a sequence exists."""
    presence = task.prep.get("missing", "fail") == "zero_fill"
    return tuple(name for name in task.channels if not (presence and name.startswith(PRESENCE)))


def check_settings(task: Task, sequences: tuple[str, ...], axes: int = 3) -> None:
    """Raises InputError for settings that do not fit each other, before any file is read.

    `axes` is the length of image_shape: 3, or 2 where a case gives slices.
    """
    wrong = ""
    missing = task.prep.get("missing", "fail")
    if len(task.image_shape) != axes:
        wrong = f"image_shape {task.image_shape}"
    elif missing not in MISSING:
        wrong = f"missing {missing!r}, not one of {', '.join(MISSING)}"
    elif task.channels != channel_names(sequences, missing):
        wrong = (
            f"channels {', '.join(task.channels)}, but prep gives "
            f"{', '.join(channel_names(sequences, missing))}"
        )
    elif "clahe" in task.prep and missing == "zero_fill":
        wrong = "clahe together with missing zero_fill, whose presence channels are not images"
    elif task.standardised and {"clahe", "window"} & set(task.prep):
        wrong = "clahe or window together with z-scores inside the mask, which standardise instead"
    elif task.standardised and "int" in task.prep.get("dtype", "float32"):
        wrong = f"dtype {task.prep['dtype']} together with z-scores inside the mask, which need a float"
    elif task.prep.get("register", RIGID) != RIGID:
        wrong = f"register {task.prep['register']!r}, not {RIGID}"
    elif task.prep.get("brain_mask", OTSU) not in (OTSU, OF_FILE, *PROGRAMS):
        known = ", ".join((OTSU, OF_FILE, *PROGRAMS))
        wrong = f"brain_mask {task.prep['brain_mask']!r}, not one of {known}"
    elif task.prep.get("dtype", "float32") not in DTYPES:
        wrong = f"dtype {task.prep['dtype']!r}, not one of {', '.join(DTYPES)}"
    if task.by_white_matter:
        if task.modality == "CT":
            wrong = wrong or "normalize.method white_stripe, which is for MR, together with modality CT"
        peaks_of(sequences)
    if "n4" in task.prep:
        check_arguments("prep.n4", correct_bias_field, task.prep["n4"])
    if "clahe" in task.prep and axes == 3:
        check_arguments("prep.clahe", clahe3d, task.prep["clahe"])
    if wrong:
        raise InputError(
            f"Task {task.name} does not fit its layout, which gives {axes}D images of "
            f"{', '.join(sequences)}.", wrong, "Correct this setting in the task file.",
        )  # fmt: skip
