"""The node that stands for an encoder while a graph around it is traced."""

import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.networks.encoder_stand_in import (  # noqa: E402
    EncoderBody,
    encoder_left_out,
)
from samzoo.training.networks.graphs import EncoderGraph  # noqa: E402


@torch.no_grad()
def test_the_encoder_does_not_run_while_it_is_left_out():
    sam = tiny.make_sam()
    graph, image = EncoderGraph(sam), torch.rand(64, 64, 3) * 255
    expected = graph(image)
    with encoder_left_out(graph, sam.config.grid):
        assert not graph(image).any()
        assert graph(image).shape == expected.shape
    assert torch.equal(graph(image), expected)


@torch.no_grad()
def test_the_encoder_comes_back_after_an_error():
    sam = tiny.make_sam()
    body = EncoderBody(sam)
    encoding = body.encoding
    with pytest.raises(KeyError), encoder_left_out(body, sam.config.grid):
        raise KeyError
    assert body.encoding is encoding


def test_the_trace_has_one_node_for_it_and_none_of_its_weights():
    onnx = pytest.importorskip("onnx")
    from samzoo.zoo.graphs.tracing import trace

    sam = tiny.make_sam()
    graph = EncoderGraph(sam)
    with encoder_left_out(graph, sam.config.grid):
        data = trace(
            graph, (torch.rand(48, 40, 3),), inputs=["x"], outputs=["y"],
            dynamic_axes={"x": {0: "height", 1: "width"}},
        )  # fmt: skip
    model = onnx.load_from_string(data)
    assert [node.domain for node in model.graph.node].count("samzoo") == 1
    assert not [t.name for t in model.graph.initializer if "image_encoder" in t.name]
