"""Reads the tensors of a file that PyTorch saved, without PyTorch and without running what it holds.

A .pth file is a pickle, and an ordinary unpickler calls whatever function the file names. This one
knows tensors, parameters and dictionaries, and refuses every other name. Both layouts are read: the zip
archive of PyTorch 1.6 and later, and the older sequence of pickles. A .safetensors file is read by its
own rules (a JSON header, then bytes), which run nothing.
"""

import collections
import io
import json
import math
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, first_few

DTYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip
SAFE_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1",
    "BOOL": "?",
}  # fmt: skip
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
MOST_BYTES = 4 << 30  # of all tensors together
MOST_HEADER_BYTES = 64 << 20  # of the header of a .safetensors file


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Name -> array of every tensor in a file, those in nested dictionaries under `outer.inner`.

    Args:
        path: a .pth, .pt or .bin file of PyTorch, or a .safetensors file.

    Raises:
        InputError: it is none of them, is damaged, or holds something other than tensors.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return _safe_tensors(path)
        if path.stat().st_size > MOST_BYTES:
            raise _NotUsable(f"{path.stat().st_size / 1e9:.1f} GB")
        found = _zipped(path) if zipfile.is_zipfile(path) else _sequence(path)
        return _within_the_limit(_flat(found, ""))
    except _NotUsable as error:
        raise InputError(
            "The tensors of this file cannot be used.", f"{path}: {error}",
            "Save them in the processor's own byte order as float32, in a file of less than 4 GB.",
        ) from None  # fmt: skip
    except _NotTensors as error:
        raise InputError(
            "The file holds something other than tensors, and nothing in it was run.",
            f"{path}: {error}",
            "Save the weights alone, as torch.save(model.state_dict(), FILE) does, or as .safetensors.",
        ) from None
    except OSError as error:
        raise InputError("The file of weights cannot be read.", f"{path} ({error.strerror})",
                         "Give the path of a .pth or .safetensors file.") from None  # fmt: skip
    except Exception as error:  # a damaged pickle raises any error
        raise InputError(
            "The file is no file of PyTorch's weights, or is damaged.",
            f"{path} ({type(error).__name__})", "Give a .pth or .safetensors file, downloaded whole.",
        ) from None  # fmt: skip


class _NotTensors(ValueError):
    """What a file holds instead; the message says what."""


class _NotUsable(ValueError):
    """Tensors, but of a type, an order or a size that is not read; the message says which."""


@dataclass
class _Storage:
    """The numbers of one or several tensors, which the older layout fills in after the pickle."""

    dtype: np.dtype
    numbers: np.ndarray | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """A copy of the numbers; raises _NotTensors where the view leaves the storage."""
        numbers = self.storage.numbers
        steps = [*self.shape, *self.strides, self.offset]
        if len(self.shape) != len(self.strides) or not all(type(n) is int and n >= 0 for n in steps):
            raise _NotTensors("a tensor whose shape is no shape")
        if math.prod(self.shape) * self.storage.dtype.itemsize > MOST_BYTES:
            raise _NotUsable("a tensor of more than 4 GB")
        reach = sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) and self.offset + reach >= len(numbers):
            raise _NotTensors("a tensor that is longer than its numbers")
        bytes_each = [step * self.storage.dtype.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, bytes_each)
        return np.array(view, order="C")


class _Unpickler(pickle.Unpickler):
    """An unpickler that builds tensors and dictionaries and calls nothing else."""

    def __init__(self, file, storage_of):
        super().__init__(file, encoding="utf-8")
        self._storage_of = storage_of

    def find_class(self, module: str, name: str):
        if module == "torch" and name in DTYPES:
            return name  # a word, on which a pickle can call nothing
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor"): _rebuilt,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) not in known:
            raise _NotTensors(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, given):
        is_storage = isinstance(given, tuple) and len(given) >= 5 and given[0] == "storage"
        if not is_storage or given[1] not in DTYPES:
            raise _NotTensors("a reference to something else than numbers")
        return self._storage_of(given)


def _rebuilt(storage, offset, shape, strides, *_):
    if not isinstance(storage, _Storage):
        raise _NotTensors("a tensor without numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor, *_):
    return tensor


def _zipped(path: Path):
    """What a zip archive of PyTorch holds: `<name>/data.pkl`, and the numbers in `<name>/data/<key>`."""
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
            raise _NotUsable("more than 4 GB once unpacked")
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(names) != 1:
            raise _NotTensors("a zip archive without weights")
        folder = names[0].removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise _NotUsable("numbers in big-endian order")
        known: dict[str, _Storage] = {}

        def storage_of(given: tuple) -> _Storage:
            _, kind, key, *_ = given
            if key not in known:
                known[key] = _Storage(np.dtype(f"<{DTYPES[kind]}"))
                data = archive.read(f"{folder}data/{key}")
                known[key].numbers = np.frombuffer(data, known[key].dtype)
            return known[key]

        return _Unpickler(io.BytesIO(archive.read(names[0])), storage_of).load()


def _sequence(path: Path):
    """What the older layout holds: five pickles, then the numbers of each storage after their count."""
    known: dict[str, _Storage] = {}

    def storage_of(given: tuple) -> _Storage:
        _, kind, key, _, _, *view = given
        if view and view[0] is not None:
            raise _NotTensors("a storage that is a part of another one")
        return known.setdefault(key, _Storage(np.dtype(f"<{DTYPES[kind]}")))

    with path.open("rb") as file:
        magic, _, system, found, keys = (_Unpickler(file, storage_of).load() for _ in range(5))
        if magic != MAGIC:
            raise _NotTensors("another first number than PyTorch writes")
        if not system.get("little_endian", True):
            raise _NotUsable("numbers in big-endian order")
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            data = file.read(max(count, 0) * known[key].dtype.itemsize)
            known[key].numbers = np.frombuffer(data, known[key].dtype)
            if len(known[key].numbers) != count:
                raise EOFError("fewer numbers than the file announces")
    return found


def _within_the_limit(tensors) -> dict[str, np.ndarray]:
    """The (name, array) pairs as a dictionary; views of one storage count each, as they are copied."""
    found, total = {}, 0
    for name, array in tensors:
        total += array.nbytes
        if total > MOST_BYTES:
            raise _NotUsable("more than 4 GB of tensors")
        found[name] = array
    return found


def _flat(found, prefix: str):
    """(name, array) of the tensors in nested dictionaries; other values, such as an epoch, are passed
    over."""
    if isinstance(found, _Tensor):
        yield prefix.removesuffix("."), found.array()
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from _flat(value, f"{prefix}{name}.")
    elif not prefix:
        raise _NotTensors(type(found).__name__)


def _safe_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file (Hugging Face's format, version 1)."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MOST_HEADER_BYTES:
            raise _NotTensors(f"a header of {length} bytes")
        header = json.loads(file.read(length))
        data = np.frombuffer(file.read(), np.uint8)
    header.pop("__metadata__", None)
    others = {facts["dtype"] for facts in header.values()} - set(SAFE_DTYPES)
    if others:
        raise _NotUsable(f"tensors of type {first_few(sorted(others))}")
    tensors = {}
    for name, facts in header.items():
        start, stop = facts["data_offsets"]
        values = data[start:stop].view(f"<{SAFE_DTYPES[facts['dtype']]}")
        tensors[name] = values.reshape(facts["shape"]).copy()
    return tensors
