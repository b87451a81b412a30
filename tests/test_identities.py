"""No name, id, date or UID of a DICOM header leaves the private sidecar, whatever is done with the data.

Eight patients with planted identities go through write, train, evaluate, explain, export and predict;
every file that was written is opened, unpacked and searched.
"""

import contextlib
import copy
import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from scipy.ndimage import gaussian_filter

from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from data_prep.write import main as write
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.prepared import PRIVATE
from mri_tf.train.__main__ import main as train

PATIENTS = 8
TASK = """
from mri_tf.task import Task
from mri_tf.tasks.mgmt import RULES

KEPT = {name: RULES[name] for name in ("flair", "t1ce")}
TASK = Task(
    name="own", layout="dicom_patients", channels=tuple(KEPT), image_shape=(32, 32),
    class_names=("low", "high"), model="vgg",
    prep=dict(sequences=KEPT, reference="t1ce", slices=dict(count=2), window=(1.0, 99.0)),
    normalize=dict(method="range", low=0.0, high=255.0),
    model_args=dict(conv_filters=2, dense_units=4, blocks=2),
    batch_size=8, epochs=1, split_fractions=(0.5, 0.25, 0.25),
)
"""
# What a planted value of patient k holds; digits alone count only where no digit is beside them.
PLANTED = {
    "PatientName": "Zebedee^Quark{k:02d}",
    "PatientID": "QX-77{k:02d}",
    "OtherPatientIDs": "ZZ-44{k:02d}",
    "PatientBirthDate": "196102{k:02d}",
    "PatientAddress": "Elmstreet {k}",
    "StudyDate": "201908{k:02d}",
    "SeriesDate": "201909{k:02d}",
    "ContentDate": "201910{k:02d}",
    "AcquisitionTime": "1133{k:02d}.017",
    "ReferringPhysicianName": "Vandermeer^Otto",
    "OperatorsName": "Pfefferkorn",
    "InstitutionName": "Hospital of Nowhere",
    "StationName": "NOWHERE{k}",
    "ProtocolName": "of Zebedee 201908{k:02d}",
    "PatientComments": "Zebedee moved",
    "AccessionNumber": "ACC-902{k:02d}",
    "StudyID": "ST-311{k:02d}",
    "StudyInstanceUID": "1.2.826.0.777001.{k}",
    "FrameOfReferenceUID": "1.2.826.0.777002.{k}",
}
SERIES_UID = "1.2.826.0.777003.{k}.{series}"
SOP_UID = "1.2.826.0.777004.{k}.{series}.{image}"
# And those of the patient that the shared series are of.
WORDS = re.compile(
    rb"zebedee|quark|qx-77|zz-44|elmstreet|vandermeer|pfefferkorn|nowhere|acc-902|st-311|777000?0?[1-4]"
    rb"|dumbledore|albus|pgbm|(?<![\d.])(196102|201908|201909|201910)\d\d(?!\d)|1961-02|1133\d\d\.017"
)


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what is packed in it: gzip, zip (npz, keras), Parquet."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"PAR1"):
        yield pd.read_parquet(path).to_csv().encode()


def holding(folder: Path) -> dict[str, set[bytes]]:
    """File -> words of identities in its name or its contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        parts = [name.encode(), *(contents(path) if path.is_file() else ())]
        # Text of two or four bytes a character is text without the zeros.
        parts = [form for part in parts for form in (part.lower(), part.lower().replace(b"\0", b""))]
        words = {match.group() for part in parts for match in WORDS.finditer(part)}
        if words:
            found[name] = words
    return found


def _plant(source: Path, raw: Path) -> None:
    """Eight patients of one's series in raw/p01 ..., each with pixels and identities of their own."""
    series: dict[str, list] = {}
    for path in sorted(one for one in source.rglob("*") if one.is_file()):
        data = pydicom.dcmread(path)
        series.setdefault(data.SeriesInstanceUID, []).append(data)
    rows = []
    for k in range(1, PATIENTS + 1):
        rng = np.random.default_rng(k)
        for number, images in enumerate(series.values(), 1):
            home = raw / f"p{k:02d}" / f"s{number}"
            home.mkdir(parents=True)
            for place, image in enumerate(images, 1):
                _as_patient(image, k, number, place, rng).save_as(home / f"{place}.dcm")
        rows.append(f"QX-77{k:02d},p{k:02d},{'low' if k % 2 else 'high'}")
    (raw / "patients.csv").write_text("patient_id,folder,label\n" + "\n".join(rows) + "\n")


