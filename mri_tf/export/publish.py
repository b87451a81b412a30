"""Writes a run's SavedModel or ONNX file under the next version number."""

import errno
import shutil
import tempfile
from pathlib import Path

from mri_tf.core.errors import InputError, RunFailed
from mri_tf.serve.version_folders import version_number

PARITY_LIMIT = {"savedmodel": 1e-5, "onnx": 1e-4}  # of probabilities, and of maps
FOLDERS = {"savedmodel": Path("saved_models"), "onnx": Path("onnx_models")}
FILES = {"savedmodel": "saved_model.pb", "onnx": "model.onnx"}


def export_run(run, prepared, out: Path, form: str = "savedmodel") -> Path:
    """Exports, loads the result as a server does, compares it and gives it its version number.

    `prepared` is the set the run was trained on: its training side gives the ranges, its held-out
    records are compared on. TF Serving's configuration in `out` then names the version too. Returns
    the folder `out/<task>/<version>`; raises RunFailed (and leaves nothing) when the numbers differ,
    InputError where the model that finds its boxes is not in `out`, `out` holds the other `form`
    (savedmodel or onnx), or the network does not convert to ONNX.
    """
    from mri_tf.export.assets import ASSETS, Facts, find_segmenter, write_assets
    from mri_tf.export.model_card import MODEL_CARD, write_model_card
    from mri_tf.export.ranges import training_ranges
    from mri_tf.export.saved_model import ExportSource
    from mri_tf.network.build import load_network
    from mri_tf.serve.config_files import check_config_files, write_config_files

    home = Path(out) / run.task.name
    _check_form(home, form)
    check_config_files(out)
    segmenter = find_segmenter(run, prepared, out)
    ranges, dtype = training_ranges(run, prepared), prepared.image_dtype
    served = ExportSource(load_network(run), run, ranges, dtype)
    home.mkdir(parents=True, exist_ok=True)
    # A folder of this process' own: two runs may end at the same moment.
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=home)) / "model"
    try:
        write = {"savedmodel": _write_saved_model, "onnx": _write_onnx}[form]
        inputs, difference = write(served, prepared, scratch)
        if not difference <= PARITY_LIMIT[form]:
            raise RunFailed(
                f"The exported model differs from the trained one by {difference:.2g}, "
                f"more than {PARITY_LIMIT[form]:g}.",
                "Nothing was exported; the run is kept.",
            )
        facts = Facts(ranges, dtype, prepared.manifest.get("layout", {}), list(inputs), segmenter)
        write_assets(run, facts, scratch / ASSETS)
        write_model_card(served, inputs, prepared, scratch / ASSETS / MODEL_CARD)
        folder = _publish(scratch, home)
        if form == "savedmodel":
            write_config_files(out)
        return folder
    finally:
        shutil.rmtree(scratch.parent, ignore_errors=True)


def _write_saved_model(served, prepared, folder: Path) -> tuple[dict, float]:
    """Signatures with their inputs, and the largest difference to the run, of a SavedModel."""
    from mri_tf.export.assets import ASSETS
    from mri_tf.export.parity import parity, session_of
    from mri_tf.export.saved_model import write_saved_model
    from mri_tf.export.warm_up import WARM_UP, write_warm_up

    inputs = write_saved_model(served, folder)
    (folder / ASSETS).mkdir()
    missing = write_warm_up(served, inputs, folder / ASSETS / WARM_UP)
    if missing:
        print(f"no warm-up requests: {missing}")
    with session_of(folder) as call:
        return inputs, parity(served, prepared, call, inputs)


def _write_onnx(served, prepared, folder: Path) -> tuple[dict, float]:
    """The same of an ONNX file."""
    from mri_tf.export.onnx import onnx_call, write_onnx
    from mri_tf.export.parity import parity

    inputs = write_onnx(served, folder / FILES["onnx"])
    call = onnx_call(served, folder / FILES["onnx"])
    difference = parity(served, prepared, call, inputs)
    print(f"ONNX Runtime gives the run's probabilities to {difference:.1g}")
    return inputs, difference


def _check_form(home: Path, form: str) -> None:
    """Versions of a folder are all of one form: TF Serving would fail on the other's."""
    (other,) = set(FILES) - {form}
    if any(home.glob(f"*/{FILES[other]}")):
        raise InputError(
            f"--out of --format {form} holds no versions of format {other}.", home,
            f"Name another --out, for example {FOLDERS[form]}.",
        )  # fmt: skip


def export_with_segmenter(run, prepared, features, out: Path) -> list[Path]:
    """`export_run`, and before it the run `features` where that predicts the masks of the boxes and
    is not in `out` yet; returns the folders written."""
    from mri_tf.export.assets import exported_version
    from mri_tf.store.prepared import Prepared

    written = []
    if run.task.boxes_from and features:
        home, weights = Path(out) / features.task.name, features.values["weights_sha256"]
        if exported_version(home, weights) is None:
            written.append(export_run(features, Prepared.open(features.data_folder), out))
    return [*written, export_run(run, prepared, out)]


def _publish(scratch: Path, home: Path) -> Path:
    """Renames to the next free version; another process may take a number at the same moment."""
    while True:
        folder = home / str(next_version(home))
        try:
            scratch.rename(folder)
            return folder
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def next_version(home: Path) -> int:
    """One more than the largest version there is; versions are never overwritten."""
    numbers = (version_number(path.name) for path in home.iterdir())
    return 1 + max((number for number in numbers if number is not None), default=0)
