"""Shapes that follow from a config against those of the networks in torch."""

import pytest

from samzoo.runtime.formats.architecture import (
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.shapes import ais_decoder_shapes, tensor_shapes

SMALL_DECODER = MaskDecoderConfig(
    mask_in_chans=8,
    num_multimask_outputs=2,
    transformer_depth=1,
    transformer_mlp_dim=32,
    iou_head_depth=2,
    iou_head_hidden_dim=24,
)
VIT_L = VitConfig(embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23))
VIT_H = VitConfig(embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31))

ARCHITECTURES = {
    "vit_b": Architecture(image_encoder=VitConfig()),
    "vit_l, transposed": Architecture(
        image_encoder=VIT_L, ais_decoder=UnetrDecoderConfig(upsampling="transposed")
    ),
    "vit_h, bilinear": Architecture(image_encoder=VIT_H, ais_decoder=UnetrDecoderConfig()),
    "small": Architecture(
        image_encoder=VitConfig(
            image_size=64, patch_size=8, embed_dim=12, depth=3, num_heads=2, mlp_ratio=2.5,
            window_size=3, global_attn_indexes=(1,),
        ),
        mask_decoder=SMALL_DECODER,
        ais_decoder=UnetrDecoderConfig(features=(20, 14, 10, 6)),
    ),
    "lite_medsam": Architecture(
        image_encoder=TinyVitConfig(), ais_decoder=LightDecoderConfig()
    ),
    "mobile_sam": Architecture(
        image_encoder=TinyVitConfig(image_size=1024, patch_kernel=3, patch_stride=2)
    ),
    "two stages": Architecture(
        image_encoder=TinyVitConfig(
            image_size=128, embed_dims=(8, 14), depths=(1, 3), num_heads=(2, 7),
            window_sizes=(7, 5), strides=(2,), mlp_ratio=1.5, mbconv_expand_ratio=2.5,
        ),
        mask_decoder=MaskDecoderConfig(iou_head_depth=1),
        ais_decoder=UnetrDecoderConfig(features=(8, 7, 6, 5), upsampling="transposed"),
    ),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shapes_are_those_of_the_network(name):
    torch = pytest.importorskip("torch")
    from samzoo.training.networks.sam import Sam

    with torch.device("meta"):
        state = Sam(ModelConfig(architecture=ARCHITECTURES[name])).state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items()}
    assert tensor_shapes(ARCHITECTURES[name]) == expected


@pytest.mark.parametrize(
    ("upsampling", "parameters"), [("transposed", 11_028_931), ("bilinear", 9_591_235)]
)
def test_unetr_decoders_have_the_parameters_of_micro_sams(upsampling, parameters):
    shapes = ais_decoder_shapes(UnetrDecoderConfig(upsampling=upsampling))
    counted = 0
    for name, shape in shapes.items():
        if "running_" in name or name.endswith("num_batches_tracked"):
            continue
        count = 1
        for size in shape:
            count *= size
        counted += count
    assert (counted, len(shapes)) == (parameters, 66)
