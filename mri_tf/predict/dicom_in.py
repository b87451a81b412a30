"""Inputs on a DICOMweb server: fetched into a private temporary folder, which is removed at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mri_tf.core.system import sigterm_interrupts
from mri_tf.dicom.web import fetch, parse_address
from mri_tf.serve.access import token_of

TOKEN = "MRI_TF_DICOMWEB_TOKEN"  # the environment variable that is used without --dicomweb-token-file


def local_paths(inputs: list[Path | str]) -> list[Path]:
    """The inputs on this machine; raises InputError for an address of another form."""
    for one in inputs:
        if isinstance(one, str):
            parse_address(one)
    return [one for one in inputs if isinstance(one, Path)]


@contextmanager
def fetched(
    inputs: list[Path | str], token_file: Path | None, timeout_s: float
) -> Iterator[list[Path]]:
    """The inputs as paths: addresses are fetched into folders named study-1, series-2 and so on.

    The folder is readable by the user alone and is removed at the end, also when the process is
    interrupted or terminated; only a killed one (SIGKILL) leaves it. Raises what `fetch` does.
    """
    if not any(isinstance(one, str) for one in inputs):
        yield inputs
        return
    token = token_of(token_file, TOKEN, "--dicomweb-token-file")
    with sigterm_interrupts(), tempfile.TemporaryDirectory(prefix="mri_tf-") as home:
        paths, number = [], 0
        for one in inputs:
            if isinstance(one, Path):
                paths.append(one)
                continue
            number += 1
            address = parse_address(one)
            folder = Path(home) / f"{address.what}-{number}"
            fetch(address, folder, token, timeout_s)
            paths.append(folder)
        yield paths
