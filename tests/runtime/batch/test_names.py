"""No two images write the same file, and an image keeps its name."""

from pathlib import Path

import pytest

from samzoo.runtime.batch.names import result_names, shown_names

CASES = {
    "plain": (["in/b.tif", "in/a.ome.tif"], ["b", "a"]),
    "suffix": (["in/a.png", "in/a.tif", "in/a.jpg"], ["a", "a_tif", "a_jpg"]),
    "folder": (["x/a.tif", "y/a.tif", "y/b.tif"], ["a", "y_a", "b"]),
    "both": (["x/a.tif", "y/a.tif", "y/a.png"], ["a", "y_a", "a_png"]),
    "upper and lower case": (["in/A.tif", "in/a.png"], ["A", "a_png"]),
    "a taken second name": (["in/a_tif.png", "in/a.png", "in/a.tif"], ["a_tif", "a", "in_a"]),
    "folders of one name": (["1/p/a.tif", "2/p/a.tif", "3/p/a.tif"], ["a", "p_a", "a_2"]),
    "composed and decomposed letters": (["in/é.tif", "in/e\u0301.png"], ["é", "e\u0301_png"]),
}


@pytest.mark.parametrize("case", CASES)
def test_names_never_collide(case):
    images, expected = CASES[case]
    assert result_names([Path(image) for image in images], {}) == expected


def test_a_name_too_long_for_its_results_is_cut_and_stays_unlike_others():
    first, second = (Path("in") / f"{'ä' * 120}{end}.tif" for end in "ab")
    names = result_names([first, second], {})
    assert names[0] != names[1]
    for name in names:
        assert len(f".{name}.1234567.part.json".encode()) <= 255
        assert name.startswith("ä" * 95)
    assert result_names([second], {}) == [names[1]]  # the name does not depend on the others


def test_shown_names_are_one_line():
    assert shown_names([Path("in/a\nb\x1b.tif")]) == ["a\\nb\\x1b.tif"]


def test_an_image_keeps_its_name_when_others_come_or_go(tmp_path):
    for name in ("a.png", "a.tif"):
        (tmp_path / name).touch()
    png, tif = tmp_path / "a.png", tmp_path / "a.tif"
    assert result_names([png, tif], {"a": str(tif)}) == ["a_png", "a"]
    assert result_names([tif], {"a": str(png), "a_tif": str(tif)}) == ["a_tif"]


def test_an_image_keeps_its_name_when_its_folder_moves(tmp_path):
    (tmp_path / "new").mkdir()
    moved = tmp_path / "new" / "a.tif"
    moved.touch()
    assert result_names([moved], {"a": str(tmp_path / "old" / "a.tif")}) == ["a"]
    (tmp_path / "a.tif").touch()  # a copy, not moved
    assert result_names([moved], {"a": str(tmp_path / "a.tif")}) == ["new_a"]


def test_shown_names_take_as_few_folders_as_needed():
    images = [Path("p/x/a.tif"), Path("q/x/a.tif"), Path("q/x/b.tif")]
    assert shown_names(images) == ["p/x/a.tif", "q/x/a.tif", "b.tif"]
    assert shown_names([Path("in/\udcff.tif")]) == ["\\udcff.tif"]
    assert shown_names([]) == []
