"""Strangers' graphs: what breaks the contract never reaches onnxruntime, nor the cache."""

import pytest
from onnx_bytes import field, node

from samzoo.runtime import load
from samzoo.runtime.engine.graph_contract import check_graphs, graph_problems
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.manifest import Manifest


def body():
    """A loop's body: its condition goes out as it came in."""
    same = field(1, field(1, "c") + field(2, "d") + field(4, "Identity"))
    flag = field(2, field(1, field(1, 9) + field(2, b"")))
    count = field(2, field(1, field(1, 7) + field(2, b"")))
    return (
        same + field(2, "body") + field(11, field(1, "i") + count) + field(11, field(1, "c") + flag)
        + field(12, field(1, "d") + flag)
    )  # fmt: skip


def endless():
    """A ``Loop`` of 2^62 turns, whose number of turns is a constant of the graph."""
    turns = field(
        5, field(1, 1) + field(2, 7) + field(8, "turns") + field(9, (2**62).to_bytes(8, "little"))
    )
    go = field(5, field(1, 1) + field(2, 9) + field(8, "go") + field(9, b"\x01"))
    attribute = field(5, field(1, "body") + field(20, 5) + field(6, body()))
    loop = field(1, field(1, "turns") + field(1, "go") + field(4, "Loop") + attribute)
    return field(7, turns + go + loop)


FLOAT_VALUE = field(2, field(1, field(1, 1) + field(2, field(1, field(1, 3)))))
HOSTILE = {
    "a loop": (endless(), r"operators: found \['Loop'\]"),
    "a scan": (node("Scan"), r"operators: found \['Scan'\]"),
    "a loop in a branch": (
        node("If", attributes=field(5, field(6, field(1, field(4, "Loop"))))), "'Loop'"
    ),
    "another domain": (
        node("Relu", domain="evil") + field(8, field(1, "evil") + field(2, 1)), "domains: found"
    ),
    "a domain that is not declared": (node("Relu", domain="evil"), "operators of the domains"),
    "its own functions": (field(25, field(1, "Relu")), "functions: defines operators"),
    "a later opset": (field(8, field(1, "") + field(2, 999)), "opset 999 and IR 8"),
    "a later format": (field(1, 99), "opset 17 and IR 99"),
    "weights outside": (
        field(7, field(5, field(8, "w") + field(14, 1) + field(13, field(1, "location")))),
        "has weights in other files",
    ),
    "a sparse tensor outside": (
        field(7, field(15, field(1, field(14, 1)))), "has weights in other files"
    ),
    "a constant outside": (
        node("Constant", attributes=field(5, field(5, field(14, 1)))), "has weights in other files"
    ),
    "one more input": (field(7, field(11, field(1, "x") + FLOAT_VALUE)), "inputs and outputs"),
    "one more output": (field(7, field(12, field(1, "x") + FLOAT_VALUE)), "inputs and outputs"),
}  # fmt: skip


@pytest.mark.parametrize(("added", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_graph_is_refused_before_it_is_loaded(
    make_package, toy_package, tmp_path, discs, added, message
):
    good = (toy_package / "onnx" / "encoder.onnx").read_bytes()
    folder = make_package(tmp_path / "package", graphs={"encoder": good + added})
    with pytest.raises(FormatError, match=rf"package/onnx/encoder\.onnx: .*{message}"):
        load(folder).segment(discs((64, 64), [(20, 20)]))
    with pytest.raises(FormatError, match=rf"package/onnx/encoder\.onnx: .*{message}"):
        check_graphs(folder, Manifest.read(folder))


def test_an_unknown_optional_input_is_found(toy_package, toy_config):
    graph = (toy_package / "onnx" / "ais_decoder.onnx").read_bytes()
    added = field(7, field(11, field(1, "x") + FLOAT_VALUE) + field(5, field(8, "x")))
    found = graph_problems(graph + added, "ais_decoder", toy_config(), where="graph")
    assert found == ["graph: unknown optional inputs ['x']"]


@pytest.mark.parametrize("role", ["encoder", "mask_decoder", "ais_decoder"])
def test_the_graphs_of_a_package_fit_their_contract(toy_package, toy_config, role):
    graph = (toy_package / "onnx" / f"{role}.onnx").read_bytes()
    assert graph_problems(graph, role, toy_config(), where="graph") == []


def test_shapes_are_those_of_the_config(toy_package, toy_config):
    import dataclasses

    config = toy_config()
    wider = dataclasses.replace(config.architecture.image_encoder, image_size=128)
    other = dataclasses.replace(
        config, architecture=dataclasses.replace(config.architecture, image_encoder=wider)
    )
    graph = (toy_package / "onnx" / "mask_decoder.onnx").read_bytes()
    found = graph_problems(graph, "mask_decoder", other, where="graph")
    assert found[0] == (
        "graph: image_embeddings: shape (1, 256, 16, 16), expected (1, 256, 32, 32)"
    )


def test_an_empty_graph_is_refused(make_package, tmp_path):
    folder = make_package(tmp_path / "package", graphs={"encoder": b""})
    with pytest.raises(FormatError, match=r"encoder\.onnx: not an ONNX model"):
        check_graphs(folder, Manifest.read(folder))
