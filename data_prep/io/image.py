"""Reads image files (PNG, JPEG, WEBP, BMP, TIFF; 8 or 16 bit) into arrays of their stored values.

The format is detected from the content; the file name does not matter. PNG and JPEG are decoded by
the code that served models use, `mri_tf.pipeline.image_files.decode_png_or_jpeg`; other formats by
Pillow, with the same treatment of palettes, opacity, CMYK, grey images and EXIF orientation.
"""

import functools
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable

DECODED_AS_SERVED = (b"\x89PNG", b"\xff\xd8\xff")
SMALLEST_IMAGE_BYTES = 26  # a PNG header up to and including its bit depth


def read_image(path: Path, channels: int, bits: int = 0) -> np.ndarray:
    """Reads one image file.

    Args:
        path: the file.
        channels: 1 or 3; a colour image becomes grey for 1, a grey image is repeated for 3.
        bits: 8 scales the values of a 16-bit file to 0..255; 0 keeps them.

    Returns:
        (rows, columns, channels) float32 of the stored values.

    Raises:
        Unreadable: the file is missing, empty, damaged or not an image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Unreadable("the file does not exist") from None
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror})") from None
    if not data:
        raise Unreadable("the file is empty")
    if len(data) < SMALLEST_IMAGE_BYTES:
        raise Unreadable("not a complete image file (too short)")
    if data.startswith(DECODED_AS_SERVED):
        import tensorflow as tf

        try:
            with tf.device("CPU"):
                return _decoder(channels, bits)(tf.constant(data)).numpy()
        except tf.errors.OpError as error:
            from mri_tf.pipeline.image_files import TOO_LARGE

            if TOO_LARGE in str(error):
                raise Unreadable(TOO_LARGE) from None
            raise Unreadable("not a complete PNG or JPEG file (truncated or damaged)") from None
    return _read_by_pillow(path, channels, bits)


@functools.cache
def _decoder(channels: int, bits: int):
    """`decode_png_or_jpeg` compiled as a graph: eager operations would take as long as the decoding."""
    import tensorflow as tf

    from mri_tf.pipeline.image_files import decode_png_or_jpeg

    return tf.function(
        lambda data: decode_png_or_jpeg(data, channels, bits),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def read_label_image(path: Path, label_count: int) -> np.ndarray:
    """Reads a (rows, columns) uint8 label map; with two labels, a 0/255 mask becomes 0/1.

    An image with a palette gives its palette indices, because labelling tools store labels that way.
    Raises Unreadable if a value is not in 0..label_count - 1.
    """
    mask = _palette_indices(path)
    if mask is None:
        mask = read_image(path, 1)[..., 0]
    values = np.unique(mask)
    if label_count == 2 and set(values) <= {0, 255}:
        return (mask > 0).astype(np.uint8)
    unknown = [f"{value:g}" for value in values if value not in range(label_count)]
    if unknown:
        raise Unreadable(f"the mask contains values that are not labels: {', '.join(unknown[:5])}")
    return mask.astype(np.uint8)


def _palette_indices(path: Path) -> np.ndarray | None:
    """(rows, columns) indices of an image with a palette; None for any other file."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image, dtype=np.float32) if image.mode == "P" else None
    except Exception:
        return None  # read_image reports why the file cannot be read


def _read_by_pillow(path: Path, channels: int, bits: int) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise Unreadable(f"the file contains {image.n_frames} images, not one")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith(("I", "F")):  # 16 or 32 bit grey
                grey = np.asarray(image, dtype=np.float32)[..., None]
                pixels = np.repeat(grey, channels, axis=-1)
                if bits == 8:
                    if not image.mode.startswith("I;16"):
                        raise Unreadable("32-bit values have no known range to scale to 0..255")
                    pixels = pixels / np.float32(257)
            else:
                mode = "L" if channels == 1 else "RGB"
                pixels = np.asarray(image.convert(mode), dtype=np.float32)
    except UnidentifiedImageError:
        raise Unreadable("not a readable image (unknown format)") from None
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes Pillow raise TypeError, KeyError, struct.error ...
        kind = type(error).__name__
        raise Unreadable(f"not a readable image (truncated or damaged: {kind})") from None
    if not np.all(np.isfinite(pixels)):
        raise Unreadable("the image contains NaN or infinite values")
    return pixels.reshape(*pixels.shape[:2], -1)
