"""Packages opened by the annotation tools' own code; see README.md beside this file."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import tiny
from answers import (
    assert_same,
    node_answer,
    our_answer,
    our_best_of_three,
    python_answer,
    segment_anything_answer,
)
from tools import CHECKPOINT_TOOLS, GRAPH_TOOLS, TRANSFORMERS, versions

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.tools, pytest.mark.torch, pytest.mark.onnx]

LARGE = pytest.mark.xdist_group("large")
"""Tests of the ViT-B: one process exports it, while another does the rest."""

OTHERS = pytest.mark.xdist_group("others")

MODELS = (pytest.param("small", marks=OTHERS), pytest.param("vit_b", marks=LARGE))


@pytest.fixture
def model(request):
    """What a parameter names: a SAM and its package."""
    return request.getfixturevalue(request.param)


both_models = pytest.mark.parametrize("model", MODELS, indirect=True)


@both_models
@pytest.mark.parametrize("target", GRAPH_TOOLS)
def test_a_tool_in_python_draws_our_masks(model, image, tmp_path, target):
    _, package = model
    found = python_answer(GRAPH_TOOLS[target], package / target, image, tmp_path)
    assert_same(found, our_answer(package))


@both_models
def test_transformers_draws_our_masks(model, image, tmp_path):
    _, package = model
    found = python_answer(TRANSFORMERS, package / "huggingface", image, tmp_path)
    assert_same(found, our_answer(package))


@both_models
def test_onnxruntime_web_draws_our_masks(model, image, tmp_path):
    _, package = model
    found = node_answer("onnxruntime_web_proof.mjs", package / "anylabeling", image, tmp_path)
    assert_same(found, our_answer(package))


@both_models
def test_transformers_js_draws_segment_anythings_masks(model, image, tmp_path):
    """It always asks for three masks, of which the best predicted one counts."""
    from segment_anything import SamPredictor

    sam, package = model
    found = node_answer("transformers_js_proof.mjs", package / "transformers-js", image, tmp_path)
    predictor = SamPredictor(tiny.make_original(sam))
    assert_same(found, segment_anything_answer(predictor, image, multimask=True))


@LARGE
def test_segment_anything_draws_our_masks(vit_b, image):
    from segment_anything import SamPredictor, sam_model_registry

    _, package = vit_b
    (path,) = (package / "segment-anything").glob("sam_vit_b_*.pth")
    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=path))
    assert_same(segment_anything_answer(predictor, image), our_answer(package))


@LARGE
@pytest.mark.parametrize(
    ("tool", "target"), [("isat-sam", "segment-anything"), ("micro-sam", "micro-sam")]
)
def test_a_tool_opens_a_checkpoint(vit_b, image, tmp_path, tool, target):
    _, package = vit_b
    found = python_answer(CHECKPOINT_TOOLS[tool], package / target, image, tmp_path, tool)
    assert_same(found, our_answer(package))


@LARGE
def test_ultralytics_opens_a_checkpoint(vit_b, image, tmp_path):
    """Its preprocessing is its own, so the weights are compared, tensor by tensor."""
    sam, package = vit_b
    python_answer(
        CHECKPOINT_TOOLS["ultralytics"], package / "segment-anything", image, tmp_path,
        "ultralytics",
    )  # fmt: skip
    with np.load(tmp_path / "output.npz.state.npz") as file:
        state = {name: file[name] for name in file}
    expected = {k: v.numpy() for k, v in sam.state_dict().items() if "ais_decoder" not in k}
    assert expected.keys() <= state.keys()
    assert all(np.array_equal(state[name], value) for name, value in expected.items())


PILLOW = 0.98
"""IoU with the shipped model, whose graph resizes the image to 256 pixels: Pillow, as samzoo uses
it, rounds a resized uint8 image to whole numbers, the graph does not."""


@OTHERS
@pytest.mark.parametrize("target", GRAPH_TOOLS)
def test_the_shipped_model_opens_in_a_tool(shipped, image, tmp_path, target):
    found = python_answer(GRAPH_TOOLS[target], shipped / target, image, tmp_path)
    assert_same(found, our_answer(shipped, tiles=False), limit=PILLOW)


@OTHERS
def test_the_shipped_model_opens_in_onnxruntime_web(shipped, image, tmp_path):
    found = node_answer("onnxruntime_web_proof.mjs", shipped / "anylabeling", image, tmp_path)
    assert_same(found, our_answer(shipped, tiles=False), limit=PILLOW)


@OTHERS
def test_the_shipped_model_opens_in_transformers_js(shipped, image, tmp_path):
    found = node_answer("transformers_js_proof.mjs", shipped / "transformers-js", image, tmp_path)
    assert_same(found, our_best_of_three(shipped, tiles=False), limit=PILLOW)


@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize(
    ("name", "kind", "weights"),
    [
        pytest.param("shipped", "ais", "onnx", marks=OTHERS),
        pytest.param("shipped", "ais", "torchscript", marks=OTHERS),
        pytest.param("shipped", "prompts", "onnx", marks=OTHERS),
        pytest.param("shipped", "prompts", "torchscript", marks=OTHERS),
        # Each format once: it takes minutes.
        pytest.param("vit_b", "ais", "onnx", marks=LARGE),
        pytest.param("vit_b", "prompts", "torchscript", marks=LARGE),
    ],
)
def test_bioimageio_core_passes(request, name, kind, weights):
    core = pytest.importorskip("bioimageio.core")
    found = request.getfixturevalue(name)
    package = found[1] if name == "vit_b" else found
    (path,) = (package / "bioimageio").glob(f"*-{kind}.zip")
    summary = core.test_model(path, weight_format=weights, devices=["cpu"])
    assert summary.status == "passed", summary.format()


@OTHERS
def test_versions_are_those_that_the_docs_name():
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    for name, version in [*versions(), ("bioimageio.core", "0.11")]:
        assert version in page, f"{name} {version} is not on the page"
    assert importlib.metadata.version("segment-anything") in page
