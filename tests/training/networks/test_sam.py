"""``Sam`` against segment-anything's own, and the checks on weights."""

import dataclasses
import json

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import write_tensors

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def sam():
    return tiny.make_sam()


@pytest.fixture(scope="module")
def original(sam):
    return tiny.make_original(sam)


def random_image(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 255


def test_weight_names_are_those_of_segment_anything(sam, original):
    ours = {name: value.shape for name, value in sam.state_dict().items()}
    ais = {name for name in ours if name.startswith("ais_decoder.")}
    assert ais
    theirs = {name: value.shape for name, value in original.state_dict().items()}
    assert {name: shape for name, shape in ours.items() if name not in ais} == theirs


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (64, 40), (33, 64), (1, 64)])
def test_embeddings_equal_those_of_segment_anything(sam, original, size):
    image = random_image(*size)
    expected = original.image_encoder(original.preprocess(image))
    # Attention in pieces: the last bits differ, see test_vit.py.
    difference = (sam.embed(image) - expected).abs().max()
    assert float(difference) < 1e-5 * float(expected.abs().max())


DECODER_TOLERANCE = 1e-5
"""Of the largest value: sums run in another order, see ``test_mask_decoding.py``."""


@torch.no_grad()
@pytest.mark.parametrize("multimask", [False, True])
def test_decoded_prompts_equal_those_of_segment_anything(sam, original, multimask):
    embeddings = sam.embed(random_image(64, 64))
    points = (
        torch.tensor([[[3.0, 5.0], [20.0, 9.0]], [[40.0, 5.0], [9.0, 60.0]]]),
        torch.tensor([[1, 0], [1, 1]]),
    )
    boxes = torch.tensor([[2.0, 4.0, 50.0, 60.0], [10.0, 10.0, 20.0, 30.0]])
    mask = torch.linspace(-5, 5, 2 * 32 * 32).view(2, 1, 32, 32)
    for p, b, m in ((points, None, None), (None, boxes, None), (points, boxes, mask)):
        sparse, dense = original.prompt_encoder(points=p, boxes=b, masks=m)
        expected = original.mask_decoder(
            image_embeddings=embeddings,
            image_pe=original.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        found = sam.decode(embeddings, points=p, boxes=b, mask_input=m, multimask_output=multimask)
        for ours, theirs in zip(found, expected, strict=True):
            assert float((ours - theirs).abs().max() / theirs.abs().max()) < DECODER_TOLERANCE


@torch.no_grad()
def test_gamma_acts_on_intensities_before_the_statistics():
    preprocess = tiny.make_sam(tiny.make_config(gamma=0.5)).preprocess
    plain = tiny.make_sam().preprocess
    image = random_image(64, 48)
    expected = plain(255 * (image / 255) ** 0.5)
    torch.testing.assert_close(preprocess(image), expected)
    assert torch.equal(preprocess(image - 300), plain(image * 0))  # negative counts as black


@torch.no_grad()
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_load_sam_gives_back_what_was_written(tmp_path, encoder):
    from samzoo.training.networks.sam import load_sam

    sam = tiny.make_sam(tiny.make_config(encoder))
    loaded = load_sam(tiny.write_base(tmp_path / "base", sam))
    assert not loaded.training
    assert loaded.config == sam.config
    image = random_image(64, 64)
    assert torch.equal(loaded.embed(image), sam.embed(image))


def test_load_sam_refuses_weights_of_another_config(sam, tmp_path):
    from samzoo.training.networks.sam import load_sam, weights_of

    folder = tiny.write_base(tmp_path / "base", sam)
    tensors = weights_of(sam)
    tensors["mask_decoder.iou_token.weight"] += 1
    write_tensors(folder / "model.safetensors", tensors, {})
    with pytest.raises(FormatError, match="do not belong together"):
        load_sam(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(NotFoundError, match=r"model.safetensors"):
        load_sam(folder)


def test_load_sam_refuses_an_unknown_key_of_the_config(sam, tmp_path):
    from samzoo.training.networks.sam import load_sam

    folder = tiny.write_base(tmp_path / "base", sam)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "extra": 1}))
    with pytest.raises(FormatError, match="unknown key 'extra'"):
        load_sam(folder)


