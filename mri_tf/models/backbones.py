"""Backbones with weights of other data; the only networks here that read a file or the network."""

from pathlib import Path

import keras

from mri_tf.errors import InputError

NO_WEIGHTS, IMAGENET = "none", "imagenet"
VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


def vgg16(image, weights: str) -> keras.Model:
    """The convolutions of VGG16 on `image` (batch, rows, columns, 3), as part of its graph.

    `weights` is `imagenet` (Keras' file: in its cache, or fetched), the path of such a file, or
    `none`. Raises InputError, with where to put the file, if it cannot be had.
    """
    if weights in (NO_WEIGHTS, IMAGENET):
        try:
            return keras.applications.VGG16(
                include_top=False,
                weights=IMAGENET if weights == IMAGENET else None,
                input_tensor=image,
            )
        except Exception as error:  # Keras raises a plain Exception where it cannot fetch
            cache = Path("~/.keras/models").expanduser()
            raise InputError(
                "model_args.weights=imagenet needs Keras' VGG16 weights.",
                f"no {VGG16_FILE} in {cache} and no way to fetch it ({type(error).__name__})",
                f"Put the file there, or name it with --set model_args.weights=PATH, or use "
                f"--set model_args.weights={NO_WEIGHTS}.",
            ) from None
    network = keras.applications.VGG16(include_top=False, weights=None, input_tensor=image)
    if not Path(weights).is_file():
        raise InputError(
            "model_args.weights names a file, imagenet or none.", weights, "Name one that exists."
        )
    try:
        network.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model_args.weights names a file like Keras' {VGG16_FILE}.",
            f"{weights} ({type(error).__name__})",
            "Name another file.",
        ) from None
    return network
