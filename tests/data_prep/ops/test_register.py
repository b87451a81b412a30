"""Rigid registration of a case's sequences, and whether they lie on each other."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data_prep.case import Unreadable
from data_prep.ops.register import lies_elsewhere, register_rigid
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.volume import Volume

SHAPE = (60, 60, 40)
AFFINE = np.diag([4.0, 4.0, 3.9, 1.0])
AFFINE[:3, 3] = -119, -119, -77


def sequences(seed):
    images, _ = render_case(draw_case("HGG", np.random.default_rng(seed)), SHAPE)
    return [Volume(images[name].astype(np.float32), AFFINE) for name in ("t1", "flair")]


def displaced(volume, degrees, shift_mm):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    turn[:3, 3] = shift_mm
    return Volume(volume.array, turn @ volume.affine)


def farthest_mm(volume, truth):
    corners = np.array([[x, y, z, 1] for x in (15, 45) for y in (15, 45) for z in (10, 30)])
    return np.linalg.norm(corners @ (volume.affine - truth).T, axis=1).max()


@pytest.mark.parametrize("seed", range(3))
def test_a_turned_and_shifted_sequence_comes_back_to_less_than_a_voxel(seed):
    fixed, flair = sequences(seed)
    drawn = np.random.default_rng(seed)
    moved = displaced(flair, drawn.uniform(-6, 6, 3), drawn.uniform(-8, 8, 3))
    found = register_rigid(moved, fixed, "flair")
    assert farthest_mm(moved, AFFINE) > 4 > farthest_mm(found.volume, AFFINE)
    assert np.array_equal(found.volume.array, flair.array)  # nothing is interpolated


def test_sequences_that_lie_on_each_other_are_told_from_shifted_ones():
    for seed in range(4):
        fixed, flair = sequences(seed)
        assert not lies_elsewhere(flair, fixed)
        assert lies_elsewhere(displaced(flair, (0, 0, 0), (10, 0, 0)), fixed)
        assert lies_elsewhere(displaced(flair, (0, 0, 0), (0, 0, -10)), fixed)


def test_sequences_of_different_places_cannot_be_registered():
    fixed, flair = sequences(0)
    with pytest.raises(Unreadable):
        register_rigid(displaced(flair, (0, 0, 0), (400, 0, 0)), fixed, "flair")


def test_a_flat_volume_lies_nowhere_else():
    fixed, _ = sequences(0)
    assert not lies_elsewhere(Volume(np.zeros(SHAPE, np.float32), AFFINE), fixed)
