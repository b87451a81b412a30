"""Where are the anterior and the posterior hippocampus in a T1 MR crop?

Data:     Medical Segmentation Decathlon, task 04; layout `labelled_volumes`
Source:   the network and training of lgg_tumour; variant `mnet` is recipe A's
Expected: see docs/results.md

    python -m mri_tf.train --task hippocampus --raw DIR
"""

from mri_tf.task import Task

TASK = Task(
    name="hippocampus",
    layout="labelled_volumes",
    modality="MR",
    phantom="hippocampus",
    kind="segmentation",
    channels=("t1",),
    image_shape=(48, 64, 48),  # about 1 mm; crops are 24-47 x 40-59 x 31-43 voxels
    class_names=("background", "anterior", "posterior"),
    normalize=dict(method="zscore"),  # intensities have no unit: maxima from 112 to 1.6 million
    model="unet3d",
    model_args=dict(filters=8, levels=4, dropout=0.05),
    augment=dict(
        random_affine3d=dict(max_degrees=15.0, max_shift_fraction=0.05, zoom=(0.9, 1.1)),
        random_gamma=dict(low=0.8, high=1.25),
    ),
    augment_probability=0.6,
    loss_weights="sqrt_inverse_frequency",
    dice_share=0.5,
    batch_size=2,
    steps=1600,
    choose_epoch="budget",
    learning_rate=2e-3,
    schedule="cosine",
    warm_up=50,
    demo_patients=10,
    variants=dict(
        # Recipe A's network, loss and constant rate.
        mnet={
            "model": "mnet3d", "model_args": dict(start_filters=8, dropout=0.5), "dice_share": 0.0,
            "epochs": 20, "choose_epoch": "validation", "schedule": "constant", "warm_up": 0,
            "learning_rate": 1e-3,
        },
        demo={"epochs": 3, "warm_up": 0, "model_args.filters": 4},
    ),
)
