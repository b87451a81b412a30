"""Synthetic axial brain pictures in one folder a class, as untidy as collections from the web are.

Folders are tumour and contrast ("Meningioma T1C+"). Sizes, formats and file names are mixed, some
names have the wrong extension, and many pictures are copies of others: the same file again, or
re-encoded, resized, brightened, turned. A few exact copies lie in another class.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from data_prep.phantom.class_pictures.drawing import TUMORS, draw_picture, draw_subject

NORMAL, CONTRASTS = "_NORMAL", ("T1", "T1C+", "T2")
KINDS = (*sorted(TUMORS), NORMAL)  # of a patient; one patient of each, in turn
LARGEST = (630, 630)  # rows, columns of every second picture, as in recipe D
SMALLEST = (347, 305)
SLICES = (1, 2)  # of a patient and contrast
COPIED = 0.35  # chance of a picture to be there again, and then again
ELSEWHERE = 0.04  # of the exact copies: in another class
EXIF_ORIENTATION, ON_ITS_SIDE = 0x0112, 6


@dataclass(frozen=True)
class Picture:
    """A file as it will lie in its class's folder."""

    label: str
    data: bytes
    extension: str


def write_class_pictures(
    folder: Path,
    patients: int,
    seed: int,
    signal: bool,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes <class>/<name> for patients of every kind in turn; without signal classes are permuted.

    Copies stay with their original where the classes are permuted.
    """  # fmt: skip
    families: list[list[Picture]] = []
    for patient in range(patients):
        rng = np.random.default_rng([seed, patient])
        families += _pictures_of(KINDS[patient % len(KINDS)], rng)
        if progress:
            progress(patient + 1, patients)
    rng = np.random.default_rng([seed, patients, 1])
    labels = [family[0].label for family in families]
    if not signal:
        labels = [labels[place] for place in rng.permutation(len(labels))]
    classes = sorted(set(labels))
    pictures = []
    for family, label in zip(families, labels, strict=True):
        for place, picture in enumerate(family):
            again = place and picture.data == family[0].data
            own = label
            if again and rng.random() < ELSEWHERE:
                own = classes[rng.integers(len(classes))]
            pictures.append(Picture(own, picture.data, picture.extension))
    for label in class_names():
        (folder / label).mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(rng.permutation(len(pictures))):  # names tell nothing
        picture = pictures[place]
        path = folder / picture.label / f"img ({number + 1}).{picture.extension}"
        scratch = path.with_name(f".{path.name}")
        scratch.write_bytes(picture.data)
        os.replace(scratch, path)


def class_names() -> tuple[str, ...]:
    """Of recipe D, spelled as its folders are: 14 tumours by 3 contrasts, and two without tumour."""
    tumors = tuple(f"{kind} {contrast}" for kind in KINDS[:-1] for contrast in CONTRASTS)
    return (*tumors, *(f"{NORMAL} {contrast}" for contrast in ("T1", "T2")))


def _pictures_of(kind: str, rng: np.random.Generator) -> list[list[Picture]]:
    """A patient's pictures, each with its copies behind it."""
    subject = draw_subject(kind if kind != NORMAL else "", rng)
    families = []
    for contrast in CONTRASTS:
        if kind == NORMAL and contrast == "T1C+":
            continue
        for _ in range(rng.integers(*SLICES, endpoint=True)):
            image = Image.fromarray(draw_picture(subject, contrast, rng))
            size = LARGEST if rng.random() < 0.5 else rng.integers(SMALLEST, LARGEST)
            image = image.resize((int(size[1]), int(size[0])), Image.Resampling.BICUBIC)
            families.append(_family(f"{kind} {contrast}", image.convert("RGB"), rng))
    return families


def _family(label: str, image: Image.Image, rng: np.random.Generator) -> list[Picture]:
    family = [Picture(label, *_encoded(image, rng))]
    while rng.random() < COPIED:
        if rng.random() < 0.4:
            family.append(family[0])
        else:
            family.append(Picture(label, *_encoded(_changed(image, rng), rng)))
    return family


def _changed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    way = rng.integers(4)
    if way == 0:
        factor = rng.uniform(0.5, 1.3)
        return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)
    if way == 1:
        return ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.2))
    if way == 2:
        return image.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC)
    return image  # another encoding


def _encoded(image: Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    """(bytes, extension): mostly JPEG, sometimes another format, palette, depth or direction."""
    chance, data = rng.random(), io.BytesIO()
    if chance < 0.86:
        options = {}
        if chance < 0.03:  # stored on its side, with the note that says so
            options["exif"] = Image.Exif()
            options["exif"][EXIF_ORIENTATION] = ON_ITS_SIDE
            image = image.transpose(Image.Transpose.ROTATE_90)
        image.save(data, "JPEG", quality=int(rng.integers(75, 96)), **options)
        return data.getvalue(), ("jpeg", "jpg")[rng.integers(2)]
    if chance < 0.88:
        image.save(data, "WEBP", quality=90)
        return data.getvalue(), ("webp", "jpg")[rng.integers(2)]
    if chance < 0.90:
        image.save(data, "BMP")
        return data.getvalue(), "bmp"
    if chance < 0.92:
        image.convert("CMYK").save(data, "JPEG", quality=95)
        return data.getvalue(), "jpg"
    if chance < 0.94:
        image.quantize(256).save(data, "PNG")
    elif chance < 0.96:
        deep = np.asarray(image.convert("L"), np.uint16) * 257
        Image.fromarray(deep).save(data, "PNG")
    elif chance < 0.98:
        image.convert("RGBA").save(data, "PNG")
    else:
        image.convert("L").save(data, "PNG")
    return data.getvalue(), ("png", "jpg")[rng.integers(2)]
