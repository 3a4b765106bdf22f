"""What an adapter changes in a mask decoder: small files, found again to rounding."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy
import tiny

from samzoo.runtime.engine.weight_changes import changed_graph
from samzoo.zoo.graphs.decoder_changes import changes_file

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

from samzoo.zoo.graphs.shared_graphs import stored  # noqa: E402
from samzoo.zoo.graphs.tracing import export_graphs  # noqa: E402


def graph_of(sam):
    return export_graphs(sam.eval(), precision="fp32", metadata={}, roles=["mask_decoder"])[
        "mask_decoder"
    ]


def pair(*, full=False):
    """A base's mask decoder, and one that differs in one layer and in small tensors."""
    config = tiny.make_config("vit")
    torch.manual_seed(0)
    base = tiny.make_sam(config)
    adapted = tiny.make_sam(dataclasses.replace(config))
    adapted.load_state_dict(base.state_dict())
    with torch.no_grad():
        layer = adapted.mask_decoder.transformer.layers[0].mlp.lin1
        rows, columns = layer.weight.shape
        layer.weight += torch.randn(rows, 2) @ torch.randn(2, columns) * 0.01
        adapted.mask_decoder.mask_tokens.weight += 0.1
        if full:
            for value in adapted.mask_decoder.parameters():
                value += torch.randn_like(value) * 0.01
    return graph_of(base), graph_of(adapted)


def weights(graph):
    tensors = onnx.load_from_string(graph).graph.initializer
    return {each.name: onnx.numpy_helper.to_array(each) for each in tensors}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_changed_graph_is_the_adapters_own(precision):
    base, adapted = pair()
    shared, expected = stored(base, precision), weights(stored(adapted, precision))
    data = changes_file(shared, base, adapted)
    assert data is not None
    assert len(data) < 0.1 * len(shared)
    found = weights(changed_graph(shared, data, where="changes"))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        # float16: the base's weight is rounded before the product is added, and the factors are.
        allowed = 1e-6 if precision == "fp32" else 2e-3
        scale = max(1.0, float(np.abs(value).max()))
        assert np.abs(found[name].astype(np.float64) - value).max() <= allowed * scale, name


def test_only_what_changes_is_stored():
    base, adapted = pair()
    data = changes_file(base, base, adapted)
    assert data is not None
    names = set(safetensors.numpy.load(data))
    assert sum(name.endswith((".a", ".b")) for name in names) == 2
    assert len(names) < 8


def test_a_decoder_that_changed_everywhere_is_not_stored_as_changes():
    base, adapted = pair(full=True)
    assert changes_file(base, base, adapted) is None


def test_a_shared_graph_of_another_base_takes_no_changes():
    base, adapted = pair()
    assert changes_file(adapted, base, adapted) is None
