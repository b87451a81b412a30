"""Grad-CAM maps in the graph of an export; of several members the mean of their maps."""

from collections.abc import Callable

import keras
import tensorflow as tf

from mri_tf.explain.saliency import chosen, grad_cam, resize_maps, zoom_maps, zoom_step
from mri_tf.export.graph import answer_in_graph
from mri_tf.export.source import ExportSource, together
from mri_tf.network.bags import slice_classifier
from mri_tf.network.combat import corrected
from mri_tf.network.views import with_views


def explained_networks(source: ExportSource) -> list[keras.Model]:
    """The networks that maps are made of: where a task answers for patients, those of single slices."""
    models = [member.model for member in source.members]
    return [slice_classifier(model) for model in models] if source.run.task.bag else models


def explained_in_graph(source: ExportSource, layer: str) -> Callable:
    """Returns a function of the normalised images of each member and `class_index` (batch,) int32, -1
    for the most probable class, to `probabilities`, the `class_index` that is explained and its `map`
    (batch, *grid).

    Members explain the same class: the most probable one of the answer of all together. Of a map of a
    member that sees slices at another spacing, the place is that of the run. Where features are
    corrected by site or scanner, so are the probabilities; maps are of the features as they are.
    """
    run, networks = source.run, explained_networks(source)
    answer, task = answer_in_graph(run), source.run.task
    averaged = [with_views(corrected(network), task) for network in networks]

    def explained(images, class_index):
        if not run.has_members and averaged[0] is networks[0]:
            maps, outputs = grad_cam(networks[0], images[0], class_index, layer)  # in one pass
            return {
                "probabilities": answer(outputs)["probabilities"],
                "class_index": chosen(class_index, outputs),
                "map": resize_maps(maps, task.network_shape),
            }
        outputs = [tf.cast(network(one), tf.float32) for network, one in
                   zip(averaged, images, strict=True)]  # fmt: skip
        outputs = together(outputs, run)
        probabilities = answer(outputs)["probabilities"]
        labels = chosen(class_index, probabilities if run.has_members else outputs)
        maps = []
        for network, member, one in zip(networks, source.members, images, strict=True):
            image = one[0] if isinstance(one, tuple) else one  # maps are those of the image alone
            found = resize_maps(grad_cam(network, image, labels, layer)[0], task.network_shape)
            maps.append(zoom_maps(found, zoom_step(member.fitted, run.values["fitted"])))
        return {
            "probabilities": probabilities, "class_index": labels, "map": tf.add_n(maps) / len(maps)
        }  # fmt: skip

    return explained
