"""The fingerprint of a raw folder as lines for people."""

from mri_tf.plan.fingerprint import Fingerprint


def fingerprint_lines(facts: Fingerprint) -> list[str]:
    """A line for each fact that matters, the names of the facts in one column."""
    rows = [
        ("layout", f"{facts.layout}: {facts.how_recognised}"),
        ("cases", _cases(facts)),
        ("label", facts.label or "the names of the folders"),
        ("classes", _classes(facts)),
        ("modality", f"{facts.modality}, by {facts.how_modality}" if facts.modality else "unknown"),
        ("channels", ", ".join(facts.channels)),
        ("size", _size(facts)),
        ("intensities", _intensities(facts)),
    ]
    missing = {name: count for name, count in facts.missing.items() if count}
    if facts.sites:
        rows.append(("sites", ", ".join(f"{name} {count}" for name, count in facts.sites.items())))
    if missing:
        rows.append(("missing", ", ".join(f"{name} in {count}" for name, count in missing.items())))
    if facts.same_file:
        rows.append(("copies", f"{facts.same_file} cases hold the same file as another"))
    if facts.unreadable:
        rows.append(("unreadable", f"{facts.unreadable} of those that were looked at"))
    if facts.has_split:
        where = f"the column {facts.split_column} says" if facts.split_column else "the data say"
        rows.append(("split", f"{where} which side each case is on"))
    if facts.like_label:
        named = ", ".join(facts.like_label)
        rows.append(("not kept", f"{named}: each value goes with one class, as the label does"))
    if facts.shortcuts:
        named = ", ".join(facts.shortcuts)
        rows.append(("shortcuts", f"{named}: each value goes with one class; the images may show it"))
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _cases(facts: Fingerprint) -> str:
    kind = "images" if facts.images else "cases"
    if not facts.patients:
        return f"{facts.cases} {kind}, patients unknown"
    return f"{facts.cases} {kind} of {facts.patients} patients"


def _classes(facts: Fingerprint) -> str:
    def one(name: str) -> str:
        patients = facts.patients_per_class[name]
        return f"{name} {facts.classes[name]}" + (f" ({patients} patients)" if patients else "")

    return ", ".join(map(one, facts.classes))


def _size(facts: Fingerprint) -> str:
    shape = " x ".join(f"{size:g}" for size in facts.shape)
    ranges = ", ".join(f"{low} to {high}" for low, high in facts.shape_range)
    if facts.images:
        return f"{shape} pixels (columns {ranges.replace(', ', ', rows ')})"
    spacing = " x ".join(f"{mm:g}" for mm in facts.spacing_mm)
    return f"{shape} voxels of {spacing} mm (along x, y, z: {ranges})"


def _intensities(facts: Fingerprint) -> str:
    known = (
        f"{name} {' / '.join(f'{value:g}' for value in values)}"
        for name, values in facts.intensities.items()
        if values
    )
    return f"{'; '.join(known)} (0.5, 50 and 99.5 % of the values)"
