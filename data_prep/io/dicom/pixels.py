"""Pixel data of DICOM files: decoded by pydicom and imagecodecs, scaled slice by slice."""

from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.dicom.header import PIXEL_TAGS, Slice, quiet_pydicom

# Smallest first; values after rescale keep the stored type where they fit it.
INTEGERS = (np.int16, np.uint16, np.int32, np.uint32, np.int64)


def values_of(stack: list[Slice]) -> np.ndarray:
    """(slices, rows, columns) after each slice's own slope and intercept; raises Unreadable.

    Integers where no slope is fractional: in the stored type if the values fit; else float32.
    """
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(stack):
        places.setdefault(item.file, []).append(place)
    planes, dtypes = {}, set()
    for file, own in places.items():
        frames = stored_values(file)  # (frames, rows, columns)
        dtypes.add(frames.dtype)
        planes |= {place: _rescaled(frames, stack[place]) for place in own}
    values = np.stack([planes[place] for place in range(len(stack))])
    return _narrowed(values, np.result_type(*dtypes))


def stored_values(path: Path) -> np.ndarray:
    """(frames, rows, columns) as stored, of a file with any transfer syntax; raises Unreadable."""
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
            syntax = dataset.file_meta.TransferSyntaxUID
            if syntax.is_transfer_syntax and syntax.is_compressed:
                compressed = f"{syntax.name}, "
            if dicom_decoder.is_available(syntax):  # whatever other decoders are installed
                dataset.pixel_array_options(decoding_plugin=dicom_decoder.PLUGIN)
            array = dataset.pixel_array
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("the image is larger than the memory") from None
    except Exception as error:  # decoders raise whatever damaged data lead them to
        kind = f"{compressed}{type(error).__name__}"
        raise Unreadable(f"the pixel data are damaged or cut off ({kind})") from None
    return array[None] if array.ndim == 2 else array


def _name_syntax(dataset) -> None:
    """Files older than part 10 do not say their transfer syntax; how they were parsed does."""
    from pydicom import uid
    from pydicom.dataset import FileMetaDataset

    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _rescaled(frames: np.ndarray, item: Slice) -> np.ndarray:
    """One (rows, columns) plane in the units of its header: an integer type or float32."""
    if item.frame >= len(frames) or frames.shape[1:] != item.shape:
        raise Unreadable("pixel data of another size than the header says")
    plane = frames[item.frame]
    if plane.dtype.kind in "iu" and item.slope == 1 and item.intercept.is_integer():
        small = plane.dtype.itemsize <= 2 and abs(item.intercept) < 2**30
        return plane.astype(np.int32 if small else np.int64) + int(item.intercept)
    return (plane * np.float64(item.slope) + item.intercept).astype(np.float32)


def _narrowed(values: np.ndarray, stored: np.dtype) -> np.ndarray:
    if values.dtype.kind == "f":
        return values
    low, high = values.min(), values.max()
    for dtype in (stored, *INTEGERS):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values
