"""Embeddings survive the file; a file that does not fit is refused."""

import json

import numpy as np
import pytest

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import read_metadata, write_tensors
from samzoo.runtime.images.tiles import Tile

TILES = (Tile((0, 0, 6, 6), (0, 0, 6, 4)), Tile((0, 2, 6, 8), (0, 4, 6, 8)))


@pytest.fixture
def embeddings(rng):
    values = rng.random((2, 256, 4, 4)).astype(np.float32)
    return ImageEmbeddings(values, TILES, (6, 8), "sha256:x", constant=False)


def rewrite(path, **changes):
    """Change fields of the description in a file, or the tensor."""
    description = json.loads(read_metadata(path)["samzoo"])
    tensors = {"image_embeddings": changes.pop("values", np.zeros((2, 256, 4, 4), np.float32))}
    description.update(changes)
    write_tensors(path, tensors, {"samzoo": json.dumps(description)})


def test_embeddings_survive_the_file(embeddings, tmp_path):
    path = str(tmp_path / "e.safetensors")
    embeddings.save(path)
    found = ImageEmbeddings.load(path)
    np.testing.assert_array_equal(found.values, embeddings.values)
    assert np.asarray(found.values).dtype == np.float32
    assert (found.tiles, found.original_size) == (TILES, (6, 8))
    assert (found.weights_digest, found.constant) == ("sha256:x", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": {"name": "samzoo-embeddings", "version": 2}}, "format.version is 2"),
        ({"format": {"name": "other", "version": 1}}, "format: expected 'samzoo-embeddings'"),
        ({"more": 1}, "unknown key 'more'"),
        ({"original_size": [6]}, "original_size: expected 2 numbers"),
        ({"original_size": [60, 80]}, "the tiles cover 48 pixels of an image of"),
        ({"original_size": [10**9, 10**9]}, "original_size is"),
        ({"original_size": [0, 8]}, "original_size is"),
        ({"tiles": []}, r"expected float32 \(0, 256, grid, grid\), found float32 \(2, 256, 4, 4\)"),
        ({"tiles": [{"outer": [0, 0, 6, 9], "inner": [0, 0, 6, 8]}] * 2}, "does not lie in"),
        ({"tiles": [{"outer": [0, 0, 6, 4], "inner": [0, 0, 6, 8]}] * 2}, "does not lie in"),
        ({"tiles": [{"outer": [0, 0, 6, 8], "inner": [0, 0, 6, 8]}] * 2}, "cover 96 pixels"),
        ({"tiles": [{"outer": [0, 0, 6, 8], "inner": [-1, 0, 6, 8]}] * 2}, "does not lie in"),
        ({"values": np.zeros((2, 256, 4, 4), np.float64)}, "expected float32 .* found float64"),
        ({"values": np.zeros((2, 255, 4, 4), np.float32)}, "expected float32"),
        ({"values": np.full((2, 256, 4, 4), np.nan, np.float32)}, "holds NaN"),
    ],
)
def test_a_file_with_wrong_fields_is_refused(embeddings, tmp_path, changes, message):
    path = tmp_path / "e.safetensors"
    embeddings.save(path)
    rewrite(path, **changes)
    with pytest.raises(FormatError, match=message) as caught:
        ImageEmbeddings.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("metadata", [{}, {"samzoo": "["}, {"samzoo": "[]"}, {"samzoo": "5"}])
def test_another_safetensors_file_is_refused(tmp_path, metadata):
    path = tmp_path / "weights.safetensors"
    write_tensors(path, {"a": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(FormatError, match="not a samzoo embeddings file"):
        ImageEmbeddings.load(path)


def test_a_missing_or_foreign_file_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        ImageEmbeddings.load(tmp_path / "e.safetensors")
    (tmp_path / "e.safetensors").write_text("text")
    with pytest.raises(FormatError, match="not a usable safetensors file"):
        ImageEmbeddings.load(tmp_path / "e.safetensors")
