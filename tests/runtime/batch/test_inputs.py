"""Which files of a folder are images, and what is said of the others."""

import os
import sys

import numpy as np
import pytest
import tifffile

from samzoo.runtime import write_labels
from samzoo.runtime.batch.inputs import NOT_AN_IMAGE, OURS, find_inputs
from samzoo.runtime.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("in")
    for name in ("b.tif", "a.TIF", "sub.tif"):
        tifffile.imwrite(f"in/{name}", np.zeros((4, 4), np.uint8))
    return tmp_path


def names(inputs):
    return [path.name for path in inputs.images]


def reasons(inputs):
    return {each.path.name: each.reason for each in inputs.left_out}


def test_files_that_are_no_images_are_left_out_with_a_reason(folder):
    for name in (".DS_Store", "Thumbs.db", "notes.csv", "._a.tif", "a.tif.txt"):
        (folder / "in" / name).write_bytes(b"x")
    (folder / "in" / "deep").mkdir()
    found = find_inputs(["in"])
    assert names(found) == ["a.TIF", "b.tif", "sub.tif"]
    said = reasons(found)
    assert "subfolder" in said.pop("deep")
    assert set(said.values()) == {NOT_AN_IMAGE}
    assert set(said) == {".DS_Store", "Thumbs.db", "notes.csv", "._a.tif", "a.tif.txt"}


def test_images_of_other_formats_are_tried_so_that_they_fail_by_name(folder):
    for name in ("x.czi", "y.nd2", "z.BMP"):
        (folder / "in" / name).write_bytes(b"x")
    assert set(names(find_inputs(["in"]))) == {
        "a.TIF",
        "b.tif",
        "sub.tif",
        "x.czi",
        "y.nd2",
        "z.BMP",
    }


@pytest.mark.parametrize("name", ["a.oir", "a.h5", "a.dm3", "a.nii.gz", "a.xlif", "a.sld", "a.pbm"])
def test_every_format_that_is_refused_by_name_is_tried_in_a_folder(folder, name):
    (folder / "in" / name).write_bytes(b"x")
    assert name in names(find_inputs(["in"]))


def test_numpy_arrays_in_a_folder_are_left_out_and_not_called_no_image(folder):
    (folder / "in" / "a.npy").write_bytes(b"x")
    assert "NumPy" in reasons(find_inputs(["in"]))["a.npy"]


def test_labels_of_an_earlier_run_are_not_taken_for_images(folder):
    write_labels("in/labels.tif", np.ones((4, 4), np.int32))
    for name in ("b_cp_masks.png", "b_mask.tif", "lone_mask.tif"):
        tifffile.imwrite(f"in/{name}", np.zeros((4, 4), np.uint8))
    found = find_inputs(["in"])
    assert names(found) == ["a.TIF", "b.tif", "lone_mask.tif", "sub.tif"]
    assert reasons(found)["labels.tif"] == OURS
    assert "by the name" in reasons(found)["b_mask.tif"]


def test_the_folder_of_results_may_be_the_folder_of_images(folder):
    for name in ("labels", "overlays", ".samzoo"):
        (folder / "in" / name).mkdir()
    (folder / "in" / "objects.csv").write_text("image\n")
    assert find_inputs(["in"], output=folder / "in").left_out == ()
    (folder / "in" / "out").mkdir()
    assert reasons(find_inputs(["in/*"], output=folder / "in" / "out")).keys() == {
        "labels", "overlays", ".samzoo", "objects.csv",
    }  # fmt: skip


def test_a_file_named_twice_counts_once_and_patterns_reach_subfolders(folder):
    (folder / "in" / "deep").mkdir()
    tifffile.imwrite("in/deep/b.tif", np.zeros((4, 4), np.uint8))
    found = find_inputs(["in/b.tif", "in", "./in/b.tif", "in/**/*.tif"])
    assert [str(path) for path in found.images] == [
        "in/b.tif", "in/a.TIF", "in/sub.tif", "in/deep/b.tif",
    ]  # fmt: skip


def test_what_matches_nothing_is_told(folder):
    found = find_inputs(["in/*.jpg", "gone.tif"])
    assert found.unmatched == ("in/*.jpg",)
    assert names(found) == ["gone.tif"]
    (folder / "in" / "[1].tif").write_bytes(b"x")
    assert names(find_inputs(["in/[1].tif"])) == ["[1].tif"]
    if hasattr(os, "mkfifo"):
        os.mkfifo("in/pipe.tif")
        assert reasons(find_inputs(["in"]))["pipe.tif"] == "neither a file nor a folder"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="newer versions read it as *x")
def test_a_broken_pattern_is_refused(folder):
    with pytest.raises(InputError, match="is no pattern"):
        find_inputs(["in/**x"])
