"""Counts how many planted copies of images are found, and how long the search takes.

    python benchmarks/duplicates.py [--images 5000] [--workers 2] [--shared $MRI_SHARED]

Prints a row for each set of images: copies found of those planted, groups that are wrong, and seconds.
The small sets are 200 phantom pictures of hearts and of brains, and with --shared the mid slices of
`sunnybrook` (one phase a level), each with 20 exact and 20 near copies; neighbouring slices are the
difficult cases. The large set has JPEG files of 630 x 630 pixels, a tenth of them copies. `chained`
counts pairs in one group that are not similar to each other, but both to a third image.
"""

import argparse
import csv
import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.phantom.class_pictures.drawing import CONTRASTS, TUMORS, draw_picture, draw_subject
from data_prep.phantom.short_axis import draw_slices
from data_prep.prepare.duplicates import find_copies, members_of, sign
from mri_tf.core.executors import executor
from mri_tf.store.image_similarity import DEFAULTS, UPRIGHT, VIEW_DEGREES, likeness

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
from planted import counted, plant  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shared", type=Path, help="folder of the shared data: adds sunnybrook")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, executor(flags.workers) as pool:
        rows = [measure(Path(home, name), images, 20, 20, pool, flags)
                for name, images in sets(flags.shared)]  # fmt: skip
        if flags.images:
            many = [brain(number, 630) for number in range(flags.images * 9 // 10)]
            copies = flags.images // 20
            folder = Path(home, f"{flags.images} brains")
            rows.append(measure(folder, many, copies, copies, pool, flags, ("JPEG",)))
    columns = ("set", "images", "exact found", "near found", "false groups", "largest group",
               "pairs compared", "chained", "s", "ms an image")  # fmt: skip
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def sets(shared: Path | None):
    """(name, images) of the sets that copies are planted into."""
    hearts = [draw_slices(np.random.default_rng([0, patient])) for patient in range(34)]
    slices = [image for patient in hearts for image, _ in patient]
    yield "phantom hearts, neighbours", [Image.fromarray(image) for image in slices[:200]]
    yield "phantom brains", [brain(number, 256) for number in range(200)]
    if shared:
        source = shared / "data" / "sunnybrook"
        with (source / "manifest.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["axial_level"] == "mid"]
        levels = {(row["patient_id"], row["slice_level"]): row["image"] for row in reversed(rows)}
        yield "sunnybrook, mid", [Image.open(source / name) for name in levels.values()][:200]


def brain(number: int, side: int) -> Image.Image:
    """A phantom brain of any kind and contrast; two slices of a head follow each other."""
    rng = np.random.default_rng([1, number // 2])
    subject = draw_subject(sorted(TUMORS)[number // 2 % len(TUMORS)], rng)
    picture = draw_picture(subject, CONTRASTS[number // 2 % 3], np.random.default_rng([2, number]))
    return Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)


def measure(
    folder: Path, images, exact: int, near: int, pool, flags, formats=("PNG", "BMP", "TIFF")
) -> list:
    sources, original, kind = plant(folder, images, exact, near, formats=formats)
    started = time.perf_counter()
    copies = find_copies(folder, sources, {}, 8, pool, 1 if flags.workers == 1 else 16)
    seconds = time.perf_counter() - started
    found = counted(copies.group_of, original, kind)
    groups = members_of(copies)
    return [
        folder.name, len(sources), f"{found['exact']} of {exact}", f"{found['near']} of {near}",
        found["false_groups"], max(map(len, groups), default=1), copies.compared,
        chained(folder, sources, groups), f"{seconds:.1f}", f"{1000 * seconds / len(sources):.1f}",
    ]  # fmt: skip


def chained(folder: Path, sources, groups: list[list[int]]) -> str:
    """Of the pairs in groups of three and more, those that are not alike at any angle."""
    apart = total = 0
    for members in groups:
        if len(members) < 3:
            continue
        signed = [sign(str(folder), 8, sources[number].files["image"]) for number in members]
        for one, other in itertools.combinations(signed, 2):
            bits = np.bitwise_count(one.hashes ^ other.hashes[UPRIGHT]).sum(axis=1)
            degrees = VIEW_DEGREES[int(bits.argmin())]
            total += 1
            alike = likeness(one.thumb, other.thumb, degrees) >= DEFAULTS["similarity"]
            apart += one.pixels != other.pixels and not alike
    return f"{apart} of {total}"


if __name__ == "__main__":
    main()
