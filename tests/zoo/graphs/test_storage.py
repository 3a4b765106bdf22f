"""Weights stored in 8 bits: no further off than half a level, and nothing else changes."""

import numpy as np
import pytest
import tiny

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
pytestmark = [pytest.mark.onnx, pytest.mark.torch]

import onnxruntime  # noqa: E402

from samzoo.runtime.formats.manifest import ENCODER, MASK_DECODER  # noqa: E402
from samzoo.zoo.graphs.storage import LEVELS, MIN_BYTES, round_to_int8  # noqa: E402
from samzoo.zoo.graphs.tracing import export_graphs  # noqa: E402

TOLERANCE = 0.02
"""Relative distance of embeddings; up to 0.008 was found."""


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_rounding_is_off_by_half_a_level_of_its_channel(axis):
    rng = np.random.default_rng(0)
    value = rng.normal(size=(7, 5, 3)).astype(np.float32) * np.float32(10) ** rng.integers(-3, 4, 3)
    levels, scale = round_to_int8(value, axis)
    assert levels.dtype == np.int8
    assert np.abs(levels.astype(int)).max() == LEVELS
    assert np.all(np.abs(levels * scale - value) <= scale * (0.5 + 1e-5))
    others = tuple(i for i in range(3) if i != axis % 3)
    np.testing.assert_array_equal(np.abs(levels.astype(int)).max(axis=others), LEVELS)


def test_a_channel_of_zeros_stays_zero():
    levels, scale = round_to_int8(np.zeros((2, 3), np.float32), 0)
    np.testing.assert_array_equal(levels * scale, 0)


@pytest.mark.parametrize("kind", ["vit", "tiny_vit"])
def test_a_package_s_graphs_shrink_and_compute_in_float32(kind):
    sam = tiny.make_sam(tiny.make_config(kind))
    full = export_graphs(sam, precision="fp32", metadata={})
    small = export_graphs(sam, precision="int8-weights", metadata={})
    image = np.random.default_rng(0).uniform(0, 255, (50, 64, 3)).astype(np.float32)
    found, expected = (
        onnxruntime.InferenceSession(graphs[ENCODER], providers=["CPUExecutionProvider"]).run(
            None, {"input_image": image}
        )[0]
        for graphs in (small, full)
    )
    assert found.dtype == np.float32
    distance = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 0 < distance < TOLERANCE
    assert len(small[MASK_DECODER]) < 0.4 * len(full[MASK_DECODER])
    for graph in small.values():
        model = onnx.load_from_string(graph)
        assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 17)}
        used = {name for node in model.graph.node for name in node.input}
        for tensor in model.graph.initializer:
            assert tensor.name in used
            if len(tensor.raw_data) >= 4 * MIN_BYTES:
                assert tensor.data_type != onnx.TensorProto.FLOAT, tensor.name


def test_each_output_channel_has_its_own_scale():
    """A channel a thousand times smaller than the others keeps its digits."""
    import torch

    sam = tiny.make_sam(tiny.make_config("vit"))
    linear = sam.mask_decoder.transformer.layers[0].mlp.lin1
    with torch.no_grad():
        linear.weight[0] *= 1e-3
    graph = onnx.load_from_string(
        export_graphs(sam, precision="int8-weights", metadata={})[MASK_DECODER]
    )
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in graph.graph.initializer}
    wanted = linear.weight.detach().numpy()
    levels = np.abs(wanted).max() / LEVELS
    stored = [
        arrays[name] * arrays[name.removesuffix("_int8") + "_scale"]
        for name, array in arrays.items()
        if array.dtype == np.int8
    ]
    found = [
        weight
        for array in stored
        for weight in (array, array.T)
        if weight.shape == wanted.shape and np.abs(weight - wanted).max() <= levels
    ]
    assert len(found) == 1
    assert np.abs(found[0][0] - wanted[0]).max() <= np.abs(wanted[0]).max() / LEVELS
