"""Each operation of mri_tf with fixed parameters, and the same parameters as the peers take them; used
by augmentation.py."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from augment3d import DEGREES, SHIFT_VOXELS, ZOOM, affine_matrix, peers_affine

from mri_tf.pipeline import augment2d, augment3d, axis_filters, contrast, elastic, intensity_changes
from mri_tf.pipeline.resample2d import resample_linear as resample2d
from mri_tf.pipeline.resample3d import resample_linear as resample3d

MONAI, TORCHIO = "MONAI", "TorchIO"
EXPONENT, FACTOR, BLUR, THICK, SD = 0.9, 1.2, 1.3, 3, 0.08
CONTROL_POINTS, MOST_VOXELS = 7, 3.0
GHOSTS = {2: 7, 3: 4}  # by the number of axes: they divide half the grid, on which TorchIO counts them
GHOST_INTENSITY = 0.4
LEGENDRE = {  # degrees along the axes -> coefficient
    (0, 0, 0): 0.1, (1, 0, 0): 0.2, (1, 1, 0): -0.15, (2, 0, 0): 0.1, (2, 1, 0): 0.12, (3, 0, 0): -0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One operation with fixed parameters, and how far a peer's result may lie from ours."""

    ours: Callable  # images -> images
    parameters: dict  # for the peers' script
    tolerances: dict[str, float | None]  # peer -> of intensities 0 to 1; None: another definition
    margin: int = 0  # voxels at the border that are not compared: borders are treated differently
    cut: slice | None = None  # of the first axis: what the peers are given, and what is compared
    note: dict[str, str] = field(default_factory=dict)  # peer -> how its definition differs


