"""Folders for peft over a ``SamModel``: names, and the way back; ``load_proofs`` opens them."""

import json
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.formats.adapter import read_adapter, write_adapter
from samzoo.runtime.formats.files import read_tensors
from samzoo.zoo.checkpoints.huggingface_names import POSITIONS
from samzoo.zoo.exchange.reading import read_foreign_adapter
from samzoo.zoo.exchange.writing import write_foreign_adapter

GOLDENS = Path(__file__).parents[2] / "goldens" / "peft_sam_model"


@pytest.fixture
def adapter(seeded_base, tmp_path):
    read_foreign_adapter(GOLDENS / "patterns", tmp_path / "adapter", base=seeded_base)
    return tmp_path / "adapter"


def test_the_names_are_those_of_a_sam_model(adapter, tmp_path):
    result = write_foreign_adapter(adapter, tmp_path / "peft", to="peft")
    assert "over Hugging Face's SamModel" in " ".join(result["notes"])
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert config["auto_mapping"]["base_model_class"] == "SamModel"
    assert config["modules_to_save"] == ["prompt_encoder", "mask_decoder"]
    assert "vision_encoder.layers.1.attn.qkv" in config["target_modules"]
    state = read_tensors(tmp_path / "peft" / "adapter_model.safetensors")
    for name in (
        "vision_encoder.layers.0.mlp.lin1.lora_A.weight",
        "mask_decoder.transformer.layers.0.layer_norm1.weight",
        "mask_decoder.iou_prediction_head.proj_in.weight",
        "prompt_encoder.shared_embedding.positional_embedding",
    ):
        assert f"base_model.model.{name}" in state
    assert not any("image_encoder" in name or "shared_image" in name for name in state)


@pytest.mark.parametrize("to", ["peft", "peft-segment-anything"])
def test_a_written_folder_is_read_back(to, adapter, seeded_base, tmp_path):
    write_foreign_adapter(adapter, tmp_path / "peft", to=to)
    for file in ("samzoo_adapter.json", "ais_decoder.safetensors"):  # as if peft had saved it
        (tmp_path / "peft" / file).unlink(missing_ok=True)
    read_foreign_adapter(tmp_path / "peft", tmp_path / "again", base=seeded_base)
    (one, first), (two, second) = read_adapter(adapter), read_adapter(tmp_path / "again")
    scale = np.float32(one.hyperparameters["scale"] / two.hyperparameters["scale"])
    for layer in ("attn.qkv", "mlp.lin1"):
        for matrix in ("q", "k", "v") if layer == "attn.qkv" else ("lin1",):
            a, b = (f"image_encoder.blocks.1.{layer}.lora_{f}.{matrix}" for f in "ab")
            expected = scale * first[b] @ first[a]
            np.testing.assert_allclose(second[b] @ second[a], expected, rtol=1e-5, atol=1e-6)
    for name in first:
        if not name.startswith("image_encoder."):
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_another_position_encoding_is_saved_for_image_and_prompts(adapter, seeded_base, tmp_path):
    config, tensors = read_adapter(adapter)
    tensors = {**tensors, POSITIONS: tensors[POSITIONS] + 1}
    (tmp_path / "other").mkdir()
    write_adapter(tmp_path / "other", config, tensors)
    write_foreign_adapter(tmp_path / "other", tmp_path / "peft", to="peft")
    written = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert written["modules_to_save"][-1] == "shared_image_embedding"
    read_foreign_adapter(tmp_path / "peft", tmp_path / "again", base=seeded_base)
    again = read_adapter(tmp_path / "again")[1]
    np.testing.assert_array_equal(again[POSITIONS], tensors[POSITIONS])