def _as_patient(image, k: int, series: int, place: int, rng):
    data = copy.deepcopy(image)
    for keyword, value in PLANTED.items():
        setattr(data, keyword, value.format(k=k))
    data.SeriesInstanceUID = SERIES_UID.format(k=k, series=series)
    data.SOPInstanceUID = SOP_UID.format(k=k, series=series, image=place)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    pixels = data.pixel_array
    # Of another brightness in each part of the image: less would be copies of one patient's images.
    field = gaussian_filter(rng.normal(size=pixels.shape), max(pixels.shape) / 24)
    share = 0.3 + 0.7 * (field - field.min()) / np.ptp(field)
    data.PixelData = np.rint(pixels * share).astype(pixels.dtype).tobytes()
    return data


def _through_everything(source: Path, home: Path) -> str:
    """Every command on the planted patients; returns what they said."""
    (home / "work").mkdir()
    (home / "work" / "own.py").write_text(TASK)
    _plant(source, home / "raw")
    raw, said = str(home / "raw"), io.StringIO()
    with (
        contextlib.chdir(home / "work"), contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):  # fmt: skip
        steps = [
            (write, "--task own.py --out data --pseudonyms --raw", raw),
            (train, "--task own.py --data data --out run --no-export", ""),
            (evaluate, "--run run --out numbers", ""),
            (explain, "--run run --out maps", ""),
            (export, "--run run --out saved_models", ""),
            (predict, "--model saved_models/own --task own.py --explain --out a.json --input", raw),
            (predict, "--model saved_models/own --task own.py --out a.csv --input", f"{raw}/p03"),
        ]
        for command, flags, path in steps:
            assert command([*flags.split(), *([path] if path else [])]) == 0, command.__module__
    return said.getvalue()


def _check(source: Path, home: Path) -> None:
    said = _through_everything(source, home)
    private = f"data/{PRIVATE}"
    found = holding(home / "work")
    assert set(found) == {private}, {name: words for name, words in found.items() if name != private}
    assert b"qx-77" in found[private]  # the search finds what is there
    assert not WORDS.search(said.lower().encode())
    written = {path.name for path in (home / "work").rglob("*")}
    assert {"saved_model.pb", "predictions.parquet", "a.json", "a.csv", "attribution.csv"} <= written
    assert any(name.startswith("records-") for name in written)
    assert any(name.endswith("_gradcam.nii.gz") for name in written)


@pytest.mark.parametrize(
    "pack",
    [
        lambda path: path.write_bytes(gzip.compress(b"xx Zebedee xx")),
        lambda path: np.savez_compressed(path.with_suffix(".npz"), names=np.array(["QX-7701"])),
        lambda path: pd.DataFrame({"a": ["x", "20190803"]}).to_parquet(path),
        lambda path: path.with_name("of-Pfefferkorn").mkdir(),
    ],
)
def test_the_search_looks_into_what_is_packed(tmp_path, pack):
    pack(tmp_path / "file")
    assert len(holding(tmp_path)) == 1
    (tmp_path / "digits").write_text("0.20190803 3201908031 19610")
    assert len(holding(tmp_path)) == 1


def test_no_identity_of_a_header_leaves_the_private_sidecar(tmp_path):
    write_mgmt_phantom(tmp_path / "phantom", 1, seed=1)
    source = tmp_path / "phantom" / "train" / "00000"
    for path in source.rglob("*.dcm"):  # two sequences and every second slice are enough
        if path.parent.name in ("T1w", "T2w") or int(path.stem.partition("-")[2]) % 2:
            path.unlink()
    _check(source, tmp_path)


@pytest.mark.slow
def test_no_identity_of_a_real_scanner_s_header_leaves_the_private_sidecar(shared_data, tmp_path):
    _check(shared_data / "dicom_brain", tmp_path)
