"""How often faces and burned-in text are found where they are, and where they are not.

    python benchmarks/identity.py --out DIR [--raw $MRI_SHARED/data] [--heads 30]

Phantom heads of six scanners, whole, with the brain alone, with all removed that lies in front of the
brain by 10 mm and more, and cut by a plane; phantom heads with words in a corner, by the size of the
font, as they are, after JPEG and resized to three quarters. Then prepared sets: phantoms of other tasks
and, with --raw, hearts and crops, in which neither may be found, and the heads of lgg, of which most are
whole; and the DICOM series of a whole head. Prepared sets are kept in DIR.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from data_prep.case import Unreadable
from data_prep.io.volume_file import read_volume_file
from data_prep.phantom.brain.dataset import draw_brain_patient, render
from data_prep.phantom.class_pictures.drawing import CONTRASTS, TUMORS, draw_picture, draw_subject
from data_prep.phantom.write import write_fake_raw
from data_prep.prepare.prepare import prepare
from mri_tf.audit.burned_in import shows_text
from mri_tf.audit.faces import shows_face
from mri_tf.audit.foreground import foreground
from mri_tf.audit.identity import FACE, TEXT, identity_findings, shows_identity
from mri_tf.store.record import Record
from mri_tf.tables import markdown
from mri_tf.task.files import FOLDER, load_task

WORDS = ("DOE JOHN", "12.03.1961", "St. Mary", "id 48213")
SIZES = (8, 10, 12, 16, 20)
AWAY_MM, PLANE_SLOPE = 10.0, 0.8
# Task -> its raw folder, or "" for its phantom of 8 patients.
SETS = {
    "cardiac_levels": "", "glioma_grading": "", "meningioma_grading": "", "mgmt": "",
    "sax_levels": "sunnybrook", "lgg_grade": "lgg", "hippocampus": "hippocampus",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of prepared sets")
    parser.add_argument("--raw", type=Path, help="folder with sunnybrook, lgg, hippocampus, dicom_brain")
    parser.add_argument("--heads", type=int, default=30)
    flags = parser.parse_args()
    print(markdown(faces_of_phantoms(flags.heads), ("phantom heads", "a face is found")), flush=True)
    columns = ("font", "as it is", "JPEG", "resized")
    print("\n" + markdown(words_in_phantoms(), columns), flush=True)
    rows = of_sets(flags.out, flags.raw)
    if flags.raw:
        rows += of_series(flags.raw / "dicom_brain")
    print("\n" + markdown(rows, ("set", "records", "faces", "text")))


def faces_of_phantoms(heads: int) -> list[tuple]:
    """Of whole, stripped and defaced heads, in how many a face is found."""
    found = {}
    for number in range(heads):
        kind = "glioblastoma" if number % 2 else None
        head = render(draw_brain_patient(kind, np.random.default_rng([77, number])))
        image, brain = (on_grid(array) for array in (head.image, head.brain))
        steps = tuple(np.linalg.norm(head.affine[:3, :3], axis=0)[::-1])
        for name, shown in defaced(image, brain, steps).items():
            inside = foreground(shown.astype(np.float32), "MR").inside
            found.setdefault(name, []).append(shows_face(inside, steps))
    return [(name, f"{sum(hits)} of {len(hits)}") for name, hits in found.items()]


def on_grid(array: np.ndarray) -> np.ndarray:
    """(x, y, z) in RAS as (depth, rows, columns): head first, front first, right first."""
    return np.ascontiguousarray(array.transpose(2, 1, 0)[::-1, ::-1, ::-1])


def defaced(image: np.ndarray, brain: np.ndarray, steps: tuple) -> dict[str, np.ndarray]:
    """A head as it is and in three ways without its face."""
    slices, rows, _ = np.nonzero(brain)
    near = ndimage.binary_dilation(brain, iterations=max(1, int(AWAY_MM / steps[1])))
    behind = np.arange(image.shape[1])[None, :, None] > np.median(rows)
    depth, row = np.indices(image.shape[:2])
    front = rows.min()
    top = slices[rows < front + 2].mean()
    below = PLANE_SLOPE * (depth - top) * steps[0] > (row - front) * steps[1] + 12
    return {
        "whole": image,
        "the brain alone": np.where(brain, image, 0),
        "without what lies in front of the brain": np.where(near | behind, image, 0),
        "cut by a plane": np.where(below[..., None], 0, image),
    }


def words_in_phantoms() -> list[tuple]:
    """Of heads with words in a corner, in how many they are found, by the size of the font."""
    rows = [("none", *_share(0))]
    return rows + [(f"{size} pixels", *_share(size)) for size in SIZES]


def _share(size: int) -> list[str]:
    hits = []
    for number, words in enumerate(WORDS * 3):
        rng = np.random.default_rng([5, number])
        subject = draw_subject(sorted(TUMORS)[number % len(TUMORS)], rng)
        drawn = Image.fromarray(draw_picture(subject, CONTRASTS[number % 3], rng)).convert("L")
        if size:
            font = ImageFont.load_default(size)
            ImageDraw.Draw(drawn).text((3, 3), words, fill=(255, 170)[number % 2], font=font)
        compressed = io.BytesIO()
        drawn.save(compressed, "JPEG", quality=85)
        smaller = drawn.resize([side * 3 // 4 for side in drawn.size], Image.Resampling.BILINEAR)
        hits.append([_is_read(one) for one in (drawn, Image.open(compressed), smaller)])
    return [f"{sum(column)} of {len(hits)}" for column in zip(*hits, strict=True)]


def _is_read(picture: Image.Image) -> bool:
    image = np.asarray(picture, np.float32)[None]
    return shows_text(image, foreground(image, "MR").inside)


def of_sets(out: Path, raw: Path | None) -> list[tuple]:
    """Of prepared sets, how many records are said to show a face or text."""
    rows = []
    for name, source in SETS.items():
        if source and raw is None:
            continue
        task_file = FOLDER / f"{name}.py"
        folder = raw / source if source else out / f"{name}-raw"
        if not source:
            write_fake_raw(task_file, folder, 8, 0)
        task = load_task(task_file)
        prepared, _ = prepare(task, task_file, folder, out / name)
        found = identity_findings(prepared, task.modality)
        told = [f"{one.status}, {len(one.records)}" if one.records else one.status for one in found]
        rows.append((f"{source or 'phantom'} ({name})", len(prepared), *told))
    return rows


def of_series(folder: Path) -> list[tuple]:
    """Each DICOM series of a folder of patients, on its own grid."""
    rows = []
    for path in sorted(one for one in folder.glob("*/*") if one.is_dir()):
        try:
            volume = read_volume_file(path)
        except Unreadable:
            continue
        image = on_grid(volume.array)[..., None]
        affine = np.diag([*volume.spacing_mm, 1.0])
        shown = shows_identity(Record("r", "p", image, affine=affine), "MR")
        size = " x ".join(map(str, image.shape[:3]))
        told = ["found" if one in shown else "not found" for one in (FACE, TEXT)]
        rows.append((f"dicom_brain, {size}", 1, *told))
    return rows


if __name__ == "__main__":
    main()
