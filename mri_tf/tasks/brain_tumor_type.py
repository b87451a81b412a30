"""Does a T1 MR volume show no tumour, a lower-grade glioma or a glioblastoma?

Data:     T1 volumes with types.csv; layout `volumes_with_types`
Source:   recipe A, 3D (82 % accuracy, kappa 0.67 at 80 tumour samples). Ours counts intensities inside
          the structures that the network finds; variant `recipe` learns from the network's features,
          and `recipe,clahe` from the recipe's intensities, too
Expected: see docs/results.md

    python -m mri_tf.train --task brain_tumor_type
"""

from mri_tf.task import Task

TASK = Task(
    name="brain_tumor_type",
    layout="volumes_with_types",
    modality="MR",
    phantom="brain_types",
    channels=("t1",),
    image_shape=(128, 128, 128),
    class_names=("no_tumor", "lgg", "gbm"),
    # Not the recipe's CLAHE (variant clahe): its tiles, an eighth of a side, are as large as tumours,
    # whose contrast it equalises away.
    prep=dict(crop_to_brain=True, dtype="float16"),
    normalize=dict(method="zscore", region="mask"),  # as the feature network saw it
    features_from="brain_structures",
    model="statistics_probe3d",
    augment=dict(
        random_affine3d=dict(max_degrees=10.0, max_shift_fraction=0.05, zoom=(0.9, 1.1)),
        random_flip=dict(axis="left_right"),
    ),
    augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency",
    batch_size=4,
    epochs=50,
    learning_rate=1e-4,
    demo_patients=400,
    variants=dict(
        recipe={
            "model": "feature_classifier3d",
            # Not the recipe's flattened features: a tumour may lie anywhere.
            "model_args": dict(conv_filters=32, dense_units=200, repeats=4, pooling="max"),
        },
        scratch={
            "features_from": "",
            "model": "vgg3d",
            "model_args": dict(conv_filters=16, dense_units=200, pooling="max"),
        },
        # From scratch, and with the difference of left and right as a second channel. The frozen
        # features of a network that was trained on one channel have no place for it.
        mirror={
            "features_from": "",
            "model": "vgg3d",
            "model_args": dict(
                conv_filters=16, dense_units=200, pooling="max", mirrored_difference=True
            ),
        },
        # The segmentation network says where the brain is; what lies inside is classified from scratch.
        masked={
            "model": "masked_grader3d",
            "model_args": dict(filters=8, dense_units=64, dropout=0.2, mirrored_difference=True),
        },
        clahe={  # the recipe's intensities
            "prep": dict(crop_to_brain=True, clahe=dict()),
            "normalize": dict(method="range", low=0.0, high=255.0),
            "features.prep": dict(crop_to_brain=True, clahe=dict()),
            "features.normalize": dict(method="range", low=0.0, high=255.0),
        },
        threshold={"features.intensity_classes": 5},
        demo={
            "image_shape": (64, 64, 64),
            "batch_size": 6,
            "learning_rate": 1e-3,
            "epochs": 30,
            "features.image_shape": (64, 64, 64),
            "features.split_fractions": (0.7, 0.15, 0.15),
            "features.model_args.start_filters": 8,
            "features.batch_size": 2,
            "features.epochs": 10,
        },
    ),
)  # fmt: skip
