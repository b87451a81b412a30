"""Pictures and volumes of heads in air, noise and all, to be marked by tests."""

import numpy as np


def head(rng: np.random.Generator, volume: bool = False, noise: float = 3.0) -> np.ndarray:
    """(48, 48, 1), or (20, 48, 48, 1), float32: an ellipsoid of brightness 100 with texture, in air."""
    shape = (20, 48, 48) if volume else (1, 48, 48)
    middle = (np.array(shape) - 1) / 2
    radii = np.array([9.0, 18.0, 15.0]) * rng.uniform(0.95, 1.05, 3)
    places = np.indices(shape) - middle[:, None, None, None] - rng.uniform(-1, 1, (3, 1, 1, 1))
    if not volume:
        places[0] = 0
    level = np.sqrt(((places / radii[:, None, None, None]) ** 2).sum(axis=0))
    texture = 8 * np.sin(places[1] / 3 + rng.uniform(0, 6)) * np.cos(places[2] / 4)
    image = np.where(level < 1, 100 + texture, 0) + noise * rng.normal(size=shape)
    image = np.abs(image).astype(np.float32)
    return image[..., None] if volume else image[0, ..., None]


def marked(image: np.ndarray) -> np.ndarray:
    """The image with a bright square near the corner of its last rows and columns."""
    image = image.copy()
    image[..., -5:-2, -5:-2, :] = 140.0
    return image
