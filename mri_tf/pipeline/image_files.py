"""Decodes PNG and JPEG files and fits images to the grid, as TensorFlow ops.

PNG and JPEG are decoded here; preparation decodes other formats itself and shares `fit_to_grid`.
"""

import tensorflow as tf

MAX_PIXELS = 2**25  # 5792 x 5792; the largest mammograms have 28 million
TOO_LARGE = f"an image of more than {MAX_PIXELS} pixels"
EXIF_BYTES = 2**16  # the longest EXIF block
MARKER, APP1, START_OF_SCAN = 0xFF, 0xE1, 0xDA
COLOUR_OF_PNG = b"\x02\x03\x06"  # colour types: RGB, palette, RGB with opacity
EXIF, ORIENTATION_TAG, UPRIGHT = b"Exif\x00\x00", 0x0112, 1
LUMA_PER_MILLE = (299, 587, 114)  # ITU-R BT.601, of red, green and blue


def decode_png_or_jpeg(data: tf.Tensor, channels: int, bits: int = 0) -> tf.Tensor:
    """PNG or JPEG bytes -> (rows, columns, channels) float32 of the stored values.

    An 8-bit file gives 0..255 and a 16-bit PNG 0..65535, or 0..255 too (divided by 257, not cut)
    where `bits` is 8. A palette is looked up, opacity is left away, CMYK becomes RGB, and an image
    lies as its JPEG's EXIF block says (a PNG's is not read). With one channel colour becomes grey
    by luma, 0.299 R + 0.587 G + 0.114 B, rounded, whatever gamma or profile the file names; with
    three, grey is repeated. Raises tf.errors.InvalidArgumentError for what is neither, damaged, or
    of more than MAX_PIXELS.
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

    def decode_png(count):
        def png16():
            return tf.cast(tf.io.decode_png(data, count, dtype=tf.uint16), tf.float32)

        def png8():
            return tf.cast(tf.io.decode_png(data, count), tf.float32)

        return tf.cond(tf.equal(bit_depth, b"\x10"), png16, png8)

    def decode_jpeg(count):
        # The default is faster and up to 5 grey levels off what other decoders give.
        exact = tf.io.decode_jpeg(data, count, dct_method="INTEGER_ACCURATE")
        return tf.cast(exact, tf.float32)

    def decoded(decode, has_colour):
        # The decoders' own way to grey depends on the format, and on a PNG's gamma.
        if channels != 1:
            return decode(channels)
        return tf.cond(has_colour, lambda: _luma(decode(3)), lambda: decode(1))

    def jpeg():
        has_colour = tf.greater(tf.io.extract_jpeg_shape(data)[2], 1)
        return _upright(decoded(decode_jpeg, has_colour), exif_orientation(data))

    def png():
        colour_type = tf.strings.substr(data, 25, 1)
        kinds = [COLOUR_OF_PNG[place : place + 1] for place in range(len(COLOUR_OF_PNG))]
        stored = decoded(decode_png, tf.reduce_any(tf.equal(colour_type, kinds)))
        return tf.where(tf.equal(bit_depth, b"\x10"), stored / 257.0, stored) if bits == 8 else stored

    # A few kilobytes of a file can be gigabytes of pixels.
    pixels = tf.cond(is_png, pixels_of_png, pixels_of_jpeg)
    small = tf.debugging.assert_less_equal(pixels, float(MAX_PIXELS), TOO_LARGE)
    with tf.control_dependencies([small]):
        image = tf.cond(is_png, png, jpeg)
    image.set_shape((None, None, channels))
    return image


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Grey (rows, columns, 1) of colours that are whole numbers; halves are rounded to even ones."""
    total = tf.reduce_sum(tf.cast(image, tf.int32) * LUMA_PER_MILLE, axis=-1, keepdims=True)
    return tf.cast(tf.round(tf.cast(total, tf.float64) / 1000), tf.float32)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """An image that lies by an EXIF orientation (1 to 8), turned or mirrored to lie upright."""

    def flipped(image, axis, orientations):
        wanted = tf.reduce_any(tf.equal(orientation, orientations))
        return tf.cond(wanted, lambda: tf.reverse(image, [axis]), lambda: image)

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    return flipped(flipped(image, 1, [2, 3, 6, 7]), 0, [3, 4, 7, 8])


def _exif_place(data: tf.Tensor) -> tf.Tensor:
    """Where the EXIF block of a JPEG begins, after its mark, in a segment APP1; -1 if there is none."""

    def byte(place):
        return tf.cast(tf.io.decode_raw(tf.strings.substr(data, place, 1), tf.uint8)[0], tf.int32)

    def more(place, found):
        return (found < 0) & (place + 10 < tf.strings.length(data))

    def next_segment(place, found):
        marker = byte(place + 1)
        is_segment = tf.equal(byte(place), MARKER) & tf.not_equal(marker, START_OF_SCAN)
        length = 2 + 256 * byte(place + 2) + byte(place + 3)
        has_mark = tf.equal(tf.strings.substr(data, place + 4, len(EXIF)), EXIF)
        is_exif = is_segment & tf.equal(marker, APP1) & has_mark
        found = tf.where(is_exif, place + 4 + len(EXIF), found)
        is_fill_byte = tf.equal(marker, MARKER)
        after = tf.where(is_fill_byte, place + 1, place + length)
        return tf.where(is_segment, after, tf.strings.length(data)), found

    return tf.while_loop(more, next_segment, (tf.constant(2), tf.constant(-1)))[1]


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """The orientation, 1 to 8, that the EXIF block of a JPEG names; 1 where it names none.

    Read from the first directory of the block (TIFF 6.0, EXIF 2.3), in either byte order.
    """
    place = _exif_place(data)
    has_block = place >= 0
    block_bytes = tf.strings.substr(data, tf.maximum(place, 0), EXIF_BYTES)
    head = tf.cast(tf.io.decode_raw(block_bytes, tf.uint8), tf.int32)
    size = tf.size(head)
    padded = tf.concat([head, tf.zeros(32, tf.int32)], axis=0)
    little = tf.equal(padded[0], ord("I"))

    def number(values):
        """Numbers from (..., bytes), in the block's byte order."""
        ordered = tf.where(little, values, tf.reverse(values, [-1]))
        return tf.reduce_sum(ordered * [256**power for power in range(values.shape[-1])], axis=-1)

    # The third and fourth byte of an offset are 0 in a block of less than 64 kB.
    low = tf.where(little, padded[4:6], padded[6:8])
    directory = tf.minimum(number(tf.ensure_shape(low, (2,))), size)
    count = number(tf.ensure_shape(padded[directory : directory + 2], (2,)))
    count = tf.minimum(count, (size + 30 - directory) // 12)
    entries = tf.reshape(padded[directory + 2 : directory + 2 + 12 * count], (-1, 12))
    values = tf.boolean_mask(number(entries[:, 8:10]), number(entries[:, :2]) == ORIENTATION_TAG)
    value = tf.concat([values, [UPRIGHT]], axis=0)[0]
    return tf.where(has_block & (value >= 1) & (value <= 8), value, UPRIGHT)


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
