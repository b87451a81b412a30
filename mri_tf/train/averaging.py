"""A moving average of the weights, which is evaluated and kept in the place of the last step's weights.

The last step of a small training is a matter of luck; the average over many is not. It is kept beside
the training and does not change it.
"""

import keras
import numpy as np
import tensorflow as tf

BATCHES_OF_STATISTICS = 50  # at most: they give a channel's mean and variance to a few per mille


class AverageWeights(keras.callbacks.Callback):
    """Averages the weights that train after each step, and lets validation see the average.

    The decay is min(decay, (1 + t) / (10 + t)) at step t, so that the first steps are soon forgotten.
    While the model is validated it has the averaged weights; `kept_weights` are those of the last
    validation. BatchNorm's running statistics belong to weights of single steps: they are measured anew
    for the averaged ones, over batches of the training side.

    Args:
        model: the compiled model that is trained.
        changing: its variables that a training changes; they are restored after a validation.
        decay: largest share of the old average that a step keeps.
        batches: training batches (image, target, weight), the same ones each time they are read.

    Source: Polyak and Juditsky 1992; Izmailov et al. 2018 (the statistics).
    """

    def __init__(self, model: keras.Model, changing: list, decay: float, batches: tf.data.Dataset):
        super().__init__()
        self.decay = decay
        self.kept_weights: list[np.ndarray] = []
        self._trained = model.trainable_variables
        # Variables of TensorFlow, not of Keras: the model neither saves nor trains them.
        self._averages = [tf.Variable(np.array(one), trainable=False) for one in self._trained]
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._changing = changing
        self._statistics = BatchStatistics(model, batches)
        self._update = tf.function(self._add_step, autograph=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """What a checkpoint keeps, so that a training continues with the same average."""
        return [*self._averages, self._steps]

    def on_train_batch_end(self, batch, logs=None):
        self._update()

    def on_test_begin(self, logs=None):
        self._before = [np.array(variable) for variable in self._changing]
        for variable, average in zip(self._trained, self._averages, strict=True):
            variable.assign(average)
        self._statistics.measure()

    def on_test_end(self, logs=None):
        self.kept_weights = self.model.get_weights()
        for variable, value in zip(self._changing, self._before, strict=True):
            variable.assign(value)

    def _add_step(self) -> None:
        step = tf.cast(self._steps, tf.float32)
        new = 1 - tf.minimum(self.decay, (1 + step) / (10 + step))
        for average, variable in zip(self._averages, self._trained, strict=True):
            average.assign_add(new * (tf.convert_to_tensor(variable) - average))
        self._steps.assign_add(1)


class BatchStatistics:
    """Sets BatchNorm's running statistics to their mean over batches, for the weights of the moment.

    Layers that are frozen keep theirs.

    Args:
        model: the compiled model that is trained.
        batches: batches (image, ...) of training images.
    """

    def __init__(self, model: keras.Model, batches: tf.data.Dataset):
        strategy = model.distribute_strategy
        layers = [
            layer
            for layer in model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        self._running = [(layer.moving_mean, layer.momentum) for layer in layers]
        self._running += [(layer.moving_variance, layer.momentum) for layer in layers]
        self._batches = strategy.experimental_distribute_dataset(batches)

        def forward(images):
            strategy.run(lambda one: model(one, training=True), args=(images,))

        self._forward = tf.function(forward, autograph=False, reduce_retracing=True)

    def measure(self) -> None:
        """Assigns the means to the layers."""
        if not self._running:
            return
        sums = [np.zeros(variable.shape, np.float64) for variable, _ in self._running]
        count = 0
        for images, *_ in self._batches:
            for variable, _ in self._running:
                variable.assign(np.zeros(variable.shape, np.float32))
            self._forward(images)
            # From 0, a training step moves the running value to (1 - momentum) x the batch's.
            for total, (variable, momentum) in zip(sums, self._running, strict=True):
                total += np.array(variable, np.float64) / (1 - momentum)
            count += 1
        for total, (variable, _) in zip(sums, self._running, strict=True):
            variable.assign((total / count).astype(np.float32))
