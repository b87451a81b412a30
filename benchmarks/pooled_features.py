"""Compares the pooled graph of frozen M-Net features with the plain one at full resolution.

    python benchmarks/pooled_features.py [--images 20] [--repeats 5]

The plain graph concatenates 496 channels at 128 x 128 and pools them; the pooled graph never makes that
tensor. Prints the milliseconds an image of both graphs, measured in turns in one process, for the whole
forward pass with its convolutions and for the part that differs, and the largest difference of
features.
"""

import argparse
import statistics
import time

import numpy as np


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--images", type=int, default=20)
    flags.add_argument("--repeats", type=int, default=7)
    flags = flags.parse_args()
    import keras
    import tensorflow as tf

    from mri_tf.models import mnet

    keras.utils.set_random_seed(0)
    network = mnet.mnet((128, 128, 1), 17, start_filters=16)
    full = mnet.full_resolution_features(network)
    plain = keras.Model(full.input, keras.layers.MaxPooling2D()(full.output))
    pooled = mnet.pooled_features(network)
    images = np.random.default_rng(0).normal(size=(flags.images, 128, 128, 1)).astype(np.float32)
    compare(
        "whole forward",
        tf.function(lambda: plain(images, training=False)),
        tf.function(lambda: pooled(images, training=False)),
        flags,
    )
    legs = [tf.random.normal((flags.images, 128 >> k, 128 >> k, 16 << k)) for k in range(5)]
    pool = keras.layers.MaxPooling2D()
    compare(
        "legs to features",
        tf.function(lambda: pool(mnet.full_concatenation(legs))),
        tf.function(lambda: mnet.pooled_concatenation(legs)),
        flags,
    )


def compare(what: str, plain, pooled, flags) -> None:
    """Prints both times, their ratio and the largest difference of the answers."""
    difference = np.max(np.abs(plain().numpy() - pooled().numpy()))
    seconds: dict[str, list[float]] = {"plain": [], "pooled": []}
    for _ in range(flags.repeats):
        for name, graph in (("plain", plain), ("pooled", pooled)):
            start = time.perf_counter()
            graph()
            seconds[name].append((time.perf_counter() - start) / flags.images)
    print(f"{what}\n\n| graph | ms an image (median) | least | most |\n|---|---|---|---|")
    for name, times in seconds.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"| {name} | {1e3 * middle:.2f} | {1e3 * low:.2f} | {1e3 * high:.2f} |")
    ratio = statistics.median(seconds["plain"]) / statistics.median(seconds["pooled"])
    print(f"\nratio plain / pooled: {ratio:.1f}; largest difference: {difference:.1e}\n")
    if not difference <= 1e-5:
        raise SystemExit("the two graphs differ")


if __name__ == "__main__":
    main()
