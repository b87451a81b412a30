"""The scanner and the site of a record, as its facts name them."""

from collections.abc import Sequence

import numpy as np

from mri_tf.core.hashing import fingerprint
from mri_tf.store.prepared import Prepared

NOT_KNOWN = "not known"
SITE, SCANNER = "site", "scanner"
OF_SCANNER = ("manufacturer", "model", "field_strength_t")


def scanner_of(facts: dict) -> str:
    """As the table names it, or by manufacturer, model and field strength of the headers.

    >>> scanner_of({"manufacturer": "SIEMENS", "model": "Verio", "field_strength_t": 2.8936})
    'SIEMENS Verio 2.9 T'
    """
    named = [str(facts["scanner"])] if facts.get("scanner") else []
    for kind in OF_SCANNER[2:] if named else OF_SCANNER:
        # Of several sequences each has its own: t1_manufacturer.
        values = {_written(kind, value) for name, value in sorted(facts.items())
                  if name == kind or name.endswith(f"_{kind}")}  # fmt: skip
        named += ["/".join(sorted(values - {""}))]
    return " ".join(filter(None, named)) or NOT_KNOWN


def batch_of(facts: dict, kind: str) -> str:
    """A hash of the name of a record's site or scanner (`kind`), by which runs and exports know it and
    do not name it; "" where it is not known."""
    name = scanner_of(facts) if kind == SCANNER else str(facts.get(SITE, "")).strip()
    return "" if name in ("", NOT_KNOWN) else fingerprint([kind, name])[:16]


def batches_of(prepared: Prepared, records: np.ndarray, kind: str) -> np.ndarray:
    """(records,) `batch_of` the records at these positions, which may be there several times."""
    once, place = np.unique(records, return_inverse=True)
    if kind == SITE:
        names = [batch_of({SITE: site}, kind) for site in prepared.sites[once]]
    else:
        names = [batch_of(prepared.record(position).facts, kind) for position in once.tolist()]
    return np.array(names, dtype=object)[place]


def numbers_of(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """(names,) 1 + the place of each name among those that are known; 0 for another one."""
    places = {name: number for number, name in enumerate(known, start=1)}
    return np.array([places.get(name, 0) for name in names], np.int64)


def _written(kind: str, value) -> str:
    if kind != OF_SCANNER[2]:
        return str(value).strip()
    try:
        return f"{round(float(value), 1):g} T"
    except (TypeError, ValueError):
        return ""
