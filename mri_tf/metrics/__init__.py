"""Metrics of classifiers and segmentations, with intervals over patients.

agreement             of readers with each other, and of a network with each of them
calibrated            intercept and slope of probabilities, and the calibration error of perfect ones
class_pull            how far a part of an image pulls the answers towards the class of its patient
classification        what metrics.json holds of a classifier, and accuracy by part of a class name
classifier            all numbers of a classifier for any weights of the patients
classifier_intervals  the interval of every number of a classifier
combat                takes location and scale of sites or scanners out of features
counts                from confusion matrices: accuracy, kappa, precision, recall, F1 (Dice)
cuts                  AUC of each cut between ordered classes
effective_number      how many independent records the records of patients are worth
exchange              whether a classifier is better than labels that patients have exchanged
gap                   how much lower a number is on one side than on another
hausdorff             distance of two masks
intervals             95 % intervals over patients, one function for each kind of number
label_association     how strongly features go with labels, without using the own label of a patient
label_exchanges       which patients, or records, may exchange labels
label_quality         which labels the probabilities doubt (confident learning)
late_fusion           a logistic regression on the answers of covariates and of a network
learning_curve        an inverse power law through training sizes
lesions               connected parts that are detected, missed or false
logistic              regularised logistic regression on stored features
map_similarity        how alike two explanation maps are
net_benefit           decision curves
notes                 sentences on what the numbers cannot show
number                the form of a number in metrics.json
paired                differences between two variants on the same records
probabilities         Brier score, log loss, expected calibration error
probe_test            one test of whether any of several probes tells the label (max-T)
ranking               ROC-AUC, average precision, sensitivity at a fixed specificity
ranking_intervals     intervals of AUC, average precision, sensitivity at a specificity
reliability           calibration curves
resamples             resamples of whole patients, for differences
roc                   the ROC curve and its band over patients
segmentation          what metrics.json holds of a segmentation: Dice, Hausdorff distance, lesions
sign_flip             whether paired differences have a mean above 0
site_gap              a cross-validation minus leaving one site out
spread                variance between folds and between seeds of a study
subgroups             numbers in groups of records
too_few               whether patients are too few for an interval
within_sites          AUC within sites, and whether sites are large enough for a statement

A number is a dictionary `{"value", "low", "high", "n", "unit", "method", "reason"}` (see `number`):
`low` and `high` are a 95 % interval over patients, None where there is none, and `reason` says why.
"""

from mri_tf.metrics.classification import classification_metrics, part_metrics
from mri_tf.metrics.classifier import Predictions, predictions_of
from mri_tf.metrics.counts import (
    accuracy,
    balanced_accuracy,
    confusion_by_patient,
    f1_macro,
    f1_per_class,
    foreground_dice,
    kappa,
    mean_absolute_grade_error,
    precision_per_class,
    quadratic_kappa,
    recall_per_class,
)
from mri_tf.metrics.hausdorff import Distance, hausdorff95
from mri_tf.metrics.intervals import clopper_pearson
from mri_tf.metrics.lesions import Lesions, count_lesions
from mri_tf.metrics.paired import holm, paired_differences
from mri_tf.metrics.segmentation import (
    dice_over_volumes,
    hausdorff95_over_volumes,
    mean_hausdorff95,
    segmentation_metrics,
    volume_metrics,
)
from mri_tf.metrics.spread import spread

__all__ = [
    "Distance", "Lesions", "Predictions", "accuracy", "balanced_accuracy", "classification_metrics",
    "clopper_pearson", "confusion_by_patient", "count_lesions", "dice_over_volumes", "f1_macro",
    "f1_per_class", "foreground_dice", "hausdorff95", "hausdorff95_over_volumes", "holm", "kappa",
    "mean_absolute_grade_error", "mean_hausdorff95", "paired_differences", "part_metrics",
    "precision_per_class", "predictions_of", "quadratic_kappa", "recall_per_class",
    "segmentation_metrics", "spread", "volume_metrics",
]  # fmt: skip
