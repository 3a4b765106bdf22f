"""Embeddings that are kept: encoded once, tile by tile, for whoever asks."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from samzoo.runtime import EmbeddingStore, load
from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.pixels.source_spec import SourceSpec


@pytest.fixture
def model(package):
    return load(package)


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "store")


@pytest.fixture
def image(cells):
    return cells((150, 300))


def test_values_are_those_of_embed(model, store, image):
    kept, expected = store.embed(model, image), model.embed(image)
    assert kept.tiles == expected.tiles
    assert kept.original_size == expected.original_size
    np.testing.assert_array_equal(np.asarray(kept.values), expected.values)
    np.testing.assert_array_equal(model.segment(kept), model.segment(expected))


def test_a_prompt_encodes_the_tile_that_it_needs(model, store, image):
    encoded: list[int] = []
    kept = store.embed(model, image, encoded=encoded.append)
    assert len(kept.tiles) > 10
    points = [[[200.0, 70.0]]]
    found = model.prompt(kept, points=points, point_labels=[[1]])
    assert len(encoded) == 1
    expected = model.prompt(model.embed(image), points=points, point_labels=[[1]])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found[0].any()
    # The same again, by another store in the same folder: nothing is encoded.
    again: list[int] = []
    EmbeddingStore(store.folder).embed(model, image, encoded=again.append).values[encoded[0]]
    assert again == []


PROGRAM = """
import sys, numpy as np
from samzoo.runtime import EmbeddingStore, load
from samzoo.runtime.pixels.source_spec import SourceSpec
encoded = []
model = load(sys.argv[1])
kept = EmbeddingStore(sys.argv[2]).embed(model, SourceSpec(sys.argv[3]), encoded=encoded.append)
masks, scores, low_res = model.prompt(kept, boxes=[[180, 50, 220, 90], [20, 20, 40, 45]])
np.savez(sys.argv[4], masks=masks, scores=scores, low_res=low_res, encoded=len(encoded))
"""


def test_a_second_process_reads_what_the_first_encoded(package, store, image, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", image)
    found = []
    for name in ("first", "second"):
        subprocess.run(
            [sys.executable, "-c", PROGRAM, package, store.folder, tmp_path / "image.tif",
             tmp_path / f"{name}.npz"],
            check=True,
        )  # fmt: skip
        with np.load(tmp_path / f"{name}.npz") as file:
            found.append(dict(file))
    assert [int(each.pop("encoded")) for each in found] == [2, 0]
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])
    assert found[0]["masks"].any(axis=(1, 2)).all()


def test_another_image_model_or_grid_is_encoded_anew(model, store, image, make_package, tmp_path):
    other = load(make_package(tmp_path / "other"))  # stretches otherwise
    changed = image.copy()
    changed[0, 0] += 1
    count = 0
    for chosen, pixels, options in (
        (model, image, {}), (model, changed, {}), (other, image, {}),
        (model, image, {"tile_shape": (30, 30), "halo": (8, 8)}),
    ):  # fmt: skip
        encoded: list[int] = []
        store.embed(chosen, pixels, encoded=encoded.append, **options).values[0]
        count += 1
        assert encoded == [0]
        assert len([p for p in store.folder.iterdir() if (p / "info.json").exists()]) == count


def test_a_file_is_looked_at_once_while_it_stays(model, store, image, tmp_path, monkeypatch):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, image)
    first = store.embed(model, SourceSpec(str(path)))
    with monkeypatch.context() as patch:
        patch.setattr("samzoo.runtime.large.embedding_store._look_at", None)
        assert store.embed(model, SourceSpec(str(path))).tiles == first.tiles
    tifffile.imwrite(path, image[::-1])
    os.utime(path, (1, 1))
    encoded: list[int] = []
    store.embed(model, SourceSpec(str(path)), encoded=encoded.append).values[0]
    assert encoded == [0]


def test_a_constant_image_is_known_to_be_one(model, store):
    kept = store.embed(model, np.full((90, 80), 5, np.uint8))
    assert kept.constant
    assert model.segment(kept).max() == 0


def test_damaged_files_are_named(model, store, image):
    kept = store.embed(model, image)
    kept.values[0]
    (tile,) = store.folder.glob("*/tile_000000.safetensors")
    tile.write_bytes(tile.read_bytes()[:100])
    with pytest.raises(FormatError, match=r"tile_000000\.safetensors"):
        store.embed(model, image).values[0]
    (info,) = store.folder.glob("*/info.json")
    info.write_text(json.dumps({**json.loads(info.read_text()), "original_size": [1, 2]}))
    with pytest.raises(FormatError, match=r"info\.json: has changed since it was written; delete"):
        store.embed(model, image)


def test_a_halo_of_an_image_that_is_seen_whole_is_refused(
    tmp_path, make_package, toy_config, image
):
    model = load(make_package(tmp_path / "free", config=toy_config(scale=None)))
    store = EmbeddingStore(tmp_path / "store")
    with pytest.raises(InputError, match=r"halo: found \(4, 4\), but this model sees the whole"):
        store.embed(model, image, halo=(4, 4))
    assert len(store.embed(model, image, halo=(4, 4), tiled=True).tiles) > 1
