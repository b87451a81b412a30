"""Writes a finished run as a SavedModel for TF Serving: python -m mri_tf.export --run RUN."""

import errno
import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from mri_tf.command import Parser, import_tensorflow, run_command
from mri_tf.errors import RunFailed

PARITY_RECORDS = 20
PARITY_LIMIT = 1e-5


def export_run(run, prepared, out: Path) -> Path:
    """Exports, loads the result as TF Serving does, compares it and gives it its version number.

    `prepared` gives the records to compare on: the run's own test side. Returns the folder
    `out/<task>/<version>`; raises RunFailed (and leaves nothing) when the numbers differ.
    """
    from mri_tf.assemble import load_network

    model, task = load_network(run), run.task
    home = Path(out) / task.name
    home.mkdir(parents=True, exist_ok=True)
    # A folder of this process' own: two runs may end at the same moment.
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=home)) / "model"
    try:
        write_saved_model(model, run, prepared.image_dtype, scratch)
        _write_assets(run, scratch / "assets.extra")
        difference = parity(run, prepared, model, scratch)
        if not difference <= PARITY_LIMIT:
            raise RunFailed(
                f"The exported model differs from the trained one by {difference:.2g}, "
                f"more than {PARITY_LIMIT:g}.",
                "Nothing was exported; the run is kept.",
            )
        return _publish(scratch, home)
    finally:
        shutil.rmtree(scratch.parent, ignore_errors=True)


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
    return 1 + max((int(path.name) for path in home.iterdir() if path.name.isdigit()), default=0)


def write_saved_model(model, run, image_dtype: str, folder: Path) -> None:
    """The signatures `serving_default` (prepared-grid arrays) and, in 2D, `image_bytes`."""
    import tensorflow as tf
    from keras.export import ExportArchive

    from mri_tf.data.normalize import needs_stats, normalize

    task, answer = run.task, answer_in_graph(run)
    grid = (*task.network_shape, len(task.channels))
    archive = ExportArchive()
    archive.track(model)

    def outputs(image, stats):
        """(batch, *grid) in the task's unit -> what `answer_in_graph` gives, batch first."""
        return answer(tf.cast(model(normalize(image, stats, task.normalize)), tf.float32))

    inputs = {"image": tf.TensorSpec((None, *grid), tf.float32, name="image")}
    if needs_stats(task.normalize):
        shape = (None, 2, len(task.channels), 2)
        inputs["intensity_stats"] = tf.TensorSpec(shape, tf.float32, name="intensity_stats")

    def serving_default(image, intensity_stats=None):
        return outputs(image, intensity_stats)

    archive.add_endpoint(
        "serving_default",
        tf.function(serving_default, input_signature=list(inputs.values()), autograph=False),
    )
    if serves_image_bytes(task):
        bytes_spec = tf.TensorSpec((None,), tf.string, name="image_bytes")

        def image_bytes(image_bytes):
            image = tf.map_fn(
                lambda data: grid_image(data, task, image_dtype),
                image_bytes,
                fn_output_signature=tf.TensorSpec(grid, tf.float32),
            )
            return outputs(image, _stats(image))

        archive.add_endpoint(
            "image_bytes", tf.function(image_bytes, input_signature=[bytes_spec], autograph=False)
        )
    archive.write_out(str(folder), verbose=False)


def answer_in_graph(run):
    """The run's `Answers` as a function of TensorFlow ops: outputs (batch, classes) ->
    `probabilities` as reported, `logits` of the network, and `decision` at the operating point.

    A segmentation's outputs (batch, rows, columns, classes) are its probabilities.
    """
    import numpy as np
    import tensorflow as tf

    from mri_tf.answers import from_values
    from mri_tf.calibration import SMALLEST, prior_offsets
    from mri_tf.decisions import SAME

    if run.task.kind == "segmentation":
        return lambda outputs: {
            "probabilities": outputs, "logits": tf.math.log(tf.maximum(outputs, SMALLEST))
        }  # fmt: skip
    answers = from_values(run.values["answers"])
    offsets = prior_offsets(np.array(answers.trained), np.array(answers.natural))
    factors = np.array(answers.point.class_factors)

    def answer(outputs):
        # In float64, as Answers does: a low temperature multiplies what float32 rounds away.
        logits = tf.math.log(tf.maximum(tf.cast(outputs, tf.float64), SMALLEST))
        probabilities = tf.nn.softmax(logits / answers.temperature + offsets)
        products = probabilities * factors
        largest = tf.reduce_max(products, axis=-1, keepdims=True)
        return {
            "probabilities": tf.cast(probabilities, tf.float32),
            "logits": tf.cast(logits, tf.float32),
            "decision": tf.argmax(tf.cast(products >= largest * (1 - SAME), tf.int32), axis=-1),
        }

    return answer


def reported(run, outputs):
    """What evaluate reports of a network's outputs."""
    from mri_tf.answers import from_values

    if run.task.kind == "segmentation":
        return outputs
    return from_values(run.values["answers"]).probabilities(outputs)


