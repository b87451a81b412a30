"""Looks for every known trap in a run, a study or a prepared set: python -m mri_tf.audit --run RUN."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import folder_to_write, positive_int
from mri_tf.core.command_line import DONE, SOME_SKIPPED, Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError

A_LEAK = SOME_SKIPPED


def main(arguments: list[str]) -> int:
    """Prints a line a finding and writes them; exit 1 where a leak is certain."""
    flags = _parser().parse_args(arguments)
    if flags.exchanges and not flags.deep:
        raise InputError(
            "--exchanges says how often --deep trains.", "no --deep", "Add --deep, or leave it out."
        )
    import_tensorflow()
    from mri_tf.audit.audited import audit_trainings, with_more
    from mri_tf.audit.exchanged_pipeline import FEWEST
    from mri_tf.audit.finding import AUDIT, leaks
    from mri_tf.audit.networks import families_of, network_findings
    from mri_tf.audit.site_gap import site_findings
    from mri_tf.audit.subject import of_run, of_set, of_study
    from mri_tf.audit.trained import check_deep, go_deep, trained_run, trained_study, with_trainings
    from mri_tf.audit.written import lines_for_terminal, verdict, write_audit
    from mri_tf.store.run import CARD

    trained = None
    if flags.run:
        subjects, title, home = of_run(flags.run), "a run", flags.run
        trained = trained_run(flags.run, _first(subjects).prepared)
    elif flags.study:
        subjects, title, home = of_study(flags.study), "a study", flags.study
        trained = trained_study(flags.study, _first(subjects).prepared)
    else:
        subjects, title, home = {"": of_set(flags.data)}, "a prepared set", flags.data
    if flags.deep:
        check_deep(trained, flags.exchanges or FEWEST)
    task = _first(subjects).prepared.manifest["task"]
    out = flags.out or (Path("audits", task) if flags.data else home / AUDIT)
    audit = audit_trainings(subjects, families_of([*subjects.values()]) if flags.run else 1)
    if flags.deep:
        go_deep(trained, out, flags.exchanges or FEWEST)
    audit = with_trainings(audit, trained, out)
    if flags.run:
        audit = with_more(audit, network_findings(flags.run, audit.prepared, out))
    if flags.study:
        audit = with_more(audit, site_findings(flags.study))
    print("\n".join(lines_for_terminal(audit)))
    files = write_audit(audit, f"{title} of {task}", out)
    print(verdict(audit.findings))
    print(f"wrote {', '.join(map(str, files))}")
    if out == home / AUDIT and (home / CARD).is_file():
        command = f"python -m mri_tf.report --{'run' if flags.run else 'study'} {home}"
        print(f"card.html does not show these findings yet: {command}")
    return A_LEAK if leaks(audit.findings) else DONE


def _first(subjects: dict):
    return next(iter(subjects.values()))


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.audit", __doc__,
        examples=("--run runs/lgg_grade/manual-s0", "--data data/lgg_grade --out audits/lgg"),
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="run folder: its sides, its data and its feature network")
    what.add_argument(
        "--study", type=Path, help="folder of a study: the sides of each cell, and the data once"
    )
    what.add_argument("--data", type=Path, help="prepared set, and its split column if any")
    parser.add_argument(
        "--out", type=folder_to_write,
        help="folder of what is written (default: audit in the run or study, or audits/TASK)",
    )  # fmt: skip
    parser.add_argument(
        "--deep", action="store_true",
        help="also train the run, of a study the first cell, on labels that patients have exchanged; an "
        "interrupted command continues",
    )  # fmt: skip
    parser.add_argument(
        "--exchanges", type=positive_int, metavar="N",
        help="how often --deep trains (default 19, the least)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
