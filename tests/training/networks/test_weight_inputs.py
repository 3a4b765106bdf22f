"""Factors as inputs of an encoder graph: the network computes with the sum of both."""

import pytest
import tiny

from samzoo.training.methods.layers import linear_layers
from samzoo.training.methods.lora import MATRICES

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-6
"""Relative; the same sums in the same order, but for the product's."""

IMAGE = torch.rand(40, 52, 3, generator=torch.Generator().manual_seed(0)) * 255


def layers_of(sam):
    config = sam.config.architecture.image_encoder
    return [name for name, _ in linear_layers(config, MATRICES, None)]


def with_factors(sam):
    from samzoo.training.networks.graphs import EncoderGraph
    from samzoo.training.networks.weight_inputs import EncoderWithFactors

    return EncoderWithFactors(EncoderGraph(sam), sam.image_encoder, layers_of(sam)).eval()


def random_factors(sam, rank, seed=0):
    generator = torch.Generator().manual_seed(seed)
    factors = []
    for layer in layers_of(sam):
        outputs, inputs = sam.image_encoder.get_submodule(layer).weight.shape
        factors += [torch.randn(inputs, rank, generator=generator) * 0.3,
                    torch.randn(rank, outputs, generator=generator) * 0.3]  # fmt: skip
    return factors


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@torch.no_grad()
def test_the_graph_computes_with_weights_plus_products(encoder):
    from samzoo.training.networks.graphs import EncoderGraph

    changed, sam = (tiny.make_sam(tiny.make_config(encoder)) for _ in range(2))
    plain = EncoderGraph(sam)(IMAGE)
    adapted = with_factors(sam)
    for rank in (3, 1):
        factors = random_factors(changed, rank)
        other = tiny.make_sam(tiny.make_config(encoder))
        for i, layer in enumerate(layers_of(other)):
            weight = other.image_encoder.get_submodule(layer).weight
            weight += (factors[2 * i] @ factors[2 * i + 1]).T
        expected = EncoderGraph(other)(IMAGE)
        found = adapted(IMAGE, *factors)
        assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())
        assert float((found - plain).abs().max()) > 0.1


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@torch.no_grad()
def test_factors_of_rank_0_change_nothing(encoder):
    from samzoo.training.networks.graphs import EncoderGraph

    sam = tiny.make_sam(tiny.make_config(encoder))
    expected = EncoderGraph(sam)(IMAGE)
    assert torch.equal(with_factors(sam)(IMAGE, *random_factors(sam, 0)), expected)


@pytest.mark.onnx
def test_a_graph_that_leaves_a_weight_out_is_not_exported():
    onnx = pytest.importorskip("onnx")
    from samzoo.zoo.graphs.factor_inputs import with_defaults

    value = onnx.helper.make_tensor_value_info("input_image", 1, [1])
    node = onnx.helper.make_node("Identity", ["input_image"], ["y"])
    output = onnx.helper.make_tensor_value_info("y", 1, [1])
    graph = onnx.helper.make_graph([node], "g", [value], [output])
    data = onnx.helper.make_model(graph).SerializeToString()
    with pytest.raises(AssertionError, match=r"its inputs \['x.lora_a'\]"):
        with_defaults(data, {"x.lora_a": (3, 0)})