def cases(images: np.ndarray) -> dict[str, Case]:
    """Name of the operation -> its case.

    images: (1, [depth,] rows, columns, channels), intensities 0 to 1 in every channel.
    """
    size = images.shape[1:-1]
    axes, channels = len(size), images.shape[-1]
    rng = np.random.default_rng(0)
    start, stop = [length // 3 for length in size], [length // 2 for length in size]
    normals = rng.normal(size=(1, 2, *size, channels)).astype(np.float32)
    sd = np.full((1, channels), SD, np.float32)
    made = {
        "flip": Case(_moved(size, _flip(size)), {}, {MONAI: 1e-6, TORCHIO: 1e-6}),
        "affine": _affine(size),
        "elastic": _elastic(size, rng),
        "contrast": Case(
            lambda x: contrast.apply_contrast(x, tf.constant([FACTOR]), _means(x)), {"factor": FACTOR},
            {MONAI: 1e-5},
        ),
        "gamma": Case(
            lambda x: contrast.apply_gamma(x, tf.constant([EXPONENT])), {"exponent": EXPONENT},
            {MONAI: 1e-5, TORCHIO: 1e-5},
            note={MONAI: "one range for all channels, ours one each; compared where they are equal"},
        ),
        "bias field": _bias(axes),
        "blur": Case(
            _blurred, {"sd": BLUR}, {MONAI: 1e-3, TORCHIO: 1e-3}, margin=int(4 * BLUR) + 1,
            note={MONAI: "cut off at 4 SD, zeros outside; kernel sampled as ours, its own is the mean "
                         "over a voxel", TORCHIO: "cut off at 4 SD, mirrored border"},
        ),
        "blur, MONAI's own kernel": Case(
            _blurred, {"sd": BLUR}, {MONAI: None}, margin=int(4 * BLUR) + 1,
            note={MONAI: "the Gaussian's mean over a voxel (erf), which blurs a little more"},
        ),
        "low resolution": Case(
            lambda x: axis_filters.apply_along(
                x, axis_filters.thick_slice_matrices(tf.constant([float(THICK)]), size[0]), 0),
            {"factor": THICK}, {MONAI: 1e-5, TORCHIO: None}, margin=THICK + 1, cut=_aligned(size[0]),
            note={MONAI: "its Resize twice, area and linear; its RandSimulateLowResolution takes single "
                         "voxels, along all axes at once",
                  TORCHIO: "takes single voxels, so that noise stays; ours are means of what a slice "
                           "covers"},
        ),
        "ghosting": Case(
            lambda x: axis_filters.apply_along(x, axis_filters.ghost_matrices(
                tf.constant([GHOSTS[axes]]), tf.constant([GHOST_INTENSITY]), size[0]), 0),
            {"ghosts": GHOSTS[axes], "intensity": GHOST_INTENSITY}, {TORCHIO: 1e-5},
            note={TORCHIO: "counts lines from the first, ours from the centre: alike where the number "
                           "of ghosts divides half the grid"},
        ),
        "Rician noise": Case(
            lambda x: intensity_changes.apply_noise(x, tf.constant(sd), tf.constant(normals), "rician"),
            {"sd": SD, "normals": normals}, {MONAI: 1e-5},
        ),
        "erased box": Case(
            lambda x: intensity_changes.apply_erasing(
                x, tf.constant([start], tf.float32), tf.constant([stop], tf.float32), "low"),
            {"start": start, "stop": stop}, {MONAI: 0.0},
        ),
    }  # fmt: skip
    if axes == 3:
        quarter = augment3d.random_rot90(tf.constant([[0.3, 0.0, 0.0]]), size)
        made["quarter turn"] = Case(_moved(size, quarter), {}, {MONAI: 1e-6})
    return made


def _means(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, list(range(1, images.shape.rank - 1)))


def _blurred(images: tf.Tensor) -> tf.Tensor:
    for axis, length in enumerate(images.shape[1:-1]):
        matrices = axis_filters.blur_matrices(tf.constant([BLUR]), length)
        images = axis_filters.apply_along(images, matrices, axis)
    return images


def _moved(size: tuple[int, ...], matrix: tf.Tensor) -> Callable:
    """The resampling by a matrix of 2D (batch, 3, 3) or 3D (batch, 4, 4)."""
    if len(size) == 3:
        return lambda images: resample3d(images, matrix)
    return lambda images: resample2d(images, tf.reshape(matrix, (-1, 9))[:, :8])


def _flip(size: tuple[int, ...]) -> tf.Tensor:
    uniforms = tf.zeros((1, 1))
    if len(size) == 3:
        return augment3d.random_flip(uniforms, size, "left_right", 1.0)
    return augment2d.random_flip(uniforms, size, "columns", 1.0)


def _affine(size: tuple[int, ...]) -> Case:
    """Turned, shifted and made larger, linear."""
    limits = {MONAI: 1e-4, TORCHIO: 1e-4}
    if len(size) == 3:
        matrix = affine_matrix(size)
        return Case(_moved(size, matrix), peers_affine(matrix[0].numpy()), limits)
    rows, columns = size
    shift_rows, shift_columns, degrees = SHIFT_VOXELS[0], SHIFT_VOXELS[1], DEGREES[0]
    uniforms = (np.array([degrees, shift_columns, shift_rows]) + 1) / 2
    matrix = augment2d.random_affine(
        tf.constant([[*uniforms, 0.0]], tf.float32), size, 1.0, 1 / columns, (ZOOM, ZOOM)
    )
    # From (column, row) in pixels to (row, column) from the middle, as MONAI counts.
    swapped = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    to_middle = np.array([[1, 0, -(rows - 1) / 2], [0, 1, -(columns - 1) / 2], [0, 0, 1]])
    own = to_middle @ swapped @ matrix[0].numpy().astype(float) @ swapped @ np.linalg.inv(to_middle)
    whole = np.eye(4)
    whole[:2, :2], whole[:2, 3] = own[:2, :2], own[:2, 2]
    peers = peers_affine(whole, (ZOOM, ZOOM, 1.0)) | {"matrix": own.tolist()}
    return Case(_moved(size, matrix), peers, limits)


def _elastic(size: tuple[int, ...], rng: np.random.Generator) -> Case:
    """Displacements by B-splines of given control points, the outermost two of which are 0."""
    axes, inner = len(size), CONTROL_POINTS - 4
    control = rng.uniform(-MOST_VOXELS, MOST_VOXELS, (inner,) * axes + (axes,)).astype(np.float32)
    control = np.pad(control, [(2, 2)] * axes + [(0, 0)])
    field_voxels = elastic.displacements(tf.constant(control[None]), size)  # (1, *grid, axes)
    resample = resample3d if axes == 3 else resample2d
    identity = tf.eye(axes + 1, batch_shape=[1])
    matrix = identity if axes == 3 else tf.reshape(identity, (1, 9))[:, :8]
    return Case(
        lambda images: resample(images, matrix, field_voxels),
        {"control": control, "field": field_voxels[0].numpy()}, {MONAI: 1e-4, TORCHIO: 5e-3},
        note={MONAI: "given our displacements: its own are blurred noise (3D) or bicubic (2D)",
              TORCHIO: "given our control points: ITK's B-splines, whose grid reaches 1/8 voxel further "
                       "on either side"},
    )  # fmt: skip


def _bias(axes: int) -> Case:
    """A field by Legendre polynomials as MONAI's, written as the powers that mri_tf and TorchIO take."""
    terms = intensity_changes.bias_terms(axes)
    powers = dict.fromkeys(terms, 0.0)
    for degrees, value in LEGENDRE.items():
        lines = [np.polynomial.legendre.leg2poly([0] * degree + [1]) for degree in degrees[:axes]]
        for place in np.ndindex(*map(len, lines)):
            powers[place] += value * np.prod([line[at] for line, at in zip(lines, place, strict=True)])
    legendre = {degrees[:axes]: value for degrees, value in LEGENDRE.items()}
    if axes == 2:  # MONAI's terms of images are those whose second degree is at most the first
        of_monai = [legendre.get((i, j), 0.0) for i in range(4) for j in range(i + 1)]
    else:
        of_monai = [legendre.get(term, 0.0) for term in terms]
    # TorchIO has three axes always; of images the last is one voxel deep, where its place is 0.5.
    of_torchio = [
        powers.get((i, j, k)[:axes], 0.0) if axes == 3 or not k else 0.0
        for i in range(4) for j in range(4 - i) for k in range(4 - i - j)
    ]  # fmt: skip
    coefficients = tf.constant([[powers[term] for term in terms]], tf.float32)
    return Case(
        lambda images: intensity_changes.apply_bias_field(images, coefficients),
        {"legendre": of_monai, "powers": of_torchio}, {MONAI: 1e-5, TORCHIO: 1e-5},
        note={MONAI: "Legendre polynomials, ours are powers: the same fields"
              + ("; its terms of images reach degree 6, but lack those of a higher second degree"
                 if axes == 2 else "")},
    )  # fmt: skip


def _aligned(length: int) -> slice:
    """Whole slices of THICK voxels, about the same voxels as ours."""
    start = (length // 2 - THICK // 2) % THICK
    return slice(start, start + (length - start) // THICK * THICK)
