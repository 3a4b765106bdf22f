"""Proofs of any model: each tool draws samzoo's masks.

The modules of the small SAM and of the ViT-B import them and say by a fixture which `model` it is.
"""

import pytest
import tiny
from answers import assert_same, node_answer, our_answer, python_answer, segment_anything_answer
from tools import GRAPH_TOOLS, TRANSFORMERS


@pytest.mark.parametrize("target", GRAPH_TOOLS)
def test_a_tool_in_python_draws_our_masks(model, image, tmp_path, target):
    _, package = model
    found = python_answer(GRAPH_TOOLS[target], package / target, image, tmp_path)
    assert_same(found, our_answer(package))


def test_transformers_draws_our_masks(model, image, tmp_path):
    _, package = model
    found = python_answer(TRANSFORMERS, package / "huggingface", image, tmp_path)
    assert_same(found, our_answer(package))


def test_onnxruntime_web_draws_our_masks(model, image, tmp_path):
    _, package = model
    found = node_answer("onnxruntime_web_proof.mjs", package / "anylabeling", image, tmp_path)
    assert_same(found, our_answer(package))


def test_transformers_js_draws_segment_anythings_masks(model, image, tmp_path):
    """It always asks for three masks, of which the best predicted one counts."""
    from segment_anything import SamPredictor

    sam, package = model
    found = node_answer("transformers_js_proof.mjs", package / "transformers-js", image, tmp_path)
    predictor = SamPredictor(tiny.make_original(sam))
    assert_same(found, segment_anything_answer(predictor, image, multimask=True))
