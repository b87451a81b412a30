"""Records of a prepared set, and their encoding as tf.train.Example."""

import dataclasses
import json
from dataclasses import dataclass, field

import numpy as np

from mri_tf.core.hashing import little_endian

SCHEMA_VERSION = 1
NO_LABEL = -1
NOMINAL = "nominal"
# A fact of an image that holds its neighbouring slices too: which of them there are, in their order,
# without the slice itself. In the place of one that is missing stands the last slice on that side.
NEIGHBOURS = "neighbouring_slices"


@dataclass(frozen=True)
class Record:
    """One image on the prepared grid with its label, masks and facts; never a name, date or UID."""

    record_id: str
    patient: str
    image: np.ndarray  # (rows, columns, channels) or (depth, rows, columns, channels), own dtype
    label: int = NO_LABEL  # position in class_names; NO_LABEL of a segmentation task's records
    mask: np.ndarray | None = None  # (rows, columns) or (depth, rows, columns) uint8
    predicted_mask: np.ndarray | None = None  # of a derived set: by a segmentation network
    group: str = ""  # records of different patients that must stay on one side
    split: str = ""  # train, validation or test if the source says so
    facts: dict = field(default_factory=dict)  # acquisition: site, scanner, age, sex, ...
    affine: np.ndarray | None = None  # (4, 4) prepared grid (x, y, z) -> source RAS mm
    intensity_stats: np.ndarray | None = None  # (2 regions: image, brain mask; channels; mean, SD)

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Of the prepared grid along (depth, rows, columns); None where it is not known.

        It is not known without an affine, or if the source's lengths are not measured: the fact
        `spacing` is then "nominal".
        """
        unknown = self.affine is None or np.array_equal(self.affine, np.eye(4))
        if unknown or self.facts.get("spacing") == NOMINAL:
            return None
        return tuple(float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0)[::-1])

    @property
    def own_slice(self) -> np.ndarray:
        """The image without its neighbouring slices: (..., channels of the task)."""
        return own_slice(self.image, len(self.facts.get(NEIGHBOURS, [])) // 2)

    def with_stats(self) -> "Record":
        """The record with statistics of its image, if preparation gave none of the whole case."""
        if self.intensity_stats is not None:
            return self
        return dataclasses.replace(self, intensity_stats=image_stats(self.image))


def source_spacing_mm(facts: dict) -> tuple[float, ...] | None:
    """Of the original volume along x, y and z, by the facts of a record; None where it is not known."""
    if facts.get("spacing") == NOMINAL or "source_affine" not in facts:
        return None
    affine = np.array(facts["source_affine"], float).reshape(4, 4)
    return tuple(float(step) for step in np.linalg.norm(affine[:3, :3], axis=0))


def own_slice(image: np.ndarray, context_slices: int) -> np.ndarray:
    """The middle one of the slices that lie after each other in the channels of an image."""
    channels = image.shape[-1] // (2 * context_slices + 1)
    return image[..., context_slices * channels : (context_slices + 1) * channels]


def image_stats(image: np.ndarray) -> np.ndarray:
    """Mean and SD of each channel of an image, the same for both regions: (2, channels, 2) float32."""
    pixels = image.reshape(-1, image.shape[-1]).astype(np.float64)  # (pixels, channels)
    stats = np.stack([pixels.mean(axis=0), pixels.std(axis=0)], axis=-1)  # (channels, 2)
    return np.stack([stats, stats]).astype(np.float32)


def encode_example(record: Record) -> bytes:
    """A record as a serialized tf.train.Example; arrays as raw bytes in their own dtype."""
    import tensorflow as tf

    record = record.with_stats()
    affine = np.eye(4) if record.affine is None else record.affine
    mask = b"" if record.mask is None else np.ascontiguousarray(record.mask, np.uint8).tobytes()

    def text(value: str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    def raw(value: bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def floats(values: np.ndarray):
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(values)))

    features = {
        "record_id": text(record.record_id),
        "patient": text(record.patient),
        "image": raw(little_endian(record.image).tobytes()),
        "mask": raw(mask),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[record.label])),
        "group": text(record.group),
        "split": text(record.split),
        "facts": text(json.dumps(record.facts, sort_keys=True)),
        "affine": floats(affine),
        "intensity_stats": floats(record.intensity_stats),
    }
    if record.predicted_mask is not None:
        predicted = np.ascontiguousarray(record.predicted_mask, np.uint8)
        features["predicted_mask"] = raw(predicted.tobytes())
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def decode_example(
    serialized: bytes, shape: tuple[int, ...], dtype: str, masks: tuple[str, ...] = ()
) -> Record:
    """Decodes one serialized example in NumPy.

    Args:
        serialized: what `encode_example` returned.
        shape: of the image, channels last.
        dtype: of the image.
        masks: which of `mask` and `predicted_mask` the record has.
    """
    import tensorflow as tf

    features = tf.train.Example.FromString(serialized).features.feature

    def raw(name: str) -> bytes:
        return features[name].bytes_list.value[0]

    def array(name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        return np.frombuffer(raw(name), np.dtype(dtype).newbyteorder("<")).reshape(shape)

    def floats(name: str) -> np.ndarray:
        return np.array(features[name].float_list.value, np.float32)

    return Record(
        record_id=raw("record_id").decode(),
        patient=raw("patient").decode(),
        image=array("image", dtype, shape),
        label=int(features["label"].int64_list.value[0]),
        group=raw("group").decode(),
        split=raw("split").decode(),
        facts=json.loads(raw("facts")),
        affine=floats("affine").astype(np.float64).reshape(4, 4),
        intensity_stats=floats("intensity_stats").reshape(2, shape[-1], 2),
        **{name: array(name, "uint8", shape[:-1]) for name in masks},
    )


def stored(record: Record) -> Record:
    """The record as a prepared set returns it, without masks; its affine was rounded to float32."""
    return decode_example(encode_example(record), record.image.shape, record.image.dtype.name)


def parse_examples(
    serialized, shape: tuple[int, ...], dtype: str, masks: tuple[str, ...] = ()
) -> dict:
    """Decodes a batch of serialized examples in TensorFlow.

    Args:
        serialized: (batch,) string tensor.
        shape: of an image, channels last.
        dtype: of an image.
        masks: which of `mask` and `predicted_mask` every record has.

    Returns:
        image (batch, *shape) in `dtype`, the masks (batch, *shape[:-1]) int32, label (batch,) int32,
        intensity_stats (batch, 2, channels, 2) float32 and spacing_mm (batch, 3) along depth, rows and
        columns, 1 where it is not known.
    """
    import tensorflow as tf

    channels = shape[-1]
    parsed = tf.io.parse_example(
        serialized,
        {
            "image": tf.io.FixedLenFeature([], tf.string),
            **{name: tf.io.FixedLenFeature([], tf.string) for name in masks},
            "label": tf.io.FixedLenFeature([], tf.int64),
            "affine": tf.io.FixedLenFeature([4, 4], tf.float32),
            "intensity_stats": tf.io.FixedLenFeature([2, channels, 2], tf.float32),
        },
    )
    image = tf.io.decode_raw(parsed["image"], tf.as_dtype(dtype))  # (batch, pixels)
    batch = {
        "image": tf.reshape(image, (-1, *shape)),
        "label": tf.cast(parsed["label"], tf.int32),
        "intensity_stats": parsed["intensity_stats"],
        "spacing_mm": tf.norm(parsed["affine"][:, :3, :3], axis=1)[:, ::-1],
    }
    for name in masks:
        mask = tf.io.decode_raw(parsed[name], tf.uint8)
        batch[name] = tf.cast(tf.reshape(mask, (-1, *shape[:-1])), tf.int32)
    return batch
