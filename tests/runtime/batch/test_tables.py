"""Tables of a folder of results: right values, one row an image, failures not hidden."""

import csv
from pathlib import Path

import pytest

from samzoo.runtime.batch.records import Record, Records
from samzoo.runtime.batch.tables import is_table, write_count_table, write_object_table
from samzoo.runtime.batch.verdicts import failure
from samzoo.runtime.errors import ImageError


@pytest.fixture
def records(tmp_path):
    records = Records(tmp_path)
    parts = {
        "b": "label,area\n1,100\n2,400\n3,100\n",
        "a": "label,area\n",
        "v": "label,voxels\n1,7\n",
    }
    for name, part in parts.items():
        records.labels(name).parent.mkdir(exist_ok=True)
        records.labels(name).touch()
        records.write(name, Record(
            state="done", image="old", path=f"/in/{name}.tif", content="", settings={},
            objects=part.count("\n") - 1, notes=("dim",) if name == "a" else (),
        ))  # fmt: skip
        records.objects(name).write_text(part)
    records.write(
        "half", Record(state="begun", image="", path="/in/h.tif", content="", settings={})
    )
    return records


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_objects_of_all_images_stand_in_one_table(tmp_path, records):
    write_object_table(tmp_path / "objects.csv", records)
    found = [tuple(row.values()) for row in rows(tmp_path / "objects.csv")]
    assert found == [
        ("b.tif", "1", "100", ""), ("b.tif", "2", "400", ""), ("b.tif", "3", "100", ""),
        ("v.tif", "1", "", "7"),
    ]  # fmt: skip
    assert is_table(tmp_path / "objects.csv")


def test_a_failed_image_is_counted_as_failed_and_not_as_empty(tmp_path, records):
    failed = failure(Path("c.tif"), "c.tif", ImageError("c.tif: the file is empty"))
    write_count_table(tmp_path / "counts.csv", records, [failed])
    found = {row["image"]: row for row in rows(tmp_path / "counts.csv")}
    assert [row["objects"] for row in found.values()] == ["0", "3", "1", ""]
    assert found["b.tif"]["median_diameter"] == "11.3"  # 2 sqrt(100 / pi)
    assert (found["a.tif"]["median_diameter"], found["a.tif"]["message"]) == ("", "dim")
    assert (found["c.tif"]["verdict"], found["c.tif"]["message"]) == ("failed", "the file is empty")


def test_tables_of_others_are_not_ours(tmp_path):
    (tmp_path / "t.csv").write_text("name,count\n")
    assert not is_table(tmp_path / "t.csv")
    assert not is_table(tmp_path / "gone.csv")


def test_images_of_one_name_are_told_apart(tmp_path, records):
    for name in ("x", "y"):
        records.labels(name).touch()
        records.objects(name).write_text("label,area\n1,5\n")
        records.write(name, Record(
            state="done", image="n.tif", path=f"/{name}/n.tif", content="", settings={},
        ))  # fmt: skip
    write_object_table(tmp_path / "objects.csv", records)
    assert {"x/n.tif", "y/n.tif"} <= {row["image"] for row in rows(tmp_path / "objects.csv")}
