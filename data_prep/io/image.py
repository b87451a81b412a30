"""Image files (PNG, JPEG, WEBP, BMP, TIFF; 8 or 16 bit) to arrays of their stored values.

The format is that of the content, whatever the file is called. PNG and JPEG are decoded by the
code that also serves them; palettes, opacity, CMYK, grey and EXIF orientation are treated in the
other formats as `mri_tf.pipeline.image_files.decode_png_or_jpeg` says.
"""

import functools
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable

DECODED_AS_SERVED = (b"\x89PNG", b"\xff\xd8\xff")
SMALLEST_IMAGE_BYTES = 26  # where a PNG header's bit depth has been read


def read_image(path: Path, channels: int, bits: int = 0) -> np.ndarray:
    """(rows, columns, channels) float32 of the stored values; colour becomes grey for one channel.

    With `bits` 8 the values of a 16-bit file are brought to 0..255. Raises Unreadable.
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
        raise Unreadable("not a whole image file (too short)")
    if data.startswith(DECODED_AS_SERVED):
        import tensorflow as tf

        try:
            with tf.device("CPU"):
                return _decoder(channels, bits)(tf.constant(data)).numpy()
        except tf.errors.OpError as error:
            from mri_tf.pipeline.image_files import TOO_LARGE

            if TOO_LARGE in str(error):
                raise Unreadable(TOO_LARGE) from None
            raise Unreadable("not a whole PNG or JPEG file (truncated or damaged)") from None
    return _read_by_pillow(path, channels, bits)


@functools.cache
def _decoder(channels: int, bits: int):
    """`decode_png_or_jpeg` as a graph, as it is served: op by op it would take as long as decoding."""
    import tensorflow as tf

    from mri_tf.pipeline.image_files import decode_png_or_jpeg

    return tf.function(
        lambda data: decode_png_or_jpeg(data, channels, bits),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def read_label_image(path: Path, label_count: int) -> np.ndarray:
    """(rows, columns) uint8 label map; with two labels, a 0/255 mask becomes 0/1.

    An image with a palette gives its indices, as labelling tools write it. Raises Unreadable for
    a value that is no label of the task.
    """
    mask = _palette_indices(path)
    if mask is None:
        mask = read_image(path, 1)[..., 0]
    values = np.unique(mask)
    if label_count == 2 and set(values) <= {0, 255}:
        return (mask > 0).astype(np.uint8)
    unknown = [f"{value:g}" for value in values if value not in range(label_count)]
    if unknown:
        raise Unreadable(f"the mask holds values that are no label: {', '.join(unknown[:5])}")
    return mask.astype(np.uint8)


def _palette_indices(path: Path) -> np.ndarray | None:
    """(rows, columns) indices of an image with a palette; None for any other file."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image, dtype=np.float32) if image.mode == "P" else None
    except Exception:
        return None  # read_image says why it cannot be read


def _read_by_pillow(path: Path, channels: int, bits: int) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise Unreadable(f"the file holds {image.n_frames} images, not one")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith(("I", "F")):  # 16 or 32 bit grey
                grey = np.asarray(image, dtype=np.float32)[..., None]
                pixels = np.repeat(grey, channels, axis=-1)
                if bits == 8:
                    pixels = _in_8_bits(pixels, image.mode)
            else:
                mode = "L" if channels == 1 else "RGB"
                pixels = np.asarray(image.convert(mode), dtype=np.float32)
    except UnidentifiedImageError:
        raise Unreadable("not a readable image (its content is of no known format)") from None
    except Unreadable:
        raise
    except Exception as error:  # TypeError, KeyError, struct.error: whatever damage brings Pillow to
        raise Unreadable(
            f"not a readable image (truncated or damaged: {type(error).__name__})"
        ) from None
    if not np.all(np.isfinite(pixels)):
        raise Unreadable("the image holds NaN or infinite values")
    return pixels.reshape(*pixels.shape[:2], -1)


def _in_8_bits(pixels: np.ndarray, mode: str) -> np.ndarray:
    if not mode.startswith("I;16"):
        raise Unreadable("values of 32 bits have no range that could be brought to 0..255")
    return pixels / np.float32(257)
