"""Networks whose last layers are random, for checking maps (Adebayo et al. 2018).

A map that explains a network changes when the network forgets what it learned. In the cascade, layers
get fresh weights from the output downwards.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np


class Cascade:
    """A network whose last layers can be given fresh weights and their own ones again.

    Layers go in groups: one with a kernel and those behind it without one, such as BatchNorm.

    Args:
        model: the trained network; `randomise` changes its weights.
        fresh: the same network as it is before training, once or several times.
    """

    def __init__(self, model: keras.Model, fresh: Sequence[keras.Model]):
        self._layers = _groups(model)
        self._trained = _weights(self._layers)
        self._fresh = [_weights(_groups(one)) for one in fresh]

    @property
    def depth(self) -> int:
        """How many groups there are."""
        return len(self._layers)

    @property
    def draws(self) -> int:
        """How many fresh networks there are."""
        return len(self._fresh)

    def restore(self) -> None:
        """All groups get their own weights again."""
        self.randomise(0)

    def randomise(self, count: int, draw: int = 0) -> None:
        """The last `count` groups get the weights of a fresh network, the others their own ones."""
        known = self.depth - count
        chosen = [*self._trained[:known], *self._fresh[draw][known:]]
        for layers, weights in zip(self._layers, chosen, strict=True):
            for layer, values in zip(layers, weights, strict=True):
                layer.set_weights(values)

    def stages(self, most: int) -> list[int]:
        """At most `most` numbers of groups, evenly from the last one to all."""
        return sorted(set(np.linspace(1, self.depth, most).round().astype(int).tolist()))


def _groups(model: keras.Model) -> list[list[keras.Layer]]:
    """Layers with weights, from input to output, each with a kernel at the head of a group."""
    groups: list[list[keras.Layer]] = []
    for layer in _leaves(model):
        if not layer.weights:
            continue
        if not groups or any(len(weight.shape) > 1 for weight in layer.weights):
            groups.append([])
        groups[-1].append(layer)
    return groups


def _weights(groups: list[list[keras.Layer]]) -> list[list[list[np.ndarray]]]:
    return [[layer.get_weights() for layer in group] for group in groups]


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
