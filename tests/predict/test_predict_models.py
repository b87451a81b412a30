"""predict with a trained model: its export on disk, and behind the embedded server."""

import contextlib
import json
import shutil
import threading
import time
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from predicted import assert_answer_of
from refused import error_line
from serving_models import running

from mri_tf.calibration import false_alarms
from mri_tf.calibration.calibrator import calibrator_from_json
from mri_tf.engines.choose import missing_packages
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.prepared import PRIVATE, read_private
from mri_tf.store.run import open_finished
from mri_tf.train.__main__ import main as train

CLASSES = ("basal", "mid", "apical")
MODEL = ("--model", "saved_models/thirds")


@pytest.fixture(scope="module")
def home(small, tmp_path_factory) -> Path:
    """A folder with `thirds` trained for an epoch, exported, and its raw images."""
    folder = tmp_path_factory.mktemp("predict")
    with chdir(folder):
        flags = ["--task", str(small["levels"]), "--raw", str(small["raw"]), "--variant", "scratch"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(false_alarms, "FEWEST", 2)  # limits for a handful of patients
            assert train([*flags, "--out", "run", "--set", "epochs=1"]) == 0
    return folder


@pytest.fixture(scope="module")
def server(home):
    with running(home / "saved_models") as server:
        yield f"http://127.0.0.1:{server.rest_port}"


@pytest.fixture
def image(small) -> Path:
    """The first image of the raw folder."""
    return next(small["raw"].rglob("*.png"))


@pytest.fixture
def copy(inside, tmp_path) -> Path:
    """A copy of the exported version, to be damaged."""
    shutil.copytree("saved_models/thirds/1", tmp_path / "1")
    return tmp_path / "1"


def _fails(capsys, *flags, **options) -> str:
    return error_line(capsys, predict, *flags, **options)


def _answers_of(out: str, *flags) -> list[dict]:
    """The answers that predict writes into `out`."""
    assert predict([*map(str, flags), "--out", out]) == 0
    return json.loads(Path(out).read_text())["answers"]


def _differs_by(home: Path, small, *flags: str) -> float:
    """Largest difference from evaluate's predictions.parquet, over all held-out images."""
    run = open_finished(home / "run")
    table = pd.read_parquet(run.folder / "predictions.parquet").set_index("record_id")
    files = {row["record_id"]: row["source"] for row in read_private(run.data_folder / PRIVATE)}
    inputs = [str(small["raw"] / files[record]) for record in table.index]
    rows = _answers_of("found.json", *flags, "--input", *inputs)
    assert [row["input"] for row in rows] == [Path(name).name for name in inputs]
    answers = calibrator_from_json(run.values["answers"])
    outputs = table[[f"output_{name}" for name in CLASSES]].to_numpy(float)
    for row, output in zip(rows, outputs, strict=True):
        assert_answer_of(row["decision"], row["prediction_set"], answers, output, CLASSES)
    for output, predicted, held in zip(outputs, table["predicted"], table["set"], strict=True):
        held = None if held is None else list(held)
        assert_answer_of(predicted, held, answers, output, CLASSES)
    found = np.array([[row["probabilities"][name] for name in CLASSES] for row in rows])
    return float(np.abs(found - table[[f"p_{name}" for name in CLASSES]].to_numpy()).max())


def test_answers_for_the_files_are_evaluate_s_for_the_records(inside, small):
    assert _differs_by(inside, small, "--model", "saved_models/thirds") <= 1e-5


def test_a_server_answers_as_the_model_on_disk_does(inside, small, server):
    flags = ("--model", "saved_models/thirds/1", "--server", server)
    assert _differs_by(inside, small, *flags) <= 1e-5


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_another_engine_answers_as_tensorflow_does(inside, image, engine):
    if missing := missing_packages(engine):
        pytest.skip(f"without {', '.join(missing)}")
    (wanted,) = _answers_of("a.json", *MODEL, "--input", image)
    (found,) = _answers_of("b.json", *MODEL, "--input", image, "--engine", engine)
    assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-4)
    assert found["decision"] == wanted["decision"]
    assert found["out_of_distribution"] == wanted["out_of_distribution"]


