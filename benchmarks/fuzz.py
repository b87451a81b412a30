"""Made-up files against our readers: no traceback, and no value other than a second reader's.

    python benchmarks/fuzz.py [--minutes 10] [--seed 0] [--kinds tiff png nifti dicom csv]

Hypothesis draws headers, types, orders and damages. What we read of a file that was not damaged must be
what was written into it, by another library (tifffile, Pillow, nibabel, pydicom, the csv module).
Prints for each kind how many files gave values, how many of them were confirmed, and how many a reason.
Ends with 1, and the drawn example, at a traceback or at a value that differs.
"""

import argparse
import csv
import io
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import hypothesis
import nibabel
import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

from data_prep.case import Unreadable
from data_prep.io.dicom.series import read_dicom
from data_prep.io.image import read_image
from data_prep.io.nifti import read_nifti
from data_prep.io.table import read_table
from data_prep.volume import to_ras_volume
from mri_tf.core.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
from dicom_series import AFFINE, series, write  # noqa: E402

EXAMPLES = 60  # drawn in one turn of a kind
VALUES, CONFIRMED, REASON = "values", "confirmed", "a reason"
seeds = st.integers(0, 2**32 - 1)
damages = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--minutes", type=float, default=10.0)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    flags = flags.parse_args()
    warnings.simplefilter("ignore")
    counts = {kind: Counter() for kind in flags.kinds}
    end, turn = time.monotonic() + 60 * flags.minutes, 0
    with tempfile.TemporaryDirectory() as home:
        while time.monotonic() < end:
            for kind in flags.kinds:
                run_turn(KINDS[kind], Path(home), counts[kind], f"{flags.seed} {turn} {kind}")
            turn += 1
    print("| kind | files | values | of them confirmed | a reason |")
    print("|---|---:|---:|---:|---:|")
    for kind, count in counts.items():
        files = count[VALUES] + count[REASON]
        print(f"| {kind} | {files} | {count[VALUES]} | {count[CONFIRMED]} | {count[REASON]} |")
    return 0


def run_turn(kind, home: Path, counts: Counter, seed: str) -> None:
    """Some examples of a kind; raises what a reader raises beyond its reasons, or AssertionError."""
    strategy, check = kind

    @hypothesis.seed(zlib.crc32(seed.encode()))
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(strategy)
    def examples(drawn):
        try:
            confirmed = check(home, drawn)
        except (Unreadable, InputError):
            counts[REASON] += 1
        else:
            counts[VALUES] += 1
            counts[CONFIRMED] += bool(confirmed)

    examples()


def damaged(data: bytes, damage: list) -> bytes:
    """The file with some bytes changed."""
    changed = bytearray(data)
    for place, value in damage:
        changed[min(int(place * len(changed)), len(changed) - 1)] = value
    return bytes(changed)


