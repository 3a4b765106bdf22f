"""A trial of graphs: each kind of files, against the runtime's masks of the package."""

import numpy as np
import pytest

from samzoo.runtime import load
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.tools.agreement import mean_iou
from samzoo.zoo.tools.examples import example_image, example_points
from samzoo.zoo.tools.graph_trial import GraphTrial, from_canvas

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

SIZE = (684, 1024)
"""AnyLabeling's canvas, so that no tool resizes: masks of random weights are noise, which a shift
of less than a pixel changes."""


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


def test_embeddings_that_tools_share_keep_no_session_s_memory(exported):
    """An output of onnxruntime's own would, until the end of the export."""
    shared: dict[str, list[np.ndarray]] = {}
    path = ToolPath(name="osam", graphs=True)
    GraphTrial(exported.folder / "osam", path, shared).masks(
        example_image((192, 256)), example_points((192, 256))
    )
    assert shared
    assert all(value.flags.owndata for values in shared.values() for value in values)


def test_graphs_stretch_low_contrast_themselves(exported):
    trial = GraphTrial(exported.folder / "osam", ToolPath(name="osam", graphs=True))
    points = example_points(SIZE)
    full, low = (trial.masks(example_image(SIZE, low_contrast=c), points) for c in (False, True))
    assert (full != low).mean() < 0.02


@pytest.mark.parametrize("factor", [0.37, 1.0, 2.6])
def test_a_disc_on_the_canvas_comes_back_where_it_was(factor):
    size = (200, 240)
    rows, columns = np.mgrid[:200, :240]
    disc = (rows - 60) ** 2 + (columns - 100) ** 2 < 40**2
    y, x = ((np.arange(side) + 0.5) / factor for side in (684, 1024))
    inside = np.minimum(y, 199).astype(int), np.minimum(x, 239).astype(int)
    canvas = disc[np.ix_(*inside)] & np.outer(y < 200, x < 240)
    found = from_canvas(canvas, size, factor)
    assert found.shape == size
    assert (found & disc).sum() / (found | disc).sum() > 0.94