def test_an_engine_is_for_a_model_on_this_machine(inside, image, capsys):
    flags = ("--server", "http://127.0.0.1:9", *MODEL, "--input", image, "--engine", "auto")
    assert "Start the server with --engine" in _fails(capsys, *flags)


def test_a_server_alone_answers_without_prediction_sets(inside, small, server, image):
    (local,) = _answers_of("a.json", *MODEL, "--input", image)
    flags = ("--server", server + "/", "--task", small["levels"], "--input", image)
    (served,) = _answers_of("b.json", *flags)
    assert served["probabilities"] == pytest.approx(local["probabilities"], abs=1e-6)
    assert served["decision"] == local["decision"] and served["prediction_set"] is None


def test_what_is_unlike_the_training_says_why(inside, image, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save("noise.png")
    first, second = _answers_of("x.json", *MODEL, "--input", image, "noise.png")
    assert first["out_of_distribution"] is False and first["reasons"] == []
    assert second["out_of_distribution"] is True
    assert any(reason.startswith("roughness of cine is") for reason in second["reasons"])
    assert "warning: 1 of 2 unlike the training data: " in capsys.readouterr().err


def test_a_table_names_no_image_outside_its_folder_by_backslashes_either(inside, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("image\n..\\x.png\n")
    line = _fails(capsys, *MODEL, "--input", str(tmp_path / "t.csv"))
    assert "A table can only name files and folders beside it" in line


def test_a_model_is_not_asked_about_another_modality_unless_told_to(copy, image, tmp_path, capsys):
    export = copy / "assets.extra" / "export.json"
    export.write_text(json.dumps({**json.loads(export.read_text()), "modality": "CT"}))
    table = tmp_path / "t.csv"
    shutil.copy(image, tmp_path / "a.png")
    table.write_text("image,modality\na.png,MR\n")
    flags = ("--model", copy, "--input", table)
    line = _fails(capsys, *map(str, flags))
    assert "The model was trained on CT and knows nothing of MR." in line and "--anyway" in line
    assert len(_answers_of(str(tmp_path / "x.json"), *flags, "--anyway")) == 1
    table.write_text("image,modality\na.png,CT\n")
    assert len(_answers_of(str(tmp_path / "y.json"), *flags)) == 1


@pytest.mark.parametrize("of_model, of_table", [("MR", "mr"), ("MR", "MRI"), ("MRI", "MR")])
def test_a_modality_is_the_same_however_a_person_writes_it(
    copy, image, tmp_path, of_model, of_table
):
    export = copy / "assets.extra" / "export.json"
    export.write_text(json.dumps({**json.loads(export.read_text()), "modality": of_model}))
    shutil.copy(image, tmp_path / "a.png")
    (tmp_path / "t.csv").write_text(f"image,modality\na.png,{of_table}\n")
    flags = ("--model", copy, "--input", tmp_path / "t.csv")
    assert len(_answers_of(str(tmp_path / "x.json"), *flags)) == 1


def test_the_export_explains_a_picture(inside, image):
    (row,) = _answers_of("maps.json", *MODEL, "--input", image, "--explain")
    assert (Path("maps_maps") / row["map"]).is_file()


def test_a_users_own_layout_needs_the_task_file(copy, small, image, tmp_path, capsys):
    """A layout of mri_tf is known by its name; of the user's own the task file is asked for."""
    out = str(tmp_path / "x.json")
    export = copy / "assets.extra" / "export.json"
    values = json.loads(export.read_text())
    export.write_text(json.dumps({**values, "layout": {"name": "cases_table", "version": 0}}))
    _answers_of(out, "--model", copy, "--input", image)
    warning = capsys.readouterr().err
    assert "read by layout cases_table, version 0; these are read by cases_table, version 2" in warning
    task = copy / "assets.extra" / "task.json"
    standardised = {"normalize": {"method": "zscore", "region": "mask"}}
    as_trained = json.loads(task.read_text())
    task.write_text(json.dumps({**as_trained, **standardised}))
    assert "background was not 0" in _fails(capsys, "--model", copy, "--input", image)
    task.write_text(json.dumps({**as_trained, "layout": "my_layout.py"}))
    assert "Add --task thirds.py" in _fails(capsys, "--model", copy, "--input", image)
    _answers_of(out, "--model", copy, "--task", small["levels"], "--input", image)
    assert "warning: the model was trained on cases read by layout" in capsys.readouterr().err
    other = small["levels"].with_name("pools.py")
    line = _fails(capsys, "--model", copy, "--task", other, "--input", image)
    assert "must be the task of --model, thirds" in line and "pools.py" in line


def test_a_server_that_does_not_answer_or_lacks_the_model_is_one_line(
    inside, small, image, server, saved, capsys
):
    rest = ["--task", small["levels"], "--input", image]
    down = _fails(capsys, "--server", "http://127.0.0.1:9", *rest, code=3)
    assert "does not answer (" in down and "127.0.0.1:9" in down
    with running(saved) as other:
        address = f"http://127.0.0.1:{other.rest_port}"
        assert "404" in _fails(capsys, "--server", address, *rest)
    with running(inside / "saved_models", token="s3cret") as closed:
        address = f"http://127.0.0.1:{closed.rest_port}"
        assert "--token-file" in _fails(capsys, "--server", address, *rest)
        Path("token").write_text("s3cret\n")
        _answers_of("t.json", "--server", address, *rest, "--token-file", "token")
    wide = small["levels"].with_name("thirds.py").read_text().replace("(32, 32)", "(48, 32)")
    (inside / "wide").mkdir(exist_ok=True)
    (inside / "wide" / "thirds.py").write_text(wide)
    line = _fails(capsys, "--server", server, "--task", "wide/thirds.py", "--input", image)
    assert "(-1, 48, 32, 1)" in line and "--model DIR" in line


def test_damaged_exports_are_one_line(copy, image, capsys):
    (copy / "saved_model.pb").write_bytes(b"not a graph")
    assert "Cannot load the SavedModel" in _fails(capsys, "--model", copy.parent, "--input", image)
    task = copy / "assets.extra" / "task.json"
    task.write_text("{")
    assert "Cannot read the export" in _fails(capsys, "--model", copy, "--input", image)
    task.unlink()
    assert "task.json" in _fails(capsys, "--model", copy, "--input", image)


@pytest.mark.parametrize("text", ["{}", "[]", "5", None])
@pytest.mark.parametrize("asset", ["task.json", "answers.json"])
def test_assets_of_the_wrong_content_are_one_line(inside, image, tmp_path, capsys, asset, text):
    shutil.copytree("saved_models/thirds/1/assets.extra", tmp_path / "1" / "assets.extra")
    (tmp_path / "1" / "saved_model.pb").touch()
    path = tmp_path / "1" / "assets.extra" / asset
    path.unlink() if text is None else path.write_text(text)
    line = _fails(capsys, "--model", tmp_path / "1", "--input", image)
    assert "damaged" in line or "task.json" in line


def test_a_model_of_a_later_version_is_not_called_damaged(copy, image, capsys):
    path = copy / "assets.extra" / "task.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "of_tomorrow": 1}))
    line = _fails(capsys, "--model", copy, "--input", image)
    assert "of_tomorrow" in line and "damaged" not in line


def test_a_model_whose_weights_are_cut_is_one_line(copy, image, capsys):
    (weights,) = (copy / "variables").glob("variables.data-*")
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "Cannot load the SavedModel" in _fails(capsys, "--model", copy, "--input", image)


class _Trickling(BaseHTTPRequestHandler):
    """A server whose answer never ends."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(600):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)

    def log_message(self, *_):
        pass


def test_a_server_whose_answer_never_ends_is_left_after_the_timeout(small, image, capsys):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Trickling)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    flags = ["--server", address, "--task", small["levels"], "--input", image, "--timeout-s", "0.5"]
    assert "does not answer (TimeoutError)" in _fails(capsys, *flags, code=3)
    server.shutdown()


@pytest.mark.parametrize(
    "address, says",
    [("http://[::1", "address of a REST"), ("ftp://me:secret@host", "address of a REST"),
     ("http://me:secret@127.0.0.1:1", "must not contain a user name or password")],
)  # fmt: skip
def test_addresses_that_are_none_or_hold_a_password_are_refused(small, image, capsys, address, says):
    line = _fails(capsys, "--server", address, "--task", small["levels"], "--input", image)
    assert says in line and "secret" not in line
