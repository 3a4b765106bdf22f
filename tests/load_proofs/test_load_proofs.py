"""Packages opened by the annotation tools' own code; see README.md beside this file."""

import base64
import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny

pytest.importorskip("torch")
pytest.importorskip("onnx")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from environments import CannotInstall, node_environment, python_environment  # noqa: E402

from samzoo.runtime import load  # noqa: E402
from samzoo.runtime.config import UnetrDecoderConfig, VitConfig  # noqa: E402
from samzoo.runtime.model import Model  # noqa: E402
from samzoo.zoo import export  # noqa: E402

pytestmark = [pytest.mark.tools, pytest.mark.torch, pytest.mark.onnx]

CV = "opencv-python-headless==4.12.0.88"
QT = ("PyQt6==6.9.1", "PyQt6-Qt6==6.9.2", "PyQt6-sip==13.13.0", "qimage2ndarray==1.10.0")
WEB = ("requests==2.34.2", "urllib3==2.8.0", "certifi", "idna", "charset-normalizer==3.5.2")
PYDANTIC = (
    "pydantic==2.12.5", "pydantic_core==2.41.5", "annotated-types==0.8.0",
    "typing-inspection==0.4.5",
)  # fmt: skip
PYTHON_TOOLS = {
    "samexporter": ("samexporter_proof.py", ("samexporter==0.5.0", CV)),
    "anylabeling": (
        "anylabeling_proof.py",
        ("anylabeling==0.4.43", CV, *QT, "imgviz==2.1.0", "cmap==0.8.0", "termcolor==3.3.0"),
    ),
    "x-anylabeling": (
        "anylabeling_proof.py",
        ("x-anylabeling-cvhub==4.2.1", CV, *QT, *WEB, *PYDANTIC, "termcolor==3.3.0",
         "natsort==8.4.0", "importlib_metadata==10.2.0", "lazy-importer==0.1.0",
         "Markdown==3.11.3", "openai==3.57.0",
         "sniffio==1.3.1", "jsonlines==4.0.0", "json_repair==0.64.6", "tokenizers==0.23.3",
         "six==1.17.0"),
    ),
    "osam": (
        "osam_proof.py",
        ("osam==0.8.1", *PYDANTIC, *WEB, "loguru==0.7.3", "imgviz==2.1.0", "gdown==6.5.1",
         "beautifulsoup4==4.15.0", "soupsieve", "cmap==0.8.0"),
    ),
}  # fmt: skip
"""Script and packages by target; what their windows alone need is left out."""

TRANSFORMERS = ("transformers==5.23.0", "tokenizers==0.23.3", "regex")
NODE = ("@huggingface/transformers@4.3.1", "onnxruntime-web@1.30.0")
VIT_B_TARGETS = ("segment-anything", "micro-sam", "huggingface", "samexporter")
"""Of the tools that take graphs one stands for all: its graphs are theirs under other names."""

SIZE = (684, 1024)
"""What AnyLabeling draws every image into, so that no tool resizes it."""

PROMPTS = {
    "point": ([[400.0, 300.0]], [1]),
    "points": ([[400.0, 300.0], [900.0, 80.0], [30.0, 640.0]], [1, 0, 1]),
    "box": ([[200.0, 100.0], [700.0, 500.0]], [2, 3]),
}


@pytest.fixture(scope="module")
def image():
    small, _ = tiny.make_cells((171, 256), seed=3)
    rng = np.random.default_rng(0)
    big = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)[..., None] * np.ones(3)
    return np.clip(big + rng.normal(0, 8, (*SIZE, 3)), 0, 255).astype(np.uint8)


