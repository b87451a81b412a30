"""Is the MGMT promoter of a glioblastoma methylated? Axial slices of four MR sequences.

Data:     RSNA-MICCAI radiogenomic set (DICOM); layout `rsna_mgmt`
Source:   recipe C; sequences resampled to one grid as channels, splits by patient
Expected: chance level on the phantom, which has no signal; see docs/results.md

Predicting MGMT methylation from structural MR is widely reported to be near chance: the best AUC of the
RSNA-MICCAI 2021 challenge was about 0.62, and independent analyses of its data found about 0.5. CAUTION
says so beside the numbers of every run.

    python -m mri_tf.train --task mgmt --raw DIR
"""

from mri_tf.task import Task

CAUTION = (
    "Predicting MGMT promoter methylation from structural MR is widely reported to be near chance (the "
    "best AUC of the RSNA-MICCAI 2021 challenge was about 0.62, and independent analyses of its data "
    "found about 0.5): doubt any number far above that."
)
AFTER_CONTRAST = r"t1.*(ce\b|post|gad|gd|\+ ?c)"
RULES = dict(
    flair=dict(
        description=("flair",), not_description=("t1",), slices=(10, 1000),
        tr_ms=(6000, 15000), te_ms=(70, 200),
    ),
    t1=dict(
        description=("t1",), not_description=(AFTER_CONTRAST,), contrast=False, slices=(10, 1000),
        tr_ms=(0, 3000), te_ms=(0, 30),
    ),
    t1ce=dict(
        description=(AFTER_CONTRAST,), contrast=True, slices=(10, 1000),
        tr_ms=(0, 3000), te_ms=(0, 30),
    ),
    t2=dict(
        description=("t2",), not_description=("flair",), slices=(10, 1000),
        tr_ms=(2000, 12000), te_ms=(70, 200),
    ),
)  # fmt: skip


def _alone(sequence: str) -> dict:
    """One sequence as the only channel."""
    return {
        "channels": (sequence,),
        "prep.sequences": {sequence: RULES[sequence]},
        "prep.reference": sequence,
    }


TASK = Task(
    name="mgmt",
    layout="rsna_mgmt",
    modality="MR",
    phantom="mgmt",
    channels=tuple(RULES),
    image_shape=(224, 224),
    class_names=("unmethylated", "methylated"),
    prep=dict(
        sequences=RULES,
        reference="t1ce",  # the finest grid
        missing="fail",
        crop_to_brain=True,
        slices=dict(count=16, low=0.25, high=0.85),
        window=(0.5, 99.5),
    ),
    normalize=dict(method="range", low=0.0, high=255.0),
    model="backbone_classifier",
    model_args=dict(backbone="resnet18", weights="imagenet"),
    fine_tune=dict(optimizer="sgd", momentum=0.9, decay=0.1, decay_every=7),  # momentum: our choice
    augment=dict(random_flip=dict(axis="columns")),
    augment_probability=1.0,  # the flip itself happens to half of the images
    batch_size=32,
    epochs=30,
    learning_rate=1e-3,
    demo_patients=24,
    caution=CAUTION,
    variants=dict(
        **{f"{sequence}_alone": _alone(sequence) for sequence in RULES},
        ensemble={"model": "backbone_ensemble"},
        best_accuracy={"choose_epoch": "accuracy"},  # recipe C: keeps the weights of that epoch
        # The phantom has no signal: the demo shows what a random split makes of that.
        demo={
            "image_shape": (64, 64), "prep.slices.count": 6, "epochs": 10,
            "model_args.weights": "none", "model_args.cut_after": "stack1",
        },
    ),
)  # fmt: skip
