"""Reading of ONNX files from strangers: never a crash, never unbounded work."""

import numpy as np
import pytest
from onnx_bytes import field, nested, varint

from samzoo.runtime.engine import onnx_file
from samzoo.runtime.engine.onnx_file import OnnxValue, summarise
from samzoo.runtime.errors import FormatError


@pytest.fixture
def data(toy_package):
    return (toy_package / "onnx" / "mask_decoder.onnx").read_bytes()


def test_a_summary_has_inputs_outputs_and_versions(data):
    found = summarise(data, where="graph")
    assert (found.ir_version, found.opsets) == (8, {"": 17})
    assert found.required[1] == OnnxValue("point_coords", 1, (None, None, 2))
    assert [value.name for value in found.optional] == ["multimask_output"]
    assert [value.name for value in found.outputs] == ["masks", "iou_predictions", "low_res_masks"]
    assert not found.has_external_data
    assert not found.has_functions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "no version inside"),
        (lambda data: data[:-3], "cut short"),
        (lambda data: data + b"\x0f", "wire type 7"),
        (lambda data: data + field(7, b"\x0a" + varint(2**62)), "cut short"),
        (lambda data: data + b"\x08" + b"\xff" * 10, "a number of more than 10 bytes"),
        (lambda data: data + nested(13), "graphs nested more than 12 deep"),
        (lambda data: data + field(7, field(1, field(4, b"\xff\xfe"))), "codec can't decode"),
    ],
)
def test_damage_is_refused_by_name(data, change, message):
    with pytest.raises(FormatError, match=f"graph: not an ONNX model .*{message}"):
        summarise(change(data), where="graph")


def test_more_fields_than_any_graph_has_are_refused(data, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_GRAPH_FIELDS", 1000)
    with pytest.raises(FormatError, match="more than 1000 fields"):
        summarise(data + field(7, field(5, field(4, 1) * 1000)), where="graph")


def test_cut_or_flipped_graphs_never_crash_the_reader(data):
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data[: rng.integers(1, len(data))])
        for position in rng.integers(len(changed), size=3):
            changed[position] ^= 1 << int(rng.integers(8))
        try:
            summarise(bytes(changed), where="graph")
        except FormatError as error:
            assert "graph: not an ONNX model" in str(error)  # noqa: PT017
