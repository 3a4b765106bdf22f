"""Reading of an ONNX file's summary, without loading or running the file.

In: the bytes of a file from a stranger. Out: opset, domains, operators, and whether weights lie in
other files. This module reads only the fields that it needs, with bounds on depth and size;
onnxruntime checks the rest.

Source: ONNX 1.23, ``onnx.proto3``, for the field numbers; the protocol buffers wire format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from samzoo.runtime.errors import FormatError

MAX_DEPTH = 12
"""Largest depth of graphs inside nodes (own choice; our graphs have none)."""

# Field numbers of the messages.
MODEL_IR, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass
class OnnxSummary:
    """The summary of an ONNX file.

    Attributes:
        ir_version: Version of the file format.
        opsets: Version by domain; the default domain is the empty text.
        operators: (domain, type) of all nodes, including those of inner graphs.
        has_external_data: Whether some weights lie in other files.
    """

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    has_external_data: bool = False


def summarise(data: bytes, *, where: str) -> OnnxSummary:
    """Read the summary of an ONNX file.

    Args:
        data: The file's bytes.
        where: The file, for messages.

    Raises:
        FormatError: The file is not an ONNX model, or nests graphs too deeply.
    """
    found = OnnxSummary()
    try:
        for number, value in _fields(memoryview(data)):
            if number == MODEL_IR and isinstance(value, int):
                found.ir_version = value
            elif number == MODEL_OPSET and not isinstance(value, int):
                domain, version = "", 0
                for key, item in _fields(value):
                    if key == OPSET_DOMAIN and not isinstance(item, int):
                        domain = _text(item)
                    elif key == OPSET_VERSION and isinstance(item, int):
                        version = item
                found.opsets[domain] = version
            elif number == MODEL_GRAPH and not isinstance(value, int):
                _read_graph(value, found, 0)
    except (IndexError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"{where}: not an ONNX model ({error})") from error
    if not found.ir_version or not found.opsets:
        raise FormatError(f"{where}: not an ONNX model (no version inside)")
    return found


def _read_graph(graph: memoryview, found: OnnxSummary, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"graphs nested more than {MAX_DEPTH} deep")
    for number, value in _fields(graph):
        if isinstance(value, int):
            continue
        if number == GRAPH_NODE:
            _read_node(value, found, depth)
        elif number == GRAPH_INITIALIZER:
            _read_tensor(value, found)
        elif number == GRAPH_SPARSE:
            for _, tensor in _fields(value):
                if not isinstance(tensor, int):
                    _read_tensor(tensor, found)


def _read_node(node: memoryview, found: OnnxSummary, depth: int) -> None:
    domain, kind = "", ""
    for number, value in _fields(node):
        if isinstance(value, int):
            continue
        if number == NODE_TYPE:
            kind = _text(value)
        elif number == NODE_DOMAIN:
            domain = _text(value)
        elif number == NODE_ATTRIBUTE:
            for key, item in _fields(value):
                if isinstance(item, int):
                    continue
                if key in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    _read_graph(item, found, depth + 1)
                elif key in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                    _read_tensor(item, found)
    found.operators.add((domain, kind))


def _read_tensor(tensor: memoryview, found: OnnxSummary) -> None:
    for number, value in _fields(tensor):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            found.has_external_data = True


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number, with its value as a number or as bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = _varint(data, position)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(data):
            raise ValueError("cut short")
        if kind == BYTES:
            yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 10 bytes")


def _text(data: memoryview) -> str:
    return bytes(data[:256]).decode("utf-8")
