"""Frozen M-Net features: the plain full-resolution graph against the pooled one, and their answers.

    python benchmarks/pooled_features.py [--images 20] [--repeats 5]

The plain graph concatenates 496 channels at 128 x 128 and max pools them; the pooled graph never
makes that tensor. Both run in the same process, in turns; the ratio of the medians is the claim.
"""

import argparse
import statistics
import time

import numpy as np


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--images", type=int, default=20)
    flags.add_argument("--repeats", type=int, default=5)
    flags = flags.parse_args()
    import keras
    import tensorflow as tf

    from mri_tf.models.mnet import build, full_resolution_features, pooled_features

    keras.utils.set_random_seed(0)
    network = build((128, 128, 1), 17, start_filters=16)
    full = full_resolution_features(network)
    plain = keras.Model(full.input, keras.layers.MaxPooling2D()(full.output))
    graphs = {"plain": tf.function(plain), "pooled": tf.function(pooled_features(network))}
    images = np.random.default_rng(0).normal(size=(flags.images, 128, 128, 1)).astype(np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in graphs}
    answers = {name: graph(images, training=False).numpy() for name, graph in graphs.items()}
    for _ in range(flags.repeats):
        for name, graph in graphs.items():
            start = time.perf_counter()
            graph(images, training=False)
            seconds[name].append((time.perf_counter() - start) / flags.images)
    difference = np.max(np.abs(answers["plain"] - answers["pooled"]))
    print("| graph | ms an image (median) | least | most |\n|---|---|---|---|")
    for name, times in seconds.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"| {name} | {1e3 * middle:.1f} | {1e3 * low:.1f} | {1e3 * high:.1f} |")
    ratio = statistics.median(seconds["plain"]) / statistics.median(seconds["pooled"])
    print(f"\nratio plain / pooled: {ratio:.1f}; largest difference of the answers: {difference:.1e}")
    if not difference <= 1e-5:
        raise SystemExit("the two graphs differ")


if __name__ == "__main__":
    main()
