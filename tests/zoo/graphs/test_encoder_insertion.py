"""An encoder in the place of the node that stood for it."""

import numpy as np
import pytest

from samzoo.zoo.graphs.encoder_insertion import insert_encoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.onnx

OPERATOR = "samzoo::ImageEncoder"


def graph(nodes, given, result, **weights):
    """A model of a vector of two numbers; nodes are (operator, inputs, output)."""
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    made = [
        helper.make_node(
            kind.rpartition(":")[2],
            inputs,
            [output],
            name=f"node of {output}",
            domain=kind.rpartition("::")[0],
        )
        for kind, inputs, output in nodes
    ]
    made_graph = helper.make_graph(
        made, "graph",
        [helper.make_tensor_value_info(given, numbers, [2])],
        [helper.make_tensor_value_info(result, numbers, [2])],
        [onnx.numpy_helper.from_array(np.float32(v), name) for name, v in weights.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("samzoo", 1)]
    return helper.make_model(made_graph, opset_imports=opsets, ir_version=8)


def run(model, value):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: np.array(value, np.float32)})[0]


def test_values_of_equal_names_are_not_mixed_up():
    """Both graphs have a weight "w", a value "t" and an output "y"."""
    around = graph(
        [("Mul", ["x", "w"], "t"), (OPERATOR, ["t"], "e"), ("Add", ["e", "w"], "y")],
        "x", "y", w=[2, 3],
    )  # fmt: skip
    encoder = graph(
        [("Add", ["x", "w"], "t"), ("Mul", ["t", "v"], "y")], "x", "y", w=[10, 20], v=[5, 7]
    )
    insert_encoder(around, encoder, OPERATOR)
    np.testing.assert_array_equal(run(around, [1, 1]), [(1 * 2 + 10) * 5 + 2, (1 * 3 + 20) * 7 + 3])
    assert [each.domain for each in around.opset_import] == [""]
    assert {tensor.name for tensor in around.graph.initializer} == {"w", "encoder/w", "v"}
    assert not encoder.graph.node  # its weights are not held twice


def test_an_encoder_may_end_the_graph():
    around = graph([("Mul", ["x", "w"], "t"), (OPERATOR, ["t"], "y")], "x", "y", w=[2, 3])
    encoder = graph([("Add", ["a", "w"], "b")], "a", "b", w=[10, 20])
    insert_encoder(around, encoder, OPERATOR)
    np.testing.assert_array_equal(run(around, [1, 1]), [12, 23])


def test_a_graph_without_the_node_is_not_changed_by_mistake():
    around = graph([("Mul", ["x", "w"], "y")], "x", "y", w=[2, 3])
    with pytest.raises(ValueError, match="unpack"):
        insert_encoder(around, graph([("Neg", ["a"], "b")], "a", "b"), OPERATOR)
