"""The section with the audit: what was found, what was not found, and what nobody can tell."""

from mri_tf.audit.explanations import NAME
from mri_tf.audit.finding import BASELINE, FOUND, NOT_FOUND, STATUSES
from mri_tf.report.about_data import CERTAIN, status_text
from mri_tf.report.blocks import Block, Facts, Heading, Section, Text, table
from mri_tf.report.material import Material
from mri_tf.report.options import Options
from mri_tf.report.verdict import audit_status

OF_EXPLANATIONS = NAME.format("")  # how the names of findings begin that check explanations
WHOLE = (
    "python -m mri_tf.audit --run RUN (or --study DIR) looks for the rest; then write the card again."
)
AGREEMENT = (
    "Each p-value is adjusted for all findings of this audit that have one. The column before the "
    "evidence says in what share of patients a mark would have to agree with the label so that 80 % of "
    "such marks are found: a weaker shortcut may be there and not be found."
)
MOST_RECORDS = 12


def audit(material: Material, options: Options) -> Section:
    """All findings, those found first; baselines and explanations have sections of their own."""
    status = audit_status(material)
    blocks: list[Block] = [Text(f"{status[:1].upper()}{status[1:]}.")]
    if material.findings is None:
        return Section("audit", "Audit", (*blocks, Text(WHOLE, "missing")))
    ordered = sorted(
        (one for one in material.findings if not one["name"].startswith(OF_EXPLANATIONS)),
        key=lambda one: STATUSES.index(one["status"]),
    )
    for one in ordered:
        if one["status"] == FOUND:
            blocks += _found(one)
    rows = [[one["name"], status_text(one), _p(one), _n(one, options), _would_have_been(one),
             one["evidence"]] for one in ordered if one["status"] != BASELINE]  # fmt: skip
    columns = ["what was looked for", "status", "p", material.unit,
               "weakest agreement that would have been found", "evidence"]  # fmt: skip
    blocks.append(table("All findings", columns, rows))
    blocks.append(Text(AGREEMENT))
    if not material.whole_audit:
        blocks.append(Text(f"Only the certain checks of the training are known. {WHOLE}", "missing"))
    return Section("audit", "Audit", tuple(blocks))


def _found(finding: dict) -> list[Block]:
    rows = [("what was seen", finding["evidence"])]
    rows += [("what it means", finding["meaning"])] if finding.get("meaning") else []
    rows += [("what to do", finding["what_to_do"])] if finding.get("what_to_do") else []
    if records := finding.get("records"):
        more = f" and {len(records) - MOST_RECORDS} more" if len(records) > MOST_RECORDS else ""
        rows.append(("records", ", ".join(records[:MOST_RECORDS]) + more))
    return [Heading(f"{finding['name']}: {status_text(finding)}"), Facts(tuple(rows))]


def _p(finding: dict) -> str:
    return "" if finding.get("p") is None else f"{finding['p']:.2g}"


def _n(finding: dict, options: Options) -> str:
    return "" if finding.get("n") is None else options.count(finding["n"])


def _would_have_been(finding: dict) -> str:
    share = finding.get("smallest_agreement")
    if share is not None:
        return f"{share:.0%}"
    certain = finding["status"] == NOT_FOUND and finding["name"] in CERTAIN
    return "any: it needs no statistics" if certain else ""
