"""Numbers of a classifier or a segmentation, and what can be believed of them.

counts         functions of confusion counts: accuracy, kappas, precision, recall, F1 (Dice)
ranking        ROC-AUC, average precision, sensitivity at a fixed specificity
probabilities  Brier, log loss, expected calibration error
classifier     all of these under any weights a patient, in one pass
bootstrap      patients resampled whole; percentile intervals
proportions    exact binomial intervals where the units are patients
overlap        Dice a volume, Hausdorff 95
volumes        metrics.json of a 3D segmentation
parts          accuracy by a part of the classes' names
paired         differences between two variants on the same records
spread         a study's variance: between folds, between seeds
notes          plain words about what the numbers cannot say
report         the dictionaries of metrics.json

A number is a dictionary `{"value", "low", "high", "n", "unit", "method", "reason"}` (see `form`):
`low` and `high` are a 95 % interval over patients, None where there is none, and `reason` says why.
"""

from mri_tf.metrics.classification import classification_metrics, part_metrics
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.counts import (
    accuracy,
    balanced_accuracy,
    confusion_by_patient,
    f1_macro,
    f1_per_class,
    foreground_dice,
    kappa,
    precision_per_class,
    quadratic_kappa,
    recall_per_class,
)
from mri_tf.metrics.intervals import clopper_pearson, mean_with_interval, with_interval
from mri_tf.metrics.paired import paired_differences
from mri_tf.metrics.segmentation import (
    Distance,
    dice_over_volumes,
    hausdorff95,
    hausdorff95_over_volumes,
    mean_hausdorff95,
    segmentation_metrics,
    volume_metrics,
)
from mri_tf.metrics.spread import spread

__all__ = [
    "Distance",
    "Predictions",
    "accuracy",
    "balanced_accuracy",
    "classification_metrics",
    "clopper_pearson",
    "confusion_by_patient",
    "dice_over_volumes",
    "f1_macro",
    "f1_per_class",
    "foreground_dice",
    "hausdorff95",
    "hausdorff95_over_volumes",
    "kappa",
    "mean_hausdorff95",
    "mean_with_interval",
    "paired_differences",
    "part_metrics",
    "precision_per_class",
    "quadratic_kappa",
    "recall_per_class",
    "segmentation_metrics",
    "spread",
    "volume_metrics",
    "with_interval",
]
