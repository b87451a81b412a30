"""Noise, bias fields and erased boxes of images and volumes: pure functions of what was drawn.

Each is compiled by XLA into few loops over the images: as separate TensorFlow ops they take several
times as long.
"""

import itertools
import string

import tensorflow as tf

BIAS_ORDER = 3  # of the polynomial
RICIAN, GAUSSIAN = NOISES = ("rician", "gaussian")
MEAN, LOW = FILLS = ("mean", "low")


def bias_terms(axes: int) -> list[tuple[int, ...]]:
    """The powers of each term of a polynomial of BIAS_ORDER over 2 or 3 axes.

    >>> len(bias_terms(2)), len(bias_terms(3))
    (10, 20)
    """
    powers = itertools.product(range(BIAS_ORDER + 1), repeat=axes)
    return [one for one in powers if sum(one) <= BIAS_ORDER]


@tf.function(jit_compile=True)
def apply_bias_field(images: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
    """Multiplies intensities above each record's and channel's least by a smooth field.

    The field is exp of a polynomial of the place, which runs from -1 to 1 along each axis (as in
    TorchIO's RandomBiasField and Van Leemput et al. 1999).

    Args:
        images: float32 (batch, [depth,] rows, columns, channels).
        coefficients: (batch, terms), in the order of `bias_terms`; 0 changes nothing.
    """
    size = images.shape[1:-1]
    lines = [tf.linspace(-1.0, 1.0, length) for length in size]
    powers = [tf.stack([line**power for power in range(BIAS_ORDER + 1)]) for line in lines]
    terms = bias_terms(len(size))
    own = [tf.gather(each, [one[axis] for one in terms]) for axis, each in enumerate(powers)]
    letters = string.ascii_lowercase[: len(size)]
    parts = ",".join(f"t{letter}" for letter in letters)
    exponent = tf.einsum(f"yt,{parts}->y{letters}", coefficients, *own)  # (batch, *grid)
    low = _least(images)
    changed = low + (images - low) * tf.exp(exponent)[..., None]
    return tf.where(exponent[..., None] == 0, images, changed)


@tf.function(jit_compile=True)
def apply_noise(images: tf.Tensor, sd: tf.Tensor, normals: tf.Tensor, kind: str) -> tf.Tensor:
    """Adds noise of a magnitude image, or Gaussian noise.

    Rician noise is the length of a complex number with Gaussian noise in both parts, on intensities
    above each record's and channel's least: dark places become brighter (Gudbjartsson and Patz 1995).

    Args:
        images: float32 (batch, [depth,] rows, columns, channels).
        sd: (batch, channels) in the unit of the images; 0 changes nothing.
        normals: (batch, 2, *grid, channels) standard normal numbers.
        kind: RICIAN or GAUSSIAN.
    """
    channels = sd.shape[-1]
    sd = tf.reshape(sd, (-1, *[1] * (images.shape.rank - 2), channels))
    if kind == GAUSSIAN:
        return images + sd * normals[:, 0]
    low = _least(images)
    real, imaginary = images - low + sd * normals[:, 0], sd * normals[:, 1]
    noisy = low + tf.sqrt(real**2 + imaginary**2)
    return tf.where(sd > 0, noisy, images)


@tf.function(jit_compile=True)
def normal_numbers(uniforms: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers from as many in [0, 1), by the inverse of their distribution.

    Takes less time than `tf.random.stateless_normal`. The numbers in [0, 1) are multiples of 2 ** -23,
    so that none is further than 5.3 from 0, and both signs are alike likely.
    """
    return 2**0.5 * tf.math.erfinv(2 * uniforms - (1 - 2**-23))


@tf.function(jit_compile=True)
def apply_erasing(
    images: tf.Tensor, start: tf.Tensor, stop: tf.Tensor, fill: str
) -> tf.Tensor:  # fmt: skip
    """Fills a box of each record with one value a channel (Zhong et al. 2020).

    Args:
        images: float32 (batch, [depth,] rows, columns, channels).
        start: (batch, axes) the first voxel of the box.
        stop: (batch, axes) the voxel after the last; a box without voxels erases nothing.
        fill: MEAN of the record's channel, or LOW, its least value.
    """
    axes = images.shape.rank - 2
    erased = tf.constant(True)
    for axis in range(axes):
        place = tf.range(images.shape[1 + axis], dtype=tf.float32)[None]
        inside = (place >= start[:, axis : axis + 1]) & (place < stop[:, axis : axis + 1])
        shape = [-1, *[1] * axis, images.shape[1 + axis], *[1] * (axes - axis)]
        erased &= tf.reshape(inside, shape)
    grid = list(range(1, axes + 1))
    value = tf.reduce_mean(images, grid, keepdims=True) if fill == MEAN else _least(images)
    return tf.where(erased, value, images)


def _least(images: tf.Tensor) -> tf.Tensor:
    """The least value of each record and channel, (batch, 1, ..., 1, channels)."""
    return tf.reduce_min(images, list(range(1, images.shape.rank - 1)), keepdims=True)
