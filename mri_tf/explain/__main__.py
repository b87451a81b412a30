"""Where a run's network looks, as NIfTI and pictures: python -m mri_tf.explain --run RUN."""

import io
import sys
import tempfile
from pathlib import Path

from mri_tf.core.command_flags import folder_to_write
from mri_tf.core.command_line import Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError, first_few


def main(arguments: list[str]) -> int:
    """Explains the run's held-out records, or those of other data; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_finished

    run = open_finished(flags.run)
    if run.task.kind == "segmentation":
        raise InputError(
            "Only classifiers can be explained.", f"segmentation run {run.task.name}",
            "Give the run of a classifier with --run.",
        )  # fmt: skip
    prepared = Prepared.open(flags.data or run.data_folder)
    prepared.check_fits(run.task)
    import_tensorflow()
    import numpy as np

    from mri_tf.core.progress import progress
    from mri_tf.core.words import plural
    from mri_tf.explain.maps import explainer_of
    from mri_tf.explain.pictures import ClassSheets, Pictures
    from mri_tf.explain.saliency import layer_to_explain
    from mri_tf.network.bags import slice_classifier
    from mri_tf.network.members import load_members
    from mri_tf.network.views import describe_views
    from mri_tf.pipeline.batches import report_damage
    from mri_tf.pipeline.field_of_view import check_masks
    from mri_tf.pipeline.subset import subset_of
    from mri_tf.splits.leakage import check_derived_unseen
    from mri_tf.store.looks import check_open, count_look, shows_test_side
    from mri_tf.store.run import positions_of
    from mri_tf.tables import looks_sentence

    check_masks(run.task, prepared)
    own = prepared.content_fingerprint() == run.values["data"]
    records = positions_of(run, prepared)[2] if own else np.arange(len(prepared))
    records = _chosen(records, prepared, flags.patients)
    check_derived_unseen(prepared, [records[:0], records])
    if is_look := shows_test_side(run, prepared, records):
        check_open(run, "Explanations show predictions of test patients beside the truth.")
    subset = subset_of(run, prepared, records).thinned()
    if not len(subset):
        raise InputError(
            "There are no held-out records to explain.", prepared.folder,
            "Choose another set with --data.",
        )  # fmt: skip
    label = _label(run.task, flags.explained_class)
    members = load_members(run)
    models = [slice_classifier(one.model) if run.task.bag else one.model for one in members]
    layer = layer_to_explain(models[0], flags.layer)
    explainers = [explainer_of(model, run.task, layer, member.fitted)
                  for model, member in zip(models, members, strict=True)]  # fmt: skip
    flags.out.mkdir(parents=True, exist_ok=True)
    if is_look:
        print(looks_sentence({"test_looks": count_look(run).to_json()}))
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        report_damage(prepared), progress("explaining", len(subset)) as advance,
    ):  # fmt: skip
        pictures = Pictures(flags.out, run.task, layer, ClassSheets(Path(folder), run.task.class_names))
        for done, position in enumerate(subset.records, 1):
            rows.append(_explain_one(explainers, run, subset, (int(position), label), pictures))
            advance(done)
        drawn = pictures.sheets.write(flags.out)
    table = _write_table(rows, flags.out)
    print("\n".join(_summary(table, layer)))
    if views := describe_views(run.task):
        print(f"probabilities and decisions are means over {views}; maps are of the unchanged image")
    sheets_text = f", {plural(len(drawn), 'contact sheet')} (one a class)" if drawn else ""
    print(f"wrote {flags.out}: maps and pictures of {plural(len(rows), 'record')}{sheets_text}, "
          "attribution.csv")  # fmt: skip
    return 0


def _explain_one(explainers, run, subset, what: tuple, pictures) -> dict:
    """Explains a record, writes its maps and picture, and adds it to the sheets; returns its row."""
    from mri_tf.calibration.answers import answers_from_json
    from mri_tf.explain.maps import attribution_of, explain_record, explain_with_members, write_map

    position, label = what
    answers = answers_from_json(run.values["answers"])
    if run.has_members:
        choose = lambda outputs: int(answers.probabilities(outputs[None])[0].argmax())  # noqa: E731
        found = explain_with_members(
            explainers, subset, position, choose if label is None else label
        )
    else:
        found = explain_record(explainers[0], subset, position, label)
    record, names = found.record, run.task.class_names
    probability = answers.probabilities(found.outputs[None])[0]
    decision = names[int(answers.decisions(found.outputs[None])[0])]
    row = {
        "record_id": record.record_id,
        "patient": record.patient,
        "truth": names[record.label] if record.label >= 0 else "",
        "decision": decision,
        "explained": names[found.label],
        "probability": float(probability[found.label]),
        "probability_of_truth": float(probability[record.label]) if record.label >= 0 else None,
        "map_max": float(found.cam.max()),
    }
    for kind, values in (("gradcam", found.cam), ("guided", found.guided)):
        write_map(values, found, pictures.out / f"{record.record_id}_{kind}.nii.gz")
    if found.cam.ndim == 3:
        lies = attribution_of(found)
        row |= {f"share_{part}": share for part, share in lies.shares.items()}
        row |= {f"enrichment_{part}": lies.enrichment(part) for part in lies.shares}
    pictures.draw(found, row)
    return row


def _write_table(rows: list[dict], out: Path):
    import pandas as pd

    from mri_tf.core.files import write_atomic

    table = pd.DataFrame(rows)
    text = io.StringIO()
    table.to_csv(text, index=False)
    write_atomic(out / "attribution.csv", text.getvalue().encode())
    return table


def _summary(table, layer: str) -> list[str]:
    """Mean shares, and a warning a record whose map lies outside the brain."""
    import numpy as np

    from mri_tf.explain.attribution import outside_warnings

    lines = [f"Grad-CAM at {layer}"]
    flat = int((table["map_max"] == 0).sum())
    if flat:
        lines.append(f"{flat} maps are 0 everywhere: no region speaks for the class")
    for column in [name for name in table if name.startswith("share_")]:
        part = column.removeprefix("share_")
        times = table[f"enrichment_{part}"].mean()
        beside = "" if np.isnan(times) else f", {times:.2f} times its share of the volume"
        lines.append(f"{part:<8} {table[column].mean():.3f} of the map{beside}; means of the records")
    if "share_outside" in table:
        columns = ("record_id", "share_outside", "enrichment_outside")
        lines += outside_warnings(table[list(columns)].itertuples(index=False, name=None))
    return lines


def _chosen(records, prepared, patients: list[str]):
    import numpy as np

    if not patients:
        return records
    missing = sorted(set(patients) - set(prepared.patients[records]))
    if missing:
        raise InputError(
            "--patients must name held-out patients of the run, or patients of --data.",
            first_few(missing), "Correct the patient ids.",
        )  # fmt: skip
    return records[np.isin(prepared.patients[records], patients)]


def _label(task, name: str) -> int | None:
    if not name:
        return None
    if name not in task.class_names:
        raise InputError(
            "--class must be a class of the task.", name, f"Classes: {', '.join(task.class_names)}."
        )
    return task.class_names.index(name)


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.explain", __doc__,
        examples=(
            "--run runs/grade/manual-s0 --out maps",
            "--run runs/grade/manual-s0 --patients P001 P007 --out maps",
        ),
    )  # fmt: skip
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument("--data", type=Path, help="another prepared set")
    parser.add_argument(
        "--patients", nargs="+", default=[], help="ids of patients (default: all that are held out)"
    )
    parser.add_argument(
        "--layer",
        default="",
        help="layer to explain (default: the last one whose maps have 4 or more voxels a side)",
    )
    parser.add_argument(
        "--class",
        dest="explained_class",
        default="",
        help="name of the class to explain (default: the most probable)",
    )
    parser.add_argument("--out", required=True, type=folder_to_write, help="folder of maps and pictures")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
