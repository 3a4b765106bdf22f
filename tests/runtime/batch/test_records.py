"""Records of what is done: written and read back, and never believed when damaged."""

import dataclasses

import pytest

from samzoo.runtime.batch.records import Record, Records, content_of, differences
from samzoo.runtime.errors import NotFoundError

RECORD = Record(
    state="done", image="a.tif", path="/in/a.tif", content="c", settings={"mode": "ais"},
    labels="l", objects=3, size=(4, 5), seconds=1.5, notes=("dim",),
)  # fmt: skip


def test_a_record_reads_as_written(tmp_path):
    records = Records(tmp_path)
    records.write("a", RECORD)
    records.write("b", dataclasses.replace(RECORD, state="begun"))
    assert records.read("a") == RECORD
    assert [(name, record.state) for name, record in records.all()] == [
        ("a", "done"),
        ("b", "begun"),
    ]
    records.forget("a")
    assert records.read("a") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": 9, "state": "done"}']
)
def test_a_damaged_or_newer_record_is_no_record(tmp_path, text):
    records = Records(tmp_path)
    records.write("a", RECORD)
    (records.place / "a.json").write_text(text)
    assert records.read("a") is None
    assert list(records.all()) == []


def test_a_record_that_a_killed_process_was_writing_is_no_record(tmp_path):
    records = Records(tmp_path)
    records.write("a", RECORD)
    (records.place / "a.json").rename(records.place / ".a.0000001.part.json")
    assert list(records.all()) == []


def test_content_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert content_of(tmp_path / "a").startswith("ba7816bf")  # sha256 of "abc", FIPS 180-4
    (tmp_path / "z.zarr" / "c").mkdir(parents=True)
    (tmp_path / "z.zarr" / "c" / "0").write_bytes(b"1")
    before = content_of(tmp_path / "z.zarr")
    assert content_of(tmp_path / "z.zarr") == before
    (tmp_path / "z.zarr" / "c" / "0").write_bytes(b"2")
    assert content_of(tmp_path / "z.zarr") != before
    with pytest.raises(NotFoundError, match="no such file"):
        content_of(tmp_path / "gone")


def test_differences_name_what_was_and_what_is():
    assert differences({"mode": "ais", "level": 1}, {"mode": "apg", "level": 1, "new": 2}) == [
        "mode: 'ais' then, 'apg' now", "new: None then, 2 now",
    ]  # fmt: skip
