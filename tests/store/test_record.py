"""A record comes back from its bytes as it was, with statistics that numpy agrees with."""

import dataclasses

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.store.record import (
    NO_LABEL,
    Record,
    decode_example,
    encode_example,
    image_stats,
    parse_examples,
)

DTYPES = ("uint8", "uint16", "int16", "float32")


def _random_image(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.normal(0, 1e3, shape).astype(np.float32)
    kind = np.iinfo(dtype)
    return rng.integers(kind.min, kind.max, shape, dtype, endpoint=True)


def _parsed(records, masks=()):
    (shape,), (dtype,) = ({getattr(one.image, name) for one in records} for name in ("shape", "dtype"))
    return parse_examples([encode_example(record) for record in records], shape, dtype.name, masks)


@st.composite
def _batches(draw):
    """(records of one form, names of masks): what one prepared set holds."""
    space = draw(st.lists(st.integers(1, 6), min_size=2, max_size=3))
    shape = (*space, draw(st.integers(1, 4)))
    dtype, has_mask = draw(st.sampled_from(DTYPES)), draw(st.booleans())
    seeds = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3))
    records = []
    for seed in seeds:
        mask = np.random.default_rng(seed).integers(0, 256, space, np.uint8) if has_mask else None
        label = draw(st.integers(NO_LABEL, 40))
        image = _random_image(shape, dtype, seed)
        records.append(Record(f"r{seed}", draw(st.text(max_size=8)), image, label=label, mask=mask))
    return records, ("mask",) if has_mask else ()


@given(_batches())
@settings(max_examples=60, deadline=None)
def test_a_parsed_batch_holds_the_encoded_images_masks_and_labels(batch):
    records, masks = batch
    parsed = _parsed(records, masks)
    assert parsed["image"].dtype.name == records[0].image.dtype.name
    np.testing.assert_array_equal(parsed["image"], np.stack([record.image for record in records]))
    assert parsed["label"].numpy().tolist() == [record.label for record in records]
    assert ("mask" in parsed) == bool(masks)
    if masks:
        assert parsed["mask"].dtype == tf.int32
        np.testing.assert_array_equal(parsed["mask"], np.stack([record.mask for record in records]))


@given(_batches())
@settings(max_examples=40, deadline=None)
def test_statistics_of_the_whole_image_are_those_of_numpy_channel_by_channel(batch):
    for record, stats in zip(batch[0], _parsed(*batch)["intensity_stats"].numpy(), strict=True):
        pixels = record.image.reshape(-1, record.image.shape[-1]).astype(np.float64)
        expected = np.stack([pixels.mean(axis=0), pixels.std(axis=0)], axis=-1)
        # The whole image stands in for the brain mask.
        np.testing.assert_allclose(stats, [expected, expected], rtol=1e-5, atol=1e-3)


def test_statistics_of_four_known_pixels_have_their_closed_form():
    image = np.array([[[0, 10], [2, 10]], [[4, 10], [6, 10]]], np.uint8)
    expected = [[3, np.sqrt(5)], [10, 0]]
    np.testing.assert_allclose(image_stats(image), [expected, expected], rtol=1e-6)


def test_statistics_of_large_equal_values_do_not_drown_in_rounding():
    image = np.full((64, 64, 1), 65_000, np.uint16)
    np.testing.assert_array_equal(image_stats(image), [[[65_000, 0]]] * 2)


def test_statistics_that_preparation_gives_are_kept():
    given_stats = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.float32)
    image = _random_image((4, 5, 2), "int16", seed=1)
    record = Record("r", "p", image, intensity_stats=given_stats)
    assert record.with_stats() is record
    np.testing.assert_array_equal(_parsed([record])["intensity_stats"][0], given_stats)


def test_equal_records_have_equal_bytes_whatever_the_order_of_their_facts():
    image = _random_image((3, 3, 1), "uint8", seed=2)
    one = Record("r", "p", image, facts={"site": "a", "age": "50"})
    other = dataclasses.replace(one, facts={"age": "50", "site": "a"})
    assert encode_example(one) == encode_example(other)
    assert encode_example(one) != encode_example(dataclasses.replace(one, label=3))


def test_an_image_that_is_a_view_with_strides_is_encoded_in_its_visible_order():
    base = _random_image((6, 8, 1), "int16", seed=3)
    view = base[::-2, ::3].transpose(1, 0, 2)
    np.testing.assert_array_equal(_parsed([Record("r", "p", view)])["image"][0], view)


def test_a_big_endian_image_keeps_its_values():
    # nibabel gives such arrays for scans of old consoles; a user's own prep module may pass one on.
    image = np.arange(-6, 6, dtype=">i2").reshape(3, 4, 1)
    np.testing.assert_array_equal(_parsed([Record("r", "p", image)])["image"][0], image)


def test_texts_and_affine_of_a_record_are_in_its_example():
    affine = np.arange(16.0).reshape(4, 4)
    record = Record(
        "000001-0002", "Zoë", _random_image((2, 2, 1), "uint8", 0),
        group="g", split="train", facts={"site": "Köln"}, affine=affine,
    )  # fmt: skip
    features = tf.train.Example.FromString(encode_example(record)).features.feature
    texts = {
        key: features[key].bytes_list.value[0].decode() for key in ("record_id", "patient", "split")
    }
    assert texts == {"record_id": "000001-0002", "patient": "Zoë", "split": "train"}
    np.testing.assert_array_equal(features["affine"].float_list.value, affine.ravel())


def test_a_decoded_record_is_the_one_that_was_encoded_with_both_its_masks():
    rng = np.random.default_rng(0)
    shape = (3, 4, 5, 2)
    record = Record(
        "r", "p", rng.normal(size=shape).astype(np.float16), label=1,
        mask=rng.integers(0, 3, shape[:-1], np.uint8),
        predicted_mask=rng.integers(0, 2, shape[:-1], np.uint8), group="g", split="test",
        facts={"site": "a", "tr_ms": 5.5}, affine=np.diag([-1.5, -2.0, -3.0, 1.0]),
    )  # fmt: skip
    found = decode_example(encode_example(record), shape, "float16", ("mask", "predicted_mask"))
    for name in ("image", "mask", "predicted_mask", "affine"):
        np.testing.assert_array_equal(getattr(found, name), getattr(record, name))
    for name in ("record_id", "patient", "label", "group", "split", "facts"):
        assert getattr(found, name) == getattr(record, name)
    parsed = _parsed([record], ("mask", "predicted_mask"))
    np.testing.assert_array_equal(parsed["predicted_mask"][0], record.predicted_mask)
    assert decode_example(encode_example(record), shape, "float16").mask is None
