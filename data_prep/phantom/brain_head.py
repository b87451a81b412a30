"""What surrounds the brain: skull, scalp, face and neck."""

import numpy as np

from data_prep.phantom.brain_parts import Part
from data_prep.phantom.brain_patient import Head
from data_prep.phantom.shapes import Column, Ellipsoid, Tube


def _oval(x, y, z, a, b, c, tissue) -> Part:
    return Part(Ellipsoid(np.array([x, y, z], float), np.array([a, b, c], float)), tissue)


def _cord(start, end, radius, tissue) -> Part:
    return Part(Tube(np.array([start, end], float), np.full(2, float(radius))), tissue)


def face(head: Head) -> list[Part]:
    """Face and neck, painted before the skull."""
    z = np.array([-230, -160, -135, -112, -90, -65, -40, -15.0])
    front = np.array([-2, 2, 20, 72, 82, 82, 80, 78.0])
    back = np.array([-92, -84, -80, -82, -88, -98, -104, -106.0])
    half = np.array([62, 56, 56, 56, 62, 69, 73, 73.0])
    skin = Column(z, 0 * z, (front + back) / 2, half, half, (front - back) / 2, 2.3, 2.3)
    found = [_oval(0, 84, -66, 12, 17, 20, "fat")]
    for side in (1, -1):
        found += [_oval(side * 79, -20, -40, 4, 12, 24, "muscle"),  # ear
                  _oval(side * 64, 12, -18, 13, 37, 39, "fat"),
                  _oval(side * 64, 12, -18, 9, 33, 35, "muscle")]  # temporal muscle
    found += [Part(skin, "fat"), Part(skin.grown(-head.scalp_mm), "muscle")]
    spine = Tube(np.array([[0, -26, -72], [0, -27, -230.0]]), np.array([9.0, 12]))
    found += [Part(spine.grown(1.5), "bone"), Part(spine, "marrow")]
    for side in (1, -1):
        jaw = np.array([[50, 14, -58], [48, 10, -92], [34, 38, -112], [8, 64, -118]]) * [side, 1, 1]
        found += [Part(Tube(jaw, np.array([5.0, 7, 6, 6])), "bone"),
                  Part(Tube(jaw, np.array([2.5, 4, 3, 3])), "marrow")]  # fmt: skip
    return found


def skull_base(head: Head) -> list[Part]:
    """Bones and hollows in front of and below the cranial cavity, painted after its wall."""
    found = [_oval(0, 50, -76, 40, 32, 22, "marrow"), _oval(0, 2, -42, 13, 10, 20, "bone"),
             _oval(0, 3, -44, 9, 7, 16, "marrow")]  # fmt: skip
    for side in (1, -1):
        found += [
            _oval(side * 32, 48, -42, 18, 28, 16, "fat"),  # orbit
            _oval(side * 32, 61, -42, 13, 13, 13, "muscle"),
            _oval(side * 32, 61, -42, 12, 12, 12, "vitreous"),
            _oval(side * 32, 70.5, -42, 4.5, 2, 4.5, "muscle"),  # lens
            _cord([side * 31, 50, -42], [side * 12, 18, -28], 2.2, "nerve"),
            _cord([side * 44, 48, -42], [side * 17, 22, -32], 2.0, "muscle"),
            _cord([side * 19, 54, -42], [side * 13, 22, -32], 2.0, "muscle"),
            _oval(side * 28, 55, -72, 15, 18, 15, "mucosa"),  # maxillary sinus
            _oval(side * 28, 55, -72, 13, 16, 13, "air"),
            _oval(side * 6, 50, -44, 7, 20, 11, "mucosa"),  # ethmoid cells
            _oval(side * 6, 50, -44, 5, 17, 9, "air"),
            _oval(side * 7, 22, -34, 7, 10, 7, "air"),  # sphenoid sinus
            _oval(side * 9, 75, -14, 9, 4, 9, "air"),  # frontal sinus
            _oval(side * 30, -28, -43, 20, 7, 6, "bone"),  # petrous ridge
            _oval(side * 52, -36, -52, 12, 15, 15, "bone"),  # mastoid cells
            _oval(side * 52, -36, -54, 8, 10, 10, "air"),
        ]  # fmt: skip
    found += [_oval(0, 60, -66, 14, 28, 18, "mucosa")]
    found += [_oval(side * 7, 62, -64, 3.5, 24, 13, "air") for side in (1, -1)]
    return found
