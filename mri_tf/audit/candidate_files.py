"""The order in which labels are to be looked at, as a table and a contact sheet of its first records."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_tf.audit.identity import shows_identity
from mri_tf.audit.label_candidates import Candidate
from mri_tf.core.files import write_atomic
from mri_tf.core.words import printed_name
from mri_tf.figures import save_png
from mri_tf.figures.sheets import Tile, draw_sheet, grey_values
from mri_tf.store.prepared import Prepared

TABLE, SHEET = "label_candidates.csv", "label_candidates.png"
SHOWN = 24
COLUMNS = ("rank", "record_id", "records", "given", "most_probable", "self_confidence",
           "normalized_margin", "contradicted", "copy_of")  # fmt: skip


def write_candidates(ranked: Sequence[Candidate], prepared: Prepared, out: Path) -> list[Path]:
    """Writes both files; where there is no order, those of an earlier audit are removed.

    Args:
        ranked: of `label_candidates`.
        prepared: the set; its record ids are written, and no file or patient.
        out: an existing folder.
    """
    if not ranked:
        for name in (TABLE, SHEET):
            (out / name).unlink(missing_ok=True)
        return []
    names, text = prepared.class_names, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, one in enumerate(ranked, 1):
        copies = " ".join(str(prepared.record_ids[position]) for position in one.copies)
        writer.writerow((
            rank, prepared.record_ids[one.record], one.records, names[one.given], names[one.probable],
            f"{one.confidence:.4f}", f"{one.margin:.4f}", "yes" if one.contradicted else "no", copies,
        ))  # fmt: skip
    write_atomic(out / TABLE, text.getvalue().encode())
    return [out / TABLE, *_write_sheet(ranked[:SHOWN], prepared, out / SHEET)]


def _write_sheet(first: Sequence[Candidate], prepared: Prepared, file: Path) -> list[Path]:
    """The contact sheet without records that show a face or text; no file where none is left."""
    modality = prepared.manifest.get("modality", "")
    shown = [
        (rank, one) for rank, one in enumerate(first, 1)
        if not shows_identity(prepared.record(one.record), modality)
    ]  # fmt: skip
    left_out = len(first) - len(shown)
    if not shown:
        file.unlink(missing_ok=True)
        return []
    title = f"The first {len(first)} labels to look at: given label, and the probability of it"
    title += f"; {left_out} with a face or text are not shown" if left_out else ""
    save_png(draw_sheet([_tile(rank, one, prepared) for rank, one in shown], title), file)
    return [file]


def _tile(rank: int, one: Candidate, prepared: Prepared) -> Tile:
    record = prepared.record(one.record)
    told = "a copy" if one.copies else f"{one.confidence:.2f}"
    caption = f"{rank}: {record.record_id}\n{printed_name(prepared.class_names[one.given])}: {told}"
    return Tile(middle_slice(record.own_slice), caption)


def middle_slice(image: np.ndarray) -> np.ndarray:
    """(rows, columns) of a picture, or of the middle slice of a volume; `image` as of `grey_values`."""
    grey = grey_values(image)
    return grey[len(grey) // 2] if grey.ndim == 3 else grey