def test_load_weights_names_a_missing_tensor(sam):
    from samzoo.training.networks.sam import load_weights, weights_of

    tensors = weights_of(sam)
    del tensors["image_encoder.pos_embed"]
    with pytest.raises(FormatError, match=r"x: lacks 'image_encoder.pos_embed' \(1 missing, 0 un"):
        load_weights(sam, tensors, where="x")


def test_load_weights_names_an_unknown_tensor(sam):
    from samzoo.training.networks.sam import load_weights, weights_of

    tensors = {**weights_of(sam), "extra": np.zeros(1)}
    with pytest.raises(FormatError, match=r"x: has unknown 'extra' \(0 missing, 1 unknown"):
        load_weights(sam, tensors, where="x")


def test_load_weights_names_a_wrong_shape_even_where_it_would_broadcast(sam):
    from samzoo.training.networks.sam import load_weights, weights_of

    tensors = weights_of(sam)
    tensors["image_encoder.blocks.0.norm1.weight"] = np.ones(1, np.float32)
    with pytest.raises(FormatError, match=r"has shape \(1,\), the config asks for \(16,\)"):
        load_weights(sam, tensors, where="x")


def test_weights_stored_as_float16_become_float32(sam):
    from samzoo.training.networks.sam import load_weights, weights_of

    halves = {
        name: value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in weights_of(sam).items()
    }
    other = tiny.make_sam(seed=1)
    load_weights(other, halves, where="x")
    for name, value in other.state_dict().items():
        assert value.dtype == sam.state_dict()[name].dtype
        np.testing.assert_array_equal(value.numpy(), halves[name].astype(value.numpy().dtype))


def test_weights_of_are_copies(sam):
    from samzoo.training.networks.sam import weights_of

    weights_of(sam)["image_encoder.pos_embed"][:] = 0
    assert sam.image_encoder.pos_embed.abs().min() > 0


def test_no_weight_of_the_tiny_sams_is_zero_or_one_throughout():
    for encoder in tiny.ENCODERS:
        for name, value in tiny.make_sam(tiny.make_config(encoder)).state_dict().items():
            if value.is_floating_point() and value.numel() > 1:
                assert value.std() > 0, name


@torch.no_grad()
def test_ais_decoder_maps_are_four_times_the_grid_and_lie_in_0_to_1(sam):
    maps = sam.ais_decoder(sam.embed(random_image(64, 64)))
    assert maps.shape == (1, 3, 32, 32)
    assert 0 <= float(maps.min()) < float(maps.max()) <= 1


def test_layer_norm_eps_acts_in_the_layers_of_the_mask_decoder_alone():
    """Hugging Face's 1e-6; the norm after the last layer keeps 1e-5, as in segment-anything."""
    from samzoo.training.networks.sam import Sam

    config = tiny.make_config(ais=False)
    decoder = dataclasses.replace(config.architecture.mask_decoder, layer_norm_eps=1e-6)
    architecture = dataclasses.replace(config.architecture, mask_decoder=decoder)
    sam = Sam(dataclasses.replace(config, architecture=architecture))
    norms = {
        name: module.eps
        for name, module in sam.mask_decoder.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    }
    assert norms.pop("transformer.norm_final_attn") == 1e-5
    assert norms
    assert set(norms.values()) == {1e-6}


def test_weights_are_held_once():
    from samzoo.training.networks.sam import held_once, load_weights, weights_of

    sam = tiny.make_sam()
    given = weights_of(sam)
    half = "mask_decoder.iou_token.weight"
    given[half] = given[half].astype(np.float16)
    load_weights(sam, given, where="test")
    found = held_once(sam, given)
    assert found.keys() == given.keys()
    state = sam.state_dict()
    for name, value in found.items():
        assert value.dtype == given[name].dtype
        np.testing.assert_array_equal(value, given[name])
        assert np.shares_memory(value, state[name].numpy()) == (name != half)
