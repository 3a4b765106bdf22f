"""Architectures read from weights against the configs that the weights were made with."""

from types import SimpleNamespace

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.architecture import (
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import (
    SAM_PIXEL_MEAN,
    SAM_PIXEL_STD,
    ModelConfig,
    Preprocessing,
)
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.images.intensity import to_0_255
from samzoo.zoo.checkpoints.detection import architecture_of, preprocessing_of, with_statistics

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SMALL_DECODER = MaskDecoderConfig(
    mask_in_chans=8,
    num_multimask_outputs=2,
    transformer_depth=1,
    transformer_mlp_dim=32,
    iou_head_depth=2,
    iou_head_hidden_dim=24,
)

ARCHITECTURES = {
    "vit_b": Architecture(image_encoder=VitConfig()),
    "vit_l": Architecture(
        image_encoder=VitConfig(
            embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)
        )
    ),
    "vit_h": Architecture(
        image_encoder=VitConfig(
            embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)
        )
    ),
    "tiny_vit_b": Architecture(
        image_encoder=VitConfig(
            image_size=64,
            embed_dim=32,
            depth=2,
            num_heads=4,
            mlp_ratio=2.0,
            window_size=2,
            global_attn_indexes=(1,),
        ),
        mask_decoder=SMALL_DECODER,
    ),
    "all blocks global": Architecture(
        image_encoder=VitConfig(
            image_size=32, patch_size=8, embed_dim=8, depth=1, num_heads=1, global_attn_indexes=(0,)
        )
    ),
    "lite_medsam": Architecture(image_encoder=TinyVitConfig()),
    "mobile_sam": Architecture(
        image_encoder=TinyVitConfig(image_size=1024, patch_kernel=3, patch_stride=2)
    ),
    "tiny_vit_21m": Architecture(
        image_encoder=TinyVitConfig(
            embed_dims=(96, 192, 384, 576), num_heads=(2, 6, 12, 18), window_sizes=(7, 7, 14, 7)
        )
    ),
    "two stages": Architecture(
        image_encoder=TinyVitConfig(
            image_size=128,
            embed_dims=(8, 16),
            depths=(1, 3),
            num_heads=(2, 4),
            window_sizes=(7, 5),
            strides=(2,),
            mlp_ratio=2.0,
            mbconv_expand_ratio=3.0,
        ),
        mask_decoder=SMALL_DECODER,
    ),
    "light decoder": Architecture(
        image_encoder=TinyVitConfig(), ais_decoder=LightDecoderConfig(channels=(7, 6, 5))
    ),
    "bilinear decoder": Architecture(
        image_encoder=VitConfig(), ais_decoder=UnetrDecoderConfig(features=(9, 8, 8, 4))
    ),
    "transposed decoder": Architecture(
        image_encoder=VitConfig(), ais_decoder=UnetrDecoderConfig(upsampling="transposed")
    ),
}


def shapes_of(architecture):
    """The names and shapes of a network's weights, without the weights."""
    from samzoo.training.networks.sam import Sam

    with torch.device("meta"):
        return dict(Sam(ModelConfig(architecture=architecture)).state_dict())


def with_shape(tensors, name, *shape):
    return {**tensors, name: SimpleNamespace(shape=shape)}


@pytest.fixture(scope="module")
def vit():
    return shapes_of(ARCHITECTURES["tiny_vit_b"])


