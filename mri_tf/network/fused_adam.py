"""Adam and AdamW whose update of a variable is one TensorFlow operation.

Keras updates moments and variable by a chain of operations that each write a whole tensor, which takes
about three times as long (docs/performance.md).
"""

import keras
from keras import ops


class _FusedUpdate:
    """The update of a variable in one pass where TensorFlow has it; Keras' own otherwise.

    Otherwise: another backend, several devices, amsgrad, and variables that are not float32. State and
    numbers are Keras'.
    """

    def update_step(self, gradient, variable, learning_rate):
        if not self._can_be_fused(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        number = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[number]),
            v=_handle(self._velocities[number]),
            beta1_power=ops.power(self.beta_1, step),
            beta2_power=ops.power(self.beta_2, step),
            lr=ops.cast(learning_rate, "float32"),
            beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon,
            grad=ops.cast(gradient, "float32"),
        )  # fmt: skip

    def _can_be_fused(self, variable) -> bool:
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            return False
        import tensorflow as tf

        one_device = tf.distribute.get_strategy().num_replicas_in_sync == 1
        return one_device and keras.backend.standardize_dtype(variable.dtype) == "float32"


def _handle(variable):
    """The resource of a Keras variable, or of the TensorFlow variable inside one."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


@keras.saving.register_keras_serializable(package="mri_tf")
class Adam(_FusedUpdate, keras.optimizers.Adam):
    """Keras' Adam. Source: Kingma and Ba 2015."""


@keras.saving.register_keras_serializable(package="mri_tf")
class AdamW(_FusedUpdate, keras.optimizers.AdamW):
    """Keras' AdamW. Source: Loshchilov and Hutter 2019."""
