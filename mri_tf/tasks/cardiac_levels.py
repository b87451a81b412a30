"""Which axial level of the chest does a slice of cardiac CT show?

Data:     CTA volumes in Hounsfield units with levels.csv; layout `volumes_with_levels`
Source:   recipe A, 2D (86 % accuracy, kappa 0.84 at 108 training slices)
Expected: see docs/results.md

    python -m mri_tf.train --task cardiac_levels
"""

from mri_tf.task import Task

# A training that is given its number of steps, and keeps the average of its weights.
SHORT = dict(
    learning_rate=2e-3, schedule="cosine", warm_up=20, average=0.98, choose_epoch="budget", patience=0
)

TASK = Task(
    name="cardiac_levels",
    layout="volumes_with_levels",
    modality="CT",
    phantom="thorax_levels",
    channels=("cta",),
    image_shape=(128, 128),
    class_names=(
        "thoracic_inlet", "lung_apex", "great_vessels_origin", "aortic_arch",
        "ascending_descending_aorta", "pulmonary_arteries", "aortic_root", "four_chamber",
        "ventricles_below_valves",
    ),
    label_from_position=True,
    # A 16-bit PNG for the image_bytes signature holds HU + 1024.
    prep=dict(slope=1.0, intercept=-1024.0),
    normalize=dict(method="range", low=-200.0, high=600.0),  # as the feature network saw it
    features_from="cardiac_structures",
    model="feature_classifier",
    model_args=dict(conv_filters=16, dense_units=100, repeats=3),
    augment=dict(random_affine=dict(max_degrees=15.0, max_shift_fraction=0.08, zoom=(0.9, 1.1))),
    augment_probability=0.6,  # no flip: a mirrored heart is a different anatomy
    loss_weights="sqrt_inverse_frequency",
    batch_size=64,
    epochs=300,
    learning_rate=5e-4,
    variants=dict(
        scratch={
            "features_from": "",
            "model": "vgg",
            "model_args": dict(conv_filters=16, dense_units=100),
        },
        vgg={
            "features_from": "",
            "image_shape": (224, 224),
            "prep": dict(clahe=dict(low=-200.0, high=600.0)),
            "normalize": dict(method="shift", offset=128.0),
            "model": "vgg_features",
            "model_args": dict(dense_units=100, weights="imagenet"),
        },
        threshold={"features.intensity_classes": 10},
        demo={
            # The paper's 300 epochs of three steps would take hours on two cores. With its dropout of a
            # half, so short a training does not get far.
            "batch_size": 16,
            "model_args.dropout": 0.2,
            "feature_bank": 3,
            **SHORT,
            "steps": 500,
            "features.prep.slice_step": 2,
            "features.split_fractions": (0.6, 0.2, 0.2),
            "features.model_args.start_filters": 8,
            **{f"features.{key}": value for key, value in SHORT.items()},
            "features.steps": 200,
        },
    ),
)  # fmt: skip
