"""Decodes PNG and JPEG files and fits images to the grid, as TensorFlow ops.

PNG and JPEG are decoded here; preparation decodes other formats itself and shares `fit_to_grid`.
"""

import tensorflow as tf

MAX_PIXELS = 2**25  # 5792 x 5792; the largest mammograms have 28 million
TOO_LARGE = f"an image of more than {MAX_PIXELS} pixels"
HEAD_BYTES = 4096  # of a JPEG: its EXIF block comes first, and the first directory first in it
EXIF, ORIENTATION_TAG, UPRIGHT = b"Exif\x00\x00", 0x0112, 1
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of red, green and blue


def decode_png_or_jpeg(data: tf.Tensor, channels: int, bits: int = 0) -> tf.Tensor:
    """PNG or JPEG bytes -> (rows, columns, channels) float32 of the stored values.

    An 8-bit file gives 0..255 and a 16-bit PNG 0..65535, or 0..255 too (divided by 257, not cut)
    where `bits` is 8. A palette is looked up, opacity is left away, CMYK becomes RGB, and an image
    lies as its JPEG's EXIF block says (a PNG's is not read). With one channel colour becomes grey
    by luma, 0.299 R + 0.587 G + 0.114 B, rounded; with three, grey is repeated. Raises
    tf.errors.InvalidArgumentError for what is neither, damaged, or of more than MAX_PIXELS.
    """
    is_png = tf.strings.substr(data, 0, 4) == b"\x89PNG"
    bit_depth = tf.strings.substr(data, 24, 1)  # in the PNG header

    def pixels_of_png():
        sides = tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8)  # of the header, big-endian
        places = tf.constant([256.0**power for power in (3, 2, 1, 0)])
        wide = tf.cast(tf.reshape(sides, (2, 4)), tf.float32)
        return tf.reduce_prod(tf.reduce_sum(wide * places, axis=1))

    def pixels_of_jpeg():
        return tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(data)[:2], tf.float32))

    def png16():
        stored = tf.cast(tf.io.decode_png(data, channels, dtype=tf.uint16), tf.float32)
        return stored / 257.0 if bits == 8 else stored

    def png8():
        return tf.cast(tf.io.decode_png(data, channels), tf.float32)

    def decode_jpeg(count):
        # The default is faster and up to 5 grey levels off what other decoders give.
        exact = tf.io.decode_jpeg(data, count, dct_method="INTEGER_ACCURATE")
        return tf.cast(exact, tf.float32)

    def jpeg():
        if channels != 1:
            return _upright(decode_jpeg(channels), exif_orientation(data))
        cmyk = tf.equal(tf.io.extract_jpeg_shape(data)[2], 4)  # which decode_jpeg cannot make grey
        image = tf.cond(cmyk, lambda: _luma(decode_jpeg(3)), lambda: decode_jpeg(1))
        return _upright(image, exif_orientation(data))

    def png():
        return tf.cond(tf.equal(bit_depth, b"\x10"), png16, png8)

    # A few kilobytes of a file can be gigabytes of pixels.
    pixels = tf.cond(is_png, pixels_of_png, pixels_of_jpeg)
    small = tf.debugging.assert_less_equal(pixels, float(MAX_PIXELS), TOO_LARGE)
    with tf.control_dependencies([small]):
        image = tf.cond(is_png, png, jpeg)
    image.set_shape((None, None, channels))
    return image


def _luma(image: tf.Tensor) -> tf.Tensor:
    return tf.round(tf.tensordot(image, tf.constant(LUMA), 1))[..., None]


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """An image that lies by an EXIF orientation (1 to 8), turned or mirrored to lie upright."""

    def flipped(image, axis, orientations):
        wanted = tf.reduce_any(tf.equal(orientation, orientations))
        return tf.cond(wanted, lambda: tf.reverse(image, [axis]), lambda: image)

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    return flipped(flipped(image, 1, [2, 3, 6, 7]), 0, [3, 4, 7, 8])


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """The orientation, 1 to 8, that the EXIF block of a JPEG names; 1 where it names none.

    Read from the first directory of the block (TIFF 6.0, EXIF 2.3), in either byte order.
    """
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, HEAD_BYTES), tf.uint8), tf.int32)
    size = tf.size(head)
    padded = tf.concat([head, tf.zeros(32, tf.int32)], axis=0)
    marks = [tf.equal(padded[place : size + place], byte) for place, byte in enumerate(EXIF)]
    found = tf.reduce_all(marks, axis=0)
    block = tf.cast(tf.argmax(tf.cast(found, tf.int32)), tf.int32) + len(EXIF)
    little = tf.equal(padded[block], ord("I"))

    def number(values):
        """Numbers from (..., bytes), in the block's byte order."""
        ordered = tf.where(little, values, tf.reverse(values, [-1]))
        return tf.reduce_sum(ordered * [256**power for power in range(values.shape[-1])], axis=-1)

    # The third and fourth byte of an offset are 0 in a block of less than 64 kB.
    low = tf.where(little, padded[block + 4 : block + 6], padded[block + 6 : block + 8])
    directory = tf.minimum(block + number(tf.ensure_shape(low, (2,))), size)
    count = number(tf.ensure_shape(padded[directory : directory + 2], (2,)))
    count = tf.minimum(count, (size + 30 - directory) // 12)
    entries = tf.reshape(padded[directory + 2 : directory + 2 + 12 * count], (-1, 12))
    values = tf.boolean_mask(number(entries[:, 8:10]), number(entries[:, :2]) == ORIENTATION_TAG)
    value = tf.concat([values, [UPRIGHT]], axis=0)[0]
    named = tf.reduce_any(found) & (value >= 1) & (value <= 8)
    return tf.where(named, value, UPRIGHT)


def fit_to_grid(image: tf.Tensor, grid: tuple[int, int], method: str) -> tf.Tensor:
    """(rows, columns, channels) -> (*grid, channels) float32, aspect kept, centred.

    `method` is `bilinear` (antialiased) for images and `nearest` for label maps. What the image
    does not cover takes its smallest value (0 for label maps): air, or a dark border.
    """
    rows, columns = grid
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.minimum(rows / shape[0], columns / shape[1])
    size = tf.clip_by_value(tf.cast(tf.round(shape * scale), tf.int32), 1, [rows, columns])
    resized = tf.image.resize(image, size, method=method, antialias=method == "bilinear")
    resized = tf.cast(resized, tf.float32)
    fill = tf.reduce_min(resized) if method == "bilinear" else 0.0
    top, left = (rows - size[0]) // 2, (columns - size[1]) // 2
    padding = [[top, rows - size[0] - top], [left, columns - size[1] - left], [0, 0]]
    padded = tf.pad(resized, padding, constant_values=fill)
    return tf.ensure_shape(padded, (rows, columns, image.shape[-1]))


def to_record_values(image: tf.Tensor, slope: float, intercept: float, dtype: str) -> tf.Tensor:
    """Stored values -> the task's unit (value x slope + intercept), as a record of `dtype` holds them.

    The result is float32 with the record's rounding and range, so that a served image and a
    prepared one are the same numbers.
    """
    values = image * slope + intercept
    kind = tf.as_dtype(dtype)
    if kind.is_integer:
        values = tf.clip_by_value(tf.round(values), float(kind.min), float(kind.max))
    return values
