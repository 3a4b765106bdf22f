"""Hugging Face's names, configs and processors against those that transformers writes itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.runtime.formats.architecture import Architecture, MaskDecoderConfig
from samzoo.runtime.formats.config import SAM_PIXEL_MEAN, SAM_PIXEL_STD, ModelConfig
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.files import read_tensors, write_json, write_tensors
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.huggingface import config_of, processors_of
from samzoo.zoo.checkpoints.huggingface_names import (
    SHARED_POSITIONS,
    from_huggingface,
    to_huggingface,
)

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "goldens" / "huggingface_sam.json").read_text(encoding="utf-8")
)
ARCHITECTURE = Architecture(
    image_encoder=VitConfig(
        image_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2.0,
        window_size=3, global_attn_indexes=(1,),
    ),
    mask_decoder=MaskDecoderConfig(transformer_mlp_dim=64, layer_norm_eps=1e-6),
)  # fmt: skip


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in GOLDEN["names"].items()
    }


@pytest.fixture
def folder(tmp_path, tensors):
    folder = tmp_path / "hf"
    folder.mkdir()
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    write_json(folder / "config.json", GOLDEN["config"])
    write_json(folder / "processor_config.json", GOLDEN["processor"])
    return folder


def test_names_and_shapes_are_those_of_transformers():
    shapes = tensor_shapes(ARCHITECTURE)
    names = to_huggingface(shapes, 3)
    ours = {new: list(shapes[name]) for name, news in names.items() for new in news}
    del ours[SHARED_POSITIONS[1]]  # transformers writes one of the two, and loads both
    assert ours == GOLDEN["names"]


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_names_come_back(depth):
    decoder = MaskDecoderConfig(iou_head_depth=depth, transformer_depth=3)
    shapes = tensor_shapes(Architecture(image_encoder=VitConfig(depth=12), mask_decoder=decoder))
    names = to_huggingface(shapes, depth)
    renamed = {new: np.array(name) for name, news in names.items() for new in news}
    back = from_huggingface(renamed, where="file")
    assert {name: str(value) for name, value in back.items()} == {name: name for name in shapes}


def test_config_is_that_of_transformers():
    theirs = json.loads(json.dumps(GOLDEN["config"]))
    del theirs["transformers_version"]
    assert config_of(ARCHITECTURE) == theirs


@pytest.mark.parametrize("eps", [1e-5, 1e-6, 1e-3])
def test_the_eps_of_the_mask_decoder_is_kept(folder, tmp_path, eps):
    change(folder / "config.json", eps, "mask_decoder_config", "layer_norm_eps")
    decoder = ModelConfig.read(convert(folder, tmp_path / "base") / "config.json").architecture
    assert decoder.mask_decoder.layer_norm_eps == eps
    assert config_of(decoder)["mask_decoder_config"]["layer_norm_eps"] == eps


def test_weights_alone_have_hugging_faces_eps(folder, tmp_path):
    base = convert(folder / "model.safetensors", tmp_path / "base")
    assert ModelConfig.read(base / "config.json").architecture == ARCHITECTURE


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("vision_config", "window_size", 5),
        ("vision_config", "global_attn_indexes", [0]),
        ("vision_config", "num_attention_heads", 2),
        ("vision_config", "use_rel_pos", False),
        ("vision_config", "use_abs_pos", False),
        ("vision_config", "image_size", 128),
        ("prompt_encoder_config", "image_size", 1024),
        ("mask_decoder_config", "attention_downsample_rate", 4),
        ("mask_decoder_config", "iou_head_depth", 2),
    ],
)
def test_a_config_that_contradicts_its_weights_is_refused(folder, tmp_path, section, name, value):
    change(folder / "config.json", value, section, name)
    (folder / "processor_config.json").unlink()  # it has an image size too
    with pytest.raises(FormatError, match=rf"config\.json: {section}\.{name}: found .* weights"):
        convert(folder, tmp_path / "base")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_weights_and_no_config_is_read(folder, tensors, tmp_path, name):
    """accelerate's ``save_state`` writes such folders, with its optimizer beside the weights."""
    torch = pytest.importorskip("torch")
    (folder / "config.json").unlink()
    if name.endswith(".bin"):
        (folder / "model.safetensors").unlink()
        torch.save({n: torch.from_numpy(v) for n, v in tensors.items()}, folder / name)
    torch.save({}, folder / "optimizer.bin")
    found = read_tensors(convert(folder, tmp_path / "base") / "model.safetensors")
    for original, news in to_huggingface(found, 3).items():
        np.testing.assert_array_equal(found[original], tensors[news[0]])


def test_processors_are_those_of_transformers():
    ours = processors_of(ModelConfig(architecture=ARCHITECTURE))
    theirs = json.loads(json.dumps(GOLDEN["processor"]["image_processor"]))
    found = ours["processor_config.json"]["image_processor"]
    assert found.pop("image_mean") == pytest.approx(theirs.pop("image_mean"), rel=1e-12)
    assert found.pop("image_std") == pytest.approx(theirs.pop("image_std"), rel=1e-12)
    assert found == theirs
    first = ours["preprocessor_config.json"]
    assert first["processor_class"] == "SamProcessor"
    assert {key: first[key] for key in theirs} == theirs


