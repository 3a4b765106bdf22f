"""Protocol buffers by hand, so that hostile graphs need no package onnx."""


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    """A field of a message: a number, a text, or the bytes of an inner message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(kind, *, domain="", attributes=b""):
    return field(7, field(1, field(4, kind) + field(7, domain) + attributes))


def nested(depth):
    """A node with a graph in it, that has a node with a graph in it, and so on."""
    inner = b""
    for _ in range(depth):
        inner = field(1, field(4, "If") + field(5, field(6, inner)))
    return field(7, inner)
