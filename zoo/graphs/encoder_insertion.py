"""The image encoder put into a graph that was traced without it.

In: an ONNX model with one node that stands for the encoder, and the encoder as a model of its own.
Out: the model with the encoder's nodes and weights in the node's place.
"""

from __future__ import annotations

from typing import Any

PREFIX = "encoder/"
"""Begins the names of the encoder's values, which another trace may have given to others."""


def insert_encoder(model: Any, encoder: Any, operator: str) -> None:
    """Replace the node that stands for an encoder.

    Args:
        model: An ``onnx.ModelProto`` with exactly one such node; it is changed.
        encoder: The encoder's ``ModelProto``, of one input and one output. It is emptied, since its
            weights may take gigabytes.
        operator: Domain and name of the node's operator, ``domain::Name``.
    """
    domain, _, kind = operator.partition("::")
    nodes = list(model.graph.node)
    (index,) = (i for i, node in enumerate(nodes) if (node.domain, node.op_type) == (domain, kind))
    place = nodes[index]
    (given,), (result,) = encoder.graph.input, encoder.graph.output
    names = {given.name: place.input[0], result.name: place.output[0], "": ""}
    weights = encoder.graph.initializer
    taken = {tensor.name for tensor in model.graph.initializer}
    taken.update(name for node in nodes for name in (*node.input, *node.output))
    # Weights keep their names, so that they are found in the file.
    names.update((tensor.name, tensor.name) for tensor in weights if tensor.name not in taken)
    for node in encoder.graph.node:
        assert not any(field.HasField("g") for field in node.attribute), "a graph inside a node"
        node.name = PREFIX + node.name
        node.input[:] = [names.get(name, PREFIX + name) for name in node.input]
        node.output[:] = [names.get(name, PREFIX + name) for name in node.output]
    for tensor in weights:
        tensor.name = names.get(tensor.name, PREFIX + tensor.name)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:index], *encoder.graph.node, *nodes[index + 1 :]])
    model.graph.initializer.extend(weights)
    encoder.Clear()
    others = [each for each in model.opset_import if each.domain != domain]
    del model.opset_import[:]
    model.opset_import.extend(others)
