"""What an export is made from: the networks of a run and what it finds familiar."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from mri_tf.evaluate.familiarity import Familiarity
from mri_tf.export.graph import answer_in_graph, single_network, spec_of
from mri_tf.export.inputs import network_input
from mri_tf.export.out_of_distribution import DISTANCE, FAR, distance_in_graph, flag_in_graph
from mri_tf.network.combat import corrected
from mri_tf.network.members import Member
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import with_views
from mri_tf.pipeline.subset import COMBAT_KNOWN, COMBAT_NUMBER
from mri_tf.store.run import Run
from mri_tf.store.scanners import numbers_of


@dataclass(frozen=True)
class ExportSource:
    """What an export is made from."""

    members: tuple[Member, ...]  # the run's network with its trained weights, or those of its members
    run: Run
    familiarity: Familiarity  # fitted on its training side
    image_dtype: str  # of the images in the prepared set
    separate_channels: bool = False  # whether the channels of an image come from several files

    @property
    def model(self) -> keras.Model:
        """The network of the first member: all of a run have the same layers."""
        return self.members[0].model


    @property
    def serves_image_bytes(self) -> bool:
        """Whether one PNG or JPEG file holds all that an answer needs, and the graph can prepare it.

        Not where channels come from several files (a grey image would fill all of them), where the task
        needs a mask, a spacing or neighbouring slices, which these files do not hold, or with CLAHE.
        """
        task = self.run.task
        one_file = len(task.channels) in (1, 3) and not self.separate_channels
        plain = "clahe" not in task.prep and not (task.spacing or task.standardised)
        return len(task.image_shape) == 2 and one_file and plain and not task.context_slices


def images_of_members(arrays: dict[str, tf.Tensor], source: ExportSource) -> list:
    """The normalised input of each member's network (`inputs.network_input`); where features are
    corrected by site or scanner, a pair of it and the number (batch,) of what the member knows.

    Members that were fitted alike share one tensor, so that the graph prepares an image once. Arrays
    without `combat_batch` are of a site or scanner that nobody knows.
    """
    made: dict[str, tf.Tensor] = {}
    keys = [json.dumps(member.fitted, sort_keys=True) for member in source.members]
    for key, member in zip(keys, source.members, strict=True):
        if key not in made:
            made[key] = network_input(arrays, source.run.task, member.fitted)
            if COMBAT_KNOWN in member.fitted:
                number = arrays.get(COMBAT_NUMBER, tf.zeros(tf.shape(made[key])[:1]))
                made[key] = (made[key], _number_of_member(number, source, member))
    return [made[key] for key in keys]


def _number_of_member(numbers: tf.Tensor, source: ExportSource, member: Member) -> tf.Tensor:
    """Numbers (batch,) of the sites or scanners of the run -> those of one of its members."""
    of_run, of_member = (
        one.values["fitted"][COMBAT_KNOWN]["batches"] for one in (source.run, member.run)
    )
    table = tf.constant([0, *numbers_of(of_run, of_member)], tf.float32)
    whole = tf.cast(numbers, tf.int32)
    return tf.gather(table, tf.where((whole > 0) & (whole <= len(of_run)), whole, 0))


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
    networks = [with_views(with_features(corrected(one.model)), task) for one in source.members]
    # Traced once for all signatures, whose graphs would hold the weights once each otherwise.
    spec = spec_of(networks[0])

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
