"""Tables of images: what they say, and what is refused."""

import unicodedata
from pathlib import Path

import pytest

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.labels.image_table import ImageFacts, read_image_table

HEADER = "file,split,group,stratum,height,classes\n"


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8", **options):
        path = tmp_path / "split.csv"
        path.write_bytes(text.encode(encoding))
        return read_image_table(path, **options)

    return write


def test_a_row_says_what_is_known_of_an_image(table):
    found = table(HEADER + "a.png,test,field1,small,256,nerve|vessel\n")
    assert found.columns == ("file", "split", "group", "stratum", "height", "classes")
    assert found.rows == (
        ImageFacts(
            file="a.png", split="test", group="field1", stratum="small",
            classes=("nerve", "vessel"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\ufefffile;Group\r\n a.png ;f 1\r\n\r\n", "utf-8"),
        ("image\tgroup\na.png\tf 1\n", "utf-8"),
        ('file,group\n"a.png","f 1"\n', "utf-8"),
    ],
)
def test_tables_of_spreadsheets_are_read(table, text, encoding):
    (row,) = table(text, encoding).rows
    assert (row.file, row.group, row.split, row.classes) == ("a.png", "f 1", "", ())


def test_images_are_found_by_name_or_by_the_end_of_their_path(table):
    umlaut = "\u00e4.png"
    rows = f"p1/a.png,x\np2\\a.png,y\n{umlaut},z\nother.png,w\n"
    found = table("file,group\n" + rows)
    images = [Path("in/p2/a.png"), Path("in") / unicodedata.normalize("NFD", umlaut)]
    assert [row.group for row in found.facts_of(images)] == ["y", "z"]


def test_an_image_without_a_row_or_with_two_is_refused(table):
    found = table("file,group\na.png,x\np/a.png,y\n")
    with pytest.raises(InputError, match=r"no row for 2 of 3 images: b\.png, c\.png; .*'file'"):
        found.facts_of([Path("a.png"), Path("b.png"), Path("c.png")])
    with pytest.raises(InputError, match=r"'a\.png' and 'p/a\.png' both fit"):
        found.facts_of([Path("in/p/a.png")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header and a row"),
        ("file,group\n", "expected a header and a row"),
        ("name,group\na,b\n", "expected one column 'file' or 'image' .*found the columns name"),
        ("file,image\na,b\n", "expected one column 'file' or 'image'"),
        ("file,file\na,b\n", "'file' is there twice"),
        ("file,split\na.png,test\n", "expected a column 'group'"),
        ("file,group\na.png,x\na.png,y\n", "line 3: the image 'a.png' stands in line 2"),
        ("file,group\na.png,\n", "line 2: the column 'group' is empty"),
        ("file,group\n,x\n", "line 2: the name of the image is empty"),
        ("file,group\na.png,x,y\n", "line 2: found 3 cells, the header has 2"),
    ],
)
def test_other_tables_are_refused(table, text, message):
    with pytest.raises(FormatError, match=message):
        table(text, needed=["group"])


def test_no_text_and_no_file_are_refused(table, tmp_path):
    with pytest.raises(FormatError, match="no text in UTF-8"):
        table("file,group\n\u00e4.png,x\n", "latin-1")
    with pytest.raises(NotFoundError, match=r"gone\.csv: cannot be read"):
        read_image_table(tmp_path / "gone.csv")
