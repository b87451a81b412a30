"""Patches of volumes for training: one function draws their corners, a pure one cuts them out.

As in augmentation, every random number of a record comes from its own stateless seed; here from a
stream of its own, so that where a patch lies says nothing about how it is rotated.
"""

import tensorflow as tf

STREAM = 1_000_033  # folded into a record's seed
UNIFORMS = 5  # near foreground or anywhere, which voxel of it, and a corner along three axes


def draw_corners(
    seeds: tf.Tensor, masks: tf.Tensor, patch_shape: tuple[int, int, int], foreground_share: float
) -> tf.Tensor:
    """First voxels of one patch a record, (batch, 3) int32, from seeds (batch, 2).

    masks (batch, depth, rows, columns), foreground above zero. With the probability
    `foreground_share` the patch is centred on a foreground voxel, every one as likely, and moved
    inside where it would leave the volume; else, or where there is no foreground, every corner is
    as likely. Patches must fit into the volumes (`patch_of` checks it).
    """
    uniforms = tf.map_fn(
        lambda seed: tf.random.stateless_uniform(
            [UNIFORMS], tf.random.experimental.stateless_fold_in(seed, STREAM)
        ),
        seeds,
        fn_output_signature=tf.TensorSpec([UNIFORMS], tf.float32),
    )
    room = tf.shape(masks)[1:] - tf.constant(patch_shape)  # the last corner along each axis
    anywhere = _whole(uniforms[:, 2:], room + 1)
    voxels, found = _foreground_voxels(masks, uniforms[:, 1])
    centred = tf.clip_by_value(voxels - tf.constant(patch_shape) // 2, 0, room)
    near = (uniforms[:, 0] < foreground_share) & found
    return tf.where(near[:, None], centred, anywhere)


def crop(volumes: tf.Tensor, corners: tf.Tensor, patch_shape: tuple[int, int, int]) -> tf.Tensor:
    """The patch of every record at its corner: images and, at the same corners, masks.

    (batch, depth, rows, columns) or (..., channels), corners (batch, 3) -> (batch, *patch_shape)
    or (..., channels). dtype stays.
    """
    rest = volumes.shape[4:]  # () or (channels,)

    def cut(record):
        volume, corner = record
        begin = tf.concat([corner, tf.zeros([len(rest)], tf.int32)], axis=0)
        return tf.slice(volume, begin, [*patch_shape, *rest])

    signature = tf.TensorSpec([*patch_shape, *rest], volumes.dtype)
    return tf.map_fn(cut, (volumes, corners), fn_output_signature=signature)


def _foreground_voxels(masks: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A foreground voxel a record, (batch, 3), by uniforms (batch,), and whether there is one."""
    _, _, rows, columns = tf.unstack(tf.shape(masks))
    flat = tf.reshape(masks > 0, [tf.shape(masks)[0], -1])
    so_far = tf.cumsum(tf.cast(flat, tf.int32), axis=1)  # (batch, voxels)
    count = so_far[:, -1]
    rank = _whole(uniforms, count) + 1
    # The first place where so many foreground voxels have been met; behind the last without any.
    place = tf.searchsorted(so_far, rank[:, None])[:, 0]
    voxel = tf.stack([place // (rows * columns), place // columns % rows, place % columns], axis=1)
    return voxel, count > 0


def _whole(uniforms: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """[0, 1) -> 0 .. count - 1, each as likely."""
    # In float64: a float32 product of a uniform just below 1 can round up to `count`.
    return tf.cast(tf.cast(uniforms, tf.float64) * tf.cast(count, tf.float64), tf.int32)
