"""Reads the pixel data of DICOM files: decoded by pydicom and imagecodecs, scaled slice by slice."""

from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import PIXEL_TAGS, quiet_pydicom
from data_prep.io.dicom.slices import Slice

# The smallest that holds the rescaled values is used, unless they fit the stored type.
INTEGERS = (np.int16, np.uint16, np.int32, np.uint32, np.int64)
# Without these fields nobody knows what the bytes of the pixel data mean.
NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
MUCH_SMOOTHER = 0.5  # of the steps between neighbours: values above BitsStored that were cut have jumps


def values_of(stack: list[Slice]) -> np.ndarray:
    """Reads the values of a stack, each slice scaled by its own slope and intercept.

    Returns:
        (slices, rows, columns): integers, in the stored type if the values fit, where every slope
        is 1 and every intercept a whole number; else floats.

    Raises:
        Unreadable: pixel data that are missing, damaged or of another size than the header says.
    """
    slices_of: dict[Path, list[int]] = {}
    for number, item in enumerate(stack):
        slices_of.setdefault(item.file, []).append(number)
    planes, dtypes = {}, set()
    for file, numbers in slices_of.items():
        frames = stored_values(file)  # (frames, rows, columns)
        dtypes.add(frames.dtype)
        planes |= {number: _rescaled(frames, stack[number]) for number in numbers}
    values = np.stack([planes[number] for number in range(len(stack))])
    return _narrowed(values, np.result_type(*dtypes))


def stored_values(path: Path) -> np.ndarray:
    """Reads (frames, rows, columns) as stored, in any transfer syntax; raises Unreadable."""
    import pydicom

    from data_prep.io.dicom import decoder as dicom_decoder

    dicom_decoder.register()
    compressed = ""
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, force=True)
            if not any(tag in dataset for tag in PIXEL_TAGS):
                raise Unreadable("the pixel data are cut off")
            _name_syntax(dataset)
            _fill_in(dataset)
            syntax = dataset.file_meta.TransferSyntaxUID
            _check_syntax(syntax)
            if syntax.is_compressed:
                compressed = f"{syntax.name}, "
            own = dicom_decoder.is_available(syntax)  # used even if others are installed
            plugin = {"decoding_plugin": dicom_decoder.PLUGIN} if own else {}
            # The bits that are not used are cut below, unless they are values.
            dataset.pixel_array_options(correct_unused_bits=False, **plugin)
            array = _meaningful_bits(dataset.pixel_array, dataset)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("the image does not fit into memory") from None
    except Exception as error:  # damaged data make decoders raise any error
        kind = f"{compressed}{type(error).__name__}"
        raise Unreadable(f"the pixel data are damaged or cut off ({kind})") from None
    return array[None] if array.ndim == 2 else array


def _name_syntax(dataset) -> None:
    """Adds the transfer syntax to files without one (older than part 10), as they were parsed."""
    from pydicom import uid
    from pydicom.dataset import FileMetaDataset

    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _fill_in(dataset) -> None:
    """Adds what a grey image can only mean where the header lacks it; raises Unreadable for the rest."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        return
    if dataset.get("BitsStored") is None and dataset.get("HighBit") is not None:
        dataset.BitsStored = dataset.HighBit + 1
    for keyword in NEEDED:
        if dataset.get(keyword) is None:
            raise Unreadable(f"the header lacks {keyword}")
    if dataset.get("SamplesPerPixel") is None:
        dataset.SamplesPerPixel = 1
    if not dataset.get("PhotometricInterpretation"):
        dataset.PhotometricInterpretation = "MONOCHROME2"
    if dataset.get("HighBit") is None:
        dataset.HighBit = dataset.BitsStored - 1


def _check_syntax(syntax) -> None:
    """Raises Unreadable for a transfer syntax that is not known, or whose pixels cannot be decoded."""
    from pydicom.pixels import get_decoder

    if syntax.is_private or not syntax.is_transfer_syntax:
        raise Unreadable("the transfer syntax, which says how pixels are stored, is not a known one")
    if not syntax.is_compressed:
        return
    try:
        get_decoder(syntax)
    except NotImplementedError:
        raise Unreadable(f"pixels stored as {syntax.name}, which cannot be decoded") from None


def _meaningful_bits(array: np.ndarray, dataset) -> np.ndarray:
    """Whole numbers without the bits that the header says are not theirs, such as those of overlays.

    Where the image is much smoother with these bits, the header is wrong and the values stay whole.
    """
    if array.dtype.kind not in "iu":
        return array
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    unused = 8 * array.dtype.itemsize - dataset.BitsStored
    if unused <= 0:
        return array
    signed = dataset.PixelRepresentation == 1
    # Shifted up and down again: the uppermost bit that counts is the sign, or is followed by zeros.
    unsigned = array.view(f"u{array.dtype.itemsize}") << unused
    without = unsigned.view(f"{'i' if signed else 'u'}{array.dtype.itemsize}") >> unused
    if np.array_equal(array, without):
        return without
    steps, steps_without = _steps(array), _steps(without)  # where the bits make a difference
    differ = steps != steps_without
    smooth = steps[differ].sum() < MUCH_SMOOTHER * steps_without[differ].sum()
    return array if smooth else without


def _steps(array: np.ndarray) -> np.ndarray:
    """(steps,) how much neighbours along the last two axes, rows and columns, differ."""
    wide = array.astype(np.int64)
    return np.concatenate([np.abs(np.diff(wide, axis=axis)).ravel() for axis in (-1, -2)])


def _rescaled(frames: np.ndarray, item: Slice) -> np.ndarray:
    """One scaled plane, (rows, columns): int32, int64 or float32."""
    if item.frame >= len(frames) or frames.shape[1:] != item.shape:
        raise Unreadable("the size of the pixel data differs from the header's")
    plane = frames[item.frame]
    if plane.dtype.kind in "iu" and item.slope == 1 and item.intercept.is_integer():
        small = plane.dtype.itemsize <= 2 and abs(item.intercept) < 2**30
        return plane.astype(np.int32 if small else np.int64) + int(item.intercept)
    return (plane * np.float64(item.slope) + item.intercept).astype(np.float32)


def _narrowed(values: np.ndarray, stored: np.dtype) -> np.ndarray:
    """Integers in the stored type or the first of INTEGERS that holds them; floats unchanged."""
    if values.dtype.kind == "f":
        return values
    low, high = values.min(), values.max()
    for dtype in (stored, *INTEGERS):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values
