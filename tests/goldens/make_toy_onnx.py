"""Make the graphs of a toy model that the tests run where neither torch nor onnx is installed.

The graphs have the names, shapes and meaning of a package's graphs (64 pixels, embeddings of 16 x
16, no tiles smaller than the field at scale 1) but compute by hand-made rules, so that a test knows
the answer:

encoder.onnx
    The mean of the three channels, padded with zeros, divided by 255, cut into 4 x 4 blocks. The
    first 16 of the 256 channels hold the blocks' pixels, the others are zero.
shared_encoder.onnx
    The same, times 1 + A B: its inputs ``gain.lora_a (1, rank)`` and ``gain.lora_b (rank, 1)`` have
    empty defaults, as those of an encoder that adapters share.
ais_decoder.onnx
    foreground is the image, both distances are 1 - image: bright regions become objects.
mask_decoder.onnx
    logits = 20 * (image - 0.5) within 12 pixels of the mean of an object's tokens, -10 elsewhere;
    plus ``mask_input`` where ``has_mask_input`` is above 0 (clamped to 1). iou_predictions is a
    tenth of the number of tokens that are not padding. ``masks`` is cut to ``orig_im_size``. With
    ``multimask_output`` 1 all three outputs are there three times.

Run by hand, with the package onnx, to make the files again:
``python tests/goldens/make_toy_onnx.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, GRID, BLOCK, CHANNELS = 64, 16, 4, 256
RADIUS = 12.0


def constants(**values):
    return [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


def model(name, nodes, inputs, outputs, initializers):
    def infos(described):
        return [
            helper.make_tensor_value_info(each, TensorProto.FLOAT, shape)
            for each, shape in described.items()
        ]

    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


EMBEDDINGS = {"image_embeddings": [1, CHANNELS, GRID, GRID]}

# image (1, 1, 64, 64) from the embeddings
DECODE = [
    node("Slice", "image_embeddings zero16 to16 axis1", "blocks"),
    node("DepthToSpace", "blocks", "image", blocksize=BLOCK),
]
DECODE_CONSTANTS = {"zero16": [0], "to16": [BLOCK**2], "axis1": [1]}


def encoder(*, gain=()):
    nodes = [
        node("ReduceMean", "input_image", "grey", axes=[2], keepdims=0),
        node("Div", "grey full", "plain" if gain else "unit"),
        *gain,
        node("Shape", "input_image", "shape"),
        node("Slice", "shape start stop", "size"),
        node("Sub", "side size", "missing"),
        node("Concat", "zeros missing", "pads", axis=0),
        node("Pad", "unit pads", "padded"),
        node("Unsqueeze", "padded front", "image"),
        node("SpaceToDepth", "image", "blocks", blocksize=BLOCK),
        node("Pad", "blocks channels", "image_embeddings"),
    ]
    initializers = constants(
        full=np.float32(255), start=[0], stop=[2], side=[SIDE, SIDE], zeros=[0, 0], front=[0, 1],
        channels=[0, 0, 0, 0, 0, CHANNELS - BLOCK**2, 0, 0],
    )  # fmt: skip
    inputs = {"input_image": ["height", "width", 3]}
    if gain:
        inputs |= {"gain.lora_a": [1, "gain.rank"], "gain.lora_b": ["gain.rank", 1]}
        empty = {"gain.lora_a": np.zeros((1, 0)), "gain.lora_b": np.zeros((0, 1))}
        initializers += constants(
            unity=np.ones((1, 1), np.float32),
            **{name: value.astype(np.float32) for name, value in empty.items()},
        )
    return model("encoder", nodes, inputs, EMBEDDINGS, initializers)


def shared_encoder():
    gain = [
        node("MatMul", "gain.lora_a gain.lora_b", "product"),
        node("Add", "unity product", "factor"),
        node("Mul", "plain factor", "unit"),
    ]
    return encoder(gain=gain)


def ais_decoder():
    nodes = [
        *DECODE,
        node("Sub", "one image", "dark"),
        node("Concat", "image dark dark", "ais_maps", axis=1),
    ]
    initializers = constants(one=np.float32(1), **DECODE_CONSTANTS)
    return model("ais_decoder", nodes, EMBEDDINGS, {"ais_maps": [1, 3, SIDE, SIDE]}, initializers)


def mask_decoder():
    nodes = [
        *DECODE,
        node("Greater", "point_labels minus_one", "used"),
        node("Cast", "used", "weights", to=TensorProto.FLOAT),
        node("Unsqueeze", "weights last", "weights3"),
        node("Mul", "point_coords weights3", "weighted"),
        node("ReduceSum", "weighted axis1", "sums", keepdims=1),
        node("ReduceSum", "weights axis1", "counts", keepdims=1),
        node("Mul", "counts tenth", "iou"),
        node("Unsqueeze", "counts last", "counts3"),
        node("Div", "sums counts3", "center"),  # (n, 1, 2)
        node("Slice", "center zero16 axis1 axis2", "x"),  # (n, 1, 1)
        node("Slice", "center axis1 two axis2", "y"),
        node("Unsqueeze", "x last", "x4"),
        node("Unsqueeze", "y last", "y4"),
        node("Sub", "columns x4", "dx"),
        node("Sub", "rows y4", "dy"),
        node("Mul", "dx dx", "dx2"),
        node("Mul", "dy dy", "dy2"),
        node("Add", "dx2 dy2", "distance2"),
        node("LessOrEqual", "distance2 radius2", "near"),
        node("Sub", "image half", "bright"),
        node("Mul", "bright twenty", "inside"),
        node("Where", "near inside far", "answer"),
        node("Clip", "has_mask_input low high", "has"),
        node("Mul", "mask_input has", "earlier"),
        node("Add", "answer earlier", "low_res"),
        node("Greater", "multimask_output half", "multimask"),
        node("Cast", "multimask", "multi", to=TensorProto.INT64),
        node("Mul", "multi two", "more"),
        node("Add", "more single", "outputs"),
        node("Concat", "single outputs", "iou_times", axis=0),
        node("Concat", "single outputs single single", "mask_times", axis=0),
        node("Tile", "iou iou_times", "iou_predictions"),
        node("Tile", "low_res mask_times", "low_res_masks"),
        node("Cast", "orig_im_size", "size", to=TensorProto.INT64),
        node("Slice", "low_res_masks origin size rows_columns", "masks"),
    ]
    ruler = np.arange(SIDE, dtype=np.float32)
    initializers = constants(
        minus_one=np.float32(-1), last=[-1], tenth=np.float32(0.1), axis2=[2], two=[2],
        columns=ruler.reshape(1, 1, 1, SIDE), rows=ruler.reshape(1, 1, SIDE, 1),
        radius2=np.float32(RADIUS**2), half=np.float32(0.5), twenty=np.float32(20),
        far=np.float32(-10), low=np.float32(0), high=np.float32(1), origin=[0, 0],
        rows_columns=[2, 3], single=[1], multimask_output=np.zeros(1, np.float32),
        **DECODE_CONSTANTS,
    )  # fmt: skip
    inputs = {
        **EMBEDDINGS,
        "point_coords": ["num_objects", "num_points", 2],
        "point_labels": ["num_objects", "num_points"],
        "mask_input": ["num_masks", 1, SIDE, SIDE],
        "has_mask_input": [1],
        "orig_im_size": [2],
        "multimask_output": [1],
    }
    outputs = {
        "masks": ["num_objects", "num_outputs", "orig_height", "orig_width"],
        "iou_predictions": ["num_objects", "num_outputs"],
        "low_res_masks": ["num_objects", "num_outputs", SIDE, SIDE],
    }
    return model("mask_decoder", nodes, inputs, outputs, initializers)


def main():
    parser = argparse.ArgumentParser(description="Make the toy model's graphs.")
    parser.add_argument("-o", type=Path, default=Path(__file__).parent / "toy_onnx")
    folder = parser.parse_args().o
    folder.mkdir(exist_ok=True)
    for make in (encoder, shared_encoder, mask_decoder, ais_decoder):
        path = folder / f"{make.__name__}.onnx"
        path.write_bytes(make().SerializeToString())
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
