"""derive and explain as commands, on a tumour network and a grader with random weights."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from fresh import with_drawn_weights
from PIL import Image
from small import sides_of

from data_prep.phantom.glioma.dataset import write_glioma_phantom
from data_prep.prepare.prepare import prepare
from mri_tf.core.command_line import run_command
from mri_tf.derive import predicted_masks as deriving
from mri_tf.derive.__main__ import main as derive
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.store.prepared import Prepared
from mri_tf.task.files import load_task
from mri_tf.train.__main__ import main as train
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

SHARED = """
    layout="brats",
    channels=("t1", "t1ce", "t2", "flair"), image_shape=(16, 24, 16), batch_size=2, epochs=1,
    prep=dict(crop_to_brain=True, dtype="float16"), normalize=dict(method="zscore", region="mask"),
"""
TASKS = {
    "tumour": f"""TASK = Task(
    name="tumour", kind="segmentation", class_names=("background", "tumour"), model="unet3d",
    model_args=dict(filters=2, levels=2), patch=dict(shape=(8, 8, 8)), {SHARED})""",
    "grade": f"""TASK = Task(
    name="grade", class_names=("LGG", "HGG"), boxes_from="tumour", model="grader3d",
    model_args=dict(filters=4, dense_units=32),
    box=dict(around="mask", margin_voxels=2, grid=(16, 16, 16)), {SHARED})""",
}
SIDES = ([0, 1, 6, 7], [2, 5], [3, 4])  # HGG are listed first, six of eight


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Task files, raw cases, prepared sets; seg/ and grade/ trained; derived/ made by the command."""
    folder = tmp_path_factory.mktemp("home")
    for name, text in TASKS.items():
        (folder / f"{name}.py").write_text(f"from mri_tf.task import Task\n{text}\n")
    write_glioma_phantom(folder / "raw", 8, seed=0, shape=(24, 24, 16))
    with chdir(folder):
        sets, tasks = {}, {name: load_task(Path(f"{name}.py")) for name in TASKS}
        for name, task in tasks.items():
            sets[name], skipped = prepare(task, Path(f"{name}.py"), Path("raw"), Path("data", name))
            assert not skipped
        sides = [np.array(side) for side in SIDES]
        own = [sides[0][1:], sides[0][:1], sides[2][:0]]  # the network sees the training side only
        seg = new_run(Path("seg"), tasks["tumour"], sets["tumour"],
                      sides_of(tasks["tumour"], sets["tumour"], own), 0)  # fmt: skip
        seg = with_drawn_weights(fit_run(seg, sets["tumour"], None, devices=1))
        assert _derived("derived") == 0
        derived = Prepared.open(Path("derived"))
        grade = new_run(Path("grade"), tasks["grade"], derived,
                        sides_of(tasks["grade"], derived, sides), 0, seg)  # fmt: skip
        with_drawn_weights(fit_run(grade, derived, None, devices=1))
    return folder


@pytest.fixture(scope="module")
def maps(home, tmp_path_factory):
    """What `explain` writes and prints for the run's held-out patients."""
    out = tmp_path_factory.mktemp("maps") / "maps"
    with chdir(home):
        assert run_command(explain, ["--run", "grade", "--out", str(out)]) == 0
    return out


def _derived(out, data="data/grade") -> int:
    return run_command(derive, ["--run", "seg", "--data", data, "--out", out])


def _patients(side=slice(None), folder="derived") -> list[str]:
    """The patients of a set, or of a side of it."""
    return list(Prepared.open(Path(folder)).patients[side])


def _split_file(name, train, validation, test) -> str:
    """A split file of the derived set's patients, by their numbers."""
    sides = dict(train=train, validation=validation, test=test)
    sides = {side: [_patients()[number] for number in numbers] for side, numbers in sides.items()}
    Path(name).write_text(json.dumps(sides))
    return name