def drawn_array(seed: int, shape: tuple, dtype: str) -> np.ndarray:
    """Noise over the range of a type."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """TIFF 6.0, Orientation: where the first row and the first column lie."""
    ways = {
        1: pixels, 2: np.fliplr(pixels), 3: np.rot90(pixels, 2), 4: np.flipud(pixels),
        5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels),
    }  # fmt: skip
    return ways[orientation]


tiffs = st.fixed_dictionaries({
    "seed": seeds, "damage": damages, "shape": st.tuples(st.integers(2, 24), st.integers(2, 24)),
    "dtype": st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"]),
    "samples": st.sampled_from([1, 3, 4]), "planar": st.sampled_from(["contig", "separate"]),
    "orientation": st.integers(1, 8), "white": st.booleans(), "order": st.sampled_from("<>"),
    "compression": st.sampled_from([None, "deflate", "lzw", "packbits"]), "big": st.booleans(),
})  # fmt: skip


def check_tiff(home: Path, drawn: dict) -> bool:
    shape, samples = drawn["shape"], drawn["samples"]
    stored = drawn_array(drawn["seed"], (*shape, samples), drawn["dtype"])
    array = stored[..., 0] if samples == 1 else stored
    options = {"photometric": "rgb" if samples > 1 else "miniswhite" if drawn["white"] else "minisblack"}
    if samples > 1:
        options["planarconfig"] = drawn["planar"]
        array = np.moveaxis(stored, -1, 0) if drawn["planar"] == "separate" else array
    if samples == 4:
        options["extrasamples"] = ["unassalpha"]
    data = io.BytesIO()
    tifffile.imwrite(
        data, array, bigtiff=drawn["big"], byteorder=drawn["order"], compression=drawn["compression"],
        extratags=[(274, 3, 1, drawn["orientation"], True)], **options,
    )  # fmt: skip
    path = home / "x"
    path.write_bytes(damaged(data.getvalue(), drawn["damage"]))
    found = read_image(path, 1 if samples == 1 else 3)
    if drawn["damage"]:
        return False
    wanted = stored[..., :3] if samples > 1 else stored
    if samples == 1 and drawn["white"]:
        wanted = np.iinfo(stored.dtype).max - wanted
    np.testing.assert_array_equal(found, turned(wanted, drawn["orientation"]).astype(np.float32))
    return True


pngs = st.fixed_dictionaries({
    "seed": seeds, "damage": damages, "shape": st.tuples(st.integers(2, 24), st.integers(2, 24)),
    "form": st.sampled_from([(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 3), (8, 6)]),
    "gamma": st.sampled_from([0, 45455, 100_000, 22_000]), "srgb": st.booleans(),
    "channels": st.sampled_from([1, 3]),
})  # fmt: skip


def check_png(home: Path, drawn: dict) -> bool:
    (rows, columns), (bits, kind) = drawn["shape"], drawn["form"]
    samples = {0: 1, 2: 3, 3: 1, 6: 4}[kind]
    values = np.random.default_rng(drawn["seed"]).integers(0, 2**bits, (rows, columns * samples))
    lines = b"".join(b"\0" + _packed(line, bits) for line in values)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", columns, rows, bits, kind, 0, 0, 0))]
    if drawn["gamma"]:
        chunks.append((b"gAMA", struct.pack(">I", drawn["gamma"])))
    if drawn["srgb"]:
        chunks.append((b"sRGB", b"\0"))
    if kind == 3:
        chunks.append((b"PLTE", np.random.default_rng(1).integers(0, 256, 768).astype("u1").tobytes()))
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    path = home / "x"
    path.write_bytes(damaged(data, drawn["damage"]))
    found = read_image(path, drawn["channels"])
    if drawn["damage"]:
        return False
    if bits == 16:  # which Pillow cuts in colours
        wanted = values.reshape(rows, columns, samples)
    else:
        mode = "RGB" if kind else "L"
        wanted = np.asarray(Image.open(io.BytesIO(data)).convert(mode)).reshape(rows, columns, -1)
    if drawn["channels"] == 1 and wanted.shape[-1] == 3:
        wanted = np.round(wanted.astype(np.int64) @ [299, 587, 114] / 1000)[..., None]
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, found.shape))
    return True


def _packed(line: np.ndarray, bits: int) -> bytes:
    if bits == 16:
        return line.astype(">u2").tobytes()
    digits = (line[:, None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.ravel().astype("u1")).tobytes()


niftis = st.fixed_dictionaries({
    "seed": seeds, "damage": damages, "shape": st.tuples(*[st.integers(2, 7)] * 3),
    "dtype": st.sampled_from(["u1", "i1", "i2", "u2", "i4", "f4", "f8"]),
    "slope": st.sampled_from([None, (1.0, 0.0), (2.5, -100.0), (0.01, 3.0)]),
    "order": st.sampled_from("<>"),
    "codes": st.sampled_from([(1, 0), (0, 1), (1, 1), (0, 0), (2, 4)]), "zeros": st.booleans(),
    "offset": st.sampled_from([None, 0, 100, 368]), "turn": st.integers(0, 5),
})  # fmt: skip


def check_nifti(home: Path, drawn: dict) -> bool:
    array = drawn_array(drawn["seed"], drawn["shape"], drawn["dtype"])
    orders = ("RAS", "LPS", "PIR", "SAL", "LAS", "AIL")
    codes = nibabel.orientations.axcodes2ornt(tuple(orders[drawn["turn"]]))
    affine = np.diag([0.8, 1.2, 3, 1.0]) @ nibabel.orientations.inv_ornt_aff(codes, array.shape)
    header = nibabel.Nifti1Header(endianness=drawn["order"])
    header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array, affine, header, dtype=array.dtype)
    sform, qform = drawn["codes"]
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    data = bytearray(image.to_bytes())
    if drawn["slope"]:
        struct.pack_into(drawn["order"] + "2f", data, 112, *drawn["slope"])
    if drawn["zeros"]:
        struct.pack_into(drawn["order"] + "12f", data, 280, *[0.0] * 12)
    if drawn["offset"] is not None:
        struct.pack_into(drawn["order"] + "f", data, 108, drawn["offset"])
        if drawn["offset"] > 352:
            data[352:352] = bytes(drawn["offset"] - 352)
    path = home / "x"
    path.write_bytes(damaged(bytes(data), drawn["damage"]))
    found = read_nifti(path)
    if drawn["damage"]:
        return False
    slope, intercept = drawn["slope"] or (1.0, 0.0)
    scaled = array if (slope, intercept) == (1.0, 0.0) else array.astype(np.float64) * slope + intercept
    wanted = to_ras_volume(scaled, affine)
    np.testing.assert_allclose(found.array, wanted.array, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-4)
    return True


dicoms = st.fixed_dictionaries({
    "seed": seeds, "damage": damages, "bits": st.integers(8, 16), "signed": st.booleans(),
    "shape": st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 6)),
    "slope": st.sampled_from([None, (1, -1024), (2.5, 3)]),
    "dropped": st.lists(st.sampled_from([
        "Rows", "PixelSpacing", "ImagePositionPatient", "SliceThickness", "PhotometricInterpretation",
        "SamplesPerPixel", "BitsStored", "HighBit", "BitsAllocated", "PixelRepresentation",
        "SOPClassUID", "SeriesInstanceUID", "Modality", "PatientID",
    ]), max_size=2), "twice": st.booleans(),
})  # fmt: skip


def check_dicom(home: Path, drawn: dict) -> bool:
    folder = Path(tempfile.mkdtemp(dir=home))
    bits, signed = drawn["bits"], drawn["signed"]
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(drawn["seed"]).integers(low, low + 2**bits, drawn["shape"])
    datasets = series((values & (2**bits - 1)).astype(np.uint16))
    for data in datasets:
        data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, int(signed)
        if drawn["slope"]:
            data.RescaleSlope, data.RescaleIntercept = drawn["slope"]
        for keyword in set(drawn["dropped"]):
            delattr(data, keyword)
    paths = write(folder, datasets)
    if drawn["twice"]:
        (folder / "again").write_bytes(paths[0].read_bytes())
    paths[-1].write_bytes(damaged(paths[-1].read_bytes(), drawn["damage"]))
    found = read_dicom(folder)
    if not found:
        raise Unreadable("refused")
    if drawn["damage"]:
        return False
    slope, intercept = drawn["slope"] or (1, 0)
    wanted = to_ras_volume(values * slope + intercept, AFFINE)
    np.testing.assert_allclose(found[0].array, wanted.array)
    np.testing.assert_allclose(found[0].affine, wanted.affine, atol=1e-3)
    return True


cells = st.text(st.characters(codec="cp1252", exclude_categories=("Cc",)), max_size=8)
tables = st.fixed_dictionaries({
    "rows": st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=6),
    "separator": st.sampled_from(",;\t"), "end": st.sampled_from(["\n", "\r\n"]), "damage": damages,
    "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), "capitals": st.booleans(),
})  # fmt: skip


def check_csv(home: Path, drawn: dict) -> bool:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=drawn["separator"], lineterminator=drawn["end"])
    header = ("image", "patient_id", "label")
    writer.writerow([name.upper() if drawn["capitals"] else name for name in header])
    writer.writerows(drawn["rows"])
    path = home / "manifest.csv"
    path.write_bytes(damaged(text.getvalue().encode(drawn["encoding"]), drawn["damage"]))
    found = read_table(path, header)
    if drawn["damage"]:
        return False
    wanted = [tuple(cell.strip() for cell in row) for row in drawn["rows"]]
    assert [tuple(row[name] for name in header) for row in found] == [row for row in wanted if any(row)]
    return True


KINDS = {
    "tiff": (tiffs, check_tiff), "png": (pngs, check_png), "nifti": (niftis, check_nifti),
    "dicom": (dicoms, check_dicom), "csv": (tables, check_csv),
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
