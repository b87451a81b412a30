"""What a message leaves out of the words that a user typed: addresses may hold a password or a UID.

Standard library only.
"""

import re
from collections.abc import Iterable

DICOMWEB = "dicomweb:"  # begins an address whose UIDs lead to a patient
DICOMWEB_ADDRESS = re.compile(rf"\b{DICOMWEB}.*", re.IGNORECASE | re.DOTALL)
DICOMWEB_IN_TEXT = re.compile(rf"\b{DICOMWEB}\S*", re.IGNORECASE)
NAMED_USER = re.compile(r"[^\s:]*:\S*@")  # of an address without ://, such as me:secret@host


def without_secrets(address: str) -> str:
    """An address without user name, password and query.

    >>> without_secrets("https://me:secret@host/path?token=1"), without_secrets("file:mlruns")
    ('https://host/path', 'file:mlruns')
    >>> without_secrets("me:secret@host"), without_secrets("https://me:what?@host")
    ('...@host', 'https://...')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return NAMED_USER.sub("...@", address)
    place, *query = re.split("[?#]", rest, maxsplit=1)
    if "@" in "".join(query):  # a ? may be part of the password
        return f"{scheme}{separator}..."
    return f"{scheme}{separator}{place.rpartition('@')[2]}"


def redacted(word: str) -> str:
    """A word of a command line as a message may show it.

    >>> redacted("--input=dicomweb:https://host/studies/1.2.3"), redacted("a.nii.gz")
    ('--input=dicomweb:...', 'a.nii.gz')
    >>> redacted("mlflow:https://me:secret@host")
    'mlflow:https://host'
    """
    return without_secrets(DICOMWEB_ADDRESS.sub(f"{DICOMWEB}...", word))


def redacted_text(text: str, words: Iterable[str]) -> str:
    """A sentence that may repeat words of a command line, with each as `redacted` shows it."""
    values = [part for word in words for part in (word, word.partition("=")[2])]
    for value in sorted(values, key=len, reverse=True):
        if redacted(value) != value:
            text = text.replace(value, redacted(value))
    return DICOMWEB_IN_TEXT.sub(f"{DICOMWEB}...", text)
