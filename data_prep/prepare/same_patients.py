"""Which cases are of one patient, before they are read: by ids, headers and copies of images."""

import sys
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial

from data_prep.case import Case
from data_prep.cases.any_case import IMAGE, form_of
from data_prep.io.volume_file import may_be_dicom
from data_prep.prepare.duplicates import Copies, find_copies, with_groups
from data_prep.prepare.listed_cases import check_splits
from data_prep.prepare.shared_identities import join_shared
from data_prep.prepare.source import PrepareOptions, Source
from mri_tf.core.hashing import fingerprint


@dataclass(frozen=True)
class SamePatients:
    """Cases with one patient id, or one group, for all that belong together.

    Attributes:
        cases: in the order they were listed in.
        copies: of images; None where they were not looked for.
        identity: what an interrupted preparation that is continued must have found too.
        about: what the manifest says of it.
    """

    cases: list[Case]
    copies: Copies | None = None
    identity: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)


def same_patients(
    source: Source, cases: list[Case], options: PrepareOptions, pool: Executor
) -> SamePatients:
    """Joins the cases of one patient, as far as headers and copies of images tell.

    Raises:
        InputError: cases that were joined are on two sides of a given split or, with `options.strict`,
            a header that cannot be read.
    """
    identity, about, copies = {}, {}, None
    keyed = options.pseudonyms.keyed
    if hasattr(source.layout, "identities") and any(map(_may_be_dicom, cases)):
        identities = partial(Source.identities, source)
        joined = join_shared(cases, identities, options.strict, pool, options.calls_ahead)
        cases = joined.cases
        if joined.patients:
            print(joined.warning, file=sys.stderr)
            check_splits(cases)
        about["joined"] = {"patients": joined.patients, "remaining": joined.remaining}
        identity["patients"] = keyed(fingerprint([case.patient or case.group for case in cases]))
    known = all(case.patient for case in cases)
    of_images = form_of(source.task) == IMAGE and all(IMAGE in case.files for case in cases)
    prep = source.task.prep
    if not (known or of_images):
        # Copies are found among the records; here each case is somebody else.
        cases = [replace(case, patient=case.patient or f"unknown-{number + 1:06d}")
                 for number, case in enumerate(cases)]  # fmt: skip
        about["patients_known"] = False
    elif "duplicates" in prep or not known:
        duplicates, bits = prep.get("duplicates", {}), prep.get("bits", 0)
        copies = find_copies(source.raw, cases, duplicates, bits, pool, options.calls_ahead)
        cases = with_groups(cases, copies)
        about["patients_known"] = known
        # What an interrupted run wrote is of use only if the groups are the same.
        identity["groups"] = keyed(fingerprint(copies.group_of))
    return SamePatients(cases, copies, identity, about)


def _may_be_dicom(case: Case) -> bool:
    return any(map(may_be_dicom, case.files.values()))
