"""Packages of small models opened by the annotation tools' own code; see README.md beside this
file."""

import importlib.metadata
from pathlib import Path

import pytest
from answers import (
    assert_bioimageio_passes,
    assert_same,
    node_answer,
    our_answer,
    our_best_of_three,
    python_answer,
)
from model_proofs import (  # noqa: F401
    test_a_tool_in_python_draws_our_masks,
    test_onnxruntime_web_draws_our_masks,
    test_transformers_draws_our_masks,
    test_transformers_js_draws_segment_anythings_masks,
)
from tools import GRAPH_TOOLS, versions

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.tools, pytest.mark.torch, pytest.mark.onnx]


@pytest.fixture
def model(small):
    return small


PILLOW = 0.98
"""IoU with the shipped model, whose graph resizes the image to 256 pixels: Pillow, as samzoo uses
it, rounds a resized uint8 image to whole numbers, the graph does not."""


@pytest.mark.parametrize("target", GRAPH_TOOLS)
def test_the_shipped_model_opens_in_a_tool(shipped, image, tmp_path, target):
    found = python_answer(GRAPH_TOOLS[target], shipped / target, image, tmp_path)
    assert_same(found, our_answer(shipped, tiles=False), limit=PILLOW)


def test_the_shipped_model_opens_in_onnxruntime_web(shipped, image, tmp_path):
    found = node_answer("onnxruntime_web_proof.mjs", shipped / "anylabeling", image, tmp_path)
    assert_same(found, our_answer(shipped, tiles=False), limit=PILLOW)


def test_the_shipped_model_opens_in_transformers_js(shipped, image, tmp_path):
    found = node_answer("transformers_js_proof.mjs", shipped / "transformers-js", image, tmp_path)
    assert_same(found, our_best_of_three(shipped, tiles=False), limit=PILLOW)


@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
@pytest.mark.parametrize("kind", ["ais", "prompts"])
def test_bioimageio_core_passes(shipped, kind, weights):
    assert_bioimageio_passes(shipped, kind, weights)


def test_versions_are_those_that_the_docs_name():
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    for name, version in [*versions(), ("bioimageio.core", "0.11")]:
        assert version in page, f"{name} {version} is not on the page"
    assert importlib.metadata.version("segment-anything") in page
