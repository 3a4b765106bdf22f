"""The list of a recipe's images: written from folders, read back, and refused where it lies."""

import hashlib

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.labels.lists import entries
from samzoo.zoo.recipes.file_table import read_file_table, write_file_table


@pytest.fixture
def folders(tmp_path):
    """Two sets of images; nobody opens them here."""
    found = []
    for name, split in (
        ("one", "file,split,group,stratum,source_id\na.png,train,f1,dim,a77\nb.png,val,f2,,b77\n"),
        ("two", "file,split,group,classes\na.png,test,f1,nerve|vessel\n"),
    ):
        folder = tmp_path / "sets" / name
        for kind, suffix in (("images", "png"), ("labels", "tif")):
            (folder / kind).mkdir(parents=True)
            for stem in "ab":
                (folder / kind / f"{stem}.{suffix}").write_text(f"{name} {kind} {stem}")
        (folder / "split.csv").write_text(split)
        found.append(folder)
    return found


def written(folders, output):
    sources = ["https://x/one/tree/0", "https://x/two/tree/0"]
    write_file_table(folders, output, weights={"two": 6.5}, sources=sources)
    return output


def test_what_is_written_is_read(folders, tmp_path):
    first, second, third = read_file_table(written(folders, tmp_path / "files.csv"))
    assert (first.row.image, first.row.label) == ("one/images/a.png", "one/labels/a.tif")
    assert (first.row.split, first.row.group, first.row.stratum) == ("train", "one-f1", "dim")
    assert (first.source, first.set_name) == ("https://x/one/tree/0/a77", "one")
    assert first.label.sha256 == hashlib.sha256(b"one labels a").hexdigest()
    assert first.label.size == len("one labels a")
    assert (second.row.split, second.row.weight) == ("val", 1.0)
    assert (third.row.group, third.row.weight, third.row.classes) == (
        "two-f1", 6.5, "nerve|vessel",
    )  # fmt: skip
    assert third.source == "https://x/two/tree/0"


def test_it_is_a_list_for_training_where_the_files_are(folders, tmp_path):
    found = entries(written(folders, tmp_path / "sets/files.csv"), None)
    assert [entry.group for entry in found] == ["one-f1", "one-f2", "two-f1"]
    assert found[0].image == tmp_path / "sets/one/images/a.png"


def test_a_spreadsheet_s_separators_and_empty_lines_are_read(folders, tmp_path):
    path = written(folders, tmp_path / "files.csv")
    plain = read_file_table(path)
    lines = path.read_text().replace(",", ";").splitlines()
    path.write_text("\n".join([*lines[:2], " ;" * 11 + " ", *lines[2:]]))
    assert [(each.image, each.label, each.source) for each in read_file_table(path)] == [
        (each.image, each.label, each.source) for each in plain
    ]


def test_a_file_that_is_not_there_is_named(folders, tmp_path):
    (folders[0] / "labels/b.tif").unlink()
    with pytest.raises(NotFoundError, match=r"b.tif: no such file, but split.csv names it"):
        written(folders, tmp_path / "files.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_sha256", "image_hash", "has no column 'image_sha256'"),
        ("one/images/a.png", "../images/a.png", "line 2: unsafe path"),
        ("one/images/a.png", "a.png", "line 2: found 'a.png', expected SET/FOLDER/FILE"),
        (",12,", ",-12,", "bytes: found '-12'"),
        (hashlib.sha256(b"one labels a").hexdigest(), "0" * 63, "expected 64 hex digits"),
    ],
)
def test_a_damaged_list_is_refused(folders, tmp_path, old, new, message):
    path = written(folders, tmp_path / "files.csv")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_file_table(path)
