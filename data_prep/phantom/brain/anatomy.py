"""The solids of the synthetic head: face, skull base, deep structures of the brain, vessels.

Skull vault, cortex and cerebellum are not solids but depth maps: see `cortex`.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from data_prep.phantom.brain.cortex import CENTRE, RADII
from data_prep.phantom.brain.patient import PAIRED, Head
from data_prep.phantom.brain.structures import Part
from data_prep.phantom.shapes import Column, Ellipsoid, Tube, smooth_tube


def _ellipsoid(x, y, z, a, b, c, tissue: str) -> Part:
    """Centre x, y, z and radii a, b, c in reference mm, along the axes of the body."""
    return Part(Ellipsoid(np.array([x, y, z], float), np.array([a, b, c], float)), tissue)


def _rod(start, end, radius: float, tissue: str) -> Part:
    """A straight tube of one radius, in reference mm."""
    return Part(Tube(np.array([start, end], float), np.full(2, float(radius))), tissue)


def _oval(centre, radii, size: float, yaw_degrees: float = 0.0) -> Ellipsoid:
    """An ellipsoid of `size` times the volume that `radii` give, turned about the vertical axis."""
    turn = Rotation.from_euler("z", yaw_degrees, degrees=True).as_matrix()
    return Ellipsoid(np.array(centre, float), np.array(radii, float) * size ** (1 / 3), turn)


def _path(knots, radii, size: float) -> Tube:
    """A curved tube of `size` times the cross-section that `radii` give."""
    return smooth_tube(np.array(knots, float), np.array(radii, float) * np.sqrt(size), 4)


def face(head: Head) -> list[Part]:
    """Face and neck, painted before the skull."""
    z = np.array([-230, -160, -135, -112, -90, -65, -40, -15.0])
    front = np.array([-2, 2, 20, 72, 82, 82, 80, 78.0])
    back = np.array([-92, -84, -80, -82, -88, -98, -104, -106.0])
    half = np.array([62, 56, 56, 56, 62, 69, 73, 73.0])
    skin = Column(z, 0 * z, (front + back) / 2, half, half, (front - back) / 2, 2.3, 2.3)
    parts = [_ellipsoid(0, 84, -66, 12, 17, 20, "fat")]
    for side in (1, -1):
        parts += [_ellipsoid(side * 79, -20, -40, 4, 12, 24, "muscle"),  # ear
                  _ellipsoid(side * 64, 12, -18, 13, 37, 39, "fat"),
                  _ellipsoid(side * 64, 12, -18, 9, 33, 35, "muscle")]  # temporal muscle
    parts += [Part(skin, "fat"), Part(skin.grown(-head.scalp_mm), "muscle")]
    spine = Tube(np.array([[0, -26, -72], [0, -27, -230.0]]), np.array([9.0, 12]))
    parts += [Part(spine.grown(1.5), "bone"), Part(spine, "marrow")]
    for side in (1, -1):
        jaw = np.array([[50, 14, -58], [48, 10, -92], [34, 38, -112], [8, 64, -118]]) * [side, 1, 1]
        parts += [Part(Tube(jaw, np.array([5.0, 7, 6, 6])), "bone"),
                  Part(Tube(jaw, np.array([2.5, 4, 3, 3])), "marrow")]  # fmt: skip
    return parts


def skull_base() -> list[Part]:
    """Bones and hollows in front of and below the cranial cavity, painted after its wall."""
    parts = [_ellipsoid(0, 50, -76, 40, 32, 22, "marrow"), _ellipsoid(0, 2, -42, 13, 10, 20, "bone"),
             _ellipsoid(0, 3, -44, 9, 7, 16, "marrow")]  # fmt: skip
    for side in (1, -1):
        parts += [
            _ellipsoid(side * 32, 48, -42, 18, 28, 16, "fat"),  # orbit
            _ellipsoid(side * 32, 61, -42, 13, 13, 13, "muscle"),
            _ellipsoid(side * 32, 61, -42, 12, 12, 12, "vitreous"),
            _ellipsoid(side * 32, 70.5, -42, 4.5, 2, 4.5, "muscle"),  # lens
            _rod([side * 31, 50, -42], [side * 12, 18, -28], 2.2, "nerve"),
            _rod([side * 44, 48, -42], [side * 17, 22, -32], 2.0, "muscle"),
            _rod([side * 19, 54, -42], [side * 13, 22, -32], 2.0, "muscle"),
            _ellipsoid(side * 28, 55, -72, 15, 18, 15, "mucosa"),  # maxillary sinus
            _ellipsoid(side * 28, 55, -72, 13, 16, 13, "air"),
            _ellipsoid(side * 6, 50, -44, 7, 20, 11, "mucosa"),  # ethmoid cells
            _ellipsoid(side * 6, 50, -44, 5, 17, 9, "air"),
            _ellipsoid(side * 7, 22, -34, 7, 10, 7, "air"),  # sphenoid sinus
            _ellipsoid(side * 9, 75, -14, 9, 4, 9, "air"),  # frontal sinus
            _ellipsoid(side * 30, -28, -43, 20, 7, 6, "bone"),  # petrous ridge
            _ellipsoid(side * 52, -36, -52, 12, 15, 15, "bone"),  # mastoid cells
            _ellipsoid(side * 52, -36, -54, 8, 10, 10, "air"),
        ]  # fmt: skip
    parts += [_ellipsoid(0, 60, -66, 14, 28, 18, "mucosa")]
    parts += [_ellipsoid(side * 7, 62, -64, 3.5, 24, 13, "air") for side in (1, -1)]
    return parts


def inner_parts(head: Head) -> list[Part]:
    """The solids inside the cranial cavity in painting order: a later one covers an earlier one."""
    ventricles = _ventricles(head)
    return [
        *_callosum(), *_nuclei(head), *_lesions(head), *ventricles, *_peduncles(), *_brainstem(head),
        ventricles[-1],  # once more: the brainstem's cistern ends at the fourth ventricle
        *_vessels(head),
    ]  # fmt: skip


def _callosum() -> list[Part]:
    """The corpus callosum: the white arch between the hemispheres."""
    arch = [[24, -4], [29, 6], [22, 17], [6, 25], [-14, 27], [-34, 22], [-42, 11]]  # y, z
    return [
        Part(_path([[x, *yz] for yz in arch], [3, 4, 3.5, 3, 3, 3.5, 5], 1.0),
             "cerebral_white", ("folded",))
        for x in (-9, -4.5, 0, 4.5, 9)
    ]  # fmt: skip


def _nuclei(head: Head) -> list[Part]:
    """The deep grey matter and the medial temporal lobe, both sides."""
    parts = []
    for side in (1, -1):
        size = {name: head.size(name, side) for name in PAIRED}
        wide = 2.0 * (np.sqrt(size["lateral_ventricle"]) - 1)  # mm that large ventricles push it away
        tail = [[14 + wide, 19, 1], [14 + wide, 12, 9], [15.5 + wide, 0, 18],
                [18 + wide, -14, 21], [22 + wide, -26, 18]]  # fmt: skip
        caudate = _path(np.array(tail) * [side, 1, 1], [6.4, 6.0, 4.4, 3.2, 2.2], size["caudate"])
        curve = np.array([[23, -11, -20], [28, -20, -17.5], [30.5, -29, -11], [26, -37, -2]])
        hippocampus = _path(curve * [side, 1, 1], [6.2, 5.2, 4.4, 3.2], size["hippocampus"])
        parts += [
            Part(_oval((26.5 * side, 2, 1), (6, 16, 10.5), size["putamen"], 12 * side), "putamen"),
            Part(_oval((19.5 * side, -3, 0), (5, 10, 7), size["pallidum"], 16 * side), "pallidum"),
            Part(_oval((9.5 * side, 12, -7), (5, 5.5, 4.5), size["accumbens"]), "accumbens"),
            Part(caudate, "caudate"),
            Part(_oval((11.5 * side, -19, 7), (8.5, 16, 10), size["thalamus"], 20 * side), "thalamus"),
            Part(hippocampus, "hippocampus"),
            Part(_oval((23 * side, -4, -19), (7, 7.5, 7), size["amygdala"]), "amygdala"),
        ]
    return parts


def _ventricles(head: Head) -> list[Part]:
    """The four ventricles; the inferior horns have their own label."""
    parts = []
    for side in (1, -1):
        mirror = [side, 1, 1]
        lateral, inferior = (
            head.size(name, side) for name in ("lateral_ventricle", "inferior_lateral_ventricle")
        )
        horn = [[29, -38, 6], [34, -31, -6], [35, -20, -15], [30, -9, -20]]
        parts.append(
            Part(_path(np.array(horn) * mirror, [3.5, 2.5, 2.3, 1.8], inferior),
                 "inferior_lateral_ventricle")
        )  # fmt: skip
        apart = np.sqrt(lateral)
        body = [[3 + 7 * apart, 30, 3], [2 + 5 * apart, 16, 10], [2 + 5 * apart, -4, 18],
                [5 + 8 * apart, -26, 19], [25, -41, 12], [26, -64, 6]]  # fmt: skip
        parts.append(
            Part(_path(np.array(body) * mirror, [3.4, 5.0, 4.8, 5.0, 6.8, 2.4], lateral),
                 "lateral_ventricle")
        )  # fmt: skip
        parts.append(Part(_oval((24 * side, -40, 13), (2.2, 6, 3.5), 1), "plexus"))
    slit = Ellipsoid(np.array([0.0, -12, -2]), np.array([2.0 * head.third_ventricle, 15, 10.5]))
    fourth = _oval((0, -45, -32), (7.5, 5, 11), head.fourth_ventricle**2)
    return parts + [Part(slit, "third_ventricle"), Part(fourth, "fourth_ventricle")]


def _brainstem(head: Head) -> list[Part]:
    """Midbrain, pons and medulla in their cistern, and the upper cord."""
    z = np.array([-68, -62, -50, -44, -33, -24, -16, -6, 0.0])
    y = np.array([-46, -44, -38, -31, -28, -27, -26, -29, -31.0])
    half = np.array([7, 8, 11, 15, 18, 17, 15, 13, 8]) * head.brainstem
    depth = np.array([6, 7, 8, 11, 13, 12, 11, 9, 6]) * head.brainstem
    stem = Column(z, 0 * z, y, half, half, depth)
    around = Column(*(knots[:6] for knots in (z, 0 * z, y, half + 2.5, half + 2.5, depth + 2.5)))
    cord = Tube(np.array([[0, -46, -66], [0, -48, -230.0]]), np.array([6.5, 5.5]))
    return [
        Part(cord.grown(3.5), "csf"), Part(cord, "nerve"),
        Part(around, "csf"), Part(stem, "brainstem"),
    ]  # fmt: skip


def _peduncles() -> list[Part]:
    """White matter from the pons to the cerebellum."""
    return [
        Part(_path([[13 * side, -30, -34], [22 * side, -44, -36], [20 * side, -56, -37]],
                   [8, 7, 6], 1.0), "cerebellar_white")
        for side in (1, -1)
    ]  # fmt: skip


def _lesions(head: Head) -> list[Part]:
    """Small-vessel lesions in the white matter."""
    return [
        Part(Ellipsoid(np.array(row[:3]), np.array(row[3:])), "lesion", ("folded",))
        for row in head.lesions
    ]


def _vessels(head: Head) -> list[Part]:
    """Sinuses and large arteries, bright after contrast agent with and without a tumour."""
    angle = np.radians(np.linspace(35, 195, 11))  # from the forehead over the vertex to the back
    radius = np.interp(np.arange(11), [0, 10], [1.6, 4.2])
    back = np.stack([np.cos(angle) * (RADII[1] - 2.5), np.sin(angle) * (RADII[2] - 2.5)], axis=1)
    # Along the curve of the skull, a superellipse with the head's exponent.
    stretch = (np.abs(np.cos(angle)) ** head.exponent + np.abs(np.sin(angle)) ** head.exponent) ** (
        -1 / head.exponent
    )
    knots = np.c_[np.zeros(11), back * stretch[:, None] + np.array(CENTRE[1:])]
    tubes = [smooth_tube(knots, radius, 3)]
    for side in (1, -1):
        mirror = [side, 1, 1]
        transverse = np.array([[2, -98, -18], [32, -88, -26], [50, -66, -32], [52, -50, -42]])
        middle_cerebral = np.array([[8, 2, -24], [14, 3, -17], [28, 2, -15], [39, 0, -6]])
        anterior = np.array([[8, 4, -16], [1.5, 14, -12], [1.5, 36, 2], [1.5, 30, 20]])
        tubes.append(smooth_tube(transverse * mirror, [3.2, 3.4, 3.4, 3.4], 3))
        tubes.append(smooth_tube(middle_cerebral * mirror, [2.0, 1.8, 1.5, 1.0], 3))
        tubes.append(smooth_tube(anterior * mirror, [1.3, 1.2, 1.0, 0.8], 3))
    basilar = np.array([[0, -22, -62], [0, -15, -46], [0, -13, -33], [0, -14, -20.0]])
    return [Part(tube, "vessel") for tube in [*tubes, smooth_tube(basilar, [1.5] * 4, 3)]]