def with_encoder(encoder, ais=None):
    config = tiny.make_config("vit", ais=False, wider=True)
    architecture = dataclasses.replace(config.architecture, image_encoder=encoder, ais_decoder=ais)
    return tiny.make_sam(dataclasses.replace(config, architecture=architecture))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A SAM of two narrow blocks at 1024 pixels, exported for every tool that takes it."""
    folder = tmp_path_factory.mktemp("small")
    encoder = VitConfig(embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,))
    sam = with_encoder(encoder)
    base = tiny.write_base(folder / "base", sam)
    export(base, folder / "package", targets=["all"], name="cells")
    return sam, folder / "package"


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory):
    """A ViT-B of random weights, for the tools that know no other size, and some that do."""
    folder = tmp_path_factory.mktemp("vit_b")
    sam = with_encoder(VitConfig(), ais=UnetrDecoderConfig())
    from samzoo.runtime.config import MaskDecoderConfig

    config = dataclasses.replace(
        sam.config,
        architecture=dataclasses.replace(sam.config.architecture, mask_decoder=MaskDecoderConfig()),
    )
    sam = tiny.make_sam(config)
    base = tiny.write_base(folder / "base", sam)
    export(base, folder / "package", targets=[*VIT_B_TARGETS], name="cells")
    return sam, folder / "package"


def environment(make, *requirements):
    try:
        return make(*requirements)
    except CannotInstall as error:
        pytest.skip(f"{requirements[0]} cannot be installed here: {error}")


def run(command, **variables):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HF_HUB_OFFLINE": "1", **variables},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def python_answer(tmp_path, python, script, folder, image, *more):
    inputs = {f"points_{name}": np.array(points) for name, (points, _) in PROMPTS.items()}
    inputs |= {f"labels_{name}": np.array(labels) for name, (_, labels) in PROMPTS.items()}
    np.savez(tmp_path / "inputs.npz", image=image, **inputs)
    output = tmp_path / "output.npz"
    run([python, HERE / script, folder, tmp_path / "inputs.npz", output, *more], HOME=str(tmp_path),
        YOLO_CONFIG_DIR=str(tmp_path))  # fmt: skip
    if not output.exists():
        return {}
    with np.load(output) as file:
        return {name: file[f"masks_{name}"] for name in PROMPTS}


def node_answer(tmp_path, folder, script, target, image):
    prompts = {name: {"points": p, "labels": labels} for name, (p, labels) in PROMPTS.items()}
    pixels = base64.b64encode(image.tobytes()).decode()
    description = {"height": SIZE[0], "width": SIZE[1], "pixels": pixels, "prompts": prompts}
    (tmp_path / "inputs.json").write_text(json.dumps(description))
    # Node looks for packages beside the script.
    copy = folder / script
    copy.write_text((HERE / script).read_text())
    run(["node", copy, target, tmp_path / "inputs.json", tmp_path / "output.json"])
    answers = json.loads((tmp_path / "output.json").read_text())
    masks = {}
    for name, answer in answers.items():
        bits = np.frombuffer(base64.b64decode(answer["masks"]), np.uint8)
        found = bits.reshape(answer["shape"])[0] > 0
        masks[name] = found[int(np.argmax(answer["iou"]))]
    return masks


def ours(model, image):
    """The runtime's masks."""
    embeddings = model.embed(image)
    masks = {}
    for name, (points, labels) in PROMPTS.items():
        box = max(labels) >= 2
        given = (
            {"boxes": [np.ravel(points)]} if box else {"points": [points], "point_labels": [labels]}
        )
        masks[name] = model.prompt(embeddings, **given)[0][0]
    return masks


def assert_same(found, expected, limit=0.9995):
    assert found.keys() == expected.keys()
    for name, mask in found.items():
        union = (mask | expected[name]).sum()
        iou = (mask & expected[name]).sum() / max(1, union)
        assert mask.shape == expected[name].shape
        assert 0.001 < expected[name].mean() < 0.999, name
        assert iou >= limit, f"{name}: IoU {iou:.4f}"


@pytest.mark.parametrize("target", PYTHON_TOOLS)
def test_a_tool_in_python_draws_our_masks(small, image, tmp_path, target):
    script, requirements = PYTHON_TOOLS[target]
    python = environment(python_environment, *requirements)
    found = python_answer(tmp_path, python, script, small[1] / target, image)
    assert_same(found, ours(load(small[1]), image))


def test_transformers_draws_our_masks(small, image, tmp_path):
    python = environment(python_environment, *TRANSFORMERS)
    found = python_answer(
        tmp_path, python, "transformers_proof.py", small[1] / "huggingface", image
    )
    assert_same(found, ours(load(small[1]), image))


@pytest.mark.parametrize(
    ("target", "script", "requirements"),
    [
        ("samexporter", *PYTHON_TOOLS["samexporter"]),
        ("huggingface", "transformers_proof.py", TRANSFORMERS),
    ],
    ids=["samexporter", "transformers"],
)
def test_a_vit_b_opens_in_a_tool(vit_b, image, tmp_path, target, script, requirements):
    python = environment(python_environment, *requirements)
    found = python_answer(tmp_path, python, script, vit_b[1] / target, image)
    assert_same(found, ours(load(vit_b[1]), image))


def test_onnxruntime_web_draws_our_masks(small, image, tmp_path):
    folder = environment(node_environment, *NODE)
    found = node_answer(
        tmp_path, folder, "onnxruntime_web_proof.mjs", small[1] / "anylabeling", image
    )
    assert_same(found, ours(load(small[1]), image))


