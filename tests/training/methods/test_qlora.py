"""QLoRA: what is quantized, what trains, and that numpy knows what the network computes."""

import copy

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, MissingDependencyError
from samzoo.training import get_method
from samzoo.training.methods import qlora

torch = pytest.importorskip("torch")
pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-6
"""Relative; the same float32 products, summed by the same library."""

ALL_MATRICES = ["q", "k", "v", "proj", "mlp"]


def hyperparameters(**given):
    method = "late_qlora" if given.pop("late", False) else "qlora"
    return get_method(method).settings({"rank": 3, "matrices": ALL_MATRICES, **given})


def with_qlora(encoder="vit", **given):
    sam = tiny.make_sam(tiny.make_config(encoder))
    get_method("qlora").attach(sam.image_encoder, sam.config.architecture, hyperparameters(**given))
    return sam


def random_image():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("quantization", ["fp4", "nf4"])
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_the_network_computes_with_the_weights_that_numpy_knows(encoder, quantization):
    sam = with_qlora(encoder, quantization=quantization)
    plain = tiny.make_sam(tiny.make_config(encoder))
    before = plain.embed(random_image()).detach()
    with torch.no_grad():
        for name, value in plain.named_parameters():
            values = hyperparameters(quantization=quantization)
            value.copy_(torch.from_numpy(qlora.trained_base(name, value.numpy(), values)))
        expected = plain.embed(random_image())
        found = sam.embed(random_image())
    assert relative(found, expected) <= TOLERANCE
    assert relative(found, before) > 0.01


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_every_linear_layer_of_the_encoder_is_quantized_and_nothing_else(encoder):
    from bitsandbytes.nn.modules import Linear4bit

    sam, plain = with_qlora(encoder), tiny.make_sam(tiny.make_config(encoder))
    quantized = {
        f"{name}.weight" for name, layer in sam.named_modules() if isinstance(layer, Linear4bit)
    }
    linears = {
        f"image_encoder.{name}.weight"
        for name, layer in plain.image_encoder.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    assert quantized == linears
    weights = {name: value.detach().numpy() for name, value in plain.named_parameters()}
    rounded = {
        name
        for name, value in weights.items()
        if (qlora.trained_base(name, value, hyperparameters()) != value).any()
    }
    assert rounded == linears


def test_only_the_factors_train_and_they_and_the_biases_are_float32():
    from bitsandbytes.nn.modules import Params4bit

    sam = with_qlora("tiny_vit")
    sam.embed(random_image()).square().sum().backward()
    for name, value in sam.image_encoder.named_parameters():
        assert (value.grad is not None) == (".lora_" in name), name
        packed = isinstance(value, Params4bit)
        assert value.dtype == (torch.uint8 if packed else torch.float32), name


def test_late_forms_quantize_all_blocks_and_adapt_the_last_half():
    from bitsandbytes.nn.modules import Linear4bit

    sam = tiny.make_sam()
    method = get_method("late_qlora")
    values = method.resolved(hyperparameters(late=True), sam.config.architecture)
    method.attach(sam.image_encoder, sam.config.architecture, values)
    for index, block in enumerate(sam.image_encoder.blocks):
        assert isinstance(block.mlp.lin1, Linear4bit)
        assert hasattr(block.mlp.lin1, "lora_a") == (index == 1)


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_gradients_are_those_of_the_dequantized_network(encoder):
    sam = with_qlora(encoder)
    generator = torch.Generator().manual_seed(1)
    factors = {n: p for n, p in sam.image_encoder.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for value in factors.values():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.2)
    plain = tiny.make_sam(tiny.make_config(encoder))
    with torch.no_grad():
        for name, value in plain.named_parameters():
            known = qlora.trained_base(name, value.numpy(), hyperparameters())
            value.copy_(torch.from_numpy(known))
    lora = get_method("lora")
    settings = lora.settings({"rank": 3, "matrices": ALL_MATRICES})
    lora.attach(plain.image_encoder, plain.config.architecture, settings)
    others = dict(plain.image_encoder.named_parameters())
    with torch.no_grad():
        for name, value in factors.items():
            others[name].copy_(value)
    sam.embed(random_image()).square().mean().backward()
    plain.embed(random_image()).square().mean().backward()
    for name, value in factors.items():
        scale = float(others[name].grad.abs().max())
        assert float((value.grad - others[name].grad).abs().max()) <= 1e-5 * scale, name


def test_mixed_precision_trains_and_keeps_the_biases_in_float32():
    sam = with_qlora("tiny_vit")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sam.embed(random_image())
    found.float().square().mean().backward()
    layer = sam.image_encoder.layers[1].blocks[0].attn.qkv
    assert layer.bias.dtype == torch.float32
    assert layer.lora_a["q"].dtype == torch.float32
    assert bool(torch.isfinite(layer.lora_b["q"].grad).all())
    with torch.no_grad():
        assert relative(found.float(), sam.embed(random_image())) < 0.1


def test_evaluating_first_does_not_cut_the_gradients():
    # bitsandbytes' own layer repacks its weights in eval mode on some processors; after that no
    # gradient passes through it.
    sam = with_qlora()
    with torch.no_grad():
        before = sam.embed(random_image())
    sam.embed(random_image()).square().sum().backward()
    assert sam.image_encoder.blocks[0].attn.qkv.lora_b["q"].grad.abs().max() > 0
    with torch.no_grad():
        assert torch.equal(sam.embed(random_image()), before)


@pytest.mark.parametrize("shape", [(64, 48), (480, 160), (36, 12), (32, 64)])
def test_layers_whose_rows_are_no_multiple_of_a_block_are_right(shape):
    from samzoo.runtime.formats.four_bit import dequantize, quantize
    from samzoo.training.methods.four_bit_layers import FourBitLinear

    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(shape[1], shape[0])
    with torch.no_grad():
        linear.weight.copy_(torch.randn(shape, generator=generator))
    expected = dequantize(quantize(linear.weight.detach().numpy(), "fp4"))
    found = FourBitLinear(linear, "fp4").dequantized(torch.float32)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_layer_agrees_with_bitsandbytes_own():
    from bitsandbytes.nn.modules import Linear4bit

    from samzoo.training.methods.four_bit_layers import FourBitLinear

    linear = torch.nn.Linear(128, 64)
    theirs = Linear4bit(128, 64, quant_type="fp4")
    theirs.load_state_dict(linear.state_dict())
    theirs = theirs.to("cpu").train()
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    ours = FourBitLinear(linear, "fp4")
    with torch.no_grad():
        assert relative(ours(x), theirs(x)) <= TOLERANCE
    assert set(ours.state_dict()) == set(theirs.state_dict())


def test_a_layer_survives_copies_and_moves():
    from samzoo.training.methods.four_bit_layers import FourBitLinear

    layer = FourBitLinear(torch.nn.Linear(64, 32), "nf4")
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), expected)
    assert torch.equal(layer.to(memory_format=torch.channels_last)(x), expected)
    assert torch.equal(layer.to("cpu").float()(x), expected)


def test_an_unknown_quantization_is_refused():
    with pytest.raises(FormatError, match="quantization: found 'int8', allowed: 'fp4', 'nf4'"):
        hyperparameters(quantization="int8")


def test_without_bitsandbytes_the_error_names_the_extra(monkeypatch):
    import sys

    for name in [n for n in sys.modules if n == "bitsandbytes" or n.startswith("bitsandbytes.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delitem(sys.modules, "samzoo.training.methods.four_bit_layers", raising=False)
    with pytest.raises(MissingDependencyError, match=r"pip install '.*\[qlora\]'"):
        with_qlora()
