"""Times the resampling of 2D augmentation beside TensorFlow's image operation.

    PYTHONPATH=. python benchmarks/augment2d.py [--rounds 5]

Both move the same batches by the same transforms, alternating, on one thread each as the input pipeline
does. First their results are compared; the table has the median milliseconds a batch.
"""

import argparse
import time

import numpy as np
import tensorflow as tf

from mri_tf.pipeline.augment2d import draw_changes
from mri_tf.pipeline.resample2d import resample_linear

BATCHES = ((16, 224, 224, 3), (64, 128, 128, 1), (5, 128, 128, 1))
AUGMENT = {"random_affine": {"max_degrees": 15.0, "max_shift_fraction": 0.08, "zoom": (0.9, 1.1)}}
REPEATS = 10  # of a batch in one timing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="alternations (default 5)")
    flags = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print("| batch | ms | ms of ImageProjectiveTransformV3 | ratio (least to most) |\n|---|---|---|---|")
    for shape in BATCHES:
        images = tf.random.stateless_normal(shape, seed=(0, 1))
        seeds = tf.stack([tf.zeros(shape[0], tf.int64), tf.range(shape[0], dtype=tf.int64)], axis=-1)
        transforms = draw_changes(seeds, shape[1:3], AUGMENT, 1.0).transforms
        gap = float(tf.reduce_max(tf.abs(ours(images, transforms) - theirs(images, transforms))))
        if gap > 1e-3:
            raise SystemExit(f"the results differ by {gap:.2g}")
        times = np.array([
            [seconds(function, images, transforms) for function in (ours, theirs)]
            for _ in range(flags.rounds)
        ])  # (rounds, 2)  # fmt: skip
        own, other = 1000 * np.median(times, axis=0)
        ratios = times[:, 1] / times[:, 0]
        print(f"| {' x '.join(map(str, shape))} | {own:.1f} | {other:.1f} | "
              f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) |")  # fmt: skip


@tf.function
def ours(images: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    return resample_linear(images, transforms)


@tf.function
def theirs(images: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=transforms, output_shape=tf.shape(images)[1:3], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )  # fmt: skip


def seconds(function, images: tf.Tensor, transforms: tf.Tensor) -> float:
    """Of one batch, averaged over REPEATS."""
    function(images, transforms)
    start = time.perf_counter()
    for _ in range(REPEATS):
        function(images, transforms)
    return (time.perf_counter() - start) / REPEATS


if __name__ == "__main__":
    main()
