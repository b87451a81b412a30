"""Compares ImageNet weights with random ones and with a frozen probe, for levels of real hearts.

    python benchmarks/imagenet_weights.py --raw $MRI_SHARED/data/sunnybrook \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 --out studies/imagenet
        [--folds 5] [--repeats 3] [--workers 2] [--variants "imagenet;frozen_probe"] [--set k=v ...]

Writes a task file with variants of a ResNet-18 that ends after its third stack: `imagenet` and `random`
train all of it, `frozen_probe` nothing but a logistic regression, `context` sees the next slices, too.
`mri_tf.study` compares them on identical folds, with another seed and partition for each repeat; its
report.md has the table with the paired difference.
"""

from written_task import add_weights, compare_resnets, study_parser

CHANGES = """
    variants=dict(
        imagenet=BASE.variants["resnet18"] | {{"model_args": NETWORK}},
        random=BASE.variants["resnet18"] | {{"model_args": NETWORK | {{"weights": "none"}}}},
        context=BASE.variants["resnet18"] | {{"model_args": NETWORK, "context_slices": 1}},
        frozen_probe=BASE.variants["frozen_probe"] | {{"model_args": PROBE}},
    ),
"""
BEFORE = """
PROBE = dict(encoder="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore")
NETWORK = dict(
    backbone="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore", standardise=True
)
"""
VARIANTS = "imagenet;random;frozen_probe"


def main() -> None:
    parser = study_parser(__doc__, repeats=3)
    add_weights(parser, VARIANTS)
    flags = parser.parse_args()
    values = dict(weights=str(flags.weights.absolute()))
    compare_resnets(flags, "sax_levels", CHANGES.format(**values), BEFORE.format(**values))


if __name__ == "__main__":
    main()
