"""Tables in CSV files: what spreadsheets write is read, and what is wrong is named by its line."""

import pytest

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError
from samzoo.runtime.labels.tables import Row, read_table


def written(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "file,split,group\na.png,train,f1\nb.png,val,f2\n",
        "\ufeffFile;Split;Group;Area\r\na.png;train;f1;1,5\r\n\r\nb.png;val;f2;2,5\r\n",
        "split\tgroup\timage\ntrain\tf1\ta.png\nval\t f2 \tb.png",
        'image,split,group\n"a.png",train,f1\nb.png,val,f2\n,,\n',
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path, text):
    table = read_table(written(tmp_path, text), needed=("image",))
    assert table.columns == ("image", "split", "group")
    assert [(row.image, row.split, row.group) for row in table.rows] == [
        ("a.png", "train", "f1"),
        ("b.png", "val", "f2"),
    ]


def test_a_list_names_label_images(tmp_path):
    table = read_table(written(tmp_path, "image,label\na,b\n"), needed=("image", "label"))
    assert table.rows == (Row(line=2, image="a", label="b"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image,label,split\n", "a header and no rows"),
        ("imag,split\na,train\n", "no column 'image' or 'file'; found 'imag', 'split'; did you"),
        ("image,split\na,train\n", "no column 'label' or 'labels'"),
        ("image,file,label\na,a,b\n", "has 'image' and 'file', which mean the same"),
        ("image,label,split\na,b,train\nc,d,dev\n", "line 3: split: found 'dev', allowed are tr"),
        ("image,label,split\na,b,\n", "line 2: split: found ''"),
        ("image,label\n,b\n", "line 2: the row names no image"),
        ("image,label\na,\n", "line 2: the row names no image, or no label image"),
        ("image,label\na\n", "line 2: found 1 cells, the header has 2"),
        ("image,label\na,b\na,c\n", "names images twice: 'a' in lines 2 and 3"),
        ('image,label\n"a,b\n', "not a CSV file"),
        (b"image,label\n\xff\xfe,b\n", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        read_table(written(tmp_path, text), needed=("image", "label"))


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        read_table(tmp_path / "t.csv", needed=())
    with pytest.raises(StorageError, match="cannot be read"):
        read_table(tmp_path, needed=())


def test_weights_are_numbers_and_an_empty_one_is_1(tmp_path):
    table = read_table(written(tmp_path, "image,weight\na,2.5\nb,\n"), needed=("image",))
    assert [row.weight for row in table.rows] == [2.5, 1.0]


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "often", "1e9", "1e-9"])
def test_other_weights_are_refused_by_line(tmp_path, weight):
    with pytest.raises(FormatError, match=rf"line 3: weight: found '{weight}', allowed are number"):
        read_table(written(tmp_path, f"image,weight\na,1\nb,{weight}\n"), needed=("image",))
