"""The kind of a file, by its content."""

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.errors import ImageError
from samzoo.runtime.pixels.kinds import KINDS, is_tiff, kind_of, misnamed


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told_by_its_content(tmp_path, kind):
    for suffix in (*KINDS[kind], ".dat", ".tif", ".nd2"):
        path = tmp_path / f"image{suffix}"
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(path, kind)
        assert kind_of(path) == kind
        assert is_tiff(path) == (kind == "TIFF")


def test_a_name_that_promises_another_kind_gets_a_note(tmp_path):
    assert misnamed(tmp_path / "a.tif", "TIFF") == []
    assert misnamed(tmp_path / "a.JPG", "JPEG") == []
    assert misnamed(tmp_path / "a.svs", "TIFF") == []
    assert misnamed(tmp_path / "a.TIF", "JPEG") == [
        "the file is named .TIF, but it holds a JPEG; it was read as JPEG"
    ]


def test_an_unknown_file_is_refused_with_the_kinds(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"something")
    with pytest.raises(ImageError, match=r"a\.xyz: not a TIFF, PNG, JPEG, BMP, GIF or WebP file"):
        kind_of(tmp_path / "a.xyz")
