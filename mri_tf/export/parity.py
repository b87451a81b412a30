"""Compares an export with its run: the SavedModel is loaded into a session, as TF Serving loads it."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.calibration.answers import answers_from_json
from mri_tf.core.progress import progress
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.explain.saliency import layer_to_explain
from mri_tf.export.explained import explained_in_graph, explained_networks
from mri_tf.export.graph import grid_image, reported, single_network, stats_of, stored_values
from mri_tf.export.inputs import input_arrays, serialized_examples
from mri_tf.export.members_graph import DISAGREEMENT
from mri_tf.export.saved_model import CLASSIFY, EXPLAIN, IMAGE_BYTES, SLICES
from mri_tf.export.source import ExportSource, images_of_members
from mri_tf.network.inference import predict_whole
from mri_tf.network.members import predict_members
from mri_tf.pipeline.bags import pad_slices, present_slices
from mri_tf.pipeline.field_of_view import box_cut
from mri_tf.pipeline.subset import COMBAT_NUMBER, Subset, run_sides
from mri_tf.store.looks import is_closed
from mri_tf.store.prepared import Prepared

PARITY_RECORDS = 20
COSTLY_RECORDS = 4  # for the signatures that are compared on fewer
PARITY_CASES = 2  # where a case is seen by windows, which takes a CPU half a minute
Call = Callable[[str, dict], dict]


@dataclass
class Differences:
    """The largest differences between the run's network and the signatures of its export.

    Attributes:
        probabilities: by signature.
        map: of the maps of `explain`, as a share of their largest value where that is above 1; None
            where the export has no such signature.
    """

    probabilities: dict[str, float] = field(default_factory=dict)
    map: float | None = None

    def note(self, signature: str, answer: dict, wanted: np.ndarray) -> None:
        """Keeps the difference of a signature's answer if it is the largest so far."""
        gap = float(np.max(np.abs(answer["probabilities"] - wanted)))
        before = self.probabilities.get(signature, 0.0)
        self.probabilities[signature] = gap if np.isnan(gap) else max(before, gap)

    @property
    def worst(self) -> tuple[str, float]:
        """The signature whose probabilities differ most, NaN most of all, and by how much."""
        key = lambda item: (np.isnan(item[1]), item[1])  # noqa: E731
        return max(self.probabilities.items(), key=key)


def parity(
    served: ExportSource, prepared: Prepared, call: Call, names: Collection[str]
) -> Differences:
    """Compares an export with its run, over 20 held-out records (or the patients of them), 2 where they
    are seen by windows; of the validation side while the test side is locked. `call(signature, values)`
    gives the outputs of the signatures `names`."""
    # A network whose every patient is held out of another task has none of its own to spare.
    limit = PARITY_CASES if served.run.task.patch else PARITY_RECORDS
    sides = run_sides(served.run, prepared)
    usable = sides[:2] if is_closed(served.run) else sides
    held_out = next(side for side in reversed(usable) if len(side))
    subset = held_out.of(held_out.records[:limit])
    found = Differences()
    _compare_arrays(served, subset, call, names, found)
    if SLICES in names:
        _compare_slices(served, subset, call, found)
    return found


