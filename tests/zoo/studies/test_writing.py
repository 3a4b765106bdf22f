"""The files of a study are written while runs are missing, and again when there are more."""

from PIL import Image

from samzoo.zoo.studies.writing import EACH, PAGE, PICTURE, TABLE, write_tables


def test_all_files_are_written_and_replaced(runs, finish, tmp_path):
    work = tmp_path / "work"
    finish(runs[1], ais=0.5, box=0.9)
    assert write_tables("Few cells", runs, work) == work / PAGE
    assert len((work / EACH).read_text().splitlines()) == 2
    finish(runs[2], ais=0.25, box=0.9)
    write_tables("Few cells", runs, work)
    assert len((work / EACH).read_text().splitlines()) == 3
    assert "**0.375** (0.250-0.500)" in (work / PAGE).read_text(encoding="utf-8")
    assert (work / TABLE).read_text().startswith("base,data,images,method")
    with Image.open(work / PICTURE) as picture:
        assert picture.format == "PNG"
