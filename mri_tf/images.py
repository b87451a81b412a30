"""Image files to the prepared grid, as TensorFlow ops: one code at preparation and when served.

PNG and JPEG are decoded here; preparation decodes other formats itself and shares `fit_to_grid`.
"""

import tensorflow as tf


def decode_png_or_jpeg(data: tf.Tensor, channels: int) -> tf.Tensor:
    """PNG or JPEG bytes -> (rows, columns, channels) float32 of the stored values.

    An 8-bit file gives 0..255 and a 16-bit PNG 0..65535; colour becomes grey if `channels` is 1.
    """
    is_png = tf.strings.substr(data, 0, 4) == b"\x89PNG"
    bit_depth = tf.strings.substr(data, 24, 1)  # in the PNG header

    def png16():
        return tf.cast(tf.io.decode_png(data, channels, dtype=tf.uint16), tf.float32)

    def png8():
        return tf.cast(tf.io.decode_png(data, channels), tf.float32)

    def jpeg():
        # The default is faster and up to 5 grey levels off what other decoders give.
        exact = tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE")
        return tf.cast(exact, tf.float32)

    def png():
        return tf.cond(tf.equal(bit_depth, b"\x10"), png16, png8)

    image = tf.cond(is_png, png, jpeg)
    image.set_shape((None, None, channels))
    return image


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
