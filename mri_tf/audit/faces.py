"""Whether a volume shows a face: a nose in front of a head. A pure function of where the head is.

The front of a skull-stripped brain, or of a head whose face was removed, is convex or flat. A face has a
nose: a narrow ridge in the middle, in front of the cheeks on both sides, and above it a hollow that
lies behind the straight line from the forehead to the tip. Both must be there, near the head's foremost
point. The hollow is measured from a line and not along an axis, so that a raised or lowered chin does
not matter. Lengths are anatomical and the same for all data.
"""

import numpy as np

from data_prep.ops.crop import mask_box

WIDTHS_MM, LENGTHS_MM = (90.0, 210.0), (110.0, 280.0)  # of a head, children and tilted heads included
USUAL_WIDTH_MM = 150.0  # of a head whose lengths are not known
COARSEST_MM, THICKEST_MM = 4.0, 8.0  # in the plane, and along the body: beyond it no nose is resolved
TIP_MM = 4.0  # half the width of the ridge's tip
FLANK_MM = (18.0, 28.0)  # from the tip to the cheeks
ASIDE_MM = 15.0  # of the tip from the middle of the head
RIDGE_MM = 9.0  # least height of the ridge over the cheeks; an ellipsoid's is 5 and at most a voxel
HOLLOW_MM = 4.0  # least depth of the hollow
BEHIND_MM = 30.0  # of the tip behind the head's foremost point, at most
TALL_MM = 10.0  # least height of the nose along the body
STEPS = 1.5  # voxels that a hollow is deep at least; that of a straight front is up to one


def shows_face(inside: np.ndarray, spacing_mm: tuple[float, ...] | None) -> bool:
    """Whether the surface of a head has a nose.

    Args:
        inside: (depth, rows, columns) bool, the head: first slice at the top, first row in front.
        spacing_mm: along depth, rows and columns; None where lengths are not known. The head then counts
            as one of usual width.
    """
    if not inside.any() or len(inside) < 3:
        return False
    box = mask_box(inside).size
    steps = spacing_mm or (USUAL_WIDTH_MM / box[2],) * 3
    length, width = box[1] * steps[1], box[2] * steps[2]
    is_head = WIDTHS_MM[0] <= width <= WIDTHS_MM[1] and LENGTHS_MM[0] <= length <= LENGTHS_MM[1]
    if not is_head or resolves_no_face(steps):
        return False
    front = front_mm(inside, steps[1])
    middle = _middle(inside)
    reach = np.arange(inside.shape[2])
    near = reach[np.abs(reach - middle) * steps[2] <= ASIDE_MM]
    ridge = np.max([_ridge(front, column, steps[2]) for column in near], axis=0)
    profile = front[:, near].min(axis=1)
    needed = max(2, int(np.ceil(TALL_MM / steps[0])))  # slices
    is_ridge = (ridge >= RIDGE_MM) & (profile <= front.min() + BEHIND_MM)
    if _longest_run(is_ridge) < needed:
        return False
    hollow = hollow_above(profile, steps[0])
    return _longest_run(is_ridge & (hollow >= max(HOLLOW_MM, STEPS * steps[1]))) >= needed


def resolves_no_face(spacing_mm: tuple[float, ...]) -> bool:
    """Whether voxels along depth, rows and columns are too large to show a nose."""
    return max(spacing_mm[1:]) > COARSEST_MM or spacing_mm[0] > THICKEST_MM


def front_mm(inside: np.ndarray, step_mm: float) -> np.ndarray:
    """(depth, columns) from the first row to the foremost voxel of the head; infinite without one."""
    first = inside.argmax(axis=1).astype(float) * step_mm
    return np.where(inside.any(axis=1), first, np.inf)


def hollow_above(profile: np.ndarray, step_mm: float) -> np.ndarray:
    """How far the profile above each slice lies behind a straight line from there to a slice above.

    Args:
        profile: (depth,) from the first row to the foremost voxel near the middle, in mm; infinite where
            there is none.
        step_mm: between slices.

    Returns:
        (depth,) mm: of the deepest hollow between the slice and any above it; 0 of a convex profile.
    """
    found = np.zeros(len(profile))
    for last in range(2, len(profile)):
        for first in range(last - 1):
            if not (np.isfinite(profile[first]) and np.isfinite(profile[last])):
                continue
            between = profile[first + 1 : last]
            between = between[np.isfinite(between)]
            share = np.linspace(0, 1, last - first + 1)[1:-1][np.isfinite(profile[first + 1 : last])]
            line = profile[first] + share * (profile[last] - profile[first])
            tilt = (profile[last] - profile[first]) / ((last - first) * step_mm)
            deepest = (between - line).max(initial=0.0) / np.hypot(1, tilt)
            found[last] = max(found[last], deepest)
    return found


def _ridge(front: np.ndarray, column: int, step_mm: float) -> np.ndarray:
    """(depth,) mm by which the front at a column stands before the nearer of its two flanks."""
    away = (np.arange(front.shape[1]) - column) * step_mm
    tip = front[:, np.abs(away) <= TIP_MM].min(axis=1)
    flanks = []
    for side in (-1, 1):
        flank = (side * away >= FLANK_MM[0]) & (side * away <= FLANK_MM[1])
        if not flank.any():
            return np.zeros(len(front))
        flanks.append(front[:, flank].min(axis=1))
    nearer = np.minimum(*flanks)
    known = np.isfinite(tip) & np.isfinite(nearer)
    return np.subtract(nearer, tip, out=np.zeros(len(front)), where=known)


def _middle(inside: np.ndarray) -> float:
    """The column in the middle of the head: the median over slices that are nearly the widest."""
    anywhere = inside.any(axis=1)  # (depth, columns)
    first = anywhere.argmax(axis=1)
    last = anywhere.shape[1] - 1 - anywhere[:, ::-1].argmax(axis=1)
    width = np.where(anywhere.any(axis=1), last - first + 1, 0)
    wide = width >= 0.8 * width.max()
    return float(np.median((first + last)[wide]) / 2)


def _longest_run(flags: np.ndarray) -> int:
    """The most slices in a row that are True."""
    longest = run = 0
    for flag in flags.tolist():
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest
