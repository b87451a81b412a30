"""Where is the left ventricle's blood pool in a short-axis cine MR image?

Data:     PNG images and masks in manifest.csv; layout `cases_table`
Source:   Sunnybrook Cardiac Data; the pre-training of sax_levels, after recipe A
Expected: see docs/results.md

    python -m mri_tf.train --task sax_blood_pool --raw DIR
"""

from mri_tf.task import Task

TASK = Task(
    name="sax_blood_pool",
    layout="cases_table",
    modality="MR",
    phantom="short_axis",
    kind="segmentation",
    channels=("cine",),
    image_shape=(128, 128),
    class_names=("background", "blood_pool"),
    prep=dict(dtype="uint8", slice_column="slice_level", stack_columns=("cardiac_phase",)),
    normalize=dict(method="zscore"),
    model="mnet",
    model_args=dict(start_filters=16, dropout=0.5),
    augment=dict(random_affine=dict(max_degrees=20.0, max_shift_fraction=0.08, zoom=(0.85, 1.15))),
    augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency",
    split_fractions=(0.7, 0.1, 0.2),
    batch_size=5,
    epochs=15,
    learning_rate=1e-3,
    variants=dict(demo={"epochs": 3, "demo_patients": 12}),
)
