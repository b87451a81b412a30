"""What an export is made from: the networks of a run and what it finds familiar."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from mri_tf.evaluate.familiarity import Familiarity
from mri_tf.export.graph import answer_in_graph, single_network
from mri_tf.export.inputs import network_input
from mri_tf.export.out_of_distribution import DISTANCE, FAR, distance_in_graph, flag_in_graph
from mri_tf.network.members import Member
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import with_views
from mri_tf.store.run import Run


@dataclass(frozen=True)
class ExportSource:
    """What an export is made from."""

    members: tuple[Member, ...]  # the run's network with its trained weights, or those of its members
    run: Run
    familiarity: Familiarity  # fitted on its training side
    image_dtype: str  # of the images in the prepared set

    @property
    def model(self) -> keras.Model:
        """The network of the first member: all of a run have the same layers."""
        return self.members[0].model


def images_of_members(arrays: dict[str, tf.Tensor], source: ExportSource) -> list[tf.Tensor]:
    """The normalised input of each member's network (`inputs.network_input`).

    Members that were fitted alike share one tensor, so that the graph prepares an image once.
    """
    made: dict[str, tf.Tensor] = {}
    keys = [json.dumps(member.fitted, sort_keys=True) for member in source.members]
    for key, member in zip(keys, source.members, strict=True):
        if key not in made:
            made[key] = network_input(arrays, source.run.task, member.fitted)
    return [made[key] for key in keys]


def together(of_members: list[tf.Tensor], run: Run) -> tf.Tensor:
    """The outputs of the members as `answer_in_graph` takes them: (batch, classes) of one network,
    (batch, members, classes) of a model of several members."""
    return tf.stack(of_members, axis=1) if run.has_members else of_members[0]


def answer_of_images(source: ExportSource) -> Callable[[list[tf.Tensor]], dict[str, tf.Tensor]]:
    """Returns a function from the normalised images of each member to the answers for them, one by one,
    with the distance of their features where single images are classified."""
    task, answer = source.run.task, answer_in_graph(source.run)
    if task.bag or source.familiarity.features is None:
        networks = [single_network(member.model, task) for member in source.members]
        return lambda images: answer(
            together([call(one) for call, one in zip(networks, images, strict=True)], source.run)
        )
    networks = [with_views(with_features(member.model), task) for member in source.members]
    # Traced once for all signatures, whose graphs would hold the weights once each otherwise.
    spec = tf.TensorSpec((None, *networks[0].inputs[0].shape[1:]), tf.float32)

    @tf.function(input_signature=[[spec] * len(networks)], autograph=False)
    def answer_with_distance(images):
        found = [call(one) for call, one in zip(networks, images, strict=True)]
        outputs = [tf.cast(output, tf.float32) for output, _ in found]
        return answer(together(outputs, source.run)) | far([features for _, features in found], source)

    return answer_with_distance


def far(features: list[tf.Tensor], source: ExportSource) -> dict[str, tf.Tensor]:
    """The distance of the features that each member reads, and whether it is above its limit."""
    fitted = source.familiarity.features
    distances = distance_in_graph([tf.cast(one, tf.float32) for one in features], fitted)
    return {FAR: flag_in_graph(distances, fitted.limit), DISTANCE: distances}
