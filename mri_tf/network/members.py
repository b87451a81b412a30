"""The trained networks of a run: one, or those of all members of a model of several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_with_features
from mri_tf.pipeline.subset import Subset
from mri_tf.store.run import Run


@dataclass(frozen=True)
class Member:
    """A trained network and the run that trained it."""

    run: Run
    model: keras.Model

    @property
    def fitted(self) -> dict:
        """What the run fitted on its training side for reading records."""
        return self.run.values["fitted"]


def load_members(run: Run) -> tuple[Member, ...]:
    """The network of a finished run, or those of all its members; raises InputError for weights that
    do not fit."""
    return tuple(Member(one, load_network(one)) for one in run.members)


def predict_members(
    run: Run, members: Sequence[Member], subset: Subset
) -> tuple[np.ndarray, list[np.ndarray]]:
    """What the networks of a classifier say of every unit of a subset.

    Args:
        run: whose networks these are.
        members: of `load_members`.
        subset: as the run reads it. Every member sees the records that the run would be given, brought
            to the spacing that the member was trained with.

    Returns:
        The softmax outputs, (units, classes), or (units, members, classes) of a model of several
        members; and of each member the (units, features) that its last layer reads.
    """
    given = subset.thinned() if subset.task.bag else subset
    found = [predict_with_features(one.model, replace(given, fitted=one.fitted)) for one in members]
    outputs, features = zip(*found, strict=True)
    stacked = np.stack(outputs, axis=1) if run.has_members else outputs[0]
    return stacked, list(features)
