"""Reading of an ONNX file's summary, without loading or running the file.

In: the bytes of a stranger's file. Out: opset, domains, operators, inputs, outputs, and whether
weights lie in other files. This module reads only the fields that it needs, with bounds on depth
and number; onnxruntime checks the rest.

Source: ONNX 1.23, ``onnx.proto3``, for the field numbers; the protocol buffers wire format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field

from samzoo.runtime.budgets import MAX_GRAPH_DEPTH, MAX_GRAPH_FIELDS
from samzoo.runtime.errors import FormatError

Data = bytes | mmap.mmap
Span = tuple[int, int]
"""First byte of a message in the file, and the byte after its last."""

Shape = tuple[int | None, ...]

# Field numbers of the messages.
MODEL_IR, MODEL_GRAPH, MODEL_OPSET, MODEL_FUNCTIONS = 1, 7, 8, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE = 1, 5, 11, 12, 15
NODE_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES = 22, 23
TENSOR_SIDES, TENSOR_DTYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = (
    1, 2, 8, 9, 13, 14,
)  # fmt: skip
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR, TENSOR_ELEMENT, TENSOR_SHAPE, SHAPE_SIDE, SIDE_VALUE = 1, 1, 2, 1, 1

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class OnnxValue:
    """An input or output of a graph.

    Attributes:
        name: Its name.
        element: ONNX number of its element type; 0 if it is no tensor.
        shape: Its sides, None for a free one; None if the file does not say it.
    """

    name: str
    element: int = 0
    shape: Shape | None = None


@dataclass
class OnnxSummary:
    """The summary of an ONNX file.

    Attributes:
        ir_version: Version of the file format.
        opsets: Version by domain; the default domain is the empty text.
        operators: (domain, type) of all nodes, including those of inner graphs.
        has_external_data: Whether some weights lie in other files.
        has_functions: Whether the file defines operators of its own.
        inputs: Inputs of the outer graph, including those that have a default.
        outputs: Outputs of the outer graph.
        initializers: Names of the outer graph's tensors.
    """

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    has_external_data: bool = False
    has_functions: bool = False
    inputs: list[OnnxValue] = field(default_factory=list)
    outputs: list[OnnxValue] = field(default_factory=list)
    initializers: set[str] = field(default_factory=set)

    @property
    def required(self) -> list[OnnxValue]:
        """The inputs without a default."""
        return [value for value in self.inputs if value.name not in self.initializers]

    @property
    def optional(self) -> list[OnnxValue]:
        """The inputs with a default."""
        return [value for value in self.inputs if value.name in self.initializers]


def summarise(data: Data, *, where: str) -> OnnxSummary:
    """Read the summary of an ONNX file.

    Args:
        data: The file's bytes.
        where: The file, for messages.

    Raises:
        FormatError: The file is not an ONNX model, nests graphs too deeply, or has too many fields.
    """
    read = _Reading(data)
    try:
        read.model()
    except (IndexError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"{where}: not an ONNX model ({error})") from error
    if not read.found.ir_version or not read.found.opsets:
        raise FormatError(f"{where}: not an ONNX model (no version inside)")
    return read.found


@dataclass(frozen=True)
class RawTensor:
    """A tensor of the outer graph, as it is stored.

    Attributes:
        element: ONNX number of its element type.
        shape: Its sides.
        span: Where its values lie in the file, little-endian; empty if the file stores them in
            another way.
    """

    element: int
    shape: tuple[int, ...]
    span: Span


def raw_tensors(data: Data, *, where: str) -> dict[str, RawTensor]:
    """Read the tensors of an ONNX file's outer graph.

    Args:
        data: The bytes of a file that ``summarise`` has read.
        where: The file, for messages.

    Returns:
        The tensors by name.

    Raises:
        FormatError: The file is not an ONNX model, or has too many fields.
    """
    read = _Reading(data)
    try:
        return dict(
            read.raw(tensor)
            for number, graph in read.fields((0, len(data)))
            if number == MODEL_GRAPH and not isinstance(graph, int)
            for kind, tensor in read.fields(graph)
            if kind == GRAPH_INITIALIZER and not isinstance(tensor, int)
        )
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        raise FormatError(f"{where}: not an ONNX model ({error})") from error


class _Reading:
    """One pass over a file."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.left = MAX_GRAPH_FIELDS
        self.found = OnnxSummary()

    def model(self) -> None:
        found = self.found
        for number, value in self.fields((0, len(self.data))):
            if number == MODEL_IR and isinstance(value, int):
                found.ir_version = value
            elif isinstance(value, int):
                continue
            elif number == MODEL_OPSET:
                self.opset(value)
            elif number == MODEL_FUNCTIONS:
                found.has_functions = True
            elif number == MODEL_GRAPH:
                self.graph(value, 0)

    def opset(self, span: Span) -> None:
        domain, version = "", 0
        for number, value in self.fields(span):
            if number == OPSET_DOMAIN and not isinstance(value, int):
                domain = self.text(value)
            elif number == OPSET_VERSION and isinstance(value, int):
                version = value
        self.found.opsets[domain] = version

    def graph(self, span: Span, depth: int) -> None:
        if depth > MAX_GRAPH_DEPTH:
            raise ValueError(f"graphs nested more than {MAX_GRAPH_DEPTH} deep")
        for number, value in self.fields(span):
            if isinstance(value, int):
                continue
            if number == GRAPH_NODE:
                self.node(value, depth)
            elif number == GRAPH_INITIALIZER:
                name = self.tensor(value)
                if depth == 0:
                    self.found.initializers.add(name)
            elif number == GRAPH_SPARSE:
                self.sparse(value)
            elif number == GRAPH_INPUT and depth == 0:
                self.found.inputs.append(self.value(value))
            elif number == GRAPH_OUTPUT and depth == 0:
                self.found.outputs.append(self.value(value))

    def node(self, span: Span, depth: int) -> None:
        domain, kind = "", ""
        for number, value in self.fields(span):
            if isinstance(value, int):
                continue
            if number == NODE_TYPE:
                kind = self.text(value)
            elif number == NODE_DOMAIN:
                domain = self.text(value)
            elif number == NODE_ATTRIBUTE:
                self.attribute(value, depth)
        self.found.operators.add((domain, kind))

    def attribute(self, span: Span, depth: int) -> None:
        for number, value in self.fields(span):
            if isinstance(value, int):
                continue
            if number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                self.graph(value, depth + 1)
            elif number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                self.tensor(value)
            elif number in (ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES):
                self.sparse(value)

    def sparse(self, span: Span) -> None:
        for _, tensor in self.fields(span):
            if not isinstance(tensor, int):
                self.tensor(tensor)

    def tensor(self, span: Span) -> str:
        """Note whether a tensor's values lie elsewhere, and return its name."""
        name = ""
        for number, value in self.fields(span):
            if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
                self.found.has_external_data = True
            elif number == TENSOR_NAME and not isinstance(value, int):
                name = self.text(value)
        return name

    def raw(self, span: Span) -> tuple[str, RawTensor]:
        """Return a tensor's name and what is stored of it."""
        name, element, sides, values = "", 0, list[int](), (0, 0)
        for number, value in self.fields(span):
            if isinstance(value, int):
                if number == TENSOR_SIDES:
                    sides.append(value)
                elif number == TENSOR_DTYPE:
                    element = value
            elif number == TENSOR_NAME:
                name = self.text(value)
            elif number == TENSOR_RAW:
                values = value
            elif number == TENSOR_SIDES:  # packed into one field
                position, end = value
                while position < end:
                    side, position = _varint(self.data, position)
                    sides.append(side)
        return name, RawTensor(element, tuple(sides), values)

    def value(self, span: Span) -> OnnxValue:
        name, element, shape = "", 0, None
        for number, value in self.fields(span):
            if isinstance(value, int):
                continue
            if number == VALUE_NAME:
                name = self.text(value)
            elif number == VALUE_TYPE:
                for kind, inner in self.fields(value):
                    if kind == TYPE_TENSOR and not isinstance(inner, int):
                        element, shape = self.tensor_type(inner)
        return OnnxValue(name, element, shape)

    def tensor_type(self, span: Span) -> tuple[int, Shape | None]:
        element, shape = 0, None
        for number, value in self.fields(span):
            if number == TENSOR_ELEMENT and isinstance(value, int):
                element = value
            elif number == TENSOR_SHAPE and not isinstance(value, int):
                shape = tuple(
                    self.side(side)
                    for key, side in self.fields(value)
                    if key == SHAPE_SIDE and not isinstance(side, int)
                )
        return element, shape

    def side(self, span: Span) -> int | None:
        sizes = [value for number, value in self.fields(span) if number == SIDE_VALUE]
        return sizes[-1] if sizes and isinstance(sizes[-1], int) else None

    def text(self, span: Span) -> str:
        start, end = span
        return bytes(self.data[start : min(end, start + 256)]).decode("utf-8")

    def fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
        """Yield each field's number, with its value as a number or as the place of its bytes."""
        data = self.data
        position, end = span
        while position < end:
            self.left -= 1
            if self.left < 0:
                raise ValueError(f"more than {MAX_GRAPH_FIELDS} fields")
            tag = data[position]
            if tag < 0x80:  # nearly always; a call for each byte would double the time
                position += 1
            else:
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
            if position + length > end:
                raise ValueError("cut short")
            if kind == BYTES:
                yield number, (position, position + length)
            position += length


def _varint(data: Data, position: int) -> tuple[int, int]:
    byte = data[position]
    if byte < 0x80:
        return byte, position + 1
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 10 bytes")
