"""Compares how `brain_tumor_44` trains with the recipe's constant rate, on other pictures of many
classes.

    python benchmarks/many_classes.py --raw $MRI_SHARED/data/lgg --out studies/many \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 [--folds 3] [--set k=v ...]

The pictures of the 44 classes are not at hand. These are 2,000 axial slices of gliomas, in 36 classes of
21 to 99 pictures: a class is a hospital, a third of the head and a sequence. Patients are known, and
whole on one side. Variants: `constant`, and the task as it is (`manual`), both for six epochs of 96 x 96
pixels unless `--set` says otherwise; mri_tf.study's report.md has the table.
"""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from PIL import Image
from written_task import add_weights, run_study, study_parser, write_task

SEQUENCES = {"flair": "T2", "t1pre": "T1", "t1post": "T1C+"}  # file -> contrast, as the task names them
THIRDS = ("low", "mid", "high")
SLICES = 3  # of a third
USUAL = ("image_shape=(96,96)", "epochs=6", "precision=mixed_bfloat16")
CHANGES = """
    class_names={names!r}, class_parts=dict(contrast={contrasts!r}), primary_metric="f1_macro",
    model_args=dict(backbone="resnet18", weights={weights!r}),
"""


def write_pictures(raw: Path, out: Path) -> list[str]:
    """Writes <class>/<patient>/<slice>.png, unless they are there; returns the classes."""
    if not out.exists():
        scratch = out.with_name(f"{out.name}.part")
        for row in pd.read_csv(raw / "manifest.csv").itertuples():
            for sequence, contrast in SEQUENCES.items():
                file = raw / row.patient_id / f"{sequence}.nii.gz"
                if file.is_file():
                    _write_slices(file, scratch, f"{row.site}_{{third}} {contrast}", row.Index)
        scratch.rename(out)
    return sorted(path.name for path in out.iterdir())


def _write_slices(file: Path, out: Path, name: str, patient: int) -> None:
    """Slices of a volume that show more than air, from the lowest to the highest third of them."""
    volume = np.asarray(nibabel.load(file).dataobj, np.float32)  # (columns, rows, slices)
    bright = (volume > np.percentile(volume, 60)).mean(axis=(0, 1)) > 0.1
    shown, white = np.flatnonzero(bright), np.percentile(volume, 99.7)
    if len(shown) < SLICES * len(THIRDS):
        return
    for third, slices in zip(THIRDS, np.array_split(shown, len(THIRDS)), strict=True):
        folder = out / name.format(third=third) / f"p{patient:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for place in np.unique(np.linspace(0, len(slices) - 1, SLICES).round().astype(int)):
            pixels = np.clip(volume[..., slices[place]] / white * 255, 0, 255).astype(np.uint8)
            Image.fromarray(np.rot90(pixels)).convert("RGB").save(folder / f"s{slices[place]}.png")


def main() -> None:
    parser = study_parser(__doc__, repeats=1)
    add_weights(parser, "constant;manual")
    parser.set_defaults(folds=3, workers=1)
    flags = parser.parse_args()
    flags.set = [*USUAL, *flags.set]
    flags.out.mkdir(parents=True, exist_ok=True)
    names = write_pictures(flags.raw, flags.out / "pictures")
    contrasts = tuple(name.split()[1] for name in names)
    changes = CHANGES.format(
        names=tuple(names), contrasts=contrasts, weights=str(flags.weights.absolute())
    )
    file = write_task(flags.out, "many_classes", "brain_tumor_44", changes)
    run_study(flags, file, ["--raw", str(flags.out / "pictures")], flags.out / "study", flags.variants)


if __name__ == "__main__":
    main()
