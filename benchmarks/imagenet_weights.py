"""Compares ImageNet weights with random ones, for the levels of real short-axis images.

    python benchmarks/imagenet_weights.py --raw $MRI_SHARED/data/sunnybrook \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 --out studies/imagenet
        [--folds 5] [--repeats 3] [--workers 2] [--set k=v ...]

Writes a task file with the variants `imagenet` and `random`: a ResNet-18 that ends after its third
stack, fully trained, everything else equal. `mri_tf.study` compares them on identical folds, with
another seed and partition for each repeat; its report.md has the table with the paired difference.
"""

from written_task import run_study, study_parser

CHANGES = """
    features_from="",
    model="backbone_classifier",
    model_args=dict(
        backbone="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore"
    ),
    learning_rate=3e-4,
    epochs=40,
    patience=10,
    variants=dict(imagenet={{}}, random={{"model_args.weights": "none"}}),
"""


def main() -> None:
    flags = study_parser(__doc__, repeats=3).parse_args()
    changes = CHANGES.format(weights=str(flags.weights.absolute()))
    run_study(flags, "sax_levels", changes, "imagenet;random")


if __name__ == "__main__":
    main()
