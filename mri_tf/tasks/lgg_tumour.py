"""Where is the tumour of a lower-grade glioma? Three MR sequences, any of which may be missing.

Data:     TCGA-LGG; layout `sequence_folders`
Source:   the pre-training of lgg_grade, after recipe A in 3D
Expected: see docs/results.md

    python -m mri_tf.train --task lgg_tumour --raw DIR
"""

from mri_tf.task import Task

TASK = Task(
    name="lgg_tumour",
    layout="sequence_folders",
    modality="MR",
    phantom="lgg",
    kind="segmentation",
    channels=("flair", "t1pre", "t1post", "has_flair", "has_t1pre", "has_t1post"),
    image_shape=(32, 64, 64),
    class_names=("background", "tumour"),
    prep=dict(
        missing="zero_fill", crop_to_brain=True, keep_aspect=False, nominal_spacing=True
    ),
    normalize=dict(method="zscore", region="mask"),
    model="unet3d",
    model_args=dict(filters=8, levels=5, dropout=0.05),
    augment=dict(
        random_affine3d=dict(max_degrees=(10.0, 5.0, 5.0), max_shift_fraction=0.05, zoom=(0.9, 1.1)),
        random_flip=dict(axis="left_right"),
    ),
    augment_probability=0.8,
    loss_weights="sqrt_inverse_frequency",
    dice_share=0.5,
    batch_size=2,
    steps=1600,
    choose_epoch="budget",  # a handful of patients to choose an epoch by would only cost patients
    learning_rate=2e-3,
    schedule="cosine",
    warm_up=50,
    demo_patients=10,
    variants=dict(
        # Recipe A's network.
        mnet={"model": "mnet3d", "model_args": dict(start_filters=8, dropout=0.2)},
        demo={"epochs": 2, "warm_up": 0, "model_args.filters": 4},
    ),
)