@pytest.fixture(scope="module")
def tiny_vit():
    return shapes_of(ARCHITECTURES["two stages"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_is_recovered_from_shapes(name):
    architecture = ARCHITECTURES[name]
    assert architecture_of(shapes_of(architecture)) == architecture


@pytest.mark.parametrize("name", ["vit_b", "mobile_sam"])
def test_vit_and_mobile_sam_get_sams_pixel_statistics(name):
    preprocessing = preprocessing_of(ARCHITECTURES[name])
    assert preprocessing.intensity == "none"
    assert preprocessing.scale is None
    assert preprocessing.pixel_mean == SAM_PIXEL_MEAN
    assert preprocessing.pixel_std == SAM_PIXEL_STD


def test_lite_medsam_is_stretched_to_the_unit_range():
    preprocessing = preprocessing_of(ARCHITECTURES["lite_medsam"])
    assert (preprocessing.intensity, preprocessing.percentiles) == ("percentile", (0.1, 99.9))
    assert preprocessing.scale is None
    assert preprocessing.pixel_mean == (0.0, 0.0, 0.0)
    assert preprocessing.pixel_std == (255.0, 255.0, 255.0)


def test_one_pixel_does_not_matter_to_a_base_of_lite_medsam(rng):
    preprocessing = preprocessing_of(ARCHITECTURES["lite_medsam"])
    image = rng.integers(100, 900, (256, 256)).astype(np.uint16)
    expected = to_0_255(image, preprocessing)
    image[80, 90] = 65535
    found = to_0_255(image, preprocessing)
    assert found[80, 90, 0] == 255
    found[80, 90] = expected[80, 90]
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_micro_sams_models_stretch_their_images():
    preprocessing = preprocessing_of(ARCHITECTURES["bilinear decoder"])
    assert preprocessing.intensity == "min_max"
    assert preprocessing.pixel_mean == SAM_PIXEL_MEAN


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("out_conv.weight", (2, 64, 1, 1), r"found shape \(2, 64, 1, 1\).*\(3, 64, 1, 1\)"),
        ("deconv3.block.1.block.weight", (128, 128, 3, 3, 3), r"\(any, any, 3, 3\)"),
        (
            "deconv2.block.1.block.weight",
            (600, 5, 3, 3),
            "found 600 channels, allowed is at most the",
        ),
    ],
)
def test_odd_decoder_shape_is_refused(name, shape, message):
    tensors = with_shape(shapes_of(ARCHITECTURES["transposed decoder"]), f"ais_decoder.{name}",
                         *shape)  # fmt: skip
    with pytest.raises(FormatError, match=message):
        architecture_of(tensors)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["vision_encoder.pos_embed"], "'vision_encoder.pos_embed'"),
        (["module.image_encoder.blocks.0.norm1.weight"], "'module.image_encoder"),
        (["a\nb"], r"'a\\nb'"),
        ([], "no tensors"),
    ],
)
def test_unknown_network_is_refused_with_the_supported_ones(names, found):
    tensors = {name: SimpleNamespace(shape=(1,)) for name in names}
    with pytest.raises(FormatError, match=f"^sam.pth: .*{found}.*ViT.*TinyViT.*MobileSAM"):
        architecture_of(tensors, where="sam.pth")


@pytest.mark.parametrize(
    "name",
    [
        "image_encoder.pos_embed",
        "image_encoder.patch_embed.proj.weight",
        "image_encoder.blocks.1.attn.rel_pos_h",
        "image_encoder.neck.0.weight",
        "prompt_encoder.mask_downscaling.6.weight",
        "mask_decoder.mask_tokens.weight",
    ],
)
def test_missing_tensor_is_named(vit, name):
    tensors = {key: value for key, value in vit.items() if key != name}
    with pytest.raises(FormatError, match=f"lacks the tensor '{name}'"):
        architecture_of(tensors)


