"""Where are 19 structures of the brain in a T1 MR volume?

Data:     T1 volumes with label maps; layout `labelled_volumes`
Source:   recipe A, 3D pre-training (43 volumes at 128^3, 100 epochs, mean Dice 0.69)
Expected: see docs/results.md

    python -m mri_tf.train --task brain_structures
"""

from mri_tf.task import Task

TASK = Task(
    name="brain_structures",
    layout="labelled_volumes",
    modality="MR",
    phantom="brain_structures",
    kind="segmentation",
    channels=("t1",),
    image_shape=(128, 128, 128),
    class_names=(
        "background", "cerebral_grey", "third_ventricle", "fourth_ventricle", "brainstem",
        "cvl_1_5", "cvl_6_7", "cvl_8_10", "accumbens", "amygdala", "caudate", "cerebellar_grey",
        "cerebellar_white", "cerebral_white", "hippocampus", "inferior_lateral_ventricle",
        "lateral_ventricle", "pallidum", "putamen", "thalamus",
    ),
    prep=dict(crop_to_brain=True, dtype="float16"),
    normalize=dict(method="zscore", region="mask"),
    model="mnet3d",
    model_args=dict(start_filters=12, dropout=0.5),
    augment=dict(
        random_affine3d=dict(max_degrees=10.0, max_shift_fraction=0.05, zoom=(0.9, 1.1)),
        random_flip=dict(axis="left_right"),
    ),
    augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency",
    split_fractions=(0.4, 0.1, 0.5),  # half of the patients are held out, as in the paper
    batch_size=1,
    epochs=100,
    learning_rate=1e-3,
    demo_patients=16,
    variants=dict(
        clahe={  # the recipe's intensities
            "prep": dict(crop_to_brain=True, clahe=dict()),
            "normalize": dict(method="range", low=0.0, high=255.0),
        },
        demo={
            "image_shape": (64, 64, 64),
            "split_fractions": (0.7, 0.15, 0.15),
            "model_args.start_filters": 8,
            "batch_size": 2,
            "epochs": 10,
        },
    ),
)  # fmt: skip
