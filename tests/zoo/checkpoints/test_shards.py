"""Weights in several files with an index, against the same weights in one file."""

import json
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.huggingface import config_of
from samzoo.zoo.checkpoints.huggingface_names import to_huggingface


@pytest.fixture
def config():
    return tiny.make_config(ais=False)


@pytest.fixture
def weights(config):
    return tiny.seeded_weights(tensor_shapes(config.architecture))


def write_shards(folder, tensors, *, count=3, name="model.safetensors"):
    """Write files and index as transformers' ``save_pretrained(max_shard_size=...)`` does."""
    folder.mkdir(exist_ok=True)
    stem, _, suffix = name.rpartition(".")
    places: dict[str, str] = {}
    for index in range(count):
        file = f"{stem}-{index + 1:05}-of-{count:05}.{suffix}"
        part = {n: tensors[n] for n in sorted(tensors)[index::count]}
        if suffix == "bin":
            torch = pytest.importorskip("torch")
            torch.save({n: torch.from_numpy(v.copy()) for n, v in part.items()}, folder / file)
        else:
            write_tensors(folder / file, part, {})
        places |= dict.fromkeys(part, file)
    content = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{name}.index.json").write_text(json.dumps(content))
    return folder / f"{name}.index.json"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "sam.safetensors"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_an_index_gives_the_weights_of_one_file(weights, tmp_path, name, prefix):
    named = {f"{prefix}{n}": v for n, v in weights.items()}
    index = write_shards(tmp_path / "a", named, name=name)
    base = convert(index, tmp_path / "base")
    found = read_tensors(base / "model.safetensors")
    assert set(found) == set(weights)
    for key, value in weights.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    files = json.loads((base / "config.json").read_text())["source"]["files"]
    assert len(files) == 3
    assert all(len(sha256) == 64 for sha256 in files.values())


def test_a_hugging_face_folder_of_several_files_is_read(config, weights, tmp_path):
    names = to_huggingface(weights, config.architecture.mask_decoder.iou_head_depth)
    tensors = {new: weights[old] for old, news in names.items() for new in news}
    folder = tmp_path / "sam"
    write_shards(folder, tensors)
    (folder / "config.json").write_text(json.dumps(config_of(config.architecture)))
    found = read_tensors(convert(folder, tmp_path / "base") / "model.safetensors")
    for key, value in weights.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_one_of_several_files_leads_to_the_index(weights, tmp_path):
    index = write_shards(tmp_path / "a", weights)
    with pytest.raises(FormatError, match=r"is one of 3 files of one checkpoint; pass .*index\.js"):
        convert(tmp_path / "a" / "model-00002-of-00003.safetensors", tmp_path / "base")
    index.unlink()
    with pytest.raises(FormatError, match=r"fetch all, with model\.safetensors\.index\.json"):
        convert(tmp_path / "a" / "model-00002-of-00003.safetensors", tmp_path / "base")


def test_missing_and_strange_files_of_an_index_are_told(weights, tmp_path):
    index = write_shards(tmp_path / "a", weights)
    good = json.loads(index.read_text())
    (tmp_path / "a" / "model-00002-of-00003.safetensors").rename(tmp_path / "kept")
    with pytest.raises(NotFoundError, match="1 of its 3 files are missing, first 'model-00002"):
        convert(index, tmp_path / "base")
    (tmp_path / "kept").rename(tmp_path / "a" / "model-00002-of-00003.safetensors")
    first = sorted(weights)[0]
    for bad in ("../kept", "/etc/passwd", "a/b", "", "3\n", ".hidden"):
        index.write_text(json.dumps({"weight_map": {**good["weight_map"], first: bad}}))
        with pytest.raises(FormatError, match="allowed is the name of a file beside it"):
            convert(index, tmp_path / "base")
    maps: tuple[Any, ...] = (None, [], {}, "a")
    for map_ in maps:
        index.write_text(json.dumps({"weight_map": map_}))
        with pytest.raises(FormatError, match="weight_map: expected an object of 1 to"):
            convert(index, tmp_path / "base")
    places = dict(good["weight_map"])
    index.write_text(json.dumps({"weight_map": {**places, "more": places[first]}}))
    with pytest.raises(FormatError, match="lacks the tensor 'more', which model"):
        convert(index, tmp_path / "base")
    del places[first]
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(FormatError, match=r"is not in model\.safetensors\.index\.json"):
        convert(index, tmp_path / "base")
    assert not (tmp_path / "base").exists()
