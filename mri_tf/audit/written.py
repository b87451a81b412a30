"""What an audit writes: findings.json for programs, audit.md for people, doubted labels as a table and a
contact sheet, and lines for the terminal."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mri_tf.audit.audited import Audit
from mri_tf.audit.candidate_files import write_candidates
from mri_tf.audit.finding import BASELINE, FOUND, STATUSES, Finding, as_json, leaks
from mri_tf.core.errors import first_few
from mri_tf.core.files import write_atomic
from mri_tf.core.words import plural
from mri_tf.tables import markdown

FINDINGS, PAGE = "findings.json", "audit.md"
NAMED_RECORDS = 12


def write_audit(audit: Audit, title: str, out: Path) -> list[Path]:
    """Writes all files; they name records by the ids of the prepared set, and no file or patient.

    Args:
        audit: what was found.
        title: what was audited, in words.
        out: folder, made where it is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    ids = audit.prepared.record_ids
    values = [as_json(one, ids) for one in audit.findings]
    write_atomic(out / FINDINGS, json.dumps(values, indent=1).encode())
    write_atomic(out / PAGE, page(audit, title).encode())
    return [out / FINDINGS, out / PAGE, *write_candidates(audit.candidates, audit.prepared, out)]


def page(audit: Audit, title: str) -> str:
    """The findings as Markdown: what is found first, what has to be done below it."""
    ordered = sorted(audit.findings, key=lambda one: STATUSES.index(one.status))
    rows = [(one.name, _status(one), _number(one.p), one.evidence)
            for one in ordered if one.status != BASELINE]  # fmt: skip
    parts = [f"# Audit of {title}", verdict(audit.findings)]
    parts += [_section(one, audit) for one in ordered if one.status == FOUND]
    parts.append("## All findings\n\n" + markdown(rows, ("what", "status", "p", "evidence")))
    baselines = [one for one in ordered if one.status == BASELINE]
    if baselines:
        table = markdown(
            [(one.name, f"{one.statistic:.2f}", one.n) for one in baselines],
            ("what", "correlation", "patients"),
        )  # fmt: skip
        parts.append(f"## What a network has to beat\n\n{baselines[0].meaning}\n\n{table}")
    if audit.foreground:
        parts.append(f"The head or body was found by: {audit.foreground}.")
    parts.append("What each finding is, and what it cannot see, is told in docs/audit.md of mri_tf.")
    return "\n\n".join(parts) + "\n"


def verdict(findings: Iterable[Finding]) -> str:
    """How many findings have which status, and how many are certain leaks."""
    findings = list(findings)
    counts = Counter(one.status for one in findings)
    certain = plural(len(leaks(findings)), "certain leak")
    counted = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return f"{certain}. Of {plural(len(findings), 'finding')}: {counted}."


def _section(finding: Finding, audit: Audit) -> str:
    lines = [f"## {finding.name}: {_status(finding)}", f"{finding.evidence}."]
    lines += [f"What it means: {finding.meaning}"] if finding.meaning else []
    lines += [f"What to do: {finding.what_to_do}"] if finding.what_to_do else []
    if finding.records:
        ids = [str(audit.prepared.record_ids[position]) for position in finding.records]
        lines.append(f"Records: {first_few(ids, NAMED_RECORDS)}")
    return "\n\n".join(lines)


def _status(finding: Finding) -> str:
    return f"{finding.status}, a certain leak" if finding in leaks([finding]) else finding.status


def _number(p: float | None) -> str:
    return "" if p is None else f"{p:.2g}"


def lines_for_terminal(audit: Audit) -> list[str]:
    """A line a finding, and below what is found its files and what to do."""
    sources = audit.prepared.sources()
    width = max(len(one.name) for one in audit.findings)
    lines = []
    for one in audit.findings:
        lines.append(f"{one.status:<14}  {one.name:<{width}}  {one.evidence}")
        if one.status == FOUND and one.what_to_do:
            lines.append(f"{'':<{width + 18}}{one.what_to_do}")
        if one.on_terminal:
            lines.append(f"{'':<{width + 18}}{one.on_terminal}")
        if one.records:
            ids = [str(audit.prepared.record_ids[position]) for position in one.records]
            lines.append(f"{'':<{width + 18}}{first_few(sources.get(name, name) for name in ids)}")
    return lines
