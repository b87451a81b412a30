"""Exports a run: writes the model, compares it with the run and publishes it under the next version."""

import contextlib
import errno
import shutil
import sys
import tempfile
from pathlib import Path

from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.exported import ASSETS
from mri_tf.core.system import try_lock
from mri_tf.engines.requests import SAVED_MODEL, WARM_UP
from mri_tf.evaluate.familiarity import familiarity_of, fit_familiarity
from mri_tf.export.assets import exported_version, find_segmenter, modality_of, write_assets
from mri_tf.export.cost import Cost, cost_beside_one
from mri_tf.export.model_card import MODEL_CARD, Card, write_model_card
from mri_tf.export.onnx import onnx_call, write_onnx
from mri_tf.export.parity import Differences, parity, session_of
from mri_tf.export.saved_model import write_saved_model
from mri_tf.export.source import ExportSource
from mri_tf.export.warm_up import write_warm_up
from mri_tf.network.members import load_members
from mri_tf.pipeline.subset import run_sides
from mri_tf.serve.config_files import check_config_files, write_config_files
from mri_tf.serve.version_folders import version_number
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import LOCK, Run

SAVEDMODEL, ONNX = "savedmodel", "onnx"  # the formats
PARITY_LIMIT = {SAVEDMODEL: 1e-5, ONNX: 1e-4}  # largest difference of probabilities
PARTIAL = ".partial-"  # how the folder of an export under way begins
FOLDERS = {SAVEDMODEL: Path("saved_models"), ONNX: Path("onnx_models")}
FILES = {SAVEDMODEL: SAVED_MODEL, ONNX: "model.onnx"}


def export_run(run: Run, prepared: Prepared, out: Path, form: str = SAVEDMODEL) -> Path:
    """Exports a run as the next version of its task in `out`.

    The model is loaded as a server loads it and compared with the run before it is published. For a
    SavedModel, TF Serving's configuration files in `out` are updated too.

    Args:
        run: a finished run.
        prepared: the set it was trained on. The comparison uses held-out records.
        out: the folder of all exported models.
        form: "savedmodel" or "onnx".

    Returns:
        The folder `out/<task>/<version>`.

    Raises:
        RunFailed: the exported model gives other numbers than the run; nothing is left in `out`.
        InputError: the model that finds the boxes is not in `out`, `out` holds models of the other
            format, or the network does not convert to ONNX.
    """
    home = Path(out) / run.task.name
    _check_format(home, form)
    check_config_files(out)
    segmenter = find_segmenter(run, prepared, out)
    members = load_members(run)
    familiarity = familiarity_of(run)
    if familiarity is None:  # a run of an earlier version
        training, validation, _ = (side.thinned() for side in run_sides(run, prepared))
        familiarity = fit_familiarity(training, validation, members[0].model)
    source = ExportSource(
        members, run, familiarity, prepared.image_dtype, prepared.separate_channels
    )
    begun_here = not home.exists()
    home.mkdir(parents=True, exist_ok=True)
    remove_abandoned(home)
    # A folder for this process alone: two runs may end at the same moment.
    scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=home)) / "model"
    lock = (scratch.parent / LOCK).open("wb")
    try_lock(lock)
    try:
        write = _write_onnx if form == ONNX else _write_saved_model
        inputs, differences, cost = write(source, prepared, scratch)
        _check_parity(differences, PARITY_LIMIT[form])
        layout = prepared.manifest.get("layout", {})
        about = {"layout": layout, "modality": modality_of(run, prepared), "signatures": list(inputs)}
        if run.has_members:
            about |= {"members": len(members), "cost": cost and cost.to_json()}
        write_assets(source, scratch / ASSETS, about, segmenter)
        card = Card(source, inputs, prepared, cost)
        write_model_card(card, scratch / ASSETS / MODEL_CARD)
        folder = _publish(scratch, home)
        if form == SAVEDMODEL:
            write_config_files(out)
        return folder
    finally:
        lock.close()
        shutil.rmtree(scratch.parent, ignore_errors=True)
        if begun_here:
            with contextlib.suppress(OSError):  # not empty: published, or another process's
                home.rmdir()


def remove_abandoned(home: Path) -> None:
    """Removes what exports that were killed have left in the folder of a model; others are locked."""
    for folder in home.glob(f"{PARTIAL}*"):
        file = folder / LOCK
        if not file.is_file():
            continue
        with file.open("wb") as lock:
            abandoned = try_lock(lock)
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def _check_parity(differences: Differences, limit: float) -> None:
    """Raises RunFailed where probabilities differ; a map that differs is only said."""
    signature, gap = differences.worst
    if not gap <= limit:  # true for NaN
        raise RunFailed(
            f"The probabilities of the exported model's signature {signature} differ from the run's by "
            f"{gap:.2g}; at most {limit:g} is allowed.",
            "Nothing was exported; the run is kept.",
        )
    if differences.map is not None and not differences.map <= limit:
        print(
            "warning: the maps of the exported model's signature explain differ from those of "
            f"mri_tf.explain by up to {differences.map:.2g} of their largest value; the probabilities "
            "agree",
            file=sys.stderr,
        )


def _write_saved_model(
    source: ExportSource, prepared: Prepared, folder: Path
) -> tuple[dict, Differences, Cost | None]:
    """Returns the signatures with their inputs, the differences from the run, and of several members
    what they cost."""
    inputs = write_saved_model(source, folder)
    (folder / ASSETS).mkdir()
    why_not = write_warm_up(source, inputs, folder / ASSETS / WARM_UP)
    if why_not:
        print(f"no warm-up requests: {why_not}")
    with session_of(folder) as call:
        differences, cost = parity(source, prepared, call, inputs), None
        if len(source.members) > 1:
            cost = cost_beside_one(source, folder, call, folder.parent / "one")
    return inputs, differences, cost


def _write_onnx(
    source: ExportSource, prepared: Prepared, folder: Path
) -> tuple[dict, Differences, None]:
    """The same for an ONNX file, whose cost is not measured."""
    inputs = write_onnx(source, folder / FILES[ONNX])
    call = onnx_call(source, folder / FILES[ONNX])
    differences = parity(source, prepared, call, inputs)
    print(f"probabilities in ONNX Runtime differ from the run's by at most {differences.worst[1]:.1g}")
    return inputs, differences, None


def _check_format(home: Path, form: str) -> None:
    """All versions in a folder have one format: TF Serving would fail on the others."""
    (other,) = set(FILES) - {form}
    if any(home.glob(f"*/{FILES[other]}")):
        raise InputError(
            f"The --out folder already holds versions of this model in the format {other}, so --format "
            f"{form} cannot write there.", home,
            f"Choose another --out folder, for example {FOLDERS[form]}.",
        )  # fmt: skip


def export_with_segmenter(run: Run, prepared: Prepared, features: Run | None, out: Path) -> list[Path]:
    """Exports `features` as well, first, where it finds the run's boxes and is not in `out` yet.

    Returns the folders written; raises what `export_run` does.
    """
    folders = []
    if run.task.boxes_from and features:
        home, weights = Path(out) / features.task.name, features.values["weights_sha256"]
        if exported_version(home, weights) is None:
            folders.append(export_run(features, Prepared.open(features.data_folder), out))
    return [*folders, export_run(run, prepared, out)]


def _publish(scratch: Path, home: Path) -> Path:
    """Renames to the next free version; another process may take a number at the same moment."""
    while True:
        numbers = (version_number(path.name) for path in home.iterdir())
        version = 1 + max((number for number in numbers if number is not None), default=0)
        try:
            scratch.rename(home / str(version))
            return home / str(version)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
