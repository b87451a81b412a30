"""Classes of intensity (THRESHOLD of recipe A): a pixel's label is its nearest k-means centroid.

The paper is silent on the order of labels and on whether k-means is run an image or a set; here
the centroids are fitted once, on the training side, and ordered by intensity.
"""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

PIXELS_AN_IMAGE = 500  # drawn to fit on; all pixels would tell the same


def fit_centroids(images: Iterable[np.ndarray], classes: int, seed: int) -> np.ndarray:
    """(classes, channels) float32 in ascending intensity, from images (..., channels)."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    drawn = []
    for image in images:
        pixels = image.reshape(-1, image.shape[-1])
        drawn.append(pixels[rng.integers(len(pixels), size=PIXELS_AN_IMAGE)])
    kmeans = MiniBatchKMeans(classes, random_state=seed, n_init=3, batch_size=4096)
    centres = kmeans.fit(np.concatenate(drawn).astype(np.float64)).cluster_centers_
    return centres[np.argsort(centres.mean(axis=-1))].astype(np.float32)


def nearest_centroid(images: tf.Tensor, centroids: np.ndarray) -> tf.Tensor:
    """(batch, ..., channels) -> (batch, ...) int32: which centroid lies nearest."""
    squared = [
        tf.reduce_sum(tf.square(images - centroid), axis=-1) for centroid in np.asarray(centroids)
    ]
    return tf.argmin(tf.stack(squared, axis=-1), axis=-1, output_type=tf.int32)
