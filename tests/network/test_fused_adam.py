"""The fused update gives Keras' numbers: with schedules, decay, groups, and in mixed precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from needs import BFLOAT16

from mri_tf.network import fused_adam
from mri_tf.network.fused_adam import Adam, AdamW

KERAS = {Adam: keras.optimizers.Adam, AdamW: keras.optimizers.AdamW}
IMAGES = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
LABELS = (IMAGES[:, 0] > 0).astype(np.int64)


def _trained(optimizer, policy: str = "float32") -> list[np.ndarray]:
    """Weights and moments after 12 steps from the same first weights."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        hidden = layers.Dense(5, activation="relu")
        model = keras.Sequential([keras.Input((6,)), hidden, layers.Dense(2, dtype="float32")])
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    model.fit(IMAGES, LABELS, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return [np.array(one) for one in [*model.trainable_variables, *optimizer.variables]]


@pytest.mark.parametrize("arguments", [
    {}, {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 12)}, {"global_clipnorm": 0.1},
    {"epsilon": 1e-3, "beta_1": 0.5},
], ids=["plain", "schedule", "clipped", "other moments"])  # fmt: skip
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_weights_and_moments_are_keras(kind, arguments):
    fused = _trained(kind(**{"learning_rate": 0.05, **arguments}))
    plain = _trained(KERAS[kind](**{"learning_rate": 0.05, **arguments}))
    assert len(fused) == len(plain)
    for one, other in zip(fused, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


@BFLOAT16  # where it is not to be had, float16 ends the process too
def test_half_precision_networks_have_fused_updates_of_float32_weights(monkeypatch):
    called = []
    original = tf.raw_ops.ResourceApplyAdam
    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", lambda **a: called.append(1) or original(**a))
    fused = _trained(Adam(0.05), "mixed_float16")
    assert called and len(called) % 4 == 0  # for each variable, as often as the step is traced
    plain = _trained(keras.optimizers.Adam(0.05), "mixed_float16")
    for one, other in zip(fused, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)


def test_what_has_no_fused_operation_is_updated_as_keras_does(monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", None)
    assert _trained(Adam(0.05, amsgrad=True))
    monkeypatch.setattr(fused_adam.keras.backend, "backend", lambda: "jax")
    assert not Adam()._can_be_fused(keras.Variable(0.0))
