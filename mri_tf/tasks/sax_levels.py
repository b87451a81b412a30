"""Which third of the heart does a short-axis cine MR image show: basal, mid or apical?

Data:     PNG images in manifest.csv; layout `cases_table`
Source:   Sunnybrook Cardiac Data; recipe A with the LV blood pool as the structure
Expected: see docs/results.md

    python -m mri_tf.train --task sax_levels --raw DIR
"""

from mri_tf.task import Task

# A number of steps, the average of the weights at its end: no epoch is chosen on three patients.
IMAGENET = {
    "features_from": "", "learning_rate": 3e-4, "schedule": "cosine", "warm_up": 50, "average": 0.98,
    "choose_epoch": "budget", "steps": 600, "patience": 0,
}  # fmt: skip

TASK = Task(
    name="sax_levels",
    layout="cases_table",
    modality="MR",
    phantom="short_axis",
    channels=("cine",),
    image_shape=(128, 128),
    class_names=("basal", "mid", "apical"),
    prep=dict(
        dtype="uint8", label_column="axial_level", slice_column="slice_level",
        stack_columns=("cardiac_phase",),
    ),
    label_from_position=True,
    normalize=dict(method="zscore"),
    features_from="sax_blood_pool",
    model="feature_classifier",
    model_args=dict(conv_filters=16, dense_units=100, repeats=3),
    augment=dict(random_affine=dict(max_degrees=20.0, max_shift_fraction=0.08, zoom=(0.85, 1.15))),
    augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency",
    split_fractions=(0.7, 0.1, 0.2),
    batch_size=16,
    epochs=50,
    patience=15,
    learning_rate=5e-4,
    variants=dict(
        scratch={
            "features_from": "",
            "model": "vgg",
            "model_args": dict(conv_filters=16, dense_units=100),
        },
        # A slice and the next ones of the same phase. The end of a stack shows, as its slice is there
        # twice: report.md has the numbers without such slices, and those of the ends alone.
        context={
            "features_from": "",
            "model": "vgg",
            "model_args": dict(conv_filters=16, dense_units=100),
            "context_slices": 1,
        },
        # Needs weights: --set model_args.weights=FILE where nothing can be downloaded.
        resnet18=IMAGENET | {
            "model": "backbone_classifier",
            "model_args": dict(
                backbone="resnet18", weights="imagenet", intensities="zscore", standardise=True
            ),
        },
        frozen_probe=IMAGENET | {
            "model": "frozen_probe",
            "model_args": dict(encoder="resnet18", weights="pretrained", intensities="zscore"),
            "feature_bank": 4,
        },
        vgg={
            "features_from": "",
            "image_shape": (224, 224),
            "prep.clahe": dict(low=0.0, high=255.0),
            "normalize": dict(method="shift", offset=128.0),
            "model": "vgg_features",
            "model_args": dict(dense_units=100, weights="imagenet"),
        },
        threshold={"features.intensity_classes": 10},
        demo={"epochs": 5, "demo_patients": 12, "features.epochs": 2},
    ),
)  # fmt: skip
