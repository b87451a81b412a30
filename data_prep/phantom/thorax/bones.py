"""Bones of the trunk: ribs, spine and sternum."""

import numpy as np

from data_prep.phantom.shapes import Column, Tube
from data_prep.phantom.thorax.lungs import lung_column
from data_prep.phantom.thorax.patient import ThoraxPatient
from data_prep.phantom.thorax.structures import LABEL, Part, body_scale


def ribs(patient: ThoraxPatient) -> list[Part]:
    """Rings that slope down from the spine to the front, so that a slice cuts each obliquely."""
    parts = []
    sz = patient.height_scale
    for side in (1, -1):
        wall = lung_column(patient, side, grow_mm=5.0)
        for number in range(11):
            z_back = (98.0 - 24.5 * number) * sz
            angle = np.linspace(-0.47, 0.36 if number > 0 else 0.2, 15) * np.pi
            z = z_back - (0.47 * np.pi + angle) * (11 + 2.2 * min(number, 7)) * sz
            cx, cy, depth = (np.interp(z, wall.z, a) for a in (wall.x, wall.y, wall.depth))
            lateral = np.interp(z, wall.z, wall.right if side > 0 else wall.left)
            # A superellipse of exponent 2.2, as the chest wall.
            c, s = np.cos(angle), np.sin(angle)
            round_ = (np.abs(c) ** 2.2 + np.abs(s) ** 2.2) ** (-1 / 2.2)
            points = np.stack([cx + side * lateral * c * round_, cy + depth * s * round_, z], -1)
            parts.append(Part(Tube(points, np.full(15, 4.6)), patient.bone_hu * 1.5))
            parts.append(Part(Tube(points, np.full(15, 2.4)), patient.bone_hu * 0.8))
    return parts


def spine(patient: ThoraxPatient) -> list[Part]:
    """Vertebrae with their processes, discs and the spinal canal."""
    sx, sy, sz = body_scale(patient)
    parts, bone, label = [], patient.bone_hu, LABEL["vertebrae"]
    step = 24.5 * sz  # height of a vertebra with its disc
    heights, curve = [-190, -100, -50, 0, 50, 100, 190], [-52, -60, -64, -62, -56, -44, -30]  # z, y
    for number in range(-6, 9):
        z = number * step + patient.spine_phase * step
        y = float(np.interp(z / sz, heights, curve)) * sy
        y -= patient.kyphosis_mm * np.cos(np.clip(z / (110 * sz), -1, 1) * np.pi / 2)
        x = patient.scoliosis_mm * np.sin(z / (70 * sz))
        rx, ry = (17 - 0.022 * z / sz) * sx, (14 - 0.02 * z / sz) * sy
        half = 0.39 * step

        def at(dx, dy, dz, x=x, y=y, z=z):
            return np.array([x + dx, y + dy, z + dz])

        def block(height, grow, hu, value, x=x, y=y, z=z, rx=rx, ry=ry):
            two = np.ones(2)
            wide, deep = (rx + grow) * two, (ry + grow) * two
            ends = np.array([z - height, z + height])
            shape = Column(ends, x * two, y * two, wide, wide, deep, 2.4, 2.4)
            return Part(shape, hu, value)

        back = -ry - 9.0
        parts.append(block(0.5 * step, -1.0, 85.0, 0))  # disc
        for side in (1, -1):
            root = at(side * rx * 0.65, -ry * 0.7, 3)
            arch = [root, at(side * 11.5, back, 2), at(side * 3, back - 10, -4)]
            parts.append(Part(Tube(np.array(arch), np.array([4.5, 4.2, 4.0])), bone * 1.5, label))
            wing = np.array([at(side * 12, back, 2), at(side * 32 * sx, back - 8, 5)])
            parts.append(Part(Tube(wing, np.array([4.5, 4.0])), bone * 1.3, label))
        thorn = np.array([at(0, back - 10, -4), at(0, back - 26 * sy, -18)])
        parts.append(Part(Tube(thorn, np.array([4.2, 3.5])), bone * 1.4, label))
        parts += [block(half, 0.0, bone * 1.5, label), block(half - 2.0, -2.5, bone * 0.8, label)]
        canal = np.array([at(0, back + 0.5, -step / 2), at(0, back + 0.5, step / 2)])
        parts.append(Part(Tube(canal, np.array([7.5, 7.5]), True), 25.0))
    return parts


def sternum(patient: ThoraxPatient) -> list[Part]:
    """The breastbone: compact bone around spongy bone."""
    sx, sy, sz = body_scale(patient)
    z = np.array([-92, -80, -30, 12, 18, 30, 52, 60]) * sz
    front = [92, 91, 84, 74, 73, 67, 55, 50]
    y = np.array(front) * sy + 2.0
    half = np.array([6, 15, 17, 14, 17, 24, 29, 22]) * sx
    thick = np.array([4, 5.5, 6, 6, 6.5, 7, 8, 6.5])
    whole = Column(z, np.full(8, patient.sternum_x_mm), y, half, half, thick, 2.6, 2.6)
    label = LABEL["sternum"]
    return [
        Part(whole, patient.bone_hu * 1.4, label),
        Part(whole.grown(-2.5), patient.bone_hu * 0.65, label),
    ]
