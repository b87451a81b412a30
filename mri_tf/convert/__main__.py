"""Converts weights of 3D networks that PyTorch saved: python -m mri_tf.convert --file F."""

import sys
from pathlib import Path

from mri_tf.core.command_line import DONE, Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError

SUFFIX = ".weights.h5"


def main(arguments: list[str]) -> int:
    """Writes the converted weights; returns the exit code."""
    flags = _parser().parse_args(arguments)
    out = flags.out
    if not out.name.endswith(SUFFIX) or out.name == SUFFIX:
        raise InputError(
            "The name of a weights file must end in .weights.h5.", out, f"For example net{SUFFIX}."
        )
    if out.exists():
        raise InputError("The file given with --out exists.", out, "Remove it, or choose another name.")
    if not out.absolute().parent.is_dir():
        raise InputError("The folder of --out does not exist.", out.absolute().parent, "Make it first.")
    from mri_tf.convert.torch_file import read_tensors

    tensors = read_tensors(flags.file)
    import_tensorflow()
    from mri_tf.convert.medicalnet import convert
    from mri_tf.core.hashing import file_hash
    from mri_tf.models.weights import Origin, write_converted

    network, layout = convert(tensors)
    origin = Origin(flags.file.name, file_hash(flags.file), " ".join(flags.licence.split()))
    write_converted(network, out, origin)
    kind = f"a ResNet of depth {layout.depth}, shortcuts {layout.shortcut}, width {layout.width}"
    print(f"{kind}; {network.count_params()} numbers; licence: {origin.licence}")
    print(f"wrote {out}: use it with {_settings(layout, out)}")
    return DONE


def _settings(layout, out: Path) -> str:
    """What a task says to begin with the weights."""
    parts = ["model=resnet3d", f"model_args.depth={layout.depth}", f"model_args.weights={out}"]
    parts += [] if layout.published else [f"model_args.shortcut={layout.shortcut}"]
    return f"--set {' '.join(parts)}"


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.convert", __doc__,
        examples=(
            '--file resnet_18_23dataset.pth --licence "MIT, Tencent" --out resnet18.weights.h5',
            '--file resnet_50.safetensors --licence "Apache-2.0, our clinic" --out resnet50.weights.h5',
        ),
    )  # fmt: skip
    parser.add_argument(
        "--file", required=True, type=Path,
        help="a 3D ResNet in MedicalNet's layout: .pth of PyTorch, or .safetensors",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, help="file to write, NAME.weights.h5")
    parser.add_argument(
        "--licence", required=True,
        help="under which licence the weights are, in words; cards of what is trained from them show it",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
