"""The last layers of every classifier: features brought to one scale, and then a softmax, or for grades
one score and ordered thresholds."""

import keras
import numpy as np
from keras import layers, ops

SOFTMAX, CUMULATIVE = "softmax", "cumulative"


@keras.saving.register_keras_serializable("mri_tf")
class Standardise(layers.Layer):
    """Features (..., n) -> (..., n): each less its mean and over its SD on the training side.

    Features of a pre-trained network are not on the scale that a learning rate is made for: averaged
    maps of a ResNet are near 0.2 and differ by a few hundredths, so that a dense layer behind them
    hardly learns. Both vectors are set before the training starts and do not train; until then the
    features are passed on as they are.
    """

    def __init__(self, *, name=None, dtype="float32", trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.sd = self.add_weight(name="sd", shape=shape, initializer="ones", trainable=False)

    def call(self, features):
        return (features - self.mean) / self.sd

    def fit(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Sets mean and SD, (n,) each; a feature that is the same in every image becomes 0."""
        sd = np.sqrt(variance)
        least = 1e-3 * max(float(np.median(sd)), 1e-6)
        self.mean.assign(mean)
        self.sd.assign(np.where(sd > least, sd, 1.0))


@keras.saving.register_keras_serializable("mri_tf")
class CumulativeHead(layers.Layer):
    """Probabilities of ordered classes from one score: the proportional odds model (McCullagh 1980).

    P(class > k) = sigmoid(f - threshold_k), where f is a linear function of the features and the
    thresholds ascend: the first one is free, and each further one is a softplus above the one before.
    At first the thresholds give every class the same share where f is 0.

    Args:
        class_count: three classes or more, lowest first.
        kernel_regularizer: of the weights of f.
    """

    def __init__(
        self, class_count: int, kernel_regularizer=None, *, name=None, dtype=None, trainable=True
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.class_count = class_count
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        shares = np.arange(1, self.class_count) / self.class_count
        thresholds = np.log(shares / (1 - shares))
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], 1), regularizer=self.kernel_regularizer,
            initializer="glorot_uniform",
        )  # fmt: skip
        self.first_threshold = self._weight("first_threshold", thresholds[:1])
        # Softplus of a gap is the distance of neighbouring thresholds.
        self.threshold_gaps = self._weight("threshold_gaps", np.log(np.expm1(np.diff(thresholds))))

    def call(self, features):
        """(batch, n) -> (batch, classes) probabilities."""
        return ops.exp(self.log_probabilities(features))

    def log_probabilities(self, features):
        """(batch, n) -> (batch, classes), without differences of nearly equal numbers.

        P(class = k) = sigmoid(t_k - f) - sigmoid(t_(k-1) - f), which is the product
        sigmoid(t_k - f) sigmoid(f - t_(k-1)) (1 - exp(t_(k-1) - t_k)), and the last factor is
        sigmoid(gap).
        """
        up_to, above = self._log_cumulative(features)  # (batch, classes - 1) each
        none = ops.zeros_like(up_to[:, :1])
        ends = ops.zeros_like(self.first_threshold)
        gaps = ops.concatenate([ends, ops.log_sigmoid(self.threshold_gaps), ends])
        return ops.concatenate([up_to, none], 1) + ops.concatenate([none, above], 1) + gaps

    def log_odds(self, features):
        """(batch, n) -> (batch, classes): log(p / (1 - p)) of each class, which does not saturate."""
        up_to, above = self._log_cumulative(features)
        never = ops.full_like(up_to[:, :1], -1e9)  # log of a probability of 0
        others = ops.logaddexp(
            ops.concatenate([above, never], 1), ops.concatenate([never, up_to], 1)
        )  # fmt: skip
        return self.log_probabilities(features) - others

    def _log_cumulative(self, features) -> tuple:
        """log P(class <= k) and log P(class > k) for each threshold, (batch, classes - 1) each."""
        steps = ops.concatenate([self.first_threshold, ops.softplus(self.threshold_gaps)])
        distance = ops.cumsum(steps) - ops.matmul(features, self.kernel)
        return ops.log_sigmoid(distance), ops.log_sigmoid(-distance)

    def _weight(self, name: str, start: np.ndarray):
        return self.add_weight(
            name=name, shape=start.shape, initializer=keras.initializers.Constant(start)
        )

    def compute_output_spec(self, features):
        return keras.KerasTensor((features.shape[0], self.class_count), dtype=self.compute_dtype)

    def get_config(self) -> dict:
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        own = dict(class_count=self.class_count, kernel_regularizer=regularizer)
        return super().get_config() | own


def class_head(x, class_count: int, head: str, name: str = "probabilities", regularizer=None):
    """Features (batch, n) -> (batch, classes) probabilities in float32.

    Args:
        x: the features.
        class_count: classes to tell apart.
        head: "softmax", or "cumulative" of classes that are grades; see `CumulativeHead`.
        name: of the layer.
        regularizer: of its kernel.
    """
    if head == CUMULATIVE:
        layer = CumulativeHead(class_count, regularizer, dtype="float32", name=name)
    else:
        layer = layers.Dense(
            class_count, activation="softmax", dtype="float32", kernel_regularizer=regularizer, name=name
        )
    return layer(x)
