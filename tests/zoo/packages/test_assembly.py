"""Packages: complete, as their manifest says, and with segment-anything's own masks."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from samzoo.runtime import AisParameters, Manifest, ModelConfig, load
from samzoo.runtime.errors import FormatError, InputError, NotFoundError, OutputExistsError
from samzoo.zoo import export

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("segment_anything")

pytestmark = [pytest.mark.torch, pytest.mark.onnx]

LOGIT_TOLERANCE = 1e-4
"""Relative; float32 sums in another order, see ``test_onnx_export.py``."""

SEED = 7
"""Random weights whose masks fill between 0.16 and 0.47 of every picture below."""

SIZES = {"portrait": (97, 60), "landscape": (50, 120), "square": (80, 80)}


@pytest.fixture(scope="module")
def model(model_folder):
    return model_folder("vit", seed=SEED)


@pytest.fixture(scope="module")
def package(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages") / "Tiny Model"
    export(model, folder, segments="nothing", files={"extra/note.txt": b"x"})
    return folder


@pytest.fixture(scope="module")
def predictor(tiny_sam, original_sam):
    from segment_anything import SamPredictor

    return SamPredictor(original_sam(tiny_sam("vit", seed=SEED)))


def picture(size, seed=0):
    """Smooth colours, so that masks are regions and not noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    from PIL import Image

    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))


def assert_same_mask(mask, logits):
    """Every pixel, but for one or two whose logit is zero within the tolerance."""
    assert 0.02 < (logits > 0).mean() < 0.98  # a mask with a border, else this shows nothing
    differ = mask != (logits > 0)
    assert differ.sum() <= 2
    assert np.abs(logits[differ]).max(initial=0) <= LOGIT_TOLERANCE * np.abs(logits).max()


def test_the_manifest_lists_every_file_with_its_hash(package, model):
    manifest = Manifest.read(package)
    files = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    assert {entry.path for entry in manifest.files} == files - {"samzoo.json"}
    assert files == {
        "README.md", "samzoo.json", "extra/note.txt", "onnx/encoder.onnx",
        "onnx/mask_decoder.onnx", "onnx/ais_decoder.onnx", "test/expected.safetensors",
    }  # fmt: skip
    for entry in manifest.files:
        data = (package / entry.path).read_bytes()
        assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    roles = {entry.path: entry.role for entry in manifest.files if entry.role}
    graphs = {f"onnx/{r}.onnx": r for r in ("encoder", "mask_decoder", "ais_decoder")}
    assert roles == {**graphs, "test/expected.safetensors": "test"}


def test_the_manifest_says_what_the_model_is(package, model):
    manifest = Manifest.read(package)
    assert manifest.name == "tiny-model"
    assert manifest.segments == "nothing"
    assert manifest.precision == "fp32"
    assert manifest.model == ModelConfig.read(model / "config.json")
    assert {"torch", "onnx", "onnxruntime", "numpy"} <= set(manifest.software)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("prompt", ["point", "points", "box", "box and points", "mask input"])
def test_masks_equal_segment_anythings_predictor(package, predictor, size, prompt):
    height, width = size
    image = picture(size)
    point = np.array([[width * 0.4, height * 0.6]])
    points = np.concatenate([point, [[width * 0.8, height * 0.2], [3, 5]]])
    box = np.array([width * 0.1, height * 0.2, width * 0.7, height * 0.9])
    prompts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "point": (
            {"points": point, "point_labels": [1]},
            {"point_coords": point, "point_labels": np.array([1]), "multimask_output": True},
        ),
        "points": (
            {"points": points, "point_labels": [1, 0, 1]},
            {"point_coords": points, "point_labels": np.array([1, 0, 1])},
        ),
        "box": ({"boxes": box}, {"box": box}),
        "box and points": (
            {"points": points, "point_labels": [1, 0, 1], "boxes": box},
            {"point_coords": points, "point_labels": np.array([1, 0, 1]), "box": box},
        ),
        "mask input": ({"boxes": box}, {"box": box}),
    }
    ours, theirs = prompts[prompt]
    predictor.set_image(image)
    if prompt == "mask input":
        low = np.random.default_rng(1).standard_normal((1, 32, 32)).astype(np.float32) * 5
        ours, theirs = {**ours, "mask_input": low}, {**theirs, "mask_input": low}
    theirs = {"multimask_output": False, **theirs}
    full, iou, logits = predictor.predict(**theirs, return_logits=True)
    best = int(iou.argmax())
    model = load(package)
    found, scores, low_res = model.prompt(model.embed(image), **ours)
    assert_same_mask(found[0], full[best])
    np.testing.assert_allclose(scores, iou[best : best + 1], rtol=LOGIT_TOLERANCE)
    error = np.abs(low_res[0, 0] - logits[best]).max()
    assert error <= LOGIT_TOLERANCE * np.abs(logits[best]).max()


def test_many_objects_equal_the_predictor_one_by_one(package, predictor):
    image = picture((50, 120))
    predictor.set_image(image)
    model = load(package)
    boxes = np.array([[5, 5, 60, 40], [20, 10, 100, 45], [0, 0, 30, 49]], np.float32)
    found, _, _ = model.prompt(model.embed(image), boxes=boxes)
    for mask, box in zip(found, boxes, strict=True):
        logits, _, _ = predictor.predict(box=box, multimask_output=False, return_logits=True)
        assert_same_mask(mask, logits[0])


