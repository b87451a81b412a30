"""Predicts from original image files with an exported model: python -m mri_tf.predict --model DIR."""

import argparse
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mri_tf.core.command_flags import add_engine
from mri_tf.core.command_line import (
    DONE,
    INTERRUPTED,
    SOME_SKIPPED,
    Parser,
    import_tensorflow,
    run_command,
)
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.redacted import DICOMWEB
from mri_tf.predict.flags import FORMATS, check_flags, check_flags_of_task, format_of


def main(arguments: list[str]) -> int:
    """Predicts every case; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.cases.to_predict import check_inputs_exist
    from mri_tf.predict.dicom_in import local_paths

    check_flags(flags)
    check_inputs_exist(local_paths(flags.input))
    try:
        with ExitStack() as until_the_end:
            return _predict(flags, until_the_end)
    except KeyboardInterrupt:
        print("error: Interrupted before the list of answers was written.", file=sys.stderr, flush=True)
        return INTERRUPTED


def _predict(flags, until_the_end: ExitStack) -> int:
    import_tensorflow()
    from data_prep.cases.to_predict import list_cases_to_predict, made_at
    from mri_tf.engines.choose import check_engine
    from mri_tf.predict.dicom_in import fetched
    from mri_tf.predict.files import ANSWERS, write_answers
    from mri_tf.predict.kept import check_inputs_kept
    from mri_tf.predict.map_files import MapFiles
    from mri_tf.predict.model import ModelOptions, open_model
    from mri_tf.predict.outputs import Predictor
    from mri_tf.predict.warning_lines import warning_lines

    check_engine(flags.engine)
    options = ModelOptions(
        flags.model, flags.server, flags.task, flags.token_file, flags.timeout_s, flags.engine
    )
    model, layout = open_model(options, needs_segmenter=flags.mask is None)
    task = model.exported.task
    check_flags_of_task(flags, task, layout)
    flags.input = until_the_end.enter_context(
        fetched(flags.input, flags.dicomweb_token_file, flags.timeout_s)
    )
    cases = list_cases_to_predict(layout, flags.input, task, flags.mask)
    named = {name: getattr(flags, name) for name in ("site", "scanner") if getattr(flags, name)}
    cases = made_at(cases, named)
    if flags.explain and "explain" not in model.signatures:
        raise InputError(
            "The model cannot explain its decisions: it has no signature explain.", task.name,
            "Export its run again with python -m mri_tf.export, or leave out --explain.",
        )  # fmt: skip
    segments = task.kind == "segmentation"
    folder = flags.out if segments else None
    if flags.explain:
        folder = flags.out.with_name(f"{flags.out.stem}_maps")
    path = flags.out / ANSWERS if segments else flags.out
    check_inputs_kept(path, folder, [*flags.input, *([flags.mask] if flags.mask else [])], cases)
    keepers = [] if folder is None else [MapFiles(folder)]
    dicom = None
    if flags.dicom_out is not None:
        from mri_tf.predict.dicom_out import open_dicom_out

        dicom = open_dicom_out(flags.dicom_out, model.exported, cases, flags.input)
        keepers.append(dicom)
    predictor = Predictor(model, keepers, flags.explain, flags.anyway)
    with _saying_what_is_left(keepers):
        predictor.predict(layout, cases)
    predictions = predictor.predictions
    if not predictions.rows:
        reasons = first_few(f"{name}: {reason}" for name, reason in predictions.skipped)
        raise InputError("None of the inputs could be read.", reasons, "Correct or replace the files.")
    write_answers(predictions, path, format_of(flags), getattr(layout, "SUBMISSION", None), folder)
    for name, reason in predictions.skipped:
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if dicom is not None:
        dicom.say_result()
    for line in warning_lines(predictions.rows, task):
        print(line, file=sys.stderr)
    return SOME_SKIPPED if predictions.skipped or (dicom is not None and dicom.failed) else DONE


@contextmanager
def _saying_what_is_left(keepers: list):
    """Where the work inside ends early, a line for each folder with what was written case by case."""
    try:
        yield
    except BaseException:
        for line in filter(None, (keeper.what_is_left() for keeper in keepers)):
            print(f"note: {line}", file=sys.stderr, flush=True)
        raise


def _path_or_address(text: str) -> Path | str:
    """argparse type: a path, or an address of DICOMweb, whose slashes a path would lose."""
    return text if text.startswith(DICOMWEB) else Path(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"needs a time above 0 s and below 1000000 s, not {text[:20]}")
    return value


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.predict", __doc__,
        examples=(
            "--model saved_models/grade --input new.nii.gz",
            "--model saved_models/grade --input patients/ --explain --out answers.csv",
        ),
    )  # fmt: skip
    parser.add_argument("--model", type=Path, help="saved_models/<task>, or a version folder in it")
    parser.add_argument("--server", default="", help="predict with this server: http://HOST:8501")
    add_engine(parser)
    parser.add_argument("--task", default="", help="task name or file, for --server without --model")
    parser.add_argument(
        "--input", required=True, type=_path_or_address, nargs="+", metavar="PATH",
        help="NIfTI files, DICOM folders, images, folders of cases, a CSV table that lists them, or an "
        "address of DICOMweb: dicomweb:https://HOST/dicom-web/studies/UID (also /series/UID)",
    )  # fmt: skip
    for name in ("site", "scanner"):
        parser.add_argument(
            f"--{name}", default="", metavar="NAME",
            help=f"{name} of inputs whose table names none, as the training data name it; for models "
            f"that correct features by {name}",
        )  # fmt: skip
    parser.add_argument("--mask", type=Path, help="tumour mask of a single case, if the task uses it")
    parser.add_argument(
        "--anyway", action="store_true", help="predict for images of another modality than the model's"
    )
    parser.add_argument("--explain", action="store_true", help="also write Grad-CAM maps")
    parser.add_argument(
        "--dicom-out", type=Path, metavar="DIR",
        help="for DICOM inputs: also write DICOM objects (report, segmentation, map) into this new "
        "folder, the only output that names the patient and the study, as the source headers do",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="x.json, x.csv or a folder of maps (default: print)")
    parser.add_argument("--format", choices=FORMATS, help="(default: by the suffix of --out, else json)")
    parser.add_argument(
        "--dicomweb-token-file", type=Path, metavar="FILE",
        help="token of the DICOMweb server (default: $MRI_TF_DICOMWEB_TOKEN)",
    )  # fmt: skip
    parser.add_argument("--token-file", type=Path, help="server's token (default: $MRI_TF_TOKEN)")
    parser.add_argument(
        "--timeout-s", type=_seconds, default=120.0, help="seconds for one request (default 120)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
