"""micro-sam's kept embeddings, read and prompted: its own masks are the oracle."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.large.micro_sam_embeddings import is_micro_sam, read_micro_sam_embeddings
from samzoo.runtime.model import Model

zarr = pytest.importorskip("zarr")
torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")

pytestmark = pytest.mark.torch

GOLDENS = Path(__file__).parents[2] / "goldens" / "micro_sam_zarr"
BOX = np.array([5, 6, 30, 28])

TOLERANCE = 1e-4
"""Of the largest logit: two implementations of one decoder in float32 (measured: 3e-6)."""


@pytest.fixture(scope="module")
def model():
    from samzoo.training.networks.graphs import TorchNetworks

    sam = tiny.make_sam(tiny.make_config("vit", ais=False))
    return Model(sam.config, TorchNetworks(sam))


@pytest.fixture
def unpacked(tmp_path):
    def unpack(name):
        shutil.unpack_archive(GOLDENS / f"{name}.zip", tmp_path / name)
        return tmp_path / name

    return unpack


@pytest.mark.parametrize(("name", "tiles"), [("image", 1), ("tiled", 2), ("tiled_stack", 2)])
def test_masks_are_those_of_micro_sam(name, tiles, model, unpacked):
    plane = 1 if "stack" in name else None
    path = unpacked(name)
    assert is_micro_sam(path)
    kept = read_micro_sam_embeddings(path, model.config, plane=plane)
    assert (len(kept.tiles), kept.original_size) == (tiles, (70, 90))
    tile = kept.tiles[tiles - 1]
    box = BOX + np.tile([tile.outer[1], tile.outer[0]], 2)
    if tiles > 1:  # the box must lie where only the last tile sees it best
        assert box[1] > kept.tiles[0].inner[2] - 1
    _, scores, low_res = model.prompt(kept, boxes=[box])
    with np.load(GOLDENS / "masks.npz") as masks:
        expected, iou = masks[f"{name}_low_res"], masks[f"{name}_iou"]
    limit = TOLERANCE * np.abs(expected).max()
    np.testing.assert_allclose(low_res[0, 0], expected[0], rtol=0, atol=limit)
    np.testing.assert_allclose(scores, iou, rtol=0, atol=TOLERANCE)


def test_tiles_lie_where_micro_sam_put_them(model, unpacked):
    path = unpacked("tiled")
    kept = read_micro_sam_embeddings(path, model.config)
    group = zarr.open_group(str(path), mode="r")["features"]
    for index, tile in enumerate(kept.tiles):
        assert list(tile.size) == list(group[str(index)].attrs["original_size"])
        np.testing.assert_array_equal(kept.values[index], group[str(index)][0])


def test_a_stack_without_tiles_is_read_slice_by_slice(model, unpacked, rng):
    path = unpacked("image")
    values = rng.standard_normal((3, 1, 256, 8, 8)).astype(np.float32)
    shutil.rmtree(path / "features")
    zarr.open_group(str(path), mode="r+").create_array("features", data=values)
    kept = read_micro_sam_embeddings(path, model.config, plane=2)
    np.testing.assert_array_equal(np.asarray(kept.values), values[2])
    with pytest.raises(InputError, match="stack of 3 slices; choose one of 0 to 2"):
        read_micro_sam_embeddings(path, model.config)


def change(path, **attributes):
    document = json.loads((path / "zarr.json").read_text())
    for name, value in attributes.items():
        if value is None:
            del document["attributes"][name]
        else:
            document["attributes"][name] = value
    (path / "zarr.json").write_text(json.dumps(document))


def test_what_cannot_be_of_this_model_is_refused(model, unpacked):
    path = unpacked("image")
    change(path, model_type="vit_b_lm")
    with pytest.raises(InputError, match="model_type: found 'vit_b_lm'"):
        read_micro_sam_embeddings(path, model.config)
    change(path, model_type="vit_x", input_size=[796, 1024])
    with pytest.raises(InputError, match=r"input_size: found \(796, 1024\)"):
        read_micro_sam_embeddings(path, model.config)
    scaled = dataclasses.replace(
        model.config, preprocessing=dataclasses.replace(model.config.preprocessing, scale=1.5)
    )
    with pytest.raises(InputError, match=r"has a scale of 1\.5"):
        read_micro_sam_embeddings(path, scaled)


def test_folders_that_are_not_complete_are_refused(model, unpacked, tmp_path):
    path = unpacked("image")
    change(path, input_size=None)
    with pytest.raises(FormatError, match="input_size: not found"):
        read_micro_sam_embeddings(path, model.config)
    shutil.rmtree(path)
    path = unpacked("tiled")
    shutil.rmtree(path / "features" / "1")
    with pytest.raises(FormatError, match="tile 1 of 2 does not exist"):
        read_micro_sam_embeddings(path, model.config)
    with pytest.raises(FormatError, match="no Zarr group here"):
        read_micro_sam_embeddings(tmp_path / "none", model.config)