def test_the_package_segments_as_the_model_in_torch_does(package, tiny_sam, model):
    from samzoo.runtime.model import Model
    from samzoo.training.networks.graphs import TorchNetworks

    config = ModelConfig.read(model / "config.json")
    in_torch = Model(config, TorchNetworks(tiny_sam("vit", seed=SEED)))
    image = picture((100, 150))
    ours, theirs = load(package), in_torch
    maps = ours.ais_maps(ours.embed_tiles(image))
    expected = theirs.ais_maps(theirs.embed_tiles(image))
    assert np.abs(maps - expected).max() <= LOGIT_TOLERANCE
    np.testing.assert_array_equal(ours.segment(image), theirs.segment(image))


def test_half_storage_halves_the_package(model, package, tmp_path):
    manifest = export(model, tmp_path / "half", precision="fp16")
    assert manifest.precision == "fp16"
    size = sum((tmp_path / "half" / "onnx" / f).stat().st_size for f in ("encoder.onnx",
               "mask_decoder.onnx"))  # fmt: skip
    full = sum((package / "onnx" / f).stat().st_size for f in ("encoder.onnx", "mask_decoder.onnx"))
    assert 0.45 * full < size < 0.62 * full
    assert load(tmp_path / "half").segment(picture((64, 64))).shape == (64, 64)


def test_an_adapter_is_merged_on_the_way(model_folder, tmp_path):
    from samzoo.runtime.formats.adapter import AdapterConfig, write_adapter
    from samzoo.runtime.formats.digest import weights_digest
    from samzoo.runtime.formats.files import read_tensors
    from samzoo.zoo import merge

    base = model_folder("vit")
    config = ModelConfig.read(base / "config.json")
    tensors = read_tensors(base / "model.safetensors")
    rng = np.random.default_rng(0)
    finetuned = {n: v * 2 for n, v in tensors.items() if not n.startswith("image_encoder.")}
    name = "image_encoder.blocks.0.attn.qkv"
    finetuned[f"{name}.lora_a.q"] = rng.standard_normal((4, 32)).astype(np.float32)
    finetuned[f"{name}.lora_b.q"] = rng.standard_normal((32, 4)).astype(np.float32)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write_adapter(
        adapter,
        AdapterConfig(
            method="lora", base_digest=weights_digest(tensors), base_path=str(base),
            architecture=config.architecture, preprocessing=config.preprocessing, ais=config.ais,
            hyperparameters={"rank": 4, "matrices": ["q"], "blocks": [0]},
            source={"base": {"license": "Apache-2.0"}},
        ),
        finetuned,
    )  # fmt: skip
    merge(adapter, tmp_path / "model")
    from_adapter = export(adapter, tmp_path / "a")
    from_model = export(tmp_path / "model", tmp_path / "m")
    assert from_adapter.model == from_model.model
    assert from_adapter.license == "Apache-2.0"
    assert from_adapter.model.weights_digest != config.weights_digest
    image = picture((50, 60))
    first, second = load(tmp_path / "a").embed(image), load(tmp_path / "m").embed(image)
    np.testing.assert_array_equal(first.values, second.values)
    for output in (adapter, base):
        with pytest.raises(OutputExistsError, match="would replace the input"):
            export(adapter, output, force=True)


def test_card_and_metrics_come_into_the_package(model, tmp_path):
    scores = {"ais": {"msa": 0.5, "sa50": 0.75, "sa75": 0.5, "dice": 0.9}}
    export(
        model, tmp_path / "p", name="my-model", card={"limitations": "Only tests."},
        metrics={"evaluations": [{"subject": "this model", "scores": scores}]},
    )  # fmt: skip
    text = (tmp_path / "p" / "README.md").read_text(encoding="utf-8")
    assert "# my-model" in text
    assert "## Limitations\n\nOnly tests." in text
    assert "| ais | 0.500 | 0.750 | 0.500 | 0.900 |" in text
    assert Manifest.read(tmp_path / "p").card == {"limitations": "Only tests."}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"precision": "int4"},
            InputError,
            "precision: found 'int4', allowed: fp32, fp16, int8-weights, int8",
        ),
        ({"name": "My Model"}, FormatError, "name: found 'My Model'"),
        ({"files": {"../x": b""}}, FormatError, "files: unsafe path '../x'"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(model, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        export(model, tmp_path / "p", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"neither a model .* nor an adapter"):
        export(tmp_path, tmp_path / "p")


def test_weights_that_are_not_the_configs_are_refused(model_folder, tmp_path):
    model = model_folder("vit", seed=1)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "weights_digest": "sha256:0"}))
    with pytest.raises(FormatError, match="the files do not belong together"):
        export(model, tmp_path / "p")


def test_an_existing_output_is_refused_before_the_work(model, package, tmp_path):
    with pytest.raises(OutputExistsError, match="pass --force"):
        export(tmp_path / "no such model", package)
    with pytest.raises(OutputExistsError, match="would replace the input"):
        export(model, model, force=True)


def test_a_name_is_made_from_any_folder_name(model, tmp_path):
    assert export(model, tmp_path / "Zellkerne (2024) ").name == "zellkerne-2024"


def test_thresholds_of_a_model_without_ais_decoder_are_refused(seeded_base, tmp_path):
    with pytest.raises(InputError, match=r"ais: .* has no AIS decoder with thresholds; omit it"):
        export(seeded_base, tmp_path / "package", ais=AisParameters())
    assert not (tmp_path / "package").exists()
