"""Where are the heart's chambers and great vessels in an axial slice of chest CT?

Data:     CTA volumes in Hounsfield units with label maps; layout `labelled_slices`
Source:   recipe A, 2D pre-training (48 volumes; 5 images a batch, 20 epochs, mean Dice 0.78)
Expected: see docs/results.md

    python -m mri_tf.train --task cardiac_structures
"""

from mri_tf.task import Task

TASK = Task(
    name="cardiac_structures",
    layout="labelled_slices",
    modality="CT",
    phantom="thorax_structures",
    kind="segmentation",
    channels=("cta",),
    image_shape=(128, 128),
    class_names=(
        "background", "sternum", "ascending_aorta", "descending_aorta", "right_pulmonary_artery",
        "vertebrae", "right_atrium", "left_atrium", "right_ventricle", "left_ventricle",
        "myocardium", "left_pulmonary_artery", "pulmonary_trunk", "aortic_root", "aortic_arch",
        "superior_vena_cava", "inferior_vena_cava",
    ),
    # A 16-bit PNG for the image_bytes signature holds HU + 1024.
    prep=dict(slice_step=1, slope=1.0, intercept=-1024.0),
    normalize=dict(method="range", low=-200.0, high=600.0),  # not stated in the paper
    model="mnet",
    model_args=dict(start_filters=16, dropout=0.5),
    augment=dict(random_affine=dict(max_degrees=15.0, max_shift_fraction=0.08, zoom=(0.9, 1.1))),
    augment_probability=0.6,  # no flip: a mirrored heart is a different anatomy
    loss_weights="sqrt_inverse_frequency",
    split_fractions=(0.4, 0.1, 0.5),  # half of the patients are held out, as in the paper
    batch_size=5,
    epochs=20,
    learning_rate=1e-3,
    variants=dict(
        demo={"prep.slice_step": 2, "split_fractions": (0.6, 0.2, 0.2), "epochs": 5},
    ),
)  # fmt: skip
