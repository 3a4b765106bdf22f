"""Files of other formats are refused by name, with a way to convert them."""

import pytest

from samzoo.runtime.errors import ImageError
from samzoo.runtime.pixels.foreign import BY_SUFFIX, DISGUISED
from samzoo.runtime.pixels.kinds import kind_of

STARTS = {
    "CZI": b"ZISRAWFILE\0\0\0", "ND2": b"\xda\xce\xbe\x0a", "LIF": b"\x70\0\0\0\x2a",
    "OIR": b"OLYMPUSRAWFORMAT", "OIB": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "VSI": b"SIS\0", "HDF5": b"\x89HDF\r\n\x1a\n", "NumPy": b"\x93NUMPY\1\0",
    "DICOM": b"\0" * 128 + b"DICM", "NIfTI": b"\0" * 344 + b"n+1\0", "NRRD": b"NRRD0005\n",
    "MetaImage": b"ObjectType = Image\n", "MRC": b"\0" * 208 + b"MAP ",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG XL": b"\xff\x0a", "HEIC": b"\0\0\0\x20ftypheic",
    "Photoshop": b"8BPS", "PDF": b"%PDF-1.7", "PGM": b"P5\n4 4\n255\n", "ZIP": b"PK\x03\x04",
    "gzip": b"\x1f\x8b\x08", "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid",
    "web page": b"\n<!DOCTYPE HTML>\n<html>", "a web page": b"<script>location",
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("suffix", [".tif", ".dat"])
def test_by_content_whatever_the_name(tmp_path, name, suffix):
    path = tmp_path / f"image{suffix}"
    path.write_bytes(STARTS[name] + b"\0" * 40)
    with pytest.raises(ImageError, match=rf"image{suffix}: is .*{name}.*, which samzoo does not"):
        kind_of(path)


@pytest.mark.parametrize("suffix", BY_SUFFIX)
def test_by_name_if_the_content_says_nothing(tmp_path, suffix):
    path = tmp_path / f"image{suffix.upper()}"
    path.write_bytes(b"\1\2\3\4" * 50)
    with pytest.raises(ImageError, match=r"which samzoo does not read; \w+"):
        kind_of(path)


@pytest.mark.parametrize("suffix", DISGUISED)
def test_an_index_that_looks_like_a_readable_file_is_refused(tmp_path, suffix):
    for start in (b"II*\0", b"\xff\xd8\xff\xe0"):
        (tmp_path / f"image{suffix}").write_bytes(start + b"\0" * 40)
        with pytest.raises(ImageError, match="which samzoo does not read"):
            kind_of(tmp_path / f"image{suffix}")


def test_an_archive_of_arrays_is_not_called_a_zip_of_images(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04" + b"\0" * 40)
    with pytest.raises(ImageError, match="is an archive of NumPy arrays"):
        kind_of(tmp_path / "a.npz")
