"""What the browser is told of a study: in reading mode no answer before the reader's label."""

from mri_tf.page.sessions import DONE, Study


def is_answered(study: Study, case_id: str) -> bool:
    """Whether the answer of a case may be shown."""
    return study.readings is None or case_id in study.readings.given


def study_of(study: Study) -> dict:
    """The study as JSON values; its cases come when it is done, as it is asked for often until then."""
    cases = [case_of(study, case_id) for case_id in study.cases] if study.state == DONE else []
    return {
        "state": study.state, "done": study.done, "of": study.of, "sentence": study.sentence,
        "model": study.model.name, "reading": study.readings is not None,
        "cases": cases, "skipped": study.skipped,
        "about": study.about,
    }  # fmt: skip


def case_of(study: Study, case_id: str) -> dict:
    """A case as JSON values."""
    case = study.cases[case_id]
    answered, base = is_answered(study, case_id), f"/api/studies/{study.study_id}/cases/{case_id}"
    channels = list(study.model.exported.task.channels)[: case["channels"]]
    given = study.readings.given.get(case_id) if study.readings is not None else None
    return {
        "id": case_id, "name": case["name"], "files": case["files"], "answered": answered,
        "image": {"url": f"{base}/image.nii.gz", "channels": channels, "is_2d": case["is_2d"]},
        "map": {"url": f"{base}/map.nii.gz"} if answered and case["map"] else None,
        "labels": {"url": f"{base}/labels.nii.gz"} if answered and case["labels"] else None,
        "header": case["header"],
        "reading": given,
        "rows": case["rows"] if answered else [],
    }  # fmt: skip