def _compare_arrays(
    served: ExportSource, subset: Subset, call: Call, names: Collection[str], found: Differences
) -> None:
    """Of `serving_default`, and of `classify`, `explain` and `image_bytes` where the export has them.

    The bytes are a PNG of each prepared image; compared is the network on what that PNG holds, which
    is the prepared image itself wherever its values fit in one.
    """
    run, task = served.run, served.run.task
    evaluated = _evaluated(served)
    raw = subset.raw_batches(min(len(subset), task.batch_size), box_cut(task))
    for number, batch in enumerate(_shown(raw, len(subset))):
        arrays = input_arrays(batch, task)
        feed = {name: array.numpy() for name, array in arrays.items()}
        seen = images_of_members(arrays, served)
        outputs = evaluated(seen)
        wanted = reported(run, outputs)
        answer = call(DEFAULT_SIGNATURE, feed)
        found.note(DEFAULT_SIGNATURE, answer, wanted)
        if DISAGREEMENT in answer:
            apart = answers_from_json(run.values["answers"]).disagreement(outputs)
            found.note(DEFAULT_SIGNATURE, {"probabilities": answer[DISAGREEMENT]}, apart)
        # The same function on long messages, and one that needs gradients: of a few records alone.
        few = {name: array[:COSTLY_RECORDS] for name, array in feed.items()}
        if CLASSIFY in names and number == 0:
            scores = call(CLASSIFY, {"inputs": serialized_examples(few)})["scores"]
            found.note(CLASSIFY, {"probabilities": scores}, wanted[:COSTLY_RECORDS])
        if EXPLAIN in names and number == 0:
            first = tf.nest.map_structure(lambda tensor: tensor[:COSTLY_RECORDS], seen)
            some = first, wanted[:COSTLY_RECORDS]
            _compare_maps(served, *some, few, call, found)
        if IMAGE_BYTES in names:
            image = arrays["image"]
            files = png_files(image.numpy(), task)
            held = tf.stack([grid_image(file, task, served.image_dtype) for file in files])
            if not np.array_equal(held, image) or COMBAT_NUMBER in arrays:
                read = {"image": held, "intensity_stats": stats_of(held)}
                wanted = reported(run, evaluated(images_of_members(read, served)))
            found.note(IMAGE_BYTES, call(IMAGE_BYTES, {"image_bytes": files}), wanted)


def _shown(raw: tf.data.Dataset, count: int) -> Iterator[dict]:
    """Batches, with progress over the `count` records in them."""
    done = 0
    with progress("comparing the export", count) as advance:
        for batch in raw:
            yield batch
            done += len(batch["image"])
            advance(done)


def _compare_maps(
    served: ExportSource, seen: list[tf.Tensor], wanted: np.ndarray, feed: dict, call: Call,
    found: Differences,
) -> None:  # fmt: skip
    """Of `explain`, against what `mri_tf.explain` does with the images that each member sees."""
    layer = layer_to_explain(explained_networks(served)[0], "")
    # In a graph, see `saliency.grad_cam_in_graph`.
    explained = tf.function(explained_in_graph(served, layer), autograph=False)
    maps = explained(seen, tf.fill([len(wanted)], -1))["map"].numpy()
    answer = call(EXPLAIN, feed | {"class_index": np.full(len(maps), -1, np.int32)})
    found.note(EXPLAIN, answer, wanted)
    found.map = float(np.max(np.abs(answer["map"] - maps)) / max(1.0, np.max(maps)))


def _evaluated(served: ExportSource) -> Callable[[list[tf.Tensor]], np.ndarray]:
    """Normalised images of each member -> outputs as evaluate has them: one network after the other,
    put together by NumPy; of windows by NumPy, too, not the graph's once more."""
    task, run = served.run.task, served.run
    if task.patch:
        return lambda images: predict_whole(served.model, task, images[0])
    networks = [single_network(member.model, task) for member in served.members]

    def outputs(images: list[tf.Tensor]) -> np.ndarray:
        found = [call(one).numpy() for call, one in zip(networks, images, strict=True)]
        return np.stack(found, axis=1) if run.has_members else found[0]

    return outputs


def _compare_slices(served: ExportSource, subset: Subset, call: Call, found: Differences) -> None:
    """Of `slices`, against what evaluate predicts of the patients."""
    run, task, done = served.run, served.run.task, 0
    wanted = reported(run, predict_members(run, served.members, subset)[0])
    for batch in subset.thinned().raw_bags(task.batch_size, box_cut(task)):
        count = tf.shape(batch["weight"], tf.int64)[0]
        feed = {
            "slices" if name == "image" else name: pad_slices(array, batch["bag"], count).numpy()
            for name, array in input_arrays(batch, task).items()
        }
        feed["mask"] = present_slices(batch["bag"], count).numpy()
        found.note(SLICES, call(SLICES, feed), wanted[done : done + int(count)])
        done += int(count)


def png_files(images, task):
    """Prepared images as PNG bytes of their stored values, rounded to what a PNG can hold."""
    stored = stored_values(images, task)
    # 8 and 16 bit are told apart by the file, so the smaller one that fits is right.
    kind = np.uint8 if stored.max() <= 255 else np.uint16
    return np.array([tf.io.encode_png(one).numpy() for one in stored.astype(kind)], dtype=object)


@contextmanager
def session_of(folder: Path):
    """A SavedModel loaded into a session of its own, as TF Serving does: yields
    `run(signature, values)`, which gives the signature's outputs by name."""
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
