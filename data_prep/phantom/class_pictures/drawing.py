"""Draws an axial slice of a head, with or without tumours, in T1, T1 after contrast agent, or T2."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

SIDE = 176  # rows and columns of a drawn slice
# Signal, 0 to 1, in the order of CONTRASTS; fluid: cerebrospinal fluid.
CONTRASTS = ("T1", "T1C+", "T2")
SIGNAL = {
    "scalp": (0.85, 0.88, 0.65), "skull": (0.08, 0.08, 0.06), "fluid": (0.12, 0.13, 0.95),
    "grey": (0.42, 0.44, 0.58), "white": (0.56, 0.57, 0.42), "tumor": (0.36, 0.37, 0.74),
    "oedema": (0.45, 0.46, 0.78),
}  # fmt: skip
ENHANCED = 0.5  # added in T1C+ where the enhancement is 1


@dataclass(frozen=True)
class Kind:
    """What tumours of one name have in common; lengths in half widths of the head."""

    place: tuple[float, float]  # forward, sideways (to either side); 1: the border of the brain
    radius: float
    enhancement: float  # 0 to 1
    rim: float = 0.0  # radius of the dark middle, relative to the tumour's
    lobes: float = 0.1  # waviness of the border, relative to the radius
    count: int = 1
    oedema: float = 0.0  # its width, relative to the radius
    texture: float = 0.05


TUMORS = {
    "Astrocitoma": Kind((0.35, 0.4), 0.27, 0.08, lobes=0.15),
    "Carcinoma": Kind((0.0, 0.55), 0.10, 0.8, rim=0.35, count=4, oedema=0.8),
    "Ependimoma": Kind((-0.45, 0.05), 0.20, 0.45, texture=0.2),
    "Ganglioglioma": Kind((-0.05, 0.72), 0.14, 0.35, rim=0.7),
    "Germinoma": Kind((-0.15, 0.0), 0.13, 0.95, lobes=0.03),
    "Glioblastoma": Kind((0.1, 0.45), 0.32, 0.75, rim=0.65, lobes=0.25, oedema=0.6),
    "Granuloma": Kind((0.5, 0.45), 0.12, 0.65, rim=0.5, oedema=1.2),
    "Meduloblastoma": Kind((-0.65, 0.05), 0.24, 0.6),
    "Meningioma": Kind((0.45, 0.85), 0.24, 1.0, lobes=0.04, oedema=0.2),
    "Neurocitoma": Kind((0.15, 0.12), 0.20, 0.4, lobes=0.3, texture=0.3),
    "Oligodendroglioma": Kind((0.6, 0.35), 0.25, 0.12, lobes=0.2, texture=0.35),
    "Papiloma": Kind((-0.1, 0.25), 0.14, 0.95, lobes=0.4),
    "Schwannoma": Kind((-0.45, 0.75), 0.15, 0.95, lobes=0.05, texture=0.1),
    "Tuberculoma": Kind((0.1, 0.5), 0.085, 0.95, rim=0.75, count=3, oedema=0.3),
}


@dataclass(frozen=True)
class Subject:
    """One head: its shape, its tumours as (forward, sideways, radius), and the seed of its folds."""

    kind: str  # of TUMORS; empty without a tumour
    half_length: float  # of the head, relative to SIDE
    half_width: float
    ventricle: float
    turn: float  # radians
    tumors: tuple[tuple[float, float, float], ...]
    folds: int


def draw_subject(kind: str, rng: np.random.Generator) -> Subject:
    """Draws a head with tumours of `kind`, a name of TUMORS; "" for none."""
    tumors = []
    if kind:
        common, side = TUMORS[kind], rng.choice((-1, 1))
        for number in range(common.count):
            forward, sideways = np.array(common.place) + rng.normal(0, 0.06, 2)
            if number:  # metastases and tubercles lie anywhere
                forward, sideways = rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6)
            radius = common.radius * rng.lognormal(0, 0.2)
            tumors.append((float(forward), float(sideways * side), float(radius)))
    return Subject(
        kind, rng.uniform(0.42, 0.47), rng.uniform(0.33, 0.38), rng.uniform(0.7, 1.4),
        rng.normal(0, 0.05), tuple(tumors), int(rng.integers(2**31)),
    )  # fmt: skip


def draw_picture(subject: Subject, contrast: str, rng: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE) uint8: one slice, front at the top; each call gives another slice of the head."""
    number = CONTRASTS.index(contrast)
    signal = {name: values[number] for name, values in SIGNAL.items()}
    size = rng.uniform(0.93, 1.0)  # of the head in this slice
    forward, sideways = _places(subject, size)
    reach = np.hypot(forward, sideways)
    bumps = _smooth(np.random.default_rng(subject.folds), 25) * 0.015
    # Folds change from slice to slice.
    folds = _smooth(np.random.default_rng(subject.folds), 3.2) + 0.7 * _smooth(rng, 3.2)
    image = np.zeros((SIDE, SIDE))
    image[reach + bumps < 1.18] = signal["scalp"]
    image[reach + bumps < 1.11] = signal["skull"]
    brain = reach < 1
    depth = reach + 0.12 * folds
    image[brain] = np.where(depth < 0.78, signal["white"], signal["grey"])[brain]
    image[brain & (depth > 1.02)] = signal["fluid"]
    image[brain & (np.abs(sideways) < 0.012)] = signal["fluid"]
    width = 0.14 * subject.ventricle * rng.uniform(0.8, 1.2)
    horns = np.hypot(forward / 2.6, np.abs(sideways) - 0.13) < width
    image[brain & horns] = signal["fluid"]
    if subject.kind:
        image = _with_tumors(image, subject, (forward, sideways), contrast, rng)
    image = gaussian_filter(image, rng.uniform(0.6, 1.0))
    bias = 1 + 0.15 * _smooth(rng, 60)
    noise = rng.normal(0, rng.uniform(0.01, 0.03), (2, SIDE, SIDE))
    image = np.hypot(image * bias + noise[0], noise[1])  # Rician
    return np.rint(255 * np.clip(image * rng.uniform(0.75, 1.0), 0, 1)).astype(np.uint8)


