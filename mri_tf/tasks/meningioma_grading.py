"""Is a meningioma of grade I, or of grade II or III? All tumour slices of a T1 after contrast agent.

Data:     NIfTI with a tumour mask, any scanner and spacing; layout `volume_and_mask`
Source:   recipe B (174 patients, 26 scanners: accuracy 0.74; always answering grade I gives 0.72), with
          standardised features before the head and rates that fit them; variant `published`: as stated
Expected: balanced accuracy and AUC in docs/results.md; the phantom's signal is faint on purpose

    python -m mri_tf.train --task meningioma_grading

The paper initialised its network many times; for that use python -m mri_tf.study --restarts N.
"""

from mri_tf.task import Task

LAST_CONV = "stack3_block1_2_.*"  # ResNet-18's last convolution and its BatchNorm

TASK = Task(
    name="meningioma_grading",
    layout="volume_and_mask",
    modality="MR",
    phantom="meningioma",
    channels=("t1ce",),
    image_shape=(256, 256),  # in the pixels of the case
    class_names=("I", "II_III"),
    ordered=True,
    prep=dict(dtype="float16", finest_mm=(0.4, 2.0)),
    # Over the whole image: the field of view varies less than what a head mask would find in it.
    normalize=dict(method="zscore", region="image"),
    # Fitted medians (paper: 0.54 mm, 4 mm between slices); 128 pixels hold a tumour of 57 mm.
    spacing=dict(grid=(128, 128), margin_mm=6.0),
    bag=dict(pooling="mean"),
    model="backbone_classifier",
    model_args=dict(
        backbone="resnet18", weights="imagenet", intensities="zscore", standardise=True
    ),
    fine_tune=dict(
        train=(LAST_CONV, "probabilities/.*"),
        groups=dict(conv=dict(variables=LAST_CONV, learning_rate=1e-5)),
        decay=0.97,  # not stated in the paper
    ),
    feature_bank=8,
    # Shifts and zooms replace the paper's random crop; hue and saturation do not apply to grey images.
    augment=dict(
        random_affine=dict(max_degrees=20.0, max_shift_fraction=0.06, zoom=(0.85, 1.15)),
        random_flip=dict(axis="columns"),
        random_contrast=dict(low=0.8, high=1.25),
    ),
    augment_probability=0.8,
    oversample=True,
    loss_weights="sqrt_inverse_frequency",  # on top of oversampling, as in recipe B
    split_fractions=(0.64, 0.16, 0.2),  # 4:1, with a fifth of the 4 for validation
    batch_size=8,  # patients
    epochs=60,
    patience=20,
    learning_rate=1e-3,
    demo_patients=87,
    variants=dict(
        # The rates of the paper, for features as they are, on which they move the head by a tenth.
        published={
            "model_args.standardise": False, "learning_rate": 1e-4,
            "fine_tune.groups.conv.learning_rate": 1e-6,
        },
        frozen_probe={
            "model": "frozen_probe",
            "model_args": dict(encoder="resnet18", weights="pretrained", intensities="zscore"),
            "fine_tune": {},
        },
        # The paper's controls: no freezing, no schedule, one learning rate; and no pre-training.
        naive_finetune={
            "fine_tune": {}, "feature_bank": 0, "model_args.standardise": False, "learning_rate": 1e-4,
        },
        scratch={
            "fine_tune": {}, "feature_bank": 0, "model_args.standardise": False,
            "model_args.weights": "none",
        },
        attention={"bag": dict(pooling="attention")},
        # For weights files that end after the third of four stacks.
        stack2={
            "model_args.cut_after": "stack2",
            "fine_tune.train": ("stack2_block1_2_.*", "probabilities/.*"),
            "fine_tune.groups.conv.variables": "stack2_block1_2_.*",
        },
        # Needs no weights file: trained from scratch, on pixels of twice the median size.
        demo={
            "model_args.weights": "none",
            "model_args.standardise": False,
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
