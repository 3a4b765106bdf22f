"""Zarr arrays of strangers: read as they are, or refused."""

import json

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError

VALUES = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30)
zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

V2 = {
    "none": None, "blosc": numcodecs.Blosc(), "zstd": numcodecs.Zstd(), "zlib": numcodecs.Zlib(),
    "gzip": numcodecs.GZip(), "lz4": numcodecs.LZ4(), "bz2": numcodecs.BZ2(),
    "lzma": numcodecs.LZMA(),
}  # fmt: skip
V3 = {
    "none": None, "blosc": zarr.codecs.BloscCodec(), "zstd": zarr.codecs.ZstdCodec(),
    "gzip": zarr.codecs.GzipCodec(),
}  # fmt: skip
BOTH = [*((2, kind) for kind in V2), *((3, kind) for kind in V3)]


def guarded(array):
    from samzoo.runtime.pixels.zarr_chunks.arrays import guarded as checked

    return checked(array, where="a")


def make(folder, version, kind, **options):
    array = zarr.create_array(
        str(folder), shape=VALUES.shape, chunks=(16, 16), dtype=VALUES.dtype, zarr_format=version,
        compressors=(V2 if version == 2 else V3)[kind], **options,
    )  # fmt: skip
    array[:] = VALUES
    return zarr.open(str(folder), mode="r")


@pytest.mark.parametrize(("version", "kind"), BOTH)
def test_values_are_those_of_the_array(tmp_path, version, kind):
    array = guarded(make(tmp_path / "a.zarr", version, kind))
    np.testing.assert_array_equal(array[...], VALUES)
    np.testing.assert_array_equal(array[3:20, 14:], VALUES[3:20, 14:])


def test_shards_are_read(tmp_path):
    array = guarded(make(tmp_path / "a.zarr", 3, "blosc", shards=(32, 32)))
    np.testing.assert_array_equal(array[...], VALUES)


def test_filters_of_version_2_are_read(tmp_path):
    delta = numcodecs.Delta(dtype="<u2")
    array = guarded(make(tmp_path / "a.zarr", 2, "zlib", filters=[delta]))
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize(("version", "chunk"), [(2, "0.0"), (3, "c/0/0")])
@pytest.mark.parametrize("kind", ["blosc", "zstd", "gzip"])
def test_a_chunk_that_inflates_is_refused(tmp_path, version, chunk, kind):
    array = guarded(make(tmp_path / "a.zarr", version, kind))
    (tmp_path / "a.zarr" / chunk).write_bytes(V2[kind].encode(bytes(2**24)))
    with pytest.raises(ValueError, match=r"claims|holds more"):
        array[...]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [2**20, 2**20], "chunks": [1, 1]}, r"a: chunks: found 1099511627776 in a plane"),
        ({"shape": [2**17, 2**17], "chunks": [2**17, 2**17]}, "of 34359738368 bytes"),
        ({"compressor": {"id": "pickle"}}, "pickle"),
        ({"filters": [{"id": "packbits"}]}, "codecs: found 'packbits'"),
        ({"dtype": "|b1", "chunks": [16, 0]}, "."),
    ],
)
def test_an_array_that_claims_too_much_is_refused(tmp_path, changes, message):
    make(tmp_path / "a.zarr", 2, "zlib")
    path = tmp_path / "a.zarr" / ".zarray"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises((ImageError, ValueError), match=message):
        guarded(zarr.open(str(tmp_path / "a.zarr"), mode="r"))
