"""The planner counts cases that hold the same file as another."""

from data_prep.case import Case
from mri_tf.plan.fingerprint import _copies


def test_the_same_file_is_counted_in_any_sequence_and_within_a_case_it_is_not(tmp_path):
    contents = {"a1": "xx", "a2": "yy", "b1": "zz", "b2": "yy", "c1": "vv", "c2": "vv", "m": "mm"}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    cases = [
        Case(name, {"t1": f"{name}1", "t2": f"{name}2", "mask": "m"}) for name in ("a", "b", "c")
    ]
    assert _copies(tmp_path, cases, ("t1", "t2")) == 2  # t2 of a and b; masks may be alike
    assert _copies(tmp_path, [Case("a", {"a1": "a1"}), Case("d", {"m": "a1"})], ("t1",)) == 2
