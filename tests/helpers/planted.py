"""Pictures with planted copies, to count what is found: exact ones and near ones of each kind."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from data_prep.case import Case


def _reencoded(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(io.BytesIO(data.getvalue())).copy()


def _resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)


NEAR: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded at 75": lambda image: _reencoded(image, 75),
    "re-encoded at 40": lambda image: _reencoded(image, 40),
    "half the size": lambda image: _resized(image, 0.5),
    "1.6 times the size": lambda image: _resized(image, 1.6),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BILINEAR),
    "turned back by 2 degrees": lambda image: image.rotate(-2, Image.Resampling.BICUBIC),
}


def plant(
    folder: Path,
    images: list[Image.Image],
    exact: int,
    near: int,
    seed: int = 0,
    formats: tuple[str, ...] = ("PNG", "BMP", "TIFF"),
) -> tuple[list[Case], list[int], list[str]]:
    """Writes the images and copies of some, each of another: (sources, original of each, kind).

    The kind is empty for an original, "exact", or one of NEAR. A copy has its original's format, but
    for those re-encoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[: exact + near]
    rows = [(image, number, "") for number, image in enumerate(images)]
    rows += [(images[number], int(number), "exact") for number in chosen[:exact]]
    kinds = list(NEAR)
    for place, number in enumerate(chosen[exact:]):
        kind = kinds[place % len(kinds)]
        rows.append((NEAR[kind](images[number]), int(number), kind))
    rows = [rows[place] for place in rng.permutation(len(rows))]
    cases = []
    for place, (image, number, kind) in enumerate(rows):
        name = f"{place:05d}.{'jpg' if kind.startswith('re-encoded') else 'png'}"
        if kind.startswith("re-encoded"):
            image.save(folder / name, quality=int(kind[-2:]))
        else:
            image.save(folder / name, formats[number % len(formats)])
        cases.append(Case(patient="", files={"image": name}))
    return cases, [number for _, number, _ in rows], [kind for _, _, kind in rows]


def counted(groups: list[str], original: list[int], kind: list[str]) -> dict[str, int]:
    """exact and near copies that are in their original's group, and groups of different originals."""
    home = {number: groups[place] for place, number in enumerate(original) if not kind[place]}
    with_original = [groups[place] == home[number] for place, number in enumerate(original)]
    mixed: dict[str, set[int]] = {}
    for group, number in zip(groups, original, strict=True):
        mixed.setdefault(group, set()).add(number)
    return {
        "exact": sum(held and what == "exact" for held, what in zip(with_original, kind, strict=True)),
        "near": sum(held and what in NEAR for held, what in zip(with_original, kind, strict=True)),
        "false_groups": sum(len(numbers) > 1 for numbers in mixed.values()),
    }
