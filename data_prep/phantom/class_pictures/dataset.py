"""Synthetic axial brain pictures in class folders, as untidy as collections from the web.

Folders are named by tumour and contrast ("Meningioma T1C+"). Sizes, formats and file names are mixed,
some files have the wrong extension, and many pictures are copies of others: the same file again, or
re-encoded, resized, brightened or turned. A few exact copies are in another class.
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
KINDS = (*sorted(TUMORS), NORMAL)  # patients have these in turn
LARGEST = (630, 630)  # rows, columns of every second picture, as in recipe D
SMALLEST = (347, 305)
SLICES = (1, 2)  # fewest and most pictures of a patient in one contrast
COPIED = 0.35  # chance of a copy, and after each copy of another one
ELSEWHERE = 0.04  # chance that an exact copy is put into a random class
EXIF_ORIENTATION, ON_ITS_SIDE = 0x0112, 6


@dataclass(frozen=True)
class Picture:
    """A file for the folder of its class."""

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
    """Writes <class>/<name> for patients with each of KINDS in turn.

    Args:
        folder: where to write.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False permutes the classes over the pictures; copies stay with their original.
        progress: called with (patients done, patients in all), or None.
    """
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
            is_copy = place and picture.data == family[0].data
            folder_name = label
            if is_copy and rng.random() < ELSEWHERE:
                folder_name = classes[rng.integers(len(classes))]
            pictures.append(Picture(folder_name, picture.data, picture.extension))
    for label in class_names():
        (folder / label).mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(rng.permutation(len(pictures))):  # so that names say nothing
        picture = pictures[place]
        path = folder / picture.label / f"img ({number + 1}).{picture.extension}"
        scratch = path.with_name(f".{path.name}")
        scratch.write_bytes(picture.data)
        os.replace(scratch, path)


def class_names() -> tuple[str, ...]:
    """The 44 folder names of recipe D: 14 tumours in 3 contrasts, and two without tumour."""
    tumors = tuple(f"{kind} {contrast}" for kind in KINDS[:-1] for contrast in CONTRASTS)
    return (*tumors, *(f"{NORMAL} {contrast}" for contrast in ("T1", "T2")))


def _pictures_of(kind: str, rng: np.random.Generator) -> list[list[Picture]]:
    """The pictures of a patient, each followed by its copies."""
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
    """A picture and its copies, exact ones and near ones."""
    family = [Picture(label, *_encoded(image, rng))]
    while rng.random() < COPIED:
        if rng.random() < 0.4:
            family.append(family[0])
        else:
            family.append(Picture(label, *_encoded(_changed(image, rng), rng)))
    return family


def _changed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A near copy: resized, brightened or turned, or the same picture for another encoding."""
    change = rng.integers(4)
    if change == 0:
        factor = rng.uniform(0.5, 1.3)
        return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)
    if change == 1:
        return ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.2))
    if change == 2:
        return image.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC)
    return image


def _encoded(image: Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    """(bytes, extension): mostly JPEG, sometimes another format, palette, depth or direction."""
    chance, data = rng.random(), io.BytesIO()
    if chance < 0.86:
        options = {}
        if chance < 0.03:  # stored on its side, as its EXIF orientation says
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
