"""Patients with repeated visits, for property tests of whatever draws sides or folds."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def visits(draw, with_groups=True, fewest=3):
    """(patients, groups, labels) of records: groups chain some patients, classes are maybe sorted."""
    counts = draw(st.lists(st.integers(1, 4), min_size=fewest, max_size=16))
    patients = [f"p{number:02d}" for number, count in enumerate(counts) for _ in range(count)]
    size = len(patients)
    names = st.sampled_from(["", "", "", "g1", "g2", "g3", "p00"])
    groups = draw(st.lists(names, min_size=size, max_size=size)) if with_groups else [""] * size
    labels = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    if draw(st.booleans()):
        labels = sorted(labels)
    order = np.arange(size)
    if draw(st.booleans()):
        order = np.random.default_rng(draw(st.integers(0, 99))).permutation(size)
    patients, groups = (np.array(names, dtype=object)[order] for names in (patients, groups))
    return patients, groups, np.array(labels)[order]
