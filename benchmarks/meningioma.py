"""Compares careful fine-tuning with naive and none, on the meningioma phantom of recipe B.

    python -m data_prep.phantom --task meningioma_grading --out raw --patients 174 [--no-signal]
    python benchmarks/meningioma.py --raw raw --out studies/meningioma \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 [--folds 5] [--set k=v ...]

Writes a task file with variants of a ResNet-18 that ends after its third stack, on 64 x 64 pixels of two
medians. `published` trains the last convolution and the head from ImageNet weights at the paper's rates,
`recipe` with standardised features and rates that fit them, `naive_finetune` everything at one rate,
`scratch` everything from random weights; `frozen_probe` trains nothing but a logistic regression.
`mri_tf.study` compares them on identical folds; its report.md has the table. With --no-signal no picture
shows the grade: the table must show chance.
"""

from written_task import add_weights, compare_resnets, study_parser

CHANGES = """
    model_args=dict(
        backbone="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore",
        standardise=True,
    ),
    spacing=dict(BASE.spacing, grid=(64, 64), medians=2.0),
    patience=8,
    variants=dict(
        recipe={{
            key: value for key, value in BASE.variants["stack2"].items() if "cut_after" not in key
        }},
        published=BASE.variants["published"] | {{
            key: value for key, value in BASE.variants["stack2"].items() if key == "fine_tune.train"
        }} | {{"fine_tune.groups.conv.variables": "stack2_block1_2_.*"}},
        naive_finetune=BASE.variants["naive_finetune"],
        scratch=BASE.variants["scratch"],
        frozen_probe={{
            "model": "frozen_probe", "fine_tune": {{}}, "model_args": dict(
                encoder="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore"
            ),
        }},
    ),
"""
VARIANTS = "recipe;published;naive_finetune;scratch;frozen_probe"


def main() -> None:
    parser = study_parser(__doc__, repeats=1)
    add_weights(parser, VARIANTS)
    flags = parser.parse_args()
    changes = CHANGES.format(weights=str(flags.weights.absolute()))
    compare_resnets(flags, "meningioma_grading", changes)


if __name__ == "__main__":
    main()
