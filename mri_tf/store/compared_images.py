"""The images of prepared sets as copies are looked for in them: hashes, and thumbnails when needed."""

import functools
from collections import defaultdict

import numpy as np

from mri_tf.core.progress import progress
from mri_tf.store.image_similarity import UPRIGHT, VIEWS, hashes, thumbnail
from mri_tf.store.prepared import Prepared
from mri_tf.store.whole_turns import INVERTED, forms_of, inverted, turned_hashes
from mri_tf.task.spec import PRESENCE

PLANES_AT_HAND = 512  # records whose thumbnails are kept in memory
WHOLE = ""  # all channels of an image together


class ComparedImages:
    """Records with the hashes of what they show; their pixels are read again where two are compared.

    Attributes:
        positions: (images,) of each record in its set; blank ones are left out.
        sides: (images,) the number of its set.
        hashes: what is shown (WHOLE or a channel) -> image -> (views and mirror image, forms of it).
    """

    def __init__(self, sets: list[tuple[Prepared, list[int]]], what: str):
        self.sets = [prepared for prepared, _ in sets]
        self.hashes: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)
        records = [(side, one) for side, (_, positions) in enumerate(sets) for one in positions]
        kept = []
        with progress(what, len(records)) as advance:
            for done, (side, position) in enumerate(records, 1):
                if self._hash(len(kept), side, position):
                    kept.append((side, position))
                advance(done)
        both = np.array(kept, np.int64).reshape(-1, 2)
        self.sides, self.positions = both[:, 0], both[:, 1]
        self.planes = functools.lru_cache(maxsize=PLANES_AT_HAND)(self._planes)

    def _hash(self, number: int, side: int, position: int) -> bool:
        """Hashes a record; whether it is not blank."""
        prepared = self.sets[side]
        image = prepared.record(position).own_slice
        if not any(thumbnail(plane).any() for plane in middle_planes(image)):
            return False
        for name in (WHOLE, *sequences_of(prepared)):
            shown = _part(prepared, image, name)
            thumb = thumbnail(middle_planes(shown)[0])
            if not thumb.any():
                continue  # a missing sequence
            last = thumbnail(middle_planes(shown[::-1])[0]) if shown.ndim == 4 else None
            mirrored = hashes(thumb[:, ::-1], (VIEWS[UPRIGHT],))
            seen = np.concatenate([hashes(thumb), mirrored])
            self.hashes[name][number] = seen, turned_hashes(thumb, last)
        return True

    def _planes(self, number: int, name: str, form: str = "") -> list[np.ndarray]:
        """Thumbnails of the middle planes of a record, or of a form of it."""
        prepared = self.sets[self.sides[number]]
        record = prepared.record(int(self.positions[number]))
        shown = _part(prepared, record.own_slice, name)
        turn = forms_of(shown.ndim)[form] if form else np.asarray
        planes = [thumbnail(plane) for plane in middle_planes(turn(shown))]
        return [inverted(plane) for plane in planes] if form == INVERTED else planes


def sequences_of(prepared: Prepared) -> list[str]:
    """The channels that are compared by themselves: those of files of their own, and not colours."""
    return list(_places(prepared)) if prepared.separate_channels else []


def _places(prepared: Prepared) -> dict[str, int]:
    """Channel -> its place in the own slice of an image, without those that only say what is there."""
    names = list(prepared.manifest.get("channels", []))
    return {name: place for place, name in enumerate(names) if not name.startswith(PRESENCE)}


def _part(prepared: Prepared, image: np.ndarray, name: str) -> np.ndarray:
    """The image, or one channel of it."""
    if name == WHOLE:
        return image
    place = _places(prepared)[name]
    return image[..., place : place + 1]


def middle_planes(image: np.ndarray) -> list[np.ndarray]:
    """A picture itself, or the three planes through the middle of a volume; channels last."""
    if image.ndim == 3:
        return [image]
    depth, rows, columns = (size // 2 for size in image.shape[:3])
    return [image[depth], image[:, rows], image[:, :, columns]]