def test_transformers_js_draws_segment_anythings_masks(small, image, tmp_path):
    """It always asks for three masks, of which the best predicted one counts."""
    from segment_anything import SamPredictor

    folder = environment(node_environment, *NODE)
    found = node_answer(
        tmp_path, folder, "transformers_js_proof.mjs", small[1] / "transformers-js", image
    )
    predictor = SamPredictor(tiny.make_original(small[0]))
    predictor.set_image(image)
    expected = {}
    for name, (points, labels) in PROMPTS.items():
        box = max(labels) >= 2
        masks, iou, _ = predictor.predict(
            point_coords=None if box else np.array(points),
            point_labels=None if box else np.array(labels),
            box=np.ravel(points) if box else None,
        )
        expected[name] = masks[int(np.argmax(iou))]
    assert_same(found, expected)


def test_segment_anything_draws_our_masks(vit_b, image):
    from segment_anything import SamPredictor, sam_model_registry

    (path,) = (vit_b[1] / "segment-anything").glob("sam_vit_b_*.pth")
    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=path))
    predictor.set_image(image)
    found = {}
    for name, (points, labels) in PROMPTS.items():
        box = max(labels) >= 2
        masks, iou, _ = predictor.predict(
            point_coords=None if box else np.array(points),
            point_labels=None if box else np.array(labels),
            box=np.ravel(points) if box else None,
            multimask_output=len(points) == 1,
        )
        found[name] = masks[int(np.argmax(iou))]
    assert_same(found, ours(load(vit_b[1]), image))


ISAT = (
    "isat-sam==1.5.2", CV, "hydra-core", "antlr4-python3-runtime==4.9.3", "omegaconf", "iopath",
    "portalocker", "pydicom",
)  # fmt: skip
MICRO_SAM = (
    "micro-sam==1.8.14", "torch-em==0.10.9", "python-elf==0.9.2", "segment-anything-py==1.0.1",
)  # fmt: skip
MICRO_SAM_NEEDS = (
    "scikit-learn", "pandas", "numba", "h5py", "zarr", "imagecodecs", "kornia", "xarray", "xxhash",
    "pooch", "natsort", "mrcfile", "skan", "matplotlib", "tensorboard",
)  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "target", "requirements", "complete"),
    [
        ("isat-sam", "segment-anything", ISAT, ()),
        ("micro-sam", "micro-sam", MICRO_SAM, MICRO_SAM_NEEDS),
    ],
    ids=["isat", "micro-sam"],
)
def test_a_tool_opens_a_checkpoint(vit_b, image, tmp_path, tool, target, requirements, complete):
    python = environment(partial(python_environment, complete=complete), *requirements)
    found = python_answer(tmp_path, python, "checkpoint_proof.py", vit_b[1] / target, image, tool)
    assert_same(found, ours(load(vit_b[1]), image))


def test_ultralytics_opens_a_checkpoint(vit_b, image, tmp_path):
    """Its preprocessing is its own, so the weights are compared, tensor by tensor."""
    python = environment(python_environment, "ultralytics==8.4.190", CV)
    python_answer(
        tmp_path, python, "checkpoint_proof.py", vit_b[1] / "segment-anything", image, "ultralytics"
    )
    with np.load(tmp_path / "output.npz.state.npz") as file:
        state = {name: file[name] for name in file}
    expected = {k: v.numpy() for k, v in vit_b[0].state_dict().items() if "ais_decoder" not in k}
    assert expected.keys() <= state.keys()
    assert all(np.array_equal(state[name], value) for name, value in expected.items())


def default_model():
    """The shipped model as a tool sees it: the whole image at once, not in tiles."""
    from samzoo.zoo import resolve

    package = resolve("nuclei-vit-t")
    model = load(package)
    preprocessing = dataclasses.replace(model.config.preprocessing, scale=None)
    config = dataclasses.replace(model.config, preprocessing=preprocessing)
    return package, Model(config, model.networks)


@pytest.mark.parametrize("target", PYTHON_TOOLS)
def test_the_shipped_model_opens_in_a_tool(image, tmp_path, target):
    package, model = default_model()
    if not (package / "model.safetensors").exists():
        pytest.skip("the shipped package holds no weights to export from")
    script, requirements = PYTHON_TOOLS[target]
    python = environment(python_environment, *requirements)
    export(package, tmp_path / "package", targets=[target], name="nuclei")
    found = python_answer(tmp_path, python, script, tmp_path / "package" / target, image)
    # Pillow rounds a resized uint8 image to whole numbers, the graph does not.
    assert_same(found, ours(model, image), limit=0.98)


def test_versions_are_those_that_the_docs_name():
    page = (HERE.parents[1] / "docs" / "targets.md").read_text(encoding="utf-8")
    pinned = [r for _, requirements in PYTHON_TOOLS.values() for r in requirements[:1]]
    pinned += [*TRANSFORMERS[:1], ISAT[0], MICRO_SAM[0], "ultralytics==8.4.190"]
    for requirement in pinned:
        name, version = requirement.split("==")
        assert version in page, f"{name} {version} is not on the page"
    assert importlib.metadata.version("segment-anything") in page
