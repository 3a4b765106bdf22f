"""What the verdicts of a run mean: exit codes, lines, rows."""

from pathlib import Path

import pytest

from samzoo.runtime.batch.verdicts import Verdict, exit_code, failure, left_out_line, summary
from samzoo.runtime.errors import ImageError, MissingDependencyError, StorageError

DONE = Verdict(
    image=Path("a.tif"), shown="a.tif", verdict="done", labels=Path("l.tif"), objects=26,
    seconds=2.06,
)  # fmt: skip
BEFORE = Verdict(
    image=Path("b.tif"), shown="b.tif", verdict="skipped", message="done already",
    labels=Path("l.tif"), objects=1,
)  # fmt: skip
NO_IMAGE = Verdict(image=Path("x"), shown="x", verdict="skipped", message="not an image")


def failed(error):
    return failure(Path("in/c.tif"), "c.tif", error)


CASES = {
    "all done": ([DONE, BEFORE, NO_IMAGE], 0),
    "some failed": ([DONE, failed(ImageError("x"))], 4),
    "the others were done before": ([BEFORE, failed(ImageError("x"))], 4),
    "all failed": ([failed(ImageError("x")), NO_IMAGE], 2),
    "a package is missing": ([failed(MissingDependencyError("x"))], 2),
    "none could be read": ([failed(StorageError("x")), failed(OSError("x"))], 3),
    "input and disk": ([failed(StorageError("x")), failed(ImageError("x"))], 2),
    "our own error": ([failed(ImageError("x")), failed(TypeError("x"))], 1),
    "memory": ([failed(MemoryError())], 2),
}


@pytest.mark.parametrize("case", CASES)
def test_exit_code(case):
    verdicts, code = CASES[case]
    assert exit_code(verdicts) == code


def test_a_line_says_count_and_time_or_why_not():
    assert DONE.line() == "a.tif: 26 objects, 2.1 s"
    assert BEFORE.line() == "b.tif: skipped, done already (1 object)"
    assert (
        failed(ImageError("in/c.tif: the file is empty")).line()
        == "c.tif: failed: the file is empty"
    )
    assert "internal error (TypeError: x)" in failed(TypeError("x")).line()


def test_a_summary_names_what_failed_and_why():
    lines = summary([DONE, BEFORE, failed(ImageError("bad"))])
    assert lines == ["1 done, 1 done already, 1 failed", "  c.tif: failed: bad"]
    assert summary([DONE]) == ["1 done"]


def test_a_row_holds_what_is_known():
    assert DONE.row() == {
        "image": "a.tif", "verdict": "done", "labels": "l.tif", "objects": 26, "seconds": 2.06,
    }  # fmt: skip
    assert failed(ImageError("bad")).row() == {
        "image": str(Path("in/c.tif")), "verdict": "failed", "message": "bad",
    }  # fmt: skip


def test_what_was_left_out_is_told_in_one_line_a_reason():
    many = [
        Verdict(image=Path(str(i)), shown=str(i), verdict="skipped", message="m") for i in range(7)
    ]
    assert left_out_line([*many, NO_IMAGE]) == [
        "skipped 0, 1, 2, 3, 4 and 2 more: m", "skipped x: not an image",
    ]  # fmt: skip


def test_a_failure_does_not_repeat_the_path_that_its_line_begins_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("in/c.tif", tmp_path / "in" / "c.tif"):
        assert failed(ImageError(f"{path}: the file is empty")).message == "the file is empty"
    assert failed(ImageError("in/d.tif: other")).message == "in/d.tif: other"
