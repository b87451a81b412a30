"""Class folders go from files to a prepared set; what cannot be used is refused or named."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from raw_folders import files_of
from scipy.ndimage import gaussian_filter

from data_prep.layout_calls import ListOptions
from data_prep.layouts.class_folders import list_cases
from data_prep.phantom.class_pictures.dataset import class_names, write_class_pictures
from data_prep.prepare.prepare import prepare
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.prepare.shards import ShardWriter
from data_prep.prepare.source import PrepareOptions
from mri_tf.core.errors import InputError
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.store.prepared import PRIVATE, Prepared
from mri_tf.task.files import FOLDER, load_task

TASK_FILE = """
from mri_tf.task import Task

TASK = Task(
    name="thirds", channels=("cine",), image_shape=(32, 32), class_names=("basal", "mid", "apical"),
    layout="class_folders", prep=dict(bits=8), model="vgg",
    model_args=dict(conv_filters=2, dense_units=8, blocks=2), epochs=1,
)
"""


IGNORING = PrepareOptions(listing=ListOptions(ignore=("extra",)))


def picture(seed: int, side: int = 64) -> Image.Image:
    """Smooth blobs that no other seed has."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 2.5)
    return Image.fromarray(np.rint(255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8))


@pytest.fixture
def home(tmp_path):
    """A user's task file and raw folder: 12 pictures, 1 copy."""
    (tmp_path / "thirds.py").write_text(TASK_FILE, encoding="utf-8")
    raw = tmp_path / "raw"
    for number in range(12):
        folder = raw / ("basal", "mid", "apical")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.png")
    picture(0).save(raw / "basal" / "again.jpg", quality=80)
    return tmp_path


def prepared(home, options=None, out="out"):
    file = home / "thirds.py"
    return prepare(load_task(file), file, home / "raw", home / out, options or PrepareOptions())


def test_a_task_file_that_names_its_layout_is_enough(home):
    found, skipped = prepared(home)
    assert len(found) == 13 and not skipped
    assert not found.patients_known
    np.testing.assert_array_equal(np.bincount(found.labels), [5, 4, 4])
    assert len(set(found.groups)) == 12
    sides = choose_sides(found, load_task(home / "thirds.py"), SplitOptions(None, None, None, 0))
    assert sides.mode == "group"
    groups = [set(found.groups[side]) for side in sides.records]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_no_file_name_is_in_the_set_but_in_the_private_sidecar(home):
    found, _ = prepared(home)
    for file in found.folder.iterdir():
        if file.name != PRIVATE:
            assert b"again" not in file.read_bytes()
    rows = list(csv.DictReader((found.folder / PRIVATE).open(encoding="utf-8")))
    group_of = {row["source"]: row["group"] for row in rows}
    twins = [group_of["basal/0.png"], group_of["basal/again.jpg"]]
    assert twins[0] == twins[1] != ""


def test_a_copy_in_another_class_is_listed_by_its_records(home, capsys):
    picture(0).save(home / "raw" / "mid" / "torn.png")
    found, _ = prepared(home)
    across = json.loads((found.folder / "manifest.json").read_text())["duplicates"]["across_classes"]
    rows = {row["record_id"]: row["source"] for row in csv.DictReader((found.folder / PRIVATE).open())}
    assert [{rows[name] for name in names} for names in across] == [
        {"basal/0.png", "basal/again.jpg", "mid/torn.png"}
    ]
    assert "mid/torn.png" in capsys.readouterr().err


def test_what_is_no_whole_image_is_named_and_the_rest_goes_on(home):
    folder = home / "raw" / "mid"
    (folder / "notes").write_text("these are some notes about the pictures", encoding="utf-8")
    (folder / "notes.txt").write_text("a text is no image, so it is not skipped", encoding="utf-8")
    (folder / "empty.png").touch()
    whole = (folder / "1.png").read_bytes()
    (folder / "torn.png").write_bytes(whole[: len(whole) // 2])
    found, skipped = prepared(home)
    assert len(found) == 13
    reasons = {item.file: item.reason for item in skipped}
    assert set(reasons) == {"mid/notes", "mid/empty.png", "mid/torn.png"}
    assert "truncated" in reasons["mid/torn.png"] and "no PNG" in reasons["mid/notes"]


def test_hidden_files_and_litter_are_ignored(home):
    folder = home / "raw" / "mid"
    for name in (".DS_Store", "._1.png", "Thumbs.db", "desktop.ini"):
        (folder / name).write_text("x" * 40, encoding="utf-8")
    for name in (".git", "__MACOSX"):
        (home / "raw" / name).mkdir()
    (home / "raw" / "readme.txt").write_text("beside the classes", encoding="utf-8")
    assert len(list_cases(home / "raw", load_task(home / "thirds.py"))) == 13


def test_an_empty_class_folder_has_no_records_and_is_no_error(home):
    for path in (home / "raw" / "apical").iterdir():
        path.unlink()
    found, _ = prepared(home)
    assert found.manifest["counts"]["per_class"] == {"basal": 5, "mid": 4, "apical": 0}


def patient_beside_images(raw):
    (raw / "mid" / "P1").mkdir()
    picture(50).save(raw / "mid" / "P1" / "a.png")


def one_folder_too_high(raw):
    raw.rename(raw.with_name("inner"))
    raw.mkdir()
    raw.with_name("inner").rename(raw / "archive")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda raw: (raw / "mid" / "P1" / "day 1").mkdir(parents=True), "nothing deeper"),
        (patient_beside_images, "Some class folders hold images and others folders of patients"),
        (lambda raw: (raw / "Mid").mkdir(), "Did you mean 'mid'"),
        (one_folder_too_high, "give it as --raw"),
    ],
)
def test_folders_that_are_no_classes_are_refused_in_one_line(home, make, words):
    make(home / "raw")
    with pytest.raises(InputError, match=words) as caught:
        prepared(home)
    assert "\n" not in str(caught.value)
    assert not (home / "out").exists()


