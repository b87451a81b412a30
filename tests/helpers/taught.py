"""Small networks that are taught on images in memory, and judged as those of a run."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from made_up_set import MadeUpSet

from mri_tf.audit.judged import Judged, one_a_patient
from mri_tf.network.build import build_run_network
from mri_tf.pipeline.subset import Subset
from mri_tf.store.record import Record, encode_example, stored
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.spec import to_json

TAUGHT = Task(
    name="made_up", channels=("grey",), image_shape=(48, 48), class_names=("a", "b"), model="vgg",
    normalize=dict(method="zscore"), batch_size=16,
    model_args=dict(conv_filters=8, dense_units=16, blocks=3, dropout=0.0),
)  # fmt: skip


class StoredSet(MadeUpSet):
    """A made-up set whose records are read as those of shards are.

    Args:
        masks: of the records; none unless given.
        others: as of MadeUpSet.
    """

    def __init__(self, folder: Path, images: list, masks: list | None = None, **others: list):
        super().__init__(folder, images, **others)
        self.of_records = masks
        self.manifest["has_mask"] = masks is not None

    def _whole(self, position: int) -> Record:
        mask = None if self.of_records is None else self.of_records[position]
        return replace(super().record(position).with_stats(), mask=mask)

    def record(self, position: int) -> Record:
        """As the shards give it back."""
        return replace(stored(self._whole(position)), mask=self._whole(position).mask)

    def read(self, positions: np.ndarray) -> list[bytes]:
        """Serialized records."""
        return [encode_example(self._whole(int(position))) for position in positions]


def run_of(task: Task = TAUGHT) -> Run:
    """A run that has nothing but its task."""
    return Run(Path("nowhere"), {"task": to_json(task), "feature_task": None, "fitted": {}})


def judged_of(model: keras.Model, prepared: StoredSet, training: int, task: Task = TAUGHT) -> Judged:
    """A network, and a set of which the first `training` records were trained on."""
    places = np.arange(len(prepared))
    held_out = one_a_patient(prepared, (places[training:],), 24)
    return Judged(run_of(task), model, Subset(task, prepared, held_out), places[:training])


def taught(
    prepared: StoredSet, training: int, epochs: int = 20, seed: int = 0, task: Task = TAUGHT
) -> keras.Model:
    """The task's network after some epochs on the first `training` records."""
    keras.utils.set_random_seed(seed)
    model = build_run_network(run_of(task))
    subset = Subset(task, prepared, np.arange(training))
    images, labels = (np.concatenate([np.asarray(batch[part]) for batch in subset.eval_batches(16)])
                      for part in (0, 1))  # fmt: skip
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=16, epochs=epochs, verbose=0)
    return model
