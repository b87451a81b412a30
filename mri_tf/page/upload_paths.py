"""The relative paths of uploaded files: which are kept, and which are refused as tricks."""

import re

from mri_tf.page.refused import Refused

MOST_PARTS = 16
PART_BYTES, PATH_BYTES = 200, 1000  # in UTF-8; file systems end at 255, and suffixes may be added
CONTROL = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")  # also those that turn text around
FORBIDDEN = re.compile(r'[\\:*?"<>|]')  # in names on one system or another
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$|clock\$)(\..*)?", re.IGNORECASE)
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")  # that systems put into folders


def upload_path(text: str) -> tuple[str, ...]:
    """The parts of a relative path, each a name that is safe on every system; raises Refused (400).

    >>> upload_path("P01/t1.nii.gz")
    ('P01', 't1.nii.gz')
    """
    parts = tuple(text.split("/"))
    try:
        sizes = [len(part.encode("utf-8")) for part in parts]
    except UnicodeEncodeError:
        raise _trick("it is no valid text") from None
    if not text:
        raise _trick("it is empty")
    if CONTROL.search(text):
        raise _trick("it has control characters")
    if len(parts) > MOST_PARTS or max(sizes) > PART_BYTES or sum(sizes) + len(sizes) > PATH_BYTES:
        raise _trick("it is too long or too deep")
    for part in parts:
        if part in ("", ".", ".."):
            raise _trick("it leaves its folder, is absolute, or names a folder twice")
        if FORBIDDEN.search(part) or part != part.strip() or part.endswith("."):
            raise _trick("it has characters that a file name cannot have on every system")
        if RESERVED.fullmatch(part):
            raise _trick("a name in it is reserved on some systems")
    return parts


def is_junk(parts: tuple[str, ...]) -> bool:
    """Whether a file is none of the user's, but one that a system puts beside them.

    >>> is_junk(("__MACOSX", "._a.png")), is_junk(("P01", "a.png"))
    (True, False)
    """
    return any(part in JUNK for part in parts) or parts[-1].startswith("._")


def _trick(why: str) -> Refused:
    return Refused(400, "The path of a file cannot be used.", why,
                   "Rename the file or its folder, and drop it again.")  # fmt: skip
