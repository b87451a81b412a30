"""Small networks that are taught on images in memory, and judged as those of a run."""

from pathlib import Path

import keras
import numpy as np
from made_up_set import MadeUpSet

from mri_tf.audit.judged import Judged, one_a_patient
from mri_tf.network.build import build_run_network
from mri_tf.pipeline.subset import Subset
from mri_tf.store.record import encode_example, stored
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.spec import to_json

TAUGHT = Task(
    name="made_up", channels=("grey",), image_shape=(48, 48), class_names=("a", "b"), model="vgg",
    normalize=dict(method="zscore"), batch_size=16,
    model_args=dict(conv_filters=8, dense_units=16, blocks=3, dropout=0.0),
)  # fmt: skip


class StoredSet(MadeUpSet):
    """A made-up set whose records are read as those of shards are."""

    def record(self, position):
        """As the shards give it back."""
        return stored(super().record(position).with_stats())

    def read(self, positions):
        """Serialized records."""
        return [encode_example(super(StoredSet, self).record(int(place)).with_stats())
                for place in positions]  # fmt: skip


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
