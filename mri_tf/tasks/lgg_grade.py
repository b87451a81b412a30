"""Is a lower-grade glioma of grade II or III? 77 patients from five sites: a hard problem.

Data:     TCGA-LGG; layout `sequence_folders`
Source:   recipe A in 3D with other classes (the paper tells grades I-II from IV)
Expected: see docs/results.md; site and grade are not independent

    python -m mri_tf.train --task lgg_grade --raw DIR
"""

from mri_tf.task import Task

TASK = Task(
    name="lgg_grade",
    layout="sequence_folders",
    modality="MR",
    phantom="lgg",
    channels=("flair", "t1pre", "t1post", "has_flair", "has_t1pre", "has_t1post"),
    image_shape=(32, 64, 64),
    class_names=("II", "III"),
    ordered=True,
    prep=dict(
        missing="zero_fill", crop_to_brain=True, keep_aspect=False, label_column="grade",
        nominal_spacing=True,
    ),
    normalize=dict(method="zscore", region="mask"),  # as the feature network saw it
    features_from="lgg_tumour",
    # The classifier of recipe A sits on the right leg of an M-Net; fewer steps than for masks alone.
    features={
        "model": "mnet3d", "model_args": dict(start_filters=8, dropout=0.2), "steps": 600,
        "learning_rate": 1e-3,
    },
    model="feature_classifier3d",
    model_args=dict(conv_filters=16, dense_units=64, repeats=3),
    augment=dict(
        random_affine3d=dict(max_degrees=(10.0, 5.0, 5.0), max_shift_fraction=0.05, zoom=(0.9, 1.1)),
        random_flip=dict(axis="left_right"),
    ),
    augment_probability=0.8,
    oversample=True,
    batch_size=4,
    epochs=30,
    patience=10,
    learning_rate=5e-4,
    demo_patients=16,
    variants=dict(
        scratch={
            "features_from": "",
            "model": "vgg3d",
            "model_args": dict(conv_filters=8, dense_units=64),
        },
        # The tumour's encoder trains on, ten times slower than the head.
        encoder={
            "features": {"steps": 800},
            "model": "encoder_classifier3d",
            "model_args": {},
            "fine_tune": dict(groups=dict(encoder=dict(variables="down_.*", rate_share=0.1))),
        },
        # Differences between the five sites are taken out: of each image by its white matter, of the
        # images of a fold by their histograms, or of the features of a frozen network by site.
        white_stripe={
            "normalize": dict(method="white_stripe"),
            "features.normalize": dict(method="white_stripe"),
        },
        nyul={"harmonise": dict(method="nyul"), "features.harmonise": dict(method="nyul")},
        frozen_probe={
            "features_from": "", "model": "frozen_probe",
            "model_args": dict(encoder="resnet18", weights="pretrained", intensities="zscore"),
        },
        combat={
            "features_from": "", "model": "frozen_probe",
            "model_args": dict(encoder="resnet18", weights="pretrained", intensities="zscore"),
            "harmonise": dict(method="combat", batch="site"),
        },
        # Patients who lack a sequence are read better where training leaves some out.
        sequence_dropout={"augment.sequence_dropout": dict(probability=0.2)},
        demo={"epochs": 2, "features.steps": 10, "features.model_args.start_filters": 4},
    ),
)
