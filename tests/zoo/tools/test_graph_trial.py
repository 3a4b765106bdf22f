"""A trial of graphs: each kind of files, against the runtime's masks of the package."""

import numpy as np
import pytest

from samzoo.runtime import load
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.tools.agreement import mean_iou
from samzoo.zoo.tools.examples import example_image, example_points
from samzoo.zoo.tools.graph_trial import GraphTrial

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

SIZE = (171, 256)
"""A quarter of AnyLabeling's canvas, so that no tool changes the shape."""


@pytest.fixture(scope="module")
def ours(exported):
    model = load(exported.folder)
    points = example_points(SIZE)[:, None]
    embeddings = model.embed(example_image(SIZE))
    return model.prompt(embeddings, points=points, point_labels=np.ones(points.shape[:2]))[0]


@pytest.mark.parametrize(
    ("target", "canvas"),
    [("osam", None), ("cvat", None), ("transformers-js", None), ("anylabeling", (684, 1024))],
)
def test_every_kind_of_files_is_fed_as_its_tool_does(exported, ours, target, canvas):
    trial = GraphTrial(exported.folder / target, ToolPath(name=target, graphs=True, canvas=canvas))
    found = trial.masks(example_image(SIZE), example_points(SIZE))
    assert found.shape == ours.shape
    assert 0 < ours.mean() < 1
    assert 0.97 <= mean_iou(found, ours) <= 1


def test_graphs_stretch_low_contrast_themselves(exported):
    trial = GraphTrial(exported.folder / "osam", ToolPath(name="osam", graphs=True))
    points = example_points(SIZE)
    full, low = (trial.masks(example_image(SIZE, low_contrast=c), points) for c in (False, True))
    assert (full != low).mean() < 0.02
