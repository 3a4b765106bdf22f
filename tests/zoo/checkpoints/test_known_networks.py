"""Checkpoints of other networks are refused by name, with what to do."""

import sys
import types

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.zoo.checkpoints.known import (
    MODEL_TYPES,
    described_class,
    refuse_other_networks,
)
from samzoo.zoo.checkpoints.reading import read_checkpoint

SAM = ("prompt_encoder.point_embeddings.0.weight", "mask_decoder.iou_token.weight")
VIT = ("image_encoder.patch_embed.proj.weight", "image_encoder.neck.0.weight")
SAM_2_NAMES = (
    "image_encoder.trunk.patch_embed.proj.weight", "image_encoder.neck.convs.0.conv.weight",
    "memory_attention.layers.0.self_attn.q_proj.weight", "maskmem_tpos_enc", "no_mem_embed",
    "sam_mask_decoder.iou_token.weight", "sam_prompt_encoder.no_mask_embed.weight",
)  # fmt: skip

NAMES = {
    "SAM-HQ (HQ-SAM)": (*SAM, *VIT, "mask_decoder.hf_token.weight"),
    "SAM-HQ with a TinyViT (HQ-SAM light)": (
        *SAM, "image_encoder.patch_embed.seq.0.c.weight", "image_encoder.neck.0.weight",
        "mask_decoder.hf_token.weight",
    ),
    "SAM 2, or a model made from it": SAM_2_NAMES,
    "SAM 2.1, or a model made from it such as MedSAM2": (
        *SAM_2_NAMES, "no_obj_embed_spatial", "obj_ptr_tpos_proj.weight",
    ),
    "SAM 2, or a model made from it (Hugging Face)": (
        "vision_encoder.backbone.blocks.0.attn.qkv.weight", "vision_encoder.neck.convs.0.weight",
        "mask_decoder.iou_token.weight",
    ),
    "SAM 3": (
        "detector.backbone.vision_backbone.trunk.pos_embed",
        "tracker.sam_mask_decoder.iou_token.weight",
    ),
    "EfficientSAM": (*SAM, *VIT, "prompt_encoder.bbox_top_left_embeddings.weight"),
    "EdgeSAM": (
        *SAM, "image_encoder.features.1.token_mixer.0.conv1.c.weight", "image_encoder.neck.0.weight"
    ),
    "RepViT-SAM": (
        *SAM, "image_encoder.features.1.token_mixer.0.conv1.weight", "image_encoder.neck.0.weight"
    ),
    "MobileSAMv2's prompt-guided decoder": (
        "PromtEncoder.no_mask_embed.weight", "MaskDecoder.iou_token.weight",
    ),
    "EfficientViT-SAM": (*SAM, "image_encoder.backbone.stages.0.op_list.0.main.conv.weight"),
    "a YOLO, as FastSAM": ("model.0.conv.weight", "model.22.proto.cv1.conv.weight"),
    "Cellpose-SAM": ("encoder.patch_embed.proj.weight", "encoder.neck.0.weight", "out.weight", "W2",
                     "diam_labels", "diam_mean"),
    "Cellpose (versions 1 to 3)": (
        "downsample.down.res_down_0.conv.conv_0.0.weight", "output.0.weight", "diam_mean"
    ),
    "an nnU-Net": ("encoder.stages.0.0.convs.0.conv.weight", "decoder.transpconvs.0.weight"),
    "a SAM with the adapters of Medical SAM Adapter or finetune-SAM": (
        *SAM, *VIT, "image_encoder.blocks.0.MLP_Adapter.D_fc1.weight",
    ),
    "a SAM with the LoRA of finetune-SAM": (
        *SAM, *VIT, "image_encoder.blocks.0.attn.qkv.linear_a_q.weight",
    ),
    "a SAM with a LoRA of peft, not merged": (
        "base_model.model.image_encoder.blocks.0.attn.qkv.base_layer.weight",
        "base_model.model.image_encoder.blocks.0.attn.qkv.lora_A.default.weight",
        "base_model.model.image_encoder.neck.0.weight",
    ),
    "micro-sam's model for automatic segmentation alone (UNETR)": (
        "encoder.patch_embed.proj.weight", "encoder.neck.0.weight", "out_conv.weight",
        "base.block.1.weight", "deconv1.block.0.conv.weight",
    ),
    "a SAM's image encoder alone; load it into the SAM that it was finetuned from": VIT,
    "a SAM's image encoder alone": ("patch_embed.proj.weight", "blocks.0.norm1.weight",
                                    "neck.0.weight"),
    "a SAM's image encoder alone; load it": (
        "encoder.patch_embed.proj.weight", "encoder.blocks.0.norm1.weight", "encoder.neck.0.weight",
    ),
    "a SAM's image encoder alone; ": ("vision_encoder.neck.conv1.weight",),
    "a SAM without its mask decoder": (*VIT, "prompt_encoder.no_mask_embed.weight"),
    "a SAM without its prompt encoder": (*VIT, "mask_decoder.iou_token.weight"),
    "a SAM's mask decoder without its image encoder": ("mask_decoder.mask_tokens.weight",),
    "a SAM's mask decoder without its image encoder; ": (*SAM, "mask_decoder.iou_token.weight"),
    "CellViT": ("encoder.patch_embed.proj.weight", "nuclei_binary_map_decoder.0.weight"),
    "GroundingDINO": ("bert.embeddings.word_embeddings.weight",
                      "transformer.encoder.fusion_layers.0.gamma_v"),
    "a plain ViT": ("cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_another_network_is_refused_by_name(kind, prefix, tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "sam.safetensors"
    save_file({f"{prefix}{name}": np.ones(1, np.float32) for name in NAMES[kind]}, path)
    with pytest.raises(FormatError) as caught:
        read_checkpoint(path)
    assert f"sam.safetensors: holds {kind}" in str(caught.value)
    assert "; " in str(caught.value)


def test_other_networks_in_containers_are_refused_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    states = {
        "MobileSAMv2's prompt-guided decoder": {
            "PromtEncoder": {"no_mask_embed.weight": torch.ones(1)},
            "MaskDecoder": {"iou_token.weight": torch.ones(1)},
        },
        "SAM 2.1": {"model": dict.fromkeys([*SAM_2_NAMES, "no_obj_embed_spatial"], torch.ones(1))},
        "SAM-HQ": {"state_dict": dict.fromkeys(NAMES["SAM-HQ (HQ-SAM)"], torch.ones(1))},
    }
    for kind, content in states.items():
        torch.save(content, tmp_path / "a.pth")
        with pytest.raises(FormatError, match=f"holds {kind}"):
            read_checkpoint(tmp_path / "a.pth")


class SegmentationModel:
    """What ultralytics pickles as a whole."""


def test_a_pickled_yolo_is_called_one(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(SegmentationModel, "__module__", "ultralytics.nn.tasks")
    for name in ("ultralytics", "ultralytics.nn", "ultralytics.nn.tasks"):
        module = types.ModuleType(name)
        module.SegmentationModel = SegmentationModel  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    torch.save({"epoch": -1, "model": SegmentationModel(), "ema": None}, tmp_path / "FastSAM.pt")
    with pytest.raises(FormatError, match=r"'model': needs 'ultralytics.*it is a YOLO .*FastSAM"):
        read_checkpoint(tmp_path / "FastSAM.pt")


def test_classes_and_model_types_have_sentences():
    assert "save_pretrained" in described_class("transformers.models.sam.modeling_sam.SamModel")
    assert described_class("builtins.dict") == ""
    assert MODEL_TYPES["sam3"] == "SAM 3"


def test_a_sam_and_its_variants_are_not_refused(tmp_path):
    """The names of a real SAM fit no row."""
    for encoder in ("vit", "tiny_vit"):
        for ais in (False, True):
            names = tensor_shapes(tiny.make_config(encoder, ais=ais).architecture)
            refuse_other_networks(names, where="a")
            refuse_other_networks([f"sam.{name}" for name in names], where="a")
