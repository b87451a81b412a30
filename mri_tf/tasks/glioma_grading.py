"""Is a glioma of low or high grade? A 3D CNN on a box around the tumour, explained in 3D.

Data:     BraTS; layout `brats`
Source:   recipe E (tumour box, standardised inside the brain mask: 0.93 accuracy on 57 patients)
Expected: see docs/results.md

    python -m mri_tf.train --task glioma_grading
"""

from mri_tf.task import Task

TASK = Task(
    name="glioma_grading",
    layout="brats",
    modality="MR",
    phantom="glioma",
    channels=("t1", "t1ce", "t2", "flair"),
    image_shape=(144, 192, 160),  # a box around the brain at about 1 mm
    class_names=("LGG", "HGG"),
    ordered=True,
    prep=dict(
        n4=dict(shrink_factor=4, iterations=(50, 50, 50)), crop_to_brain=True, dtype="float16"
    ),
    normalize=dict(method="zscore", region="mask"),
    boxes_from="glioma_tumour",
    box=dict(around="mask", margin_voxels=10, grid=(96, 96, 96)),
    model="grader3d",
    model_args=dict(filters=16, dense_units=64, dropout=0.4, weight_decay=1e-4),
    augment=dict(
        random_affine3d=dict(max_degrees=20.0), random_flip=dict(axis="left_right"),
        random_rot90=dict(axes=("head_foot",)), random_gamma=dict(low=0.85, high=1.15),
    ),
    augment_probability=0.8,
    oversample=True,
    batch_size=2,
    epochs=60,
    patience=20,
    learning_rate=1e-4,
    demo_patients=32,
    variants=dict(
        # Named as in recipe E: which box, and the region of the intensity statistics.
        tumor={},
        whole_brain={"boxes_from": "", "box.around": "brain", "box.margin_voxels": 0},
        mask={},
        image={"normalize.region": "image", "features.normalize.region": "image"},
        # The encoder of the network that finds the boxes trains on, ten times slower than the head.
        encoder={
            "features_from": "glioma_tumour",
            "model": "encoder_classifier3d",
            "model_args": dict(dropout=0.4),
            "fine_tune": dict(groups=dict(encoder=dict(variables="(stem|down_).*", rate_share=0.1))),
        },
        demo={
            "image_shape": (32, 48, 48),
            "prep": dict(crop_to_brain=True, dtype="float16"),
            "box.grid": (32, 32, 32),
            "box.margin_voxels": 2,
            "model_args.filters": 8,
            "epochs": 30,
            "learning_rate": 1e-3,
            "demo_patients": 100,
            "features.image_shape": (32, 48, 48),
            "features.patch.shape": (32, 32, 32),
            "features.prep": dict(crop_to_brain=True, dtype="float16"),
            "features.model_args.filters": 8,
            "features.epochs": 15,
        },
    ),
)  # fmt: skip
