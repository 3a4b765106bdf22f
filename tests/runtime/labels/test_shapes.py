"""Annotations that are no label images are refused by name, with the way out."""

from pathlib import Path

import pytest

from samzoo.runtime import read_labels
from samzoo.runtime.errors import ImageError
from samzoo.runtime.labels.shapes import SHAPES, advice_on_folder, advice_on_shapes

STARTS = {
    ".json": b'{"images": [], "annotations": []}', ".geojson": b'{"type": "FeatureCollection"}',
    ".txt": b"0 0.5 0.5 0.1 0.1", ".xml": b"<annotation/>", ".csv": b"x,y\n1,2\n",
    ".npz": b"PK\x03\x04", ".zip": b"PK\x03\x04", ".roi": b"Iout", ".mat": b"MATLAB 5.0",
    ".h5": b"\x89HDF\r\n\x1a\n",
}  # fmt: skip


@pytest.mark.parametrize("suffix", STARTS)
def test_each_kind_of_annotation_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(STARTS[suffix])
    with pytest.raises(ImageError) as raised:
        read_labels(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "damaged" not in message
    assert ";" in message or "." in message.removeprefix(str(path))


def test_label_images_get_no_such_advice():
    assert all(advice_on_shapes(Path(name)) is None for name in ("a.tif", "a.png", "a.npy"))


def test_a_folder_names_one_file_of_each_kind():
    files = [Path(name) for name in ("b.txt", "a.txt", "c.json", ".x.csv", "d.tif")]
    said = advice_on_folder(files)
    assert said.count(". ") >= 2
    assert "a.txt is outlines" in said
    assert "c.json is outlines" in said
    assert "b.txt" not in said
    assert ".x.csv" not in said
    assert advice_on_folder([Path("d.tif")]) == ""


def test_every_remedy_is_a_sentence():
    assert all(what and remedy[0].islower() for what, remedy in SHAPES.values())