def test_gap_in_the_blocks_is_named(vit):
    tensors = {k: v for k, v in vit.items() if not k.startswith("image_encoder.blocks.0.")}
    with pytest.raises(FormatError, match=r"lacks image_encoder\.blocks\.0\.\* although there is"):
        architecture_of(tensors)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("image_encoder.pos_embed", (1, 4, 3, 32), "a grid of 4 x 3"),
        ("image_encoder.pos_embed", (1, 4, 4, 31), r"shape \(1, 4, 4, 31\).*\(1, any, any, 32\)"),
        ("image_encoder.pos_embed", (32,), r"shape \(32,\)"),
        ("image_encoder.pos_embed", (1, 0, 0, 32), r"shape \(1, 0, 0, 32\)"),
        ("image_encoder.patch_embed.proj.weight", (32, 3, 16, 8), "16 x 8"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (3, 5), "5 channels a head"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (4, 8), "4 offsets"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (9, 8), "9 offsets.*up to 7"),
        ("image_encoder.neck.0.weight", (128, 32, 1, 1), r"\(256, any, 1, 1\)"),
        ("mask_decoder.mask_tokens.weight", (1, 256), "1 tokens"),
    ],
)
def test_odd_vit_shape_is_refused(vit, name, shape, message):
    with pytest.raises(FormatError, match=f"{name}.*{message}"):
        architecture_of(with_shape(vit, name, *shape))


def test_two_window_sizes_are_refused():
    architecture = Architecture(
        image_encoder=VitConfig(
            image_size=64, embed_dim=8, depth=2, num_heads=1, window_size=2, global_attn_indexes=()
        )
    )
    name = "image_encoder.blocks.1.attn.rel_pos_h"
    with pytest.raises(FormatError, match=r"windows of 2, 3"):
        architecture_of(with_shape(shapes_of(architecture), name, 5, 8))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("image_encoder.patch_embed.seq.0.c.weight", (4, 3, 2, 2), "kernel of 2.*1 .*3 "),
        ("image_encoder.layers.1.blocks.0.attn.attention_biases", (4, 26), "26 offsets"),
        ("image_encoder.layers.1.blocks.0.attn.attention_biases", (4, 33**2), "1089 offsets"),
        ("image_encoder.layers.0.downsample.conv1.c.weight", (16, 9, 1, 1), r"\(any, 8, 1, 1\)"),
    ],
)
def test_odd_tiny_vit_shape_is_refused(tiny_vit, name, shape, message):
    with pytest.raises(FormatError, match=f"{name}.*{message}"):
        architecture_of(with_shape(tiny_vit, name, *shape))


SAMS = {"pixel_mean": np.array(SAM_PIXEL_MEAN), "pixel_std": np.array(SAM_PIXEL_STD)}
ZERO, ONE = np.zeros(3), np.ones(3)


@pytest.mark.parametrize(
    ("buffers", "mean", "std", "told"),
    [
        (SAMS, SAM_PIXEL_MEAN, SAM_PIXEL_STD, False),
        ({n: v.reshape(3, 1, 1) for n, v in SAMS.items()}, SAM_PIXEL_MEAN, SAM_PIXEL_STD, False),
        ({n: v.astype(np.float16) for n, v in SAMS.items()}, SAM_PIXEL_MEAN, SAM_PIXEL_STD, False),
        ({n: v / 255 for n, v in SAMS.items()}, SAM_PIXEL_MEAN, SAM_PIXEL_STD, False),
        ({"pixel_mean": SAMS["pixel_mean"]}, SAM_PIXEL_MEAN, SAM_PIXEL_STD, False),
        ({"pixel_mean": ZERO, "pixel_std": ONE}, (0, 0, 0), (255, 255, 255), True),
        ({"pixel_mean": 100 * ONE, "pixel_std": 50 * ONE}, (100,) * 3, (50,) * 3, True),
    ],
)
def test_a_files_own_pixel_statistics_are_used(buffers, mean, std, told, caplog):
    found = with_statistics(Preprocessing(), buffers, where="a.pth")
    assert (found.pixel_mean, found.pixel_std) == (mean, std)
    assert ("a.pth: has its own pixel statistics" in caplog.text) == told


def test_unusable_pixel_statistics_are_refused():
    for value, message in ((-50 * ONE, "positive values"), (np.ones(4), "3 values, found 4")):
        with pytest.raises(FormatError, match=f"a.pth: tensor 'pixel_std': expected {message}"):
            with_statistics(Preprocessing(), {"pixel_std": value}, where="a.pth")
