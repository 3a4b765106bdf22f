"""The masks of a tool, of samzoo and of segment-anything for the same prompts on one image."""

import base64
import dataclasses
import json
import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny
from environments import CannotInstall, node_environment, python_environment
from tools import NODE

from samzoo.runtime import load
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.batches import decode
from samzoo.runtime.prompts.enlargement import draw_mask
from samzoo.runtime.prompts.tokens import collect_prompts

HERE = Path(__file__).parent

SIZE = (684, 1024)
"""What AnyLabeling draws every image into, so that no tool resizes it."""

PROMPTS = {
    "point": ([[400.0, 300.0]], [1]),
    "points": ([[400.0, 300.0], [900.0, 80.0], [30.0, 640.0]], [1, 0, 1]),
    "box": ([[200.0, 100.0], [700.0, 500.0]], [2, 3]),
}


def python_answer(tool, folder, image, scratch, *more):
    """Run a tool's script in its environment; returns masks by prompt, none if it writes none."""
    try:
        python = python_environment(*tool.requirements, complete=tool.complete)
    except CannotInstall as error:
        pytest.skip(f"{tool.requirements[0]} cannot be installed here: {error}")
    inputs = {f"points_{name}": np.array(points) for name, (points, _) in PROMPTS.items()}
    inputs |= {f"labels_{name}": np.array(labels) for name, (_, labels) in PROMPTS.items()}
    np.savez(scratch / "inputs.npz", image=image, **inputs)
    output = scratch / "output.npz"
    _run([python, HERE / tool.script, folder, scratch / "inputs.npz", output, *more],
         HOME=str(scratch), YOLO_CONFIG_DIR=str(scratch))  # fmt: skip
    if not output.exists():
        return {}
    with np.load(output) as file:
        return {name: file[f"masks_{name}"] for name in PROMPTS}


def node_answer(script, folder, image, scratch):
    """Run a script in Node; returns the mask of the best predicted IoU by prompt."""
    try:
        packages = node_environment(*NODE)
    except CannotInstall as error:
        pytest.skip(f"{NODE[0]} cannot be installed here: {error}")
    prompts = {name: {"points": p, "labels": labels} for name, (p, labels) in PROMPTS.items()}
    pixels = base64.b64encode(image.tobytes()).decode()
    description = {"height": SIZE[0], "width": SIZE[1], "pixels": pixels, "prompts": prompts}
    (scratch / "inputs.json").write_text(json.dumps(description))
    # Node looks for packages beside the script.
    copy = packages / f"{os.getpid()}_{script}"  # other processes run the same
    copy.write_text((HERE / script).read_text())
    _run(["node", copy, folder, scratch / "inputs.json", scratch / "output.json"])
    masks = {}
    for name, answer in json.loads((scratch / "output.json").read_text()).items():
        bits = np.frombuffer(base64.b64decode(answer["masks"]), np.uint8)
        found = bits.reshape(answer["shape"])[0] > 0
        masks[name] = found[int(np.argmax(answer["iou"]))]
    return masks


@cache
def our_answer(package, *, tiles=True):
    """Return the runtime's masks on ``picture()``; without tiles, as a tool sees an image."""
    model, embeddings = _embedded(package, tiles)
    return {name: model.prompt(embeddings, **given)[0][0] for name, given in _arguments()}


@cache
def our_best_of_three(package, *, tiles=True):
    """Return of the runtime's multimask outputs the best, for tools that know no other."""
    model, embeddings = _embedded(package, tiles)
    side = 4 * model.config.grid
    masks = {}
    for name, given in _arguments():
        every = {"points": None, "point_labels": None, "boxes": None, "mask_input": None} | given
        prompts = collect_prompts(**every, image_size=embeddings.original_size, mask_side=side)
        (found,) = decode(model.networks, model.config, embeddings, prompts, multimask_output=True)
        masks[name] = np.zeros(found.tile.size, np.bool_)
        logits = found.low_res[0, int(found.iou[0].argmax())]
        draw_mask(logits, found.enlargement, 0.0, masks[name])
    return masks


@cache
def _embedded(package, tiles):
    """Open a package and embed the picture: once for all tools, since a ViT-B takes its time."""
    model = load(package)
    if not tiles:
        preprocessing = dataclasses.replace(model.config.preprocessing, scale=None)
        config = dataclasses.replace(model.config, preprocessing=preprocessing)
        model = Model(config, model.networks)
    return model, model.embed(picture())


@cache
def picture():
    """Return the image on which every tool answers."""
    return tiny.make_picture(SIZE)


def segment_anything_answer(predictor, image, multimask=None):
    """Return segment-anything's best masks; three for a single point unless told otherwise."""
    predictor.set_image(image)
    masks = {}
    for name, (points, labels) in PROMPTS.items():
        box = max(labels) >= 2
        found, iou, _ = predictor.predict(
            point_coords=None if box else np.array(points),
            point_labels=None if box else np.array(labels),
            box=np.ravel(points) if box else None,
            multimask_output=len(points) == 1 if multimask is None else multimask,
        )
        masks[name] = found[int(np.argmax(iou))]
    return masks


def assert_same(found, expected, limit=0.9995):
    """Compare masks by IoU; none may be empty or the whole image."""
    assert found.keys() == expected.keys()
    for name, mask in found.items():
        union = (mask | expected[name]).sum()
        iou = (mask & expected[name]).sum() / max(1, union)
        assert mask.shape == expected[name].shape
        assert 0.001 < expected[name].mean() < 0.999, name
        assert iou >= limit, f"{name}: IoU {iou:.4f}"


def _arguments():
    for name, (points, labels) in PROMPTS.items():
        if max(labels) >= 2:
            yield name, {"boxes": [np.ravel(points)]}
        else:
            yield name, {"points": [points], "point_labels": [labels]}


def _run(command, **variables):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HF_HUB_OFFLINE": "1", **variables},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def assert_bioimageio_passes(package, kind, weights):
    """Let bioimageio.core test one weights format of a package's zip."""
    core = pytest.importorskip("bioimageio.core")
    (path,) = (package / "bioimageio").glob(f"*-{kind}.zip")
    summary = core.test_model(path, weight_format=weights, devices=["cpu"])
    assert summary.status == "passed", summary.format()
