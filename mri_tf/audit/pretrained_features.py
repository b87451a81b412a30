"""Features of images by a published encoder that is never trained: what the frozen probe looks at."""

from pathlib import Path

import numpy as np

from mri_tf.audit.image_probes import View
from mri_tf.core.errors import InputError
from mri_tf.core.presets import is_cached
from mri_tf.models.backbones import UNIT
from mri_tf.models.encoders import PRETRAINED, Encoder, encoder_maps
from mri_tf.models.frozen_probe import frozen_probe
from mri_tf.task import Task

USUAL, USUAL_PRESET = "resnet18", "resnet_18_imagenet"
LEAST_SIDE = 32  # pixels, below which an encoder has no map left
MOST_SLICES = 16  # of a volume, at equal distances
PERCENTILES = (1, 99)  # become 0 and 1


def encoder_at_hand(task: Task) -> tuple[Encoder | None, str]:
    """The encoder whose weights are on this machine, or None and why there is none.

    It is the one that the task names, where it names a file or a folder of weights; else ResNet-18.
    """
    if task.model == frozen_probe.__name__:
        return None, "the network is a frozen probe itself"
    if min(task.image_shape[-2:]) < LEAST_SIDE:
        return None, f"the images have fewer than {LEAST_SIDE} pixels on a side"
    known = task.model_args
    weights = str(known.get("weights", ""))
    name = str(known.get("encoder") or known.get("backbone") or USUAL)
    of_pictures = {"encoder", "backbone"} & set(known) or task.model.startswith("backbone_")
    if weights and of_pictures and Path(weights).exists():
        return Encoder(name, weights, str(known.get("cut_after", "")), UNIT), ""
    if is_cached(USUAL_PRESET):
        return Encoder(USUAL, PRETRAINED, "", UNIT), ""
    return None, "no pre-trained weights are on this machine, and none are downloaded for it"


class FrozenEncoder:
    """Turns images into the mean of an encoder's feature maps; of a volume the mean over slices too."""

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._network = None
        self._shape: tuple[int, ...] = ()

    def features(self, view: View) -> np.ndarray:
        """(n,) of an image; raises InputError where the encoder cannot be built."""
        image = view.image
        if len(image) > MOST_SLICES:
            image = image[np.linspace(0, len(image) - 1, MOST_SLICES).round().astype(int)]
        low, high = np.percentile(image, PERCENTILES, axis=(0, 1, 2))
        span = np.where(high > low, high - low, 1)
        scaled = np.clip((image - low) / span, 0, 1).astype(np.float32)
        if self._shape != scaled.shape[1:]:
            self._network = encoder_maps(scaled.shape[1:], self._encoder)
            self._shape = scaled.shape[1:]
        outputs = self._network.predict_on_batch(scaled)
        maps = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        if not np.isfinite(maps).all():
            raise InputError(
                "The encoder gives features that are no numbers.", self._encoder.name,
                "Look at its weights.",
            )  # fmt: skip
        return maps.mean(axis=(0, 1, 2))
