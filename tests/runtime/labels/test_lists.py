"""Lists of annotated images: from folders and CSV files, with parts and groups."""

import re

import pytest

from samzoo.runtime.errors import FormatError, ImageError, InputError, NotFoundError
from samzoo.runtime.labels.lists import (
    Entry,
    about,
    beside,
    entries,
    has_parts,
    of_part,
    refuse_crossing,
)
from samzoo.runtime.labels.tables import SPLIT_NAME


@pytest.fixture
def folder(tmp_path):
    """Three images with labels; nobody opens them here."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for name in "abc":
            suffix = "png" if kind == "images" else "tif"
            (tmp_path / kind / f"{name}.{suffix}").write_bytes(kind.encode())
    return tmp_path


def listed(folder, text, **options):
    (folder / "t.csv").write_text(text)
    return entries(folder / "images", folder / "labels", split=folder / "t.csv", **options)


def test_a_table_gives_the_images_of_a_folder_parts_and_groups(folder):
    found = listed(folder, "file,split,group\na.png,train,f1\nc.tif,val,f2\nb,train,\n")
    assert [(e.name, e.part, e.group) for e in found] == [
        ("a.png", "train", "f1"), ("b.png", "train", ""), ("c.png", "val", "f2"),
    ]  # fmt: skip
    assert [e.labels.name for e in of_part(found, "train")] == ["a.tif", "b.tif"]
    assert has_parts(found)
    assert not has_parts(entries(folder / "images", folder / "labels"))


def test_a_list_names_files_relative_to_itself(folder):
    (folder / "list.csv").write_text(
        "image,label,split,group\nimages/b.png,labels/a.tif,test,g\nimages/a.png,labels/b.tif,val,h"
    )
    found = entries(folder / "list.csv", None)
    assert found[0] == Entry(
        image=folder / "images/b.png", labels=folder / "labels/a.tif", name="images/b.png",
        part="test", group="g",
    )  # fmt: skip
    assert [e.name for e in found] == ["images/b.png", "images/a.png"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("file,split\na.png,train\n", ImageError, "no row for 2 of 3 images in .*: b.png, c.png;"),
        ("file,area\na.png,1\n", InputError, "neither a column 'split' nor 'group'"),
        ("file,split\na.png,dev\n", FormatError, "line 2: split"),
        ("file,group\nx/a.png,1\ny/a.png,2\nb,1\nc,1\n", InputError, "several rows for a.png"),
        (
            "file,split,group\na.png,train,f\nb.png,test,f\nc.png,val,g\n", InputError,
            re.escape("group: f is in train (a.png) and in test (b.png). Images of one group"),
        ),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(folder, text, error, message):
    with pytest.raises(error, match=message):
        listed(folder, text)


def test_rows_without_an_image_are_told(folder):
    said: list[str] = []
    listed(folder, "file,group\na,1\nb,1\nc,1\nd,1\ne,1\n", say=said.append)
    assert said == [f"{folder / 't.csv'}: 2 of its 5 images are not in {folder / 'images'}"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("image,label\nimages/a.png,b.tif\n", NotFoundError, "1 of its files do not exist: b.tif"),
        ("image,label\nimages/a.png,images/a.png\n", ImageError, "both as image and as labels"),
        ("image,split\nimages/a.png,val\n", FormatError, "no column 'label'"),
    ],
)
def test_lists_that_do_not_fit_are_refused(folder, text, error, message):
    (folder / "list.csv").write_text(text)
    with pytest.raises(error, match=message):
        entries(folder / "list.csv", None)


def test_labels_belong_to_folders_and_not_to_lists(folder):
    (folder / "list.csv").write_text("image,label\nimages/a.png,labels/a.tif\n")
    with pytest.raises(InputError, match=r"labels: .*list.csv is a list, which names the label im"):
        entries(folder / "list.csv", folder / "labels")
    with pytest.raises(InputError, match=r"split: .* is a list"):
        entries(folder / "list.csv", None, split=folder / "list.csv")
    with pytest.raises(InputError, match="labels: give the folder of the label images"):
        entries(folder / "images", None)


def test_a_table_is_found_in_a_folder_before_beside_it(folder):
    images = folder / "images"
    assert beside(images) is None
    (folder / SPLIT_NAME).write_text("")
    assert beside(images) == folder / SPLIT_NAME
    (images / SPLIT_NAME).write_text("")
    assert beside(images) == images / SPLIT_NAME
    assert beside(images / "a.png") is None


def entry(name, part="", group=""):
    return Entry(image=name, labels=name, name=name, part=part, group=group)


def test_images_and_groups_are_counted():
    assert about([entry("a")]) == "1 image"
    assert about([entry("a", group="f"), entry("b", group="f")]) == "2 images in 1 group"
    assert about([entry("a", group="f"), entry("b"), entry("c")]) == "3 images in 3 groups"


def test_an_empty_part_is_an_error_that_says_what_there_is():
    with pytest.raises(InputError, match=r"no image is in the part 'val'.*found test, train"):
        of_part([entry("a", "test"), entry("b", "train")], "val")
    with pytest.raises(InputError, match="found no parts"):
        of_part([entry("a")], "val")


def test_groups_on_two_sides_are_named_and_images_without_one_are_free():
    refuse_crossing({"a": [entry("x"), entry("y", group="f")], "b": [entry("z")]})
    sides = {side: [entry(f"{side}{i}", group=f"f{i}") for i in range(9)] for side in "ab"}
    with pytest.raises(InputError, match=r"f0 is in a \(a0\) and in b \(b0\); .*and 4 more groups"):
        refuse_crossing(sides)


def test_a_part_that_is_scored_alone_may_be_beside_two_that_share_a_group():
    sides = {
        "train": [entry("x", group="f")],
        "val": [entry("y", group="f")],
        "test": [entry("z", group="g")],
    }
    refuse_crossing(sides, "test")
    with pytest.raises(InputError, match="f is in train"):
        refuse_crossing(sides, "val")


def test_a_table_says_the_kind_of_an_image_and_the_classes_of_its_objects(folder):
    text = "file,group,stratum,classes\na,f,dim,nerve | vessel\nb,f,,\nc,g,dim,vessel\n"
    found = listed(folder, text)
    assert [(e.stratum, e.classes) for e in found] == [
        ("dim", ("nerve", "vessel")), ("", ()), ("dim", ("vessel",)),
    ]  # fmt: skip


def test_a_weight_is_that_of_a_group(folder):
    found = listed(folder, "file,group,weight\na.png,f,3\nb.png,,2\nc.png,f,3\n")
    assert [entry.weight for entry in found] == [3.0, 2.0, 3.0]
    with pytest.raises(InputError, match=r"weight: f has 3 \(a.png\) and 1 \(c.png\); give all"):
        listed(folder, "file,group,weight\na.png,f,3\nb.png,,2\nc.png,f,\n")


def test_files_of_other_parts_may_lack_a_partner(folder):
    (folder / "images" / "b.png").unlink()
    for name in ("images/d.png", "images/e.png", "labels/f_masks.tif", "labels/g.tif"):
        (folder / name).write_bytes(b"")
    table = "file,split\na,test\nb,train\nc,test\nd,test\ne,val\nf,train\n"
    lonely: list[str] = []
    found = listed(folder, table, part="test", lonely=lonely)
    assert [entry.name for entry in found] == ["a.png", "c.png"]
    # d is of this part, and g of none that anybody named
    assert [each.partition(": no ")[0].rpartition("/")[2] for each in lonely] == ["d.png", "g.tif"]
    listed(folder, table, lonely=lonely)
    assert len(lonely) == 2 + 5
