"""Where is the whole tumour of a glioma? Four MR sequences, trained on patches.

Data:     BraTS; layout `brats`
Source:   recipe E's segmentation network (its masks give the boxes of glioma_grading)
Expected: see docs/results.md

    python -m mri_tf.train --task glioma_tumour --raw DIR
"""

from mri_tf.task import Task

TASK = Task(
    name="glioma_tumour",
    layout="brats",
    modality="MR",
    phantom="glioma",
    kind="segmentation",
    channels=("t1", "t1ce", "t2", "flair"),
    image_shape=(144, 192, 160),  # a box around the brain at about 1 mm
    class_names=("background", "tumour"),
    prep=dict(
        n4=dict(shrink_factor=4, iterations=(50, 50, 50)), crop_to_brain=True, dtype="float16"
    ),
    normalize=dict(method="zscore", region="mask"),
    patch=dict(shape=(64, 64, 64), foreground_share=0.5, overlap=0.5),
    model="unet3d",
    model_args=dict(filters=16, levels=4, dropout=0.05, weight_decay=1e-6),
    augment=dict(
        random_affine3d=dict(max_degrees=20.0), random_flip=dict(axis="left_right"),
        random_gamma=dict(low=0.85, high=1.15),
    ),
    augment_probability=0.8,
    loss_weights="sqrt_inverse_frequency",
    batch_size=2,
    epochs=100,
    patience=20,
    learning_rate=1e-3,  # our choice: the paper's 5e-5 is for epochs of thousands of steps
    demo_patients=24,
    variants=dict(
        demo={
            "image_shape": (32, 48, 48),
            "patch.shape": (32, 32, 32),
            "prep": dict(crop_to_brain=True, dtype="float16"),
            "model_args.filters": 8,
            "epochs": 4,
        },
    ),
)  # fmt: skip