def test_a_tiny_vit_has_no_place_in_it():
    with pytest.raises(InputError, match="but this model has a TinyViT; write another format"):
        config_of(Architecture(image_encoder=TinyVitConfig()))


def test_a_folder_becomes_a_base(folder, tensors, tmp_path):
    base = convert(folder, tmp_path / "base")
    config = ModelConfig.read(base / "config.json")
    assert config.architecture == ARCHITECTURE
    assert config.preprocessing.pixel_mean == SAM_PIXEL_MEAN
    assert config.preprocessing.pixel_std == SAM_PIXEL_STD
    assert config.source["file"] == "model.safetensors"
    found = read_tensors(base / "model.safetensors")
    for name, news in to_huggingface(found, 3).items():
        np.testing.assert_array_equal(found[name], tensors[news[0]])


def test_the_weights_alone_become_the_same_base(folder, tmp_path):
    alone = convert(folder / "model.safetensors", tmp_path / "alone")
    base = convert(folder, tmp_path / "base")
    files = [path / "model.safetensors" for path in (alone, base)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_preprocessing_is_kept(folder, tmp_path):
    processor = json.loads(json.dumps(GOLDEN["processor"]["image_processor"]))
    write_json(
        folder / "preprocessor_config.json", {**processor, "image_mean": [0, 0.1, 0.5]}
    )  # fmt: skip
    preprocessing = ModelConfig.read(convert(folder, tmp_path / "b") / "config.json").preprocessing
    assert preprocessing.pixel_mean == (0.0, 25.5, 127.5)


def change(path, value, *keys):
    content = json.loads(path.read_text())
    target = content
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value
    write_json(path, content)


@pytest.mark.parametrize(
    ("file", "keys", "value", "message"),
    [
        (
            "config",
            ["model_type"],
            "sam2",
            "model_type: found 'sam2', which is SAM 2, .*allowed is 'sam'",
        ),
        ("config", ["vision_config"], 3, "vision_config: expected an object, found 3"),
        ("config", ["vision_config", "hidden_act"], "relu", "hidden_act: found 'relu', SAM has"),
        ("config", ["vision_config", "layer_norm_eps"], 1e-3, "layer_norm_eps: found 0.001"),
        ("config", ["mask_decoder_config", "layer_norm_eps"], 0.0, "layer_norm_eps: found 0.0"),
        ("config", ["mask_decoder_config", "num_attention_heads"], 7, "num_attention_heads: found"),
        ("processor", ["image_processor", "image_std"], [1, 2], "image_std: expected 3 numbers"),
        ("processor", ["image_processor", "image_mean"], [1, 2, "3"], "image_mean: expected 3"),
        ("processor", ["image_processor", "image_mean"], [1, 2, 1e400], "not a number in JSON"),
        ("processor", ["image_processor", "image_std"], [0, 1, 1], "image_std: must be positive"),
        ("processor", ["image_processor", "do_normalize"], False, "do_normalize: found False"),
        ("processor", ["image_processor", "rescale_factor"], 1.0, "rescale_factor: found 1.0"),
        ("processor", ["image_processor", "size", "longest_edge"], 512, "size: found .*512"),
        ("processor", ["image_processor", "pad_size", "height"], 512, "pad_size: found .*512"),
        ("processor", ["image_processor", "resample"], 3, "resample: found 3, expected 2"),
    ],
)
def test_a_wrong_config_is_refused_by_file_and_field(folder, tmp_path, file, keys, value, message):
    path = folder / ("config.json" if file == "config" else "processor_config.json")
    if value == [1, 2, 1e400]:
        path.write_text(path.read_text().replace("0.485", "Infinity"))
    else:
        change(path, value, *keys)
    with pytest.raises(FormatError, match=message) as caught:
        convert(folder, tmp_path / "base")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "base").exists()


def test_two_matrices_of_the_position_encoding_are_refused(folder, tensors, tmp_path):
    tensors[SHARED_POSITIONS[1]] = tensors[SHARED_POSITIONS[0]] + 1
    write_tensors(folder / "model.safetensors", tensors, {})
    with pytest.raises(FormatError, match="differ; SAM has one"):
        convert(folder, tmp_path / "base")


def test_a_folder_without_weights_is_told(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(NotFoundError, match=r"holds no weights; expected model\.safetensors"):
        convert(folder, tmp_path / "base")


def test_a_missing_tensor_is_named_as_sam_names_it(folder, tensors, tmp_path):
    del tensors["vision_encoder.layers.1.layer_norm2.bias"]
    write_tensors(folder / "model.safetensors", tensors, {})
    with pytest.raises(FormatError, match=r"lacks 'image_encoder\.blocks\.1\.norm2\.bias'"):
        convert(folder, tmp_path / "base")
