"""The examples in docstrings give what they show."""

import doctest
import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_examples_in_docstrings_give_what_they_show():
    files = [path for name in ("mri_tf", "data_prep", "tuning") for path in (ROOT / name).rglob("*.py")]
    with_examples = [path for path in files if ">>> " in path.read_text(encoding="utf-8")]
    assert with_examples
    failed = []
    for path in sorted(with_examples):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        result = doctest.testmod(module)
        assert result.attempted, path
        failed += [str(path)] * bool(result.failed)
    assert not failed, f"see the captured output: {', '.join(failed)}"
