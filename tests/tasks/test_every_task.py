"""Every task by its file: fake raw -> prepared -> parsed -> one epoch -> export -> reload."""

import numpy as np
import pytest
from asked import probabilities_of
from predicted import largest_difference, largest_difference_served
from small import sides_of
from trainings import split_of

from data_prep.phantom.write import write_fake_raw
from data_prep.prepare.prepare import prepare
from mri_tf.derive.predicted_masks import derive_set
from mri_tf.export.publish import export_with_segmenter
from mri_tf.network.build import check_task
from mri_tf.splits.sides import sides_for_features
from mri_tf.store.run import FEATURES
from mri_tf.task.files import FOLDER, feature_task, load_task, task_names
from mri_tf.task.harmonise import COMBAT
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

SMALL = {
    "mnet": {"model_args.start_filters": 2, "model_args.levels": 2},
    "mnet3d": {"model_args.start_filters": 2, "model_args.levels": 2},
    "feature_classifier": {"model_args": dict(conv_filters=2, dense_units=4, repeats=2)},
    "feature_classifier3d": {"model_args": dict(conv_filters=2, dense_units=4, repeats=2)},
    "vgg_features": {"model_args": dict(dense_units=4, weights="none")},
    "backbone_classifier": {"model_args.weights": "none", "model_args.cut_after": "stack0"},
    "backbone_ensemble": {"model_args.weights": "none", "model_args.cut_after": "stack0"},
    "encoder_classifier3d": {},
    "frozen_probe": {"model_args.weights": "none", "model_args.cut_after": "stack0"},
    "vgg": {"model_args": dict(conv_filters=2, dense_units=4, blocks=2)},
    "vgg3d": {"model_args": dict(conv_filters=1, dense_units=4, blocks=2)},
    "unet3d": {"model_args": dict(filters=2, levels=2)},
    "grader3d": {"model_args": dict(filters=2, dense_units=4)},
    "statistics_probe3d": {},
    "masked_grader3d": {"model_args.filters": 2, "model_args.dense_units": 4},
}

FRACTIONS = (0.5, 0.25, 0.25)
# Features of a segmentation network. The other tasks and all variants are in the slow tier.
FAST = ("sax_levels",)
SERVED = ("glioma_grading", "meningioma_grading")  # predicted through a server too


def _cases():
    """Every task and variant."""
    for name in task_names():
        task = load_task(FOLDER / f"{name}.py")
        for variant in ["", *(key for key, values in task.variants.items() if values and key != "demo")]:
            if task.variants.get(variant, {}).get("harmonise", {}).get("method") == COMBAT:
                continue  # needs sites of several patients each: tests/train/test_harmonised_runs.py
            slow = variant or name not in FAST
            yield pytest.param(name, variant, marks=[pytest.mark.slow] if slow else [])


def _small(task):
    values = {"epochs": 1, "steps": 0, "batch_size": 4, **SMALL[task.model]}
    values["image_shape"] = (32, 32) if len(task.image_shape) == 2 else (32, 32, 32)
    if task.patch:
        values["patch.shape"] = (16, 16, 16)
    if task.box:
        values["box.grid"] = (16, 16, 16)
    if task.spacing:
        values |= {"spacing.grid": (32, 32), "spacing.medians": 4.0, "prep.finest_mm": (2.5, 8.0)}
    if task.name == "meningioma_grading" and task.fine_tune:
        last = "stack0_block1_2_.*"
        values |= {"fine_tune.train": (last, "probabilities/.*"), "feature_bank": 1}
        values["fine_tune.groups.conv.variables"] = last
    if "n4" in task.prep:
        values["prep.n4"] = dict(shrink_factor=4, iterations=(2,))
    if task.name == "cardiac_structures":
        values["prep.slice_step"] = 8
    return with_values(task, values)


@pytest.fixture(scope="session")
def fake_raw(tmp_path_factory):
    """Task name -> raw folder of a few patients; written once a task."""
    written = {}

    def raw_of(name):
        if name not in written:
            written[name] = tmp_path_factory.mktemp(f"raw-{name}") / "raw"
            flat = len(load_task(FOLDER / f"{name}.py").image_shape) == 2
            write_fake_raw(FOLDER / f"{name}.py", written[name], 4 if flat else 8, seed=0)
        return written[name]

    return raw_of


def _one_step(task, file, raw, home, features=None, held_out=None):
    prepared, skipped = prepare(task, file, raw, home / f"data-{task.name}")
    assert not skipped
    if held_out is None:
        sides = split_of(task, prepared, FRACTIONS)
    else:
        sides = sides_for_features(prepared, task, *held_out, seed=0).records
    folder = home / FEATURES if held_out else home
    if held_out is None and len(sides[0]) > 8:
        sides[0] = np.concatenate([sides[0][:4], sides[0][-4:]])  # two steps are enough
    if task.boxes_from:
        prepared = derive_set(features, prepared, home / "derived")
    run = new_run(folder, task, prepared, sides_of(task, prepared, sides), 0, features)
    before = features if task.features_from else None
    return fit_run(run, prepared, before, devices=1), prepared


@pytest.mark.parametrize("name, variant", list(_cases()))
def test_a_task_goes_from_raw_files_to_a_served_model(name, variant, fake_raw, tmp_path):
    file = FOLDER / f"{name}.py"
    task = load_task(file)
    task = _small(with_values(task, task.variants[variant]) if variant else task)
    check_task(task)
    features = None
    if task.pretrained_on:
        prepared, _ = prepare(task, file, fake_raw(name), tmp_path / f"data-{task.name}")
        held_out = (prepared, split_of(task, prepared, FRACTIONS))
        source, source_file = feature_task(task, file)
        features, _ = _one_step(_small(source), source_file, fake_raw(name), tmp_path, None, held_out)
    run, prepared = _one_step(task, file, fake_raw(name), tmp_path, features)
    exported = export_with_segmenter(run, prepared, features, tmp_path / "saved_models")[-1]
    assert exported == tmp_path / "saved_models" / name / "1"
    assert prepared.image_dtype == ("uint8" if "clahe" in task.prep else prepared.image_dtype)
    answers = probabilities_of(run, prepared, exported)
    expected = answers.pop("evaluate")
    assert len(expected) > 0 and expected.shape[-1] == len(task.output_names)
    np.testing.assert_allclose(expected.sum(axis=-1), 1, atol=1e-5)
    for interface, probabilities in answers.items():
        np.testing.assert_allclose(probabilities, expected, atol=1e-5, err_msg=interface)
    from_files = (run, prepared, fake_raw(name), exported, tmp_path)
    assert largest_difference(*from_files) <= 1e-5
    if name in SERVED and not variant:
        assert largest_difference_served(*from_files) <= 1e-5
