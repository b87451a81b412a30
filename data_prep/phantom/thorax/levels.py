"""The axial level of each slice of the synthetic thorax, derived from the labelled structures."""

import numpy as np

from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import LABEL, STRUCTURES

LEVELS = (
    "thoracic_inlet", "lung_apex", "great_vessels_origin", "aortic_arch", "ascending_descending_aorta",
    "pulmonary_arteries", "aortic_root", "four_chamber", "ventricles_below_valves",
)  # fmt: skip
SLICES_PER_LEVEL = 3


def find_levels(labels: np.ndarray, lung: np.ndarray, slice_mm: float) -> tuple[str, ...]:
    """The level of each slice, from the area of each structure in it; "" between two levels.

    Args:
        labels: uint8 (x, y, z), values of STRUCTURES.
        lung: bool (x, y, z).
        slice_mm: distance between slices.
    """
    area = np.stack([(labels == i).sum(axis=(0, 1)) for i in range(len(STRUCTURES))]).astype(float)
    share = area / np.maximum(area.max(axis=1, keepdims=True), 1)  # (structure, z)
    part = {name: share[i] for name, i in LABEL.items()}
    z = np.arange(labels.shape[2]) * slice_mm
    lung_area = lung.sum(axis=(0, 1))
    lung_top = z[lung_area > 15].max()
    arch_top = z[part["aortic_arch"] > 0].max()
    arteries = np.maximum.reduce(
        [part["right_pulmonary_artery"], part["left_pulmonary_artery"], part["pulmonary_trunk"]]
    )
    ventricles = np.minimum(part["right_ventricle"], part["left_ventricle"])
    chambers = np.minimum.reduce([part["right_atrium"], part["left_atrium"], ventricles])
    branching = np.minimum(part["right_pulmonary_artery"], part["pulmonary_trunk"])
    highest_artery = z[arteries > 0.1].max()
    arch_bottom = z[part["aortic_arch"] > 0.25].min()
    middle = 0.5 * (highest_artery + arch_bottom)
    root = part["aortic_root"] * (arteries < 0.6)
    scores = (  # 0 or more where a slice shows the level, largest where it is most typical
        16 - np.abs(z - (lung_top + 17.5)),
        8 - np.abs(z - (lung_top - 14)),
        7 - np.abs(z - (arch_top + 9)),
        part["aortic_arch"] - 0.75,
        max(4.0, 0.5 * (arch_bottom - highest_artery)) - np.abs(z - middle),
        branching - 0.6 * branching.max(),
        root - 0.6 * root.max(),
        chambers - 0.65 * chambers.max(),
        np.where(
            (part["left_atrium"] < 0.05) & (part["right_atrium"] < 0.7), ventricles - 0.15, -1.0
        ),
    )
    peaks: list[int] = []  # most typical slice of each level, from head to feet, at least 2 apart
    spans: list[list[int]] = []  # first and last index of each level
    for score in scores:
        below = len(z) if not peaks else peaks[-1] - 1
        peak = first = last = int(np.argmax(score[:below]))
        while last + 1 < below and score[last + 1] >= 0:
            last += 1
        while first > 0 and score[first - 1] >= 0:
            first -= 1
        peaks.append(peak)
        spans.append([first, last])
    for i in range(len(LEVELS) - 1):
        upper, lower = spans[i], spans[i + 1]
        while upper[0] - lower[1] < 2:  # leave an unlabelled slice between; the wider level gives way
            if lower[1] - peaks[i + 1] >= peaks[i] - upper[0]:
                lower[1] -= 1
            else:
                upper[0] += 1
    level_of_slice = [""] * len(z)
    for name, (first, last) in zip(LEVELS, spans, strict=True):
        level_of_slice[first : last + 1] = [name] * (last + 1 - first)
    return tuple(level_of_slice)


def level_rows(patient_id: str, levels: tuple[str, ...], patient: ThoraxPatient) -> list[tuple]:
    """(patient_id, z_mm, level) of at most SLICES_PER_LEVEL evenly chosen slices of each level."""
    rows = []
    for name in LEVELS:
        index = np.array([k for k, level in enumerate(levels) if level == name])
        count = min(SLICES_PER_LEVEL, len(index))
        # The centres of `count` equal parts, so that the ends of a level are not preferred.
        for k in index[((np.arange(count) + 0.5) * len(index) / count).astype(int)][::-1]:
            z_mm = patient.table_z_mm + patient.bottom_mm + k * patient.slice_mm
            rows.append((patient_id, f"{z_mm:.3f}", name))
    return rows