def serves_image_bytes(task) -> bool:
    """Whether preparation from PNG or JPEG bytes can be done in the graph (CLAHE cannot)."""
    grey_or_colour = len(task.channels) in (1, 3)
    return len(task.image_shape) == 2 and grey_or_colour and "clahe" not in task.prep


def grid_image(data, task, image_dtype: str):
    """PNG or JPEG bytes -> the prepared image (*grid, channels) float32, as preparation makes it."""
    from mri_tf.images import decode_png_or_jpeg, fit_to_grid, to_record_values

    stored = decode_png_or_jpeg(data, len(task.channels), task.prep.get("bits", 0))
    fitted = fit_to_grid(stored, task.image_shape, "bilinear")
    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    return to_record_values(fitted, slope, intercept, image_dtype)


def parity(run, prepared, model, folder: Path) -> float:
    """Largest difference of probabilities between the run's network and the export.

    Over 20 held-out records; the export is loaded into a session, as TF Serving loads it. The
    bytes signature is fed a PNG of each prepared image and compared with the network on what that
    PNG holds, which is the prepared image itself wherever its values fit in one.
    """
    import numpy as np
    import tensorflow as tf

    from mri_tf.data.cut import cut_function
    from mri_tf.data.normalize import needs_stats, normalize
    from mri_tf.data.pipeline import walk
    from mri_tf.fitting import positions_of
    from mri_tf.predicting import predict_records

    task = run.task
    records = positions_of(run, prepared)[2][:PARITY_RECORDS]
    raw = walk(
        prepared, records, min(len(records), task.batch_size), cut=cut_function(task, training=False)
    )
    expected = reported(run, predict_records(model, run, prepared, records))
    difference, done = 0.0, 0
    with session_of(folder) as served:
        for batch in raw:
            image = batch["image"].numpy().astype(np.float32)
            feed = {"image": image}
            if needs_stats(task.normalize):
                feed["intensity_stats"] = batch["intensity_stats"].numpy()
            wanted = expected[done : done + len(image)]
            done += len(image)
            found = served("serving_default", feed)["probabilities"]
            difference = max(difference, np.max(np.abs(found - wanted)))
            if serves_image_bytes(task):
                files = png_files(image, task)
                held = tf.stack([grid_image(file, task, prepared.image_dtype) for file in files])
                if not np.array_equal(held, image):
                    inputs = normalize(held, _stats(held), task.normalize)
                    wanted = reported(run, model.predict_on_batch(inputs))
                found = served("image_bytes", {"image_bytes": files})["probabilities"]
                difference = max(difference, np.max(np.abs(found - wanted)))
    return float(difference)


def png_files(images, task):
    """Prepared images as PNG bytes of their stored values, rounded to what a PNG can hold."""
    import numpy as np
    import tensorflow as tf

    slope, intercept = task.prep.get("slope", 1.0), task.prep.get("intercept", 0.0)
    stored = np.clip(np.round((images - intercept) / slope), 0, 65535)
    # 8 and 16 bit are told apart by the file, so the smaller one that fits is right.
    kind = np.uint8 if stored.max() <= 255 else np.uint16
    return np.array([tf.io.encode_png(one).numpy() for one in stored.astype(kind)], dtype=object)


@contextmanager
def session_of(folder: Path):
    """A SavedModel loaded into a session of its own, as TF Serving does: yields
    `run(signature, values)`, which gives the signature's outputs by name."""
    import tensorflow as tf

    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))

    def run(signature: str, values: dict) -> dict:
        found = loaded.signature_def[signature]
        feed = {found.inputs[name].name: value for name, value in values.items()}
        fetch = {name: info.name for name, info in found.outputs.items()}
        return session.run(fetch, feed)

    try:
        yield run
    finally:
        session.close()


def run_in_session(folder: Path, signature: str, values: dict) -> dict:
    """One call of a SavedModel's signature in a session of its own."""
    with session_of(folder) as run:
        return run(signature, values)


def _stats(image):
    """intensity_stats of prepared images, as `schema.image_stats` takes them: (batch, 2, c, 2)."""
    import tensorflow as tf

    wide = tf.cast(image, tf.float64)
    mean, variance = tf.nn.moments(wide, axes=list(range(1, image.shape.rank - 1)))
    stats = tf.stack([mean, tf.sqrt(variance)], axis=-1)  # (batch, channels, 2)
    return tf.cast(tf.stack([stats, stats], axis=1), tf.float32)


def _write_assets(run, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps(run.values["task"], indent=1), encoding="utf-8")
    labels = "".join(f"{name}\n" for name in run.task.output_names)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    if run.values["answers"]:
        answers = json.dumps(run.values["answers"], indent=1)
        (folder / "answers.json").write_text(answers, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Exports a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    from mri_tf.prepared import Prepared
    from mri_tf.runs import open_finished

    run = open_finished(flags.run)
    folder = export_run(run, Prepared.open(run.data_folder), flags.out)
    print(f"wrote {folder}")
    return 0


def _parser() -> Parser:
    parser = Parser("python -m mri_tf.export", __doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument(
        "--out", type=Path, default=Path("saved_models"), help="(default saved_models)"
    )
    parser.add_argument("--format", default="savedmodel", choices=["savedmodel"])
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
