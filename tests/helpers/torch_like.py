"""Files as PyTorch writes them, without PyTorch: names of its functions in a pickle, and numbers."""

import io
import json
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KINDS = {"f4": "FloatStorage", "i8": "LongStorage", "f8": "DoubleStorage", "f2": "HalfStorage"}


class _Given:
    """An array in the pickle: a call of `_rebuild_tensor_v2` with a reference to its numbers."""

    def __init__(self, array: np.ndarray, key: str, rebuild):
        self.array, self.key, self.rebuild = array, key, rebuild

    def __reduce__(self):
        strides = tuple(step // self.array.itemsize for step in self.array.strides)
        arguments = (_Numbers(self), 0, self.array.shape, strides, False, OrderedDict())
        return self.rebuild, arguments


class _Numbers:
    def __init__(self, given: _Given):
        self.given = given


@contextmanager
def _torch():
    """A module of PyTorch's name with the names that a pickle of tensors holds."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise NotImplementedError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = utils.__name__, "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for kind in KINDS.values():
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield torch, utils
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def write_torch(path: Path, tensors: dict[str, np.ndarray], zipped: bool, more: dict | None = None):
    """Writes a state dictionary as torch.save does, in the zip archive or the older layout.

    `more` are further entries of the outer dictionary, in which the tensors are `state_dict` then.
    """
    with _torch() as (torch, utils):
        rebuild = utils._rebuild_tensor_v2
        given = OrderedDict((name, _Given(array, str(number), rebuild))
                            for number, (name, array) in enumerate(tensors.items()))  # fmt: skip

        class Pickler(pickle.Pickler):
            def persistent_id(self, item):
                if not isinstance(item, _Numbers):
                    return None
                array, key = item.given.array, item.given.key
                kind = getattr(torch, KINDS[array.dtype.str[1:]])
                return ("storage", kind, key, "cpu", array.size, *(() if zipped else (None,)))

        def dumped(value) -> bytes:
            buffer = io.BytesIO()
            Pickler(buffer, 2).dump(value)
            return buffer.getvalue()

        whole = dumped(given if more is None else {"state_dict": given, **more})
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", whole)
            archive.writestr("archive/byteorder", "little")
            for one in given.values():
                archive.writestr(f"archive/data/{one.key}", one.array.ravel(order="K").tobytes())
        return path
    system = dict(protocol_version=PROTOCOL, little_endian=True, type_sizes={})
    parts = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, system)]
    parts += [whole, pickle.dumps([one.key for one in given.values()], 2)]
    for one in given.values():
        parts += [struct.pack("<q", one.array.size), one.array.ravel(order="K").tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Writes a .safetensors file of float32 arrays."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        bytes_of = array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(bytes_of)]}  # fmt: skip
        data += bytes_of
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path
