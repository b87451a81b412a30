"""Probes of what is known beside the image: header facts by kind, missing ones, files, order, sites."""

import numpy as np
import pytest

from mri_tf.audit.fact_probes import (
    acquisition_probes,
    categories,
    file_probes,
    geometry_probes,
    numbers,
    order_probe,
    place_probes,
)
from mri_tf.store.record import NOMINAL


def affine(*spacing_mm):
    return np.diag([*spacing_mm, 1.0]).ravel().tolist()


def test_header_facts_of_all_sequences_are_one_probe_a_kind_and_other_columns_none():
    facts = [
        {"t1_te_ms": 9.0, "flair_te_ms": 120.0, "manufacturer": "A", "age": "71", "grade_reader": "II"},
        {"t1_te_ms": 10.0, "manufacturer": "B", "age": "40", "contrast_agent": True},
    ]
    probes = acquisition_probes(facts)
    assert set(probes) == {"echo time", "manufacturer", "contrast agent"}
    assert set(probes["echo time"].columns) == {
        "t1_te_ms", "t1_te_ms missing", "flair_te_ms", "flair_te_ms missing"
    }  # fmt: skip
    assert probes["manufacturer"].categories and not probes["echo time"].categories


def test_numbers_of_a_table_are_read_and_missing_ones_are_the_mean():
    probe = numbers("te_ms", ["90,5", 109.5, None, "unknown"])
    assert probe.values[:, 0].tolist() == [90.5, 109.5, 100, 100]
    assert probe.values[:, 1].tolist() == [0, 0, 1, 1]
    assert np.isfinite(numbers("te_ms", [None, None]).values).all()


def test_categories_exclude_each_other_and_rare_ones_are_put_together():
    values = ["A"] * 5 + ["B"] * 3 + [None] * 2 + [f"rare {number}" for number in range(60)]
    probe = categories("site", values)
    assert probe.values.sum(axis=1).tolist() == [1.0] * 70
    assert {"site A", "site B", "site missing", "site others"} <= set(probe.columns)
    assert len(probe.columns) == 41


def test_size_and_spacing_are_of_the_original_and_nominal_spacing_is_not_known():
    facts = [
        {"source_shape": [256, 256, 20], "source_affine": affine(1, 1, 5)},
        {"source_shape": [512, 512, 40], "source_affine": affine(0.5, 0.5, 2.5), "spacing": NOMINAL},
    ]
    probes = geometry_probes(facts, [(1.0, 1.0, 1.0)] * 2)
    sizes, spacings = probes["size of the original"], probes["spacing"]
    assert sizes.values[:, 0] == pytest.approx(np.log([256, 512]))
    assert spacings.values[:, 5].tolist() == [0, 1]  # "missing" along z
    assert spacings.values[0, 4] == pytest.approx(np.log(5))


def test_pictures_have_the_spacing_of_their_grid_and_without_any_there_is_no_probe():
    probes = geometry_probes([{}, {}], [(1.0, 0.5, 0.7), None])
    assert set(probes) == {"spacing"}
    assert probes["spacing"].values[0, [0, 2]] == pytest.approx(np.log([0.7, 0.5]))
    assert geometry_probes([{}], [None]) == {}


def test_of_a_file_only_its_suffix_is_kept():
    sources = ["Zebedee/t1.nii.gz", "Zebedee/T1.NII", "p/scan.mha", "quark.19610203", ""]
    probe = file_probes([{"source_axes": "LPS"}] * 5, sources)["file format"]
    assert {"suffix .nii.gz", "suffix .nii", "suffix .mha"} <= set(probe.columns)
    assert not any(word in " ".join(probe.columns).lower() for word in ("zebedee", "quark", "1961"))


def test_size_and_format_of_pictures_are_probes_that_tell_classes_apart():
    facts = [{"picture_size": [128, 144], "file_format": "JPEG"},
             {"picture_size": [64, 72], "file_format": "PNG"}] * 3  # fmt: skip
    sizes = geometry_probes(facts, [None] * 6)["size of the original"]
    assert sizes.values[:, 0] == pytest.approx(np.log([128, 64] * 3))
    probe = file_probes(facts, [""] * 6)["file format"]
    values = dict(zip(probe.columns, probe.values.T, strict=True))
    assert values["format JPEG"].tolist() == [1, 0] * 3 and values["format PNG"].tolist() == [0, 1] * 3


def test_the_order_of_files_shows_halves_and_every_second_case():
    probe = order_probe([7, 7, 8, 9, 12])
    values = dict(zip(probe.columns, probe.values.T, strict=True))
    assert values["place"] == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert values["every second"].tolist() == [0, 0, 1, 0, 1]
    assert np.isfinite(order_probe([4, 4]).values).all()


def test_site_and_scanner_are_probes_where_they_are_known():
    probes = place_probes([{"site": "A", "scanner": ""}, {"site": "B"}])
    assert set(probes) == {"site"} and probes["site"].categories
