"""The packages of a ViT-B opened by the tools' own code; see README.md beside this file.

It is a module of its own, because the tests of a module run in one process, which exports the ViT-B
while another does the rest.
"""

import numpy as np
import pytest
from answers import (
    assert_bioimageio_passes,
    assert_same,
    our_answer,
    python_answer,
    segment_anything_answer,
)
from model_proofs import (  # noqa: F401
    test_a_tool_in_python_draws_our_masks,
    test_onnxruntime_web_draws_our_masks,
    test_transformers_draws_our_masks,
    test_transformers_js_draws_segment_anythings_masks,
)
from tools import CHECKPOINT_TOOLS

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = [pytest.mark.tools, pytest.mark.torch, pytest.mark.onnx]


@pytest.fixture
def model(vit_b):
    return vit_b


def test_segment_anything_draws_our_masks(vit_b, image):
    from segment_anything import SamPredictor, sam_model_registry

    _, package = vit_b
    (path,) = (package / "segment-anything").glob("sam_vit_b_*.pth")
    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=path))
    assert_same(segment_anything_answer(predictor, image), our_answer(package))


@pytest.mark.parametrize(
    ("tool", "target"), [("isat-sam", "segment-anything"), ("micro-sam", "micro-sam")]
)
def test_a_tool_opens_a_checkpoint(vit_b, image, tmp_path, tool, target):
    _, package = vit_b
    found = python_answer(CHECKPOINT_TOOLS[tool], package / target, image, tmp_path, tool)
    assert_same(found, our_answer(package))


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


@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize(  # each format once: it takes minutes
    ("kind", "weights"), [("ais", "onnx"), ("prompts", "torchscript")]
)
def test_bioimageio_core_passes(vit_b, kind, weights):
    _, package = vit_b
    assert_bioimageio_passes(package, kind, weights)