def _with_tumors(image, subject: Subject, places: tuple, contrast: str, rng) -> np.ndarray:
    kind, number = TUMORS[subject.kind], CONTRASTS.index(contrast)
    brain = np.hypot(*places) < 1.02
    texture = _smooth(rng, 2.0)
    for forward, sideways, radius in subject.tumors:
        distance = np.hypot(places[0] - forward, places[1] - sideways)
        angle = np.arctan2(places[0] - forward, places[1] - sideways)
        waves = sum(
            rng.normal(0, 0.5) * np.cos(order * angle + rng.uniform(0, 6.3)) for order in (2, 3, 5)
        )
        border = radius * rng.uniform(0.85, 1.1) * (1 + kind.lobes * waves)
        oedema = brain & (distance < border * (1 + kind.oedema * (1 + 0.2 * waves)))
        image[oedema] = SIGNAL["oedema"][number]
        inside = brain & (distance < border)
        value = np.full(image.shape, SIGNAL["tumor"][number])
        if contrast == "T1C+":
            value += ENHANCED * kind.enhancement
        hollow = distance < border * kind.rim
        value[hollow] = 0.6 * SIGNAL["tumor"][number] + 0.4 * SIGNAL["fluid"][number]
        image[inside] = (value * (1 + kind.texture * texture))[inside]
    return image


def _places(subject: Subject, size: float) -> tuple[np.ndarray, np.ndarray]:
    """(forward, sideways) of every pixel; their length is 1 at the border of the brain."""
    rows, columns = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) / SIDE
    cos, sin = np.cos(subject.turn), np.sin(subject.turn)
    along, across = rows * cos - columns * sin, rows * sin + columns * cos
    return -along / (subject.half_length * size / 1.18), across / (subject.half_width * size / 1.18)


def _smooth(rng: np.random.Generator, pixels: float) -> np.ndarray:
    """Smooth noise of SD 1 with a grain of about `pixels`."""
    coarse = max(int(SIDE / pixels) + 3, 4)
    field = zoom(rng.normal(size=(coarse, coarse)), SIDE / coarse, order=3)[:SIDE, :SIDE]
    return (field - field.mean()) / field.std()