def test_folders_in_a_class_are_patients(home):
    raw, task = home / "patients", load_task(home / "thirds.py")
    for number, patient in enumerate(("P1", "P2", "P2", "P3")):
        folder = raw / ("basal", "mid")[number % 2] / patient
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.png")
        (folder / "report.txt").write_text("no image")
    cases = list_cases(raw, task)
    assert [(case.patient, case.label) for case in cases] == [
        ("P1", "basal"), ("P2", "basal"), ("P2", "mid"), ("P3", "mid"),
    ]  # fmt: skip
    (raw / "mid" / "P3" / "masks").mkdir()
    assert list_cases(raw, task, ("masks",)) == cases


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only valid text as a name")
@pytest.mark.parametrize("pseudonyms", [Pseudonyms(), Pseudonyms(b"x" * 32)])
def test_a_patient_whose_folder_has_a_latin_1_name_is_prepared(home, pseudonyms):
    raw, task = home / "patients", load_task(home / "thirds.py")
    for number, patient in enumerate((b"M\xfcller", b"P2")):
        folder = os.fsencode(raw / ("basal", "mid")[number]) + b"/" + patient
        os.makedirs(folder)
        picture(number).save(Path(os.fsdecode(folder)) / "a.png")
    options = PrepareOptions(pseudonyms=pseudonyms)
    found, skipped = prepare(task, home / "thirds.py", raw, home / "out", options)
    assert not skipped and len(found) == 2
    expected = ["M\\udcfcller", "P2"]
    assert list(found.patients) == [pseudonyms.of(name) for name in expected]
    assert b"M\xfcller" in (home / "out" / PRIVATE).read_bytes()


