"""Changes of a graph's weights: what onnxruntime computes with, and what is refused."""

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
from onnx_bytes import field

from samzoo.runtime.engine.weight_changes import changed_graph
from samzoo.runtime.errors import FormatError

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((6, 4)).astype(np.float16)
BIAS = RNG.standard_normal(4).astype(np.float32)
X = RNG.standard_normal((3, 6)).astype(np.float32)
A, B = RNG.standard_normal((6, 2)), RNG.standard_normal((2, 4))


def tensor(name, value):
    """A field of a graph: a tensor in raw bytes."""
    sides = b"".join(field(1, side) for side in value.shape)
    element = {"float32": 1, "float16": 10, "int64": 7}[value.dtype.name]
    return field(5, sides + field(2, element) + field(8, name) + field(9, value.tobytes()))


def value(number, name, *sides):
    shape = b"".join(field(1, field(1, side)) for side in sides)
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, shape))))


def operator(kind, inputs, output, attributes=b""):
    names = b"".join(field(1, name) for name in inputs)
    return field(1, names + field(2, output) + field(4, kind) + attributes)


def make_graph():
    """``x @ float(weight) + bias``, with the weight stored as float16."""
    to_float = field(5, field(1, "to") + field(3, 1) + field(20, 2))
    body = (
        operator("Cast", ["weight"], "wide", to_float)
        + operator("MatMul", ["x", "wide"], "product")
        + operator("Add", ["product", "bias"], "y")
        + field(2, "graph")
        + tensor("weight", WEIGHT)
        + tensor("bias", BIAS)
        + tensor("count", np.zeros(1, np.int64))
        + value(11, "x", 3, 6)
        + value(12, "y", 3, 4)
    )
    return field(1, 8) + field(7, body) + field(8, field(1, "") + field(2, 17))


def changes(**tensors):
    named = {name.replace("_", "."): np.asarray(value) for name, value in tensors.items()}
    return safetensors.numpy.save(named)


def refused(**tensors):
    with pytest.raises(FormatError) as caught:
        changed_graph(make_graph(), changes(**tensors), where="changes.safetensors")
    return str(caught.value)


def run(graph):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph, options).run(None, {"x": X})[0]


def test_onnxruntime_computes_with_the_changed_tensors():
    a, b = A.astype(np.float16), B.astype(np.float16)
    graph = make_graph()
    found = changed_graph(graph, changes(weight_a=a, weight_b=b, bias=BIAS + 1), where="file")
    sums = WEIGHT.astype(np.float32) + a.astype(np.float32) @ b.astype(np.float32)
    expected = X @ sums.astype(np.float16).astype(np.float32) + BIAS + 1
    np.testing.assert_allclose(run(found), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(run(graph) - expected).max() > 0.1


def test_what_is_not_named_stays():
    graph = make_graph()
    assert changed_graph(graph, changes(), where="file") == graph
    moved = changed_graph(graph, changes(bias=BIAS + 1), where="file")
    assert len(moved) == len(graph)
    assert moved.replace((BIAS + 1).tobytes(), BIAS.tobytes()) == graph


def test_what_does_not_fit_the_graph_is_refused():
    assert "'other' is no tensor of this mask decoder" in refused(other=BIAS)
    assert "weight: one of its two factors is missing" in refused(weight_a=A)
    assert "found the shape (3,), the mask decoder has (4,)" in refused(bias=BIAS[:3])
    assert "found factors of (5, 2) and (2, 4)" in refused(weight_a=A[:5], weight_b=B)
    assert "found factors of (6, 1) and (2, 4)" in refused(weight_a=A[:, :1], weight_b=B)
    wide = {"weight_a": np.zeros((6, 5)), "weight_b": np.zeros((5, 4))}
    assert "factors of (6, 5)" in refused(**wide)
    assert "found it and factors" in refused(weight=WEIGHT, weight_a=A, weight_b=B)
    assert "element type 7" in refused(count=np.ones(1, np.int64))


def test_values_that_overflow_or_are_not_finite_are_refused():
    assert "not finite" in refused(weight_a=A * 1e6, weight_b=B)
    assert "not finite" in refused(bias=BIAS * np.nan)


def test_other_bytes_are_refused_by_the_files_name():
    with pytest.raises(FormatError, match=r"changes\.safetensors: not a safetensors file"):
        changed_graph(make_graph(), b"\x00" * 40, where="changes.safetensors")
