"""BatchNorm whose training step is one fused TensorFlow operation.

Keras computes moments, and then scales and shifts by a chain of operations that each write a whole
tensor. The fused operation reads the tensor twice and writes it once, which makes the training steps of
these networks 1.1 to 1.2 times faster in float32 (docs/performance.md).
"""

import keras


# Keras stores weights under the name of the class: with another name, weights of networks with Keras'
# layer could not be loaded.
@keras.saving.register_keras_serializable(package="mri_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, with the same variables and numbers; on TensorFlow, training is fused.

    Fused are tensors (batch, ..., channels) in float32, bfloat16 or float16; the statistics are in
    float32. Keras' own way is taken in inference, where the layer is frozen, with a mask, in float64,
    and where statistics are synchronised over several devices.

    Source: Ioffe and Szegedy 2015.
    """

    def call(self, inputs, training=None, mask=None):
        if training and self.trainable and mask is None and self._can_be_fused(inputs):
            return self._fused(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _can_be_fused(self, inputs) -> bool:
        if keras.backend.backend() != "tensorflow" or self.renorm:
            return False
        import tensorflow as tf

        dtype = keras.backend.standardize_dtype(inputs.dtype)
        one_device = tf.distribute.get_strategy().num_replicas_in_sync == 1
        last = self.axis in (-1, len(inputs.shape) - 1)
        return last and dtype in ("float32", "bfloat16", "float16") and (
            one_device or not self.synchronized
        )  # fmt: skip

    def _fused(self, inputs):
        import tensorflow as tf

        channels = inputs.shape[-1]
        flat = inputs  # (batch, rows, columns, channels) is what the operation takes
        if len(inputs.shape) != 4:
            sides = tf.shape(inputs)[-3:-1] if len(inputs.shape) > 4 else (1, 1)
            flat = tf.reshape(inputs, tf.concat([[-1], sides, [channels]], axis=0))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=flat,
            scale=tf.ones(channels) if self.gamma is None else tf.convert_to_tensor(self.gamma),
            offset=tf.zeros(channels) if self.beta is None else tf.convert_to_tensor(self.beta),
            mean=[], variance=[], epsilon=self.epsilon, is_training=True,
        )  # fmt: skip
        # The operation gives the variance with n - 1 in the denominator; Keras keeps the one with n.
        count = tf.cast(tf.size(flat) / channels, tf.float32)
        variance = tf.where(count > 1, variance * (count - 1) / count, 0.0)
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + of_batch * (1.0 - self.momentum))
        outputs = tf.reshape(outputs, tf.shape(inputs)) if flat is not inputs else outputs
        outputs = tf.ensure_shape(outputs, inputs.shape)
        return keras.ops.cast(outputs, self.compute_dtype)