def _fails(capsys, main, *arguments, out) -> str:
    """The one line of a refusal."""
    capsys.readouterr()
    assert run_command(main, [*map(str, arguments), "--out", out]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "Received:" in line
    return line


def _refused(capsys, main, *arguments, out="never") -> str:
    """The one line of a refusal that writes nothing."""
    line = _fails(capsys, main, *arguments, out=out)
    assert not list(Path().glob(f"{out}*"))
    return line


# ---- derive


def test_derive_adds_a_mask_to_every_record_and_keeps_the_rest(inside):
    before, after = Prepared.open(Path("data/grade")), Prepared.open(Path("derived"))
    assert list(before.record_ids) == list(after.record_ids) and len(after) == 8
    assert list(before.contents) == list(after.contents) and after.masks == ("mask", "predicted_mask")
    for position in range(len(after)):
        original, derived = before.record(position), after.record(position)
        np.testing.assert_array_equal(original.image, derived.image)
        np.testing.assert_array_equal(original.mask, derived.mask)
        assert set(np.unique(derived.predicted_mask)) <= {0, 1}
        assert original.facts == derived.facts and original.label == derived.label


def test_a_derived_set_names_the_patients_its_network_saw(inside):
    seen = json.loads(Path("derived/manifest.json").read_text())["derived"]["seen"]
    assert set(seen["patients"]) == set(_patients(SIDES[0], "data/grade"))


def test_a_run_or_set_with_another_background_is_refused(inside, tmp_path, capsys):
    shutil.copytree("seg", tmp_path / "seg")
    values = json.loads((tmp_path / "seg" / "run.json").read_text())
    old = {**values, "layout": {"name": "brats", "version": 1}}
    (tmp_path / "seg" / "run.json").write_text(json.dumps(old))
    arguments = ("--run", tmp_path / "seg", "--data", "data/grade")
    assert "background was not 0" in _fails(capsys, derive, *arguments, out="no")
    values["task"]["normalize"] = {"method": "zscore", "region": "image"}
    (tmp_path / "seg" / "run.json").write_text(json.dumps(values))
    line = _fails(capsys, derive, *arguments, out="no")
    assert "takes records of intensities" in line and "z-scores inside the brain" in line


def test_the_same_derive_again_writes_nothing(inside, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path("derived").iterdir()}
    assert _derived("derived") == 0
    assert before == {path: path.stat().st_mtime_ns for path in Path("derived").iterdir()}
    assert "8 records with predicted masks" in capsys.readouterr().out


def test_an_interrupted_derive_continues_and_ends_with_the_same_bytes(inside, monkeypatch):
    predicted, calls = deriving._predicted, []

    def interrupted(model, run, record):
        calls.append(record.record_id)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return predicted(model, run, record)

    monkeypatch.setattr(deriving, "_predicted", interrupted)
    assert _derived("again") == 130
    assert not Path("again").exists()  # nothing under its final name
    assert _derived("again") == 0
    assert len(calls) == 4 + 5 and calls[3] == calls[4]  # continues where it stopped
    for file in Path("derived").glob("records-*"):
        assert file.read_bytes() == (Path("again") / file.name).read_bytes()
    assert not Path("again.partial").exists()


def test_derive_never_writes_over_other_files(inside, capsys):
    before = sorted(Path("raw").rglob("*"))
    message = _fails(capsys, derive, "--run", "seg", "--data", "data/grade", out="raw")
    assert "Choose another --out folder" in message
    assert sorted(Path("raw").rglob("*")) == before


# ---- patients that the segmentation network saw


def test_a_grader_is_not_held_out_on_patients_the_network_saw(inside, capsys):
    file = _split_file("leaky.json", train=(3, 4, 2, 5, 7), validation=(6,), test=(0, 1))
    arguments = ("--task", "grade.py", "--data", "derived", "--split-file", file)
    message = _refused(capsys, train, *arguments)
    assert "segmentation network was trained on patients" in message and _patients()[0] in message


@pytest.fixture
def other_set(inside):
    """A derived set from another raw folder, with other images of patients the tumour network saw."""
    if not Path("other").exists():
        write_glioma_phantom(Path("raw-other"), 8, seed=5, shape=(24, 24, 16))
        task = load_task(Path("grade.py"))
        prepare(task, Path("grade.py"), Path("raw-other"), Path("data/other"))
        assert set(_patients(SIDES[0], "data/grade")) & set(_patients(folder="data/other"))
        assert _derived("other", "data/other") == 0
    return Path("other")


@pytest.mark.parametrize("main", [evaluate, explain])
def test_other_images_of_patients_the_network_saw_are_refused(other_set, main, capsys):
    message = _refused(capsys, main, "--run", "grade", "--data", other_set)
    assert "segmentation network was trained on patients" in message


def test_explain_takes_new_patients_of_another_set(other_set, tmp_path):
    seen = _patients(SIDES[0], "data/grade")
    new = [name for name in _patients(folder=other_set) if name not in seen][0]
    arguments = ["--run", "grade", "--data", str(other_set), "--patients", new]
    assert run_command(explain, [*arguments, "--out", str(tmp_path / "maps")]) == 0
    assert list(pd.read_csv(tmp_path / "maps" / "attribution.csv")["patient"]) == [new]


@pytest.mark.parametrize("main", [evaluate, explain])
def test_a_set_without_predicted_masks_is_refused(other_set, main, capsys):
    assert "mri_tf.derive" in _refused(capsys, main, "--run", "grade", "--data", "data/other")


# ---- explain


def test_the_held_out_patients_and_no_others_are_rows(inside, maps):
    table = pd.read_csv(maps / "attribution.csv")
    assert sorted(table["patient"]) == sorted(_patients(SIDES[2]))
    assert set(table["explained"]) <= {"LGG", "HGG"} and table["probability"].between(0, 1).all()
    shares = table[[name for name in table if name.startswith("share_")]]
    assert list(shares) == ["share_tumour", "share_brain", "share_border", "share_outside"]
    flat = table["map_max"] == 0
    np.testing.assert_allclose(shares[~flat].sum(axis=1), 1, atol=1e-6)
    assert shares[flat].isna().all(axis=None)
    ratios = table.loc[~flat, "enrichment_brain"]
    assert (ratios > 0).all() and (ratios < 1 / shares.loc[~flat, "share_brain"]).all()


def test_maps_lie_on_the_voxels_of_the_original_files(inside, maps):
    table = pd.read_csv(maps / "attribution.csv")
    for row in table.itertuples():
        (file,) = Path("raw").glob(f"*/{row.patient}_*/*_t1.nii.gz")
        stored = nibabel.load(file)
        brain = np.asarray(stored.dataobj) > 0
        for kind in ("gradcam", "guided"):
            found = nibabel.load(maps / f"{row.record_id}_{kind}.nii.gz")
            assert found.shape == stored.shape and found.get_data_dtype() == np.float32
            np.testing.assert_allclose(found.affine, stored.affine, atol=1e-3)
            values = found.get_fdata()
            assert np.isfinite(values).all() and (values >= 0).all()
            # Where the box's map lies is tested in tests/explain/test_maps.py.
            assert values[brain].sum() > 0 or kind == "gradcam"


def test_pictures_are_written_for_every_map(maps):
    pictures = sorted(maps.glob("*_gradcam.png"))
    assert len(pictures) == len(pd.read_csv(maps / "attribution.csv"))
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.width > 2000 and len(picture.getcolors(10**7)) > 50
        assert path.with_suffix(".svg").stat().st_size > 1000
    assert not [path for path in maps.iterdir() if path.name.startswith(".")]


def test_every_class_with_held_out_records_has_a_contact_sheet(inside, maps):
    table = pd.read_csv(maps / "attribution.csv")
    names = {"LGG": "class-01.png", "HGG": "class-02.png"}
    assert {path.name for path in maps.glob("class-*")} == {names[truth] for truth in table["truth"]}
    own = table["truth"] == table["explained"]
    assert (table["probability_of_truth"] == table["probability"])[own].all()
    np.testing.assert_allclose(table["probability_of_truth"][~own], 1 - table["probability"][~own])


def test_a_class_and_a_layer_are_chosen_by_name(inside, tmp_path, capsys):
    patient = _patients(SIDES[2])[0]
    for name in ("LGG", "HGG"):
        arguments = ["--run", "grade", "--patients", patient, "--class", name, "--layer", "block_1"]
        assert run_command(explain, [*arguments, "--out", str(tmp_path / name)]) == 0
        assert "Grad-CAM at block_1" in capsys.readouterr().out
    low, high = (pd.read_csv(tmp_path / name / "attribution.csv") for name in ("LGG", "HGG"))
    assert (low["explained"][0], high["explained"][0]) == ("LGG", "HGG")
    assert low["probability"][0] + high["probability"][0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("main", "flags", "named"),
    [
        (derive, ["--run", "grade", "--data", "data/grade"], "run of a segmentation task"),
        (derive, ["--run", "nowhere", "--data", "data/grade"], "run.json"),
        (derive, ["--run", "seg", "--data", "nowhere"], "manifest.json"),
        (derive, ["--run", "seg"], "--data"),
        (explain, ["--run", "seg"], "Only classifiers can be explained"),
        (explain, ["--run", "grade", "--class", "IV"], "LGG, HGG"),
        (explain, ["--run", "grade", "--layer", "dense_1"], "block"),
        (explain, ["--run", "grade", "--patients", "nobody"], "nobody"),
        (explain, ["--run", "grade", "--data", "data/tumour"], "of task tumour"),
        (explain, ["--run", "nowhere"], "run.json"),
    ],
)
def test_both_commands_refuse_in_one_line_and_write_nothing(inside, capsys, main, flags, named):
    assert named in _refused(capsys, main, *flags)


def test_a_patient_of_the_training_is_not_explained_as_held_out(inside, capsys):
    trained = _patients(SIDES[0])[0]
    message = _refused(capsys, explain, "--run", "grade", "--patients", trained)
    assert "held-out patients" in message


# ---- the grader's export names the network that finds its boxes


def test_a_grader_is_exported_after_its_segmenter_and_names_it_by_its_weights(inside, capsys):
    message = _fails(capsys, export, "--run", "grade", out="models")
    assert "tumour" in message and "Export that run first" in message
    assert not Path("models/grade").exists()
    for run in ("seg", "seg", "grade"):
        assert run_command(export, ["--run", run, "--out", "models"]) == 0
    named = json.loads(Path("models/grade/1/assets.extra/segmenter.json").read_text())
    weights = json.loads(Path("seg/run.json").read_text())["weights_sha256"]
    assert named == {"task": "tumour", "version": 2, "weights_sha256": weights}
    assert not Path("models/tumour/1/assets.extra/segmenter.json").exists()


def test_a_grader_whose_segmenter_is_not_exported_is_refused_before_it_is_trained(inside, capsys):
    arguments = ("--task", "grade.py", "--data", "derived", "--split-file")
    arguments = (*arguments, _split_file("sides.json", *SIDES))
    assert "Export that run first" in _refused(capsys, train, *arguments)
