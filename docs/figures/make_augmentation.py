"""The picture of every operation of augmentation: a phantom's slice as it is, and after each of them.

    python docs/figures/make_augmentation.py [--out docs/figures/augmentation.png]

Each panel is one operation alone with stronger values than a task would use, so that it is seen. The
last one is a mixture of two patients.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

from data_prep.phantom.brain.render import draw_brain_patient, render
from mri_tf.core.words import printed_name
from mri_tf.figures.style import PAGE_MM, new_figure, settle, styled
from mri_tf.pipeline.augment2d import OPERATIONS, augment_images
from mri_tf.pipeline.augment_scan import OPERATIONS as OF_SCANNERS
from mri_tf.pipeline.elastic import NAME as ELASTIC
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.mixup import mixed

WIDTH_PIXELS, COLUMNS, SEED = 1000, 5, 3
SHARE = 0.6  # of the mixture that is the first patient
STRONG = {
    "random_affine": dict(max_degrees=25.0, max_shift_fraction=0.1, zoom=(0.8, 1.2)),
    "random_flip": dict(probability=1.0),
    "random_elastic": dict(max_mm=12.0, control_points=6, probability=1.0),
    "random_contrast": dict(low=1.8, high=1.8),
    "random_gamma": dict(low=0.5, high=0.5),
    "random_bias_field": dict(max_coefficient=0.8, probability=1.0),
    "random_blur": dict(max_mm=4.0, probability=1.0),
    "random_low_resolution": dict(max_factor=9.0, probability=1.0),
    "random_ghosting": dict(fewest=4, most=5, max_intensity=1.0, probability=1.0),
    "random_noise": dict(max_sd=0.5, probability=1.0),
    "random_erasing": dict(max_fraction=0.5, probability=1.0),
}


@styled
def draw(out: Path) -> None:
    """Writes the PNG."""
    assert STRONG.keys() == OPERATIONS.keys() | OF_SCANNERS.keys() | {ELASTIC}
    image = _slice(SEED)  # (rows, columns)
    panels = {"as it is": image} | {
        printed_name(name.removeprefix("random_")): _changed(image, {name: values})
        for name, values in STRONG.items()
    }
    panels["mixup"] = _mixture(image, _slice(SEED + 1))
    rows = -(-len(panels) // COLUMNS)
    figure = new_figure(PAGE_MM, PAGE_MM / COLUMNS * rows * 1.12)
    low, high = np.percentile(image, [1, 99.8])
    for number, (title, panel) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        axes.imshow(panel, cmap="gray", vmin=low, vmax=high)
        axes.set_title(title)
        axes.set_axis_off()
    settle(figure)
    figure.savefig(out, dpi=WIDTH_PIXELS / figure.get_figwidth())


def _slice(seed: int) -> np.ndarray:
    """A middle slice of a brain phantom, front at the top: (rows, columns)."""
    scan = render(draw_brain_patient(None, np.random.default_rng(seed)))
    image = scan.image[:, :, scan.image.shape[2] // 2].astype(np.float32)
    return image.T[::-1, ::-1].copy()


def _changed(image: np.ndarray, augment: dict) -> np.ndarray:
    """The slice after one operation: (rows, columns)."""
    batch = tf.constant(image[None, ..., None])
    spread = [[float(image.mean())]], [[float(image.std())]]
    known = Known(image.shape, tf.ones((1, 2)), *map(tf.constant, spread))
    seeds = tf.constant([[SEED, 1]], tf.int64)
    return augment_images(batch, None, seeds, augment, 1.0, known)[0][0, ..., 0].numpy()


def _mixture(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """SHARE of the first slice and the rest of the second, brought to its grid: (rows, columns)."""
    second = tf.image.resize_with_crop_or_pad(second[..., None], *first.shape)[..., 0]
    both = tf.stack([first, second])
    return mixed(both, tf.constant([SHARE, 1.0]))[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/figures/augmentation.png"))
    flags = parser.parse_args()
    draw(flags.out)
    print(f"wrote {flags.out}")


if __name__ == "__main__":
    main()
