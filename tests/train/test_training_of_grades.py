"""A network with the head of grades trains, is loaded again, exported, and answers alike."""

import numpy as np
import tensorflow as tf
from small import sides_of, write_raw, write_task_files
from trainings import split_of

from data_prep.prepare.prepare import prepare
from mri_tf.evaluate.evaluation import evaluate_run
from mri_tf.export.publish import export_run
from mri_tf.models.heads import CumulativeHead
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.subset import subset_of
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run


def test_a_task_of_grades_is_trained_evaluated_and_exported(tmp_path):
    file = write_task_files(tmp_path)
    task = load_task(file)
    task = with_values(task, task.variants["scratch"])
    task = with_values(task, dict(ordered=True, head="cumulative", epochs=2, label_smoothing=0.1))
    prepared, _ = prepare(task, file, write_raw(tmp_path / "raw", patients=10), tmp_path / "data")
    records = split_of(task, prepared, (0.5, 0.25, 0.25))
    new = new_run(tmp_path / "run", task, prepared, sides_of(task, prepared, records), 0)
    run = fit_run(new, prepared, None, devices=1)
    network = load_network(run)
    head = network.get_layer("probabilities")
    assert isinstance(head, CumulativeHead)
    subset = subset_of(run, prepared, records[2])
    outputs = predict_records(network, subset)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
    metrics = evaluate_run(run, subset, "patient", tmp_path / "run").metrics
    assert list(metrics["auc_per_cut"]) == ["mid or higher", "apical or higher"]
    assert 0 <= metrics["mean_absolute_grade_error"]["value"] <= 2
    page = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "mean error in grades" in page and "AUC, apical or higher" in page
    folder = export_run(run, prepared, tmp_path / "saved_models")  # compares the export with the run
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    logits = served(**_feed(prepared, records[2]))["logits"].numpy()
    np.testing.assert_allclose(np.exp(logits), outputs, atol=1e-4)


def _feed(prepared, records) -> dict[str, tf.Tensor]:
    """The inputs of serving_default of these records."""
    found = [prepared.record(int(position)) for position in records]
    images = np.stack([record.image for record in found]).astype(np.float32)
    stats = np.stack([record.intensity_stats for record in found])
    return {"image": tf.constant(images), "intensity_stats": tf.constant(stats)}
