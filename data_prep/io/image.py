"""Reads image files (PNG, JPEG, WEBP, BMP, TIFF; 8 or 16 bit) into arrays of their stored values.

The format is detected from the content; the file name does not matter. PNG and JPEG are decoded by
the code that served models use, `mri_tf.pipeline.image_files.decode_png_or_jpeg`; TIFF of more than
8 bits, or with signs or fractions, by tifffile; other files by Pillow. All are treated alike: palettes
are looked up, opacity is left away, CMYK becomes RGB, colour becomes grey by one luma, and an image is
turned as its orientation says.
"""

import functools
import io
import logging
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.folders import require_file

PNG = b"\x89PNG"
JPEG = b"\xff\xd8\xff"
DECODED_AS_SERVED = (PNG, JPEG)
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two with offsets of 64 bits
STARTS = {
    "PNG": PNG, "JPEG": JPEG, "TIFF": TIFF, "BMP": b"BM", "GIF": b"GIF8", "WEBP": b"RIFF",
}  # fmt: skip
FORMATS = ("PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")  # Pillow cuts 16 bits of others to 8
PORTABLE_MAPS = {b"P2": (255, 65535), b"P5": (255, 65535), b"P3": (255,), b"P6": (255,)}
SMALLEST_IMAGE_BYTES = 26  # a PNG header up to and including its colour type
EXACT_INTEGER = 2**24  # float32 holds every integer up to it


def read_image(path: Path, channels: int, bits: int = 0) -> np.ndarray:
    """Reads one image file.

    Args:
        path: the file.
        channels: 1 or 3; a colour image becomes grey for 1, a grey image is repeated for 3.
        bits: 8 scales the values of a 16-bit file to 0..255; 0 keeps them.

    Returns:
        (rows, columns, channels) float32 of the stored values.

    Raises:
        Unreadable: the file is missing, empty, damaged or not an image, contains several images, or
            values that float32 does not hold.
    """
    data = _content(path)
    if data.startswith(PNG) and (count := _png_frames(data)) > 1:
        raise Unreadable(f"the file contains {count} images, not one")
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
    if data.startswith(TIFF):
        deep = _deep_tiff(data)
        if deep is not None:
            return _with_channels(deep, channels, bits)
    return _read_by_pillow(data, channels, bits)


def format_of(path: Path) -> str:
    """The format of an image file by its first bytes, such as "PNG"; "another" where it is not known."""
    with path.open("rb") as file:
        first = file.read(SMALLEST_IMAGE_BYTES)
    for name, starts in STARTS.items():
        if first.startswith(starts):
            return name
    return "another"


def _content(path: Path) -> bytes:
    require_file(path)
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
    return data


def _png_frames(data: bytes) -> int:
    """The number of frames that an animated PNG names (chunk acTL, before the image); 1 for others."""
    at = 8  # after the signature
    while at + 12 <= len(data):
        kind, length = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4])
        if kind == b"acTL":
            return int.from_bytes(data[at + 8 : at + 12])
        if kind == b"IDAT":
            return 1
        at += 12 + length
    return 1


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
    return label_values(mask, label_count)


def label_values(mask: np.ndarray, label_count: int) -> np.ndarray:
    """A label map (rows, columns) as uint8, of stored values as `read_label_image` takes them."""
    values = np.unique(mask)
    if label_count == 2 and set(values) <= {0, 255}:
        return (mask > 0).astype(np.uint8)
    unknown = [f"{value:g}" for value in values if value not in range(label_count)]
    if unknown:
        raise Unreadable(f"the mask contains values that are not labels: {', '.join(unknown[:5])}")
    return mask.astype(np.uint8)


def _palette_indices(path: Path) -> np.ndarray | None:
    """(rows, columns) indices of an image with a palette; None for any other file."""
    from PIL import Image, ImageOps

    try:
        # From memory: Pillow maps a file with the sides of the turned image, which scrambles a TIFF.
        with Image.open(io.BytesIO(_content(path)), formats=FORMATS) as image:
            if image.mode != "P" or getattr(image, "n_frames", 1) > 1:
                return None
            is_png = image.format == "PNG"  # whose EXIF block is not read, as for images
            return np.asarray(image if is_png else ImageOps.exif_transpose(image), dtype=np.float32)
    except Exception:
        return None  # read_image reports why the file cannot be read


