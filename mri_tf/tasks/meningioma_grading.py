"""Is a meningioma of grade I, or of grade II or III? All slices of a T1 after contrast agent, together.

Data:     NIfTI with a tumour mask, any scanner and spacing; layout `volume_and_mask`
Source:   recipe B (174 patients, 26 scanners: accuracy 0.74, and 126/174 = 0.72 for grade I always)
Expected: balanced accuracy and AUC in docs/results.md; the phantom's signal is faint on purpose

    python -m mri_tf.train --task meningioma_grading

The paper re-initialised its network many times: python -m mri_tf.study --restarts N.
"""

from mri_tf.task import Task

LAST_CONV = "stack3_block1_2_.*"  # ResNet-18's last convolution and its BatchNorm

TASK = Task(
    name="meningioma_grading",
    layout="volume_and_mask",
    phantom="meningioma",
    channels=("t1ce",),
    image_shape=(256, 256),  # of the study's own pixels
    class_names=("I", "II_III"),
    ordered=True,
    prep=dict(dtype="float16", finest_mm=(0.4, 2.0)),
    # Of the whole image: what a field of view shows varies less than what a head mask finds in it.
    normalize=dict(method="zscore", region="image"),
    # The fitted medians (0.54 mm, 4 mm between slices in the paper); 128 of them hold a tumour of 57 mm.
    spacing=dict(grid=(128, 128), margin_mm=6.0),
    bag=dict(pooling="mean"),
    model="backbone_classifier",
    model_args=dict(backbone="resnet18", weights="imagenet", intensities="zscore"),
    fine_tune=dict(
        train=(LAST_CONV, "probabilities/.*"),
        groups=dict(conv=dict(variables=LAST_CONV, learning_rate=1e-6)),
        decay=0.97,  # silent
    ),
    feature_bank=8,
    # Shifts and zooms are the paper's random crop; hue and saturation change no grey image.
    augment=dict(
        random_affine=dict(max_degrees=20.0, max_shift_fraction=0.06, zoom=(0.85, 1.15)),
        random_flip=dict(axis="columns"),
        random_contrast=dict(low=0.8, high=1.25),
    ),
    augment_probability=0.8,
    oversample=True,
    loss_weights="sqrt_inverse_frequency",  # once more towards II/III, as the recipe has it
    split_fractions=(0.64, 0.16, 0.2),  # 4:1, and a part of the 4 to choose the weights
    batch_size=8,  # patients
    epochs=60,
    patience=20,
    learning_rate=1e-4,
    demo_patients=87,
    variants=dict(
        # The paper's two controls: no freezing, no schedule, one learning rate; and no pre-training.
        naive_finetune={"fine_tune": {}, "feature_bank": 0},
        scratch={
            "fine_tune": {}, "feature_bank": 0, "model_args.weights": "none", "learning_rate": 1e-3,
        },
        attention={"bag": dict(pooling="attention")},
        # For weights that end after the third of four stacks.
        stack2={
            "model_args.cut_after": "stack2",
            "fine_tune.train": ("stack2_block1_2_.*", "probabilities/.*"),
            "fine_tune.groups.conv.variables": "stack2_block1_2_.*",
        },
        # Needs no weights from elsewhere: from scratch, on pixels of two medians.
        demo={
            "model_args.weights": "none",
            "model_args.cut_after": "stack2",
            "fine_tune": {},
            "feature_bank": 0,
            "spacing.grid": (64, 64),
            "spacing.medians": 2.0,
            "epochs": 30,
            "learning_rate": 3e-4,
        },
    ),
)  # fmt: skip
