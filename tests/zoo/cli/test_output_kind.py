"""Whether an output is a folder of results or one label file: decided by rule, or refused."""

import os
import re

import pytest

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.output_kind import is_folder_output, overlay_folder, single_image, table_file


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in", "there", "dots.tif", "pictures"):
        os.mkdir(name)
    for name in ("in/a.tif", "pictures/p.png"):
        open(name, "w").close()
    os.makedirs("image.zarr")


@pytest.mark.parametrize(("output", "images", "folder"), [
    ("out", ["in/a.tif"], True), ("there", ["in/a.tif"], True), ("new.tif/", ["in/a.tif"], True),
    ("dots.tif", ["in/a.tif"], True), ("run.v2", ["in"], True), ("run.v2", ["a", "b"], True),
    ("out", ["in"], True), ("out", ["in/*.tif"], True), ("deep/out", ["a.tif", "b.tif"], True),
    ("l.tif", ["in/a.tif"], False), ("l.PNG", ["in/a.tif"], False), ("l.tif", ["in/*.tif"], False),
    ("n.zarr", ["in/a.tif"], False), ("image.zarr/labels/n", ["image.zarr"], False),
])  # fmt: skip
def test_the_rule(output, images, folder):
    assert is_folder_output(output, images) is folder


@pytest.mark.parametrize(("output", "images", "message"), [
    ("l.tif", ["a", "b"], "2 images need a folder"), ("l.tif", ["in"], "a folder of images needs"),
    ("n.zarr", ["a", "b"], "2 images need a folder"), ("l.tfi", ["in/a.tif"], "written as .tif"),
])  # fmt: skip
def test_what_is_not_clear_is_refused(output, images, message):
    with pytest.raises(InputError, match=re.escape(message)):
        is_folder_output(output, images)


def test_a_pattern_that_matches_several_needs_a_folder():
    assert str(single_image("in/*.tif")) == os.path.join("in", "a.tif")
    open("in/b.tif", "w").close()
    with pytest.raises(InputError, match="2 images need a folder"):
        single_image("in/*.tif")


def test_places_of_overlays_and_tables(tmp_path):
    out = tmp_path / "out"
    assert overlay_folder(None, out) is None
    assert overlay_folder("", out) == out / "overlays"
    assert str(overlay_folder("mine", out)) == "mine"
    assert table_file(None, out) is None
    assert table_file("", out) == out / "objects.csv"
    for name in ("a.tif", "o.png", "in/a.tif", "pictures"):  # also: an image that was swallowed
        with pytest.raises(InputError, match="without a name, after the images"):
            overlay_folder(name, out)
    with pytest.raises(InputError, match="without a name, after the images"):
        table_file("in/a.tif", out)