def _deep_tiff(data: bytes) -> np.ndarray | None:
    """(rows, columns, samples) of a TIFF that Pillow would cut, wrap or not open; None for 8 bits."""
    import tifffile

    from mri_tf.pipeline.image_files import MAX_PIXELS, TOO_LARGE

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # it logs what is reported here
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            if len(file.pages) > 1:
                raise Unreadable(f"the file contains {len(file.pages)} images, not one")
            page = file.pages[0]
            if page.dtype is None:
                raise Unreadable("its samples are of different kinds, or of one that is not known")
            if page.imagewidth * page.imagelength > MAX_PIXELS:
                raise Unreadable(TOO_LARGE)
            if page.bitspersample <= 8 and page.dtype.kind in "ub":
                return None
            pixels = page.asarray()
            axes, photometric = page.axes, page.photometric
            orientation = int(page.tags.valueof(274, default=1))
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes tifffile and its decoders raise any error
        kind = type(error).__name__
        raise Unreadable(f"not a readable image (truncated or damaged: {kind})") from None
    if axes not in ("YX", "YXS", "SYX") or pixels.ndim != len(axes) or pixels.dtype.kind not in "uif":
        raise Unreadable("the file contains a stack or complex numbers, not one image")
    pixels = np.moveaxis(pixels, axes.index("S"), -1) if "S" in axes else pixels[..., None]
    kinds = tifffile.PHOTOMETRIC
    if photometric == kinds.MINISWHITE:
        if pixels.dtype.kind != "u":
            raise Unreadable("white is 0, but its values have signs or fractions")
        pixels = np.iinfo(pixels.dtype).max - pixels
    elif photometric not in (kinds.MINISBLACK, kinds.RGB):
        colours = getattr(photometric, "name", "an unknown colour space")
        raise Unreadable(f"more than 8 bits of {colours}: convert it to RGB or grey")
    colours = 3 if photometric == kinds.RGB else 1  # further samples are opacity
    return _turned(pixels[..., :colours], orientation)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An image that lies by a TIFF or EXIF orientation (1 to 8), turned or mirrored to lie upright."""
    if 5 <= orientation <= 8:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def _read_by_pillow(data: bytes, channels: int, bits: int) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise Unreadable(f"the file contains {image.n_frames} images, not one")
            if image.format == "PPM":
                _check_portable_map(data)
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits, which some formats give as int32
                pixels = np.asarray(image).astype(np.uint16)[..., None]
            elif image.mode in ("1", "L", "LA"):
                pixels = np.asarray(image.convert("L"))[..., None]
            else:
                pixels = np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise Unreadable("not a readable image (no PNG, JPEG, WEBP, BMP, GIF or TIFF file)") from None
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes Pillow raise TypeError, KeyError, struct.error ...
        kind = type(error).__name__
        raise Unreadable(f"not a readable image (truncated or damaged: {kind})") from None
    return _with_channels(pixels, channels, bits)


def _check_portable_map(data: bytes) -> None:
    """Raises Unreadable for a portable grey map or pixmap whose values Pillow would scale or cut."""
    readable = PORTABLE_MAPS.get(data[:2])
    lines = (line.partition(b"#")[0] for line in data[:1000].splitlines())
    highest = int(b" ".join(lines).split()[3]) if readable else 0  # after width and height
    if readable and highest not in readable:
        raise Unreadable(f"a portable map with values up to {highest}: convert it to PNG or TIFF")


def _luma(colours: np.ndarray) -> np.ndarray:
    """(rows, columns, 1) of the same type from (rows, columns, 3); whole numbers as served ones."""
    from mri_tf.pipeline.image_files import LUMA_PER_MILLE

    if colours.dtype.kind == "f":
        return (colours @ np.array(LUMA_PER_MILLE) / 1000)[..., None].astype(colours.dtype)
    rounded = np.round(colours.astype(np.int64) @ np.array(LUMA_PER_MILLE) / 1000)
    return rounded[..., None].astype(colours.dtype)


def _with_channels(stored: np.ndarray, channels: int, bits: int) -> np.ndarray:
    """(rows, columns, channels) float32 from (rows, columns, 1 or 3) as stored; raises Unreadable."""
    if channels == 1 and stored.shape[-1] == 3:
        stored = _luma(stored)
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is refused
        pixels = stored.astype(np.float32)
    if not np.all(np.isfinite(pixels)):
        raise Unreadable("the image contains NaN or infinite values")
    if stored.dtype.kind in "ui" and stored.dtype.itemsize > 2 and np.any(pixels != stored):
        raise Unreadable(f"whole numbers above {EXACT_INTEGER:,}, which float32 does not hold exactly")
    if bits == 8 and stored.dtype.itemsize > 1:
        if stored.dtype.kind != "u" or stored.dtype.itemsize > 2:
            raise Unreadable(f"values of type {stored.dtype} have no known range to scale to 0..255")
        pixels = pixels / np.float32(257)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], channels)))
