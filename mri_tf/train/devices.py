"""The devices of a training: one, or several under MirroredStrategy."""

import tensorflow as tf

from mri_tf.core.bfloat16 import bfloat16_is_faster
from mri_tf.core.errors import InputError
from mri_tf.task.rules import AUTO

BFLOAT16_GPU = (8, 0)  # compute capability of the first GPUs with bfloat16


def has_accelerator() -> bool:
    """Whether there is a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def precision_here(precision: str) -> str:
    """A task's precision; for "auto" bfloat16 where this machine trains faster in it, else float32."""
    if precision != AUTO:
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        faster = details.get("compute_capability", (0, 0)) >= BFLOAT16_GPU
    else:
        faster = bfloat16_is_faster()
    return "mixed_bfloat16" if faster else "float32"


def configure_devices(devices: int) -> None:
    """Makes `devices` logical CPUs where there is no GPU; call before TensorFlow computes anything."""
    if devices > 1 and not has_accelerator():
        cpu = tf.config.list_physical_devices("CPU")[0]
        if tf.config.get_logical_device_configuration(cpu) is None:
            parts = [tf.config.LogicalDeviceConfiguration()] * devices
            tf.config.set_logical_device_configuration(cpu, parts)


def strategy(devices: int) -> tf.distribute.Strategy:
    """One device, or MirroredStrategy over several; 0 means all GPUs there are."""
    kind = "GPU" if has_accelerator() else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    wanted = devices or (len(names) if kind == "GPU" else 1)
    if wanted > len(names):
        raise InputError(
            f"This machine has {len(names)} devices.", f"--devices {wanted}",
            f"Use --devices {len(names)} or fewer.",
        )
    if wanted == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(names[:wanted])
