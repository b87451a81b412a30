"""What an audit tells of trainings besides their sides: which labels they doubt, and optimism."""

from dataclasses import dataclass, replace
from pathlib import Path

from mri_tf.audit.audited import Audit
from mri_tf.audit.deep import known_exchanges, train_exchanges
from mri_tf.audit.exchanged_pipeline import FEWEST, exchanged_finding, not_tried
from mri_tf.audit.exchanged_pipeline import NAME as EXCHANGED
from mri_tf.audit.finding import NO_CLASSES, NOT_APPLICABLE, Finding
from mri_tf.audit.gaps import gap_findings
from mri_tf.audit.held_out import HeldOut, held_out_of_run, held_out_of_study
from mri_tf.audit.label_candidates import label_candidates
from mri_tf.audit.looks import beside, looks_finding, most_looks
from mri_tf.audit.pipeline_again import Pipeline, check_can_train_again
from mri_tf.core.errors import InputError
from mri_tf.store.cells import done_cells, of_first_variant, run_folders
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run, open_run


@dataclass(frozen=True)
class Trained:
    """The networks of a run or of a study.

    Attributes:
        networks: of the run; of a study those of the first variant, by name.
        tested: all runs that may have been tested on the same patients.
        held_out: what networks said of records that they did not see; None where nobody can know.
        pipeline: what --deep repeats: the run, or of a study the first cell; None where there is none.
    """

    networks: list[Run]
    tested: list[Run]
    held_out: HeldOut | None
    pipeline: Pipeline | None


def trained_run(folder: Path, prepared: Prepared) -> Trained:
    """A run of one network or of several folds, on its prepared set."""
    run = open_run(folder)
    tested = run.members if run.has_members else beside(run)
    pipeline = Pipeline(run, prepared, run.folder)
    return Trained(run.members, tested, held_out_of_run(run, prepared), pipeline)


def trained_study(folder: Path, prepared: Prepared) -> Trained:
    """The cells of a study.

    Args:
        folder: of the study.
        prepared: the set of the first cell by name.
    """
    folder = Path(folder)
    every = [open_run(path) for path in run_folders(folder)]
    cells = of_first_variant(done_cells(folder))
    networks = [open_run(cell.run) for cell in cells] or every
    pipeline = None
    if cells:
        same = networks[0].values["data"] == prepared.content_fingerprint()
        own = prepared if same else Prepared.open(networks[0].data_folder)
        pipeline = Pipeline(networks[0], own, folder, cells[0].split_file)
    return Trained(networks, every, held_out_of_study(folder, prepared), pipeline)


def with_trainings(audit: Audit, trained: Trained | None, out: Path) -> Audit:
    """The audit with what is told of its trainings.

    Args:
        audit: of a prepared set.
        trained: on that set; None of a set alone.
        out: folder of the audit, which may hold trainings on exchanged labels.
    """
    finding, ranked = label_candidates(trained and trained.held_out, audit.prepared)
    findings = [*audit.findings, finding]
    if trained is not None:
        findings += [*gap_findings(trained.networks), looks_finding(*most_looks(trained.tested))]
        findings.append(_exchanged(trained, out))
    return replace(audit, findings=findings, candidates=tuple(ranked))


def _exchanged(trained: Trained, out: Path) -> Finding:
    """What is known of trainings on exchanged labels."""
    if trained.networks[0].task.kind != "classification":
        return Finding(EXCHANGED, NOT_APPLICABLE, NO_CLASSES)
    known = trained.pipeline and known_exchanges(trained.pipeline.run, out)
    return exchanged_finding(known) if known else not_tried()


def check_deep(trained: Trained | None, exchanges: int) -> None:
    """Raises InputError where there is no pipeline that --deep could repeat, or too few exchanges."""
    if exchanges < FEWEST:
        raise InputError(
            f"--deep needs at least {FEWEST} exchanges: with fewer no number has p = 0.05.",
            f"--exchanges {exchanges}", f"Leave it out for {FEWEST}.",
        )  # fmt: skip
    if trained is None:
        raise InputError(
            "--deep repeats the training of a run, and a prepared set has none.", "--data with --deep",
            "Give --run or --study, or leave out --deep.",
        )  # fmt: skip
    if trained.pipeline is None:
        raise InputError(
            "--deep repeats the first cell of a study, and none is done.", trained.networks[0].folder,
            "Finish the study with its command.",
        )  # fmt: skip
    check_can_train_again(trained.pipeline)


def go_deep(trained: Trained, out: Path, exchanges: int) -> None:
    """Trains the pipeline on exchanged labels; `with_trainings` reads what comes of it."""
    train_exchanges(trained.pipeline, out, exchanges)
