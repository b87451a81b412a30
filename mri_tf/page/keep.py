"""Copies what a user asks to keep of a study: answers, volumes of answered cases, and readings."""

import json
import secrets
import shutil
import time
from pathlib import Path

from mri_tf.page.sessions import Study
from mri_tf.page.shown import is_answered


def keep_study(study: Study, home: Path) -> str:
    """Writes a new folder in `home` that only this user can read; returns its name.

    answers.json is as predict writes it; `readings.csv` is there in reading mode. The uploaded files are
    not copied: the user has them.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{study.model.name}-{secrets.token_hex(4)}"
    partial = home / f".{name}"
    partial.mkdir(mode=0o700, parents=True)
    try:
        shown = [case_id for case_id in study.cases if is_answered(study, case_id)]
        rows = [{"case": case_id, **row} for case_id in shown for row in study.cases[case_id]["rows"]]
        document = {**study.about, "answers": rows, "skipped": study.skipped}
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (partial / "answers.json").write_text(text, encoding="utf-8")
        if study.readings is not None:
            (partial / "readings.csv").write_bytes(study.readings.as_csv(study.cases))
        for case_id in shown:
            for path in study.out.glob(f"{case_id}_*.nii.gz"):
                if not path.is_symlink():
                    shutil.copyfile(path, partial / path.name)
        partial.rename(home / name)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return name