@pytest.mark.parametrize("names", [("Training", "Testing"), ("train", "val", "test")])
def test_folders_above_the_classes_that_name_sides_are_sides(home, names):
    raw, task = home / "sides", load_task(home / "thirds.py")
    for number in range(12):
        folder = raw / names[number % len(names)] / ("basal", "mid", "apical")[number // 4]
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.png")
    (raw / "extra").mkdir()
    with pytest.raises(InputError, match="--ignore NAME"):
        list_cases(raw, task)
    cases = list_cases(raw, task, ("extra",))
    assert len(cases) == 12
    assert {case.split for case in cases} == {"train", "test", "validation"} - (
        {"validation"} if len(names) == 2 else set()
    )
    found, _ = prepare(task, home / "thirds.py", raw, home / "out", IGNORING)
    sides = choose_sides(found, task, SplitOptions(None, None, None, 0))
    assert sides.mode == "column" and all(len(side) for side in sides.records)
    assert set(found.splits[sides.records[2]]) == {"test"}


@pytest.mark.parametrize("words", ["is not a folder", "holds no class folders", "are empty"])
def test_nothing_to_read_is_refused(tmp_path, words):
    raw = tmp_path / "raw"
    if words != "is not a folder":
        raw.mkdir()
    if words == "are empty":
        (raw / "_NORMAL T1").mkdir()
    with pytest.raises(InputError, match=words):
        list_cases(raw, load_task(FOLDER / "brain_tumor_44.py"))


@pytest.mark.slow
def test_pseudonyms_name_the_groups_and_workers_change_nothing(home):
    one, _ = prepared(home)
    two, _ = prepared(home, PrepareOptions(workers=2), "two")
    assert one.content_fingerprint() == two.content_fingerprint()
    salted, _ = prepared(home, PrepareOptions(pseudonyms=Pseudonyms(b"x" * 32)), "salted")
    assert not set(salted.groups) & set(one.groups)
    assert all(patient == group for patient, group in zip(salted.patients, salted.groups, strict=True))


def test_a_begun_set_whose_copies_have_changed_is_begun_again(home, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ShardWriter, "finish", Mock(side_effect=KeyboardInterrupt))
        prepared(home)
    picture(0).save(home / "raw" / "apical" / "2.png")  # the first record's group grows
    found, _ = prepared(home)
    groups = found.groups[[0, 1]]  # apical/11 and apical/2 come first
    twins = found.groups[found.labels == 0]
    assert groups[1] in twins and groups[0] not in twins


def test_a_table_of_images_keeps_its_patients_and_ties_their_copies(tmp_path):
    (tmp_path / "raw").mkdir()
    rows = ["image,patient_id,label"]
    for number, name in enumerate("abcd"):
        picture(number % 3).save(tmp_path / "raw" / f"{name}.png")
        rows.append(f"{name}.png,P{number},basal")
    (tmp_path / "raw" / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    file = tmp_path / "thirds.py"
    text = TASK_FILE.replace("bits=8", "duplicates={}").replace("class_folders", "cases_table")
    file.write_text(text, encoding="utf-8")
    found, _ = prepare(load_task(file), file, tmp_path / "raw", tmp_path / "out")
    assert found.patients_known
    assert list(found.patients) == ["P0", "P1", "P2", "P3"]
    assert found.groups[0] == found.groups[3] != ""
    assert list(found.groups[[1, 2]]) == ["", ""]


def test_real_heart_slices_work_as_class_folders(shared_data, home):
    source = shared_data / "sunnybrook"
    for path in (home / "raw").glob("*/*"):
        path.unlink()
    with (source / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:40]
    for row in rows:
        target = home / "raw" / row["axial_level"] / row["image"].rpartition("/")[2]
        target.symlink_to((source / row["image"]).absolute())
    found, skipped = prepared(home)
    assert len(found) == 40 and not skipped
    wanted = [row["axial_level"] for row in rows]
    assert found.manifest["counts"]["per_class"] == {
        name: wanted.count(name) for name in found.class_names
    }


# The task of recipe D


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_class_pictures(folder, 16, 0, signal=True)
    return folder


def test_the_phantom_has_every_class_and_untidy_files(pictures):
    assert {path.name for path in pictures.iterdir()} == set(class_names())
    assert set(class_names()) == set(load_task(FOLDER / "brain_tumor_44.py").class_names)
    files = sorted(pictures.glob("*/*"))
    sizes = [Image.open(path).size for path in files]
    assert len(files) > 60 and len(set(sizes)) > 20
    assert (630, 630) in sizes
    formats = {(Image.open(path).format, path.suffix) for path in files}
    assert len(formats) > 3


def test_the_phantom_depends_on_its_seed_alone(pictures, tmp_path):
    write_class_pictures(tmp_path, 16, 0, signal=True)
    assert files_of(tmp_path) == files_of(pictures)


def test_without_signal_the_pictures_are_the_same_and_the_folders_are_others(tmp_path, pictures):
    write_class_pictures(tmp_path, 16, 0, signal=False)
    plain, permuted = (
        sorted((path.read_bytes(), path.parent.name) for path in folder.glob("*/*"))
        for folder in (pictures, tmp_path)
    )
    assert {data for data, _ in plain} == {data for data, _ in permuted}
    moved = sum(one[1] != other[1] for one, other in zip(plain, permuted, strict=True))
    assert moved > len(plain) / 2


@pytest.mark.slow
def test_a_user_trains_on_class_folders_and_reads_what_leaks(home):
    def train(*arguments):
        command = [sys.executable, "-m", "mri_tf.train", "--task", "thirds.py", "--no-export"]
        return subprocess.run(
            [*command, "--raw", "raw", *arguments], cwd=home, capture_output=True, text=True, check=False
        )

    honest = train()
    assert honest.returncode == 0, honest.stderr
    assert "split by group" in honest.stdout
    page = next((home / "runs").glob("**/report.md")).read_text(encoding="utf-8")
    assert "the patients are not known" in page and "groups of images" not in page.splitlines()[0]
    leaky = train("--split", "random", "--out", "leaky")
    assert "LEAKY" in leaky.stdout
    values = json.loads((home / "leaky" / "metrics.json").read_text())
    assert re.match(r"LEAKY: \d+ of \d+ held-out records share an image with", values["note"])
    assert values["accuracy"]["unit"] == "groups of images"
    assert "LEAKY" in (home / "leaky" / "report.md").read_text(encoding="utf-8")


def test_a_prepared_set_of_before_knows_its_patients(home):
    found, _ = prepared(home)
    del found.manifest["patients_known"]
    assert Prepared(found.folder, found.manifest).patients_known
