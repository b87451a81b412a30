"""Recipe B on the meningioma phantom: careful fine-tuning against naive and none, on identical folds.

    python -m data_prep.phantom --task meningioma_grading --out raw --patients 174 [--no-signal]
    python benchmarks/meningioma.py --raw raw --out studies/meningioma \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 [--folds 5] [--set k=v ...]

The task's variants with what that partial file and a small machine ask for: a ResNet-18 that ends after
its third stack, on 64 x 64 pixels of two medians. `recipe` trains the last convolution and the head from
ImageNet's weights, `naive_finetune` everything at one rate, `scratch` everything from random weights.
With `--no-signal` the phantom's grades are in no picture: the same table must show chance.
"""

from written_task import run_study, study_parser

CHANGES = """
    model_args=dict(
        backbone="resnet18", weights={weights!r}, cut_after="stack2", intensities="zscore"
    ),
    spacing=dict(BASE.spacing, grid=(64, 64), medians=2.0),
    patience=8,
    variants=dict(
        recipe={{
            key: value for key, value in BASE.variants["stack2"].items() if "cut_after" not in key
        }},
        naive_finetune=BASE.variants["naive_finetune"],
        scratch=BASE.variants["scratch"],
    ),
"""


def main() -> None:
    flags = study_parser(__doc__, repeats=1).parse_args()
    changes = CHANGES.format(weights=str(flags.weights.absolute()))
    run_study(flags, "meningioma_grading", changes, "recipe;naive_finetune;scratch")


if __name__ == "__main__":
    main()
