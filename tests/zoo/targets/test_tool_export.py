"""The targets' ONNX files, fed as each tool feeds them, against segment-anything's predictor."""

import dataclasses
import runpy

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.model import Model
from samzoo.zoo import export
from samzoo.zoo.targets import choose_targets

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytestmark = [pytest.mark.torch, pytest.mark.onnx]

import onnxruntime  # noqa: E402

TARGETS = ["transformers-js", "samexporter", "anylabeling", "x-anylabeling", "osam", "cvat"]
SIZE = (684, 1024)
"""What AnyLabeling draws every image into; for the others a landscape as good as any."""

LOGIT = 1e-4
"""Of the largest logit: pixels nearer to zero than that may fall to either side."""

PROMPTS = {
    "point": ([[400.0, 300.0]], [1]),
    "points": ([[400.0, 300.0], [900.0, 80.0], [30.0, 640.0]], [1, 0, 1]),
    "box": ([[200.0, 100.0], [700.0, 500.0]], [2, 3]),
}


def big_config(encoder, **preprocessing):
    config = tiny.make_config("vit", ais=False, **preprocessing)
    return dataclasses.replace(
        config, architecture=dataclasses.replace(config.architecture, image_encoder=encoder)
    )


VIT = VitConfig(
    embed_dim=16, depth=2, num_heads=2, mlp_ratio=2.0, window_size=14, global_attn_indexes=(1,)
)
LITE = TinyVitConfig(
    image_size=256, embed_dims=(8, 12, 16, 24), depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2),
    window_sizes=(7, 7, 14, 7), patch_kernel=1, patch_stride=1, strides=(2, 2, 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def picture():
    return tiny.make_picture(SIZE)


@pytest.fixture(scope="module")
def sam():
    return tiny.make_sam(big_config(VIT))


@pytest.fixture(scope="module")
def package(sam, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    base = tiny.write_base(folder / "base", sam)
    export(base, folder / "package", targets=choose_targets(TARGETS), name="cells")
    return folder / "package"


def test_the_encoder_is_traced_once_for_all_tools(tmp_path, monkeypatch, sam):
    """And once for the package itself; six traces of a ViT-B took 200 s of a core."""
    from samzoo.training.encoders.table import ENCODER_NETWORKS

    row = ENCODER_NETWORKS[VitConfig]
    traced = []

    def encode(encoder, x):
        traced.append(torch.jit.is_tracing())
        return row.encode(encoder, x)

    monkeypatch.setitem(ENCODER_NETWORKS, VitConfig, dataclasses.replace(row, encode=encode))
    base = tiny.write_base(tmp_path / "base", sam)
    export(base, tmp_path / "package", targets=choose_targets(TARGETS), name="cells")
    assert sum(traced) == 2
    graphs = list((tmp_path / "package").rglob("*encoder.onnx"))
    assert len(graphs) == 7
    for path in graphs:  # no copy of the stand-in is left
        domains = [each.domain for each in onnx.load(path).opset_import]
        assert domains == [""], path


@pytest.fixture(scope="module")
def predictor(sam, picture):
    from segment_anything import SamPredictor

    predictor = SamPredictor(tiny.make_original(sam))
    predictor.set_image(picture)
    return predictor


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def expected(predictor, prompt):
    """Logits at image size and IoU of the mask that segment-anything's export chooses."""
    points, labels = (np.array(value) for value in prompt)
    box = (labels >= 2).any()
    masks, iou, low = predictor.predict(
        point_coords=None if box else points, point_labels=None if box else labels,
        box=points.reshape(4) if box else None, multimask_output=len(points) == 1,
        return_logits=True,
    )  # fmt: skip
    best = int(np.argmax(iou))
    return masks[best], iou[best], low[best]


def decoder_feed(embeddings, prompt, *, has=0.0):
    """With the padding point that tools add, also to a box."""
    points, labels = prompt
    points, labels = [*points, [0.0, 0.0]], [*labels, -1]
    return {
        "image_embeddings": embeddings,
        "point_coords": np.array([points], np.float32),
        "point_labels": np.array([labels], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.array([has], np.float32),
        "orig_im_size": np.array(SIZE, np.float32),
    }


def normalised(picture):
    """As osam and Hugging Face prepare an image whose longest side is 1024."""
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    x = np.zeros((1, 3, 1024, 1024), np.float32)
    x[0, :, : SIZE[0], : SIZE[1]] = ((picture - mean) / std).transpose(2, 0, 1)
    return x


def assert_same_mask(found, logits):
    """Every pixel whose logit is not zero within rounding."""
    sure = np.abs(logits) > LOGIT * np.abs(logits).max()
    np.testing.assert_array_equal(found[sure], logits[sure] > 0)
    assert sure.mean() > 0.999


@pytest.mark.parametrize("target", ["samexporter", "anylabeling", "x-anylabeling"])
def test_an_encoder_takes_the_picture_as_it_is(package, predictor, picture, target):
    encoder = session(package / target / "encoder.onnx")
    (value,) = encoder.get_inputs()
    assert (value.type, len(value.shape), value.shape[2]) == ("tensor(float)", 3, 3)
    (embeddings,) = encoder.run(None, {value.name: picture.astype(np.float32)})
    wanted = predictor.get_image_embedding().numpy()
    assert np.abs(embeddings - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_osams_encoder_tells_its_size_and_takes_a_normalised_picture(package, predictor, picture):
    encoder = session(package / "osam" / "encoder.onnx")
    (value,) = encoder.get_inputs()
    assert (value.name, value.shape) == ("x", [1, 3, 1024, 1024])
    (embeddings,) = encoder.run(None, {"x": normalised(picture)})
    wanted = predictor.get_image_embedding().numpy()
    assert np.abs(embeddings - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize(("target", "has"), [("anylabeling", 0.0), ("osam", -1.0)])
def test_a_decoder_answers_as_segment_anything(package, predictor, prompt, target, has):
    decoder = session(package / target / "decoder.onnx")
    assert [o.name for o in decoder.get_outputs()] == ["masks", "iou_predictions", "low_res_masks"]
    feed = decoder_feed(predictor.get_image_embedding().numpy(), prompt, has=has)
    masks, iou, low = decoder.run(None, feed)
    assert masks.shape == (1, 1, *SIZE)
    logits, wanted_iou, wanted_low = expected(predictor, prompt)
    scale = np.abs(wanted_low).max()
    assert np.abs(low[0, 0] - wanted_low).max() <= 1e-4 * scale
    assert abs(iou[0, 0] - wanted_iou) <= 1e-4
    assert_same_mask(masks[0, 0] > 0, logits)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_cvats_decoder_crops_the_mask_to_its_box(package, predictor, prompt):
    decoder = session(package / "cvat" / "decoder.onnx")
    names = [o.name for o in decoder.get_outputs()]
    feed = decoder_feed(predictor.get_image_embedding().numpy(), prompt)
    found = dict(zip(names, decoder.run(None, feed), strict=True))
    corners = [found[name] for name in ("xtl", "ytl", "xbr", "ybr")]
    assert all(corner.shape == () and corner.dtype == np.int64 for corner in corners)
    xtl, ytl, xbr, ybr = (int(corner) for corner in corners)
    assert found["masks"].dtype == np.uint8
    assert found["masks"].shape == (1, 1, ybr - ytl + 1, xbr - xtl + 1)
    assert set(np.unique(found["masks"])) <= {0, 255}
    mask = found["masks"][0, 0]
    assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    whole = np.zeros(SIZE, bool)
    whole[ytl : ybr + 1, xtl : xbr + 1] = found["masks"][0, 0] > 0
    assert_same_mask(whole, expected(predictor, prompt)[0])


@pytest.mark.parametrize(
    "mask",
    [[[0, 0], [0, 0]], [[0, 0], [0, 1]], [[1, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 1], [0, 0]]],
)
def test_a_span_holds_first_and_last(mask):
    from samzoo.training.networks.tool_graphs import _span

    rows = np.flatnonzero(np.any(mask, axis=1))
    wanted = (rows[0], rows[-1]) if rows.size else (0, 0)
    assert tuple(int(v) for v in _span(torch.tensor(mask).bool().any(dim=1))) == wanted


def test_cvats_function_answers_with_embeddings(package, predictor, picture, monkeypatch, tmp_path):
    """The nuclio function's own code, on a picture that needs no resizing."""
    import base64
    import io
    import json
    from types import SimpleNamespace

    from PIL import Image

    code = runpy.run_path(str(package / "cvat" / "function" / "main.py"))
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=SimpleNamespace)
    code["init_context"](context)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    event = SimpleNamespace(body={"image": base64.b64encode(file.getvalue()).decode()})
    answer = code["handler"](context, event)
    blob = np.frombuffer(base64.b64decode(json.loads(answer.body)["blob"]), np.float32)
    wanted = predictor.get_image_embedding().numpy()
    found = blob.reshape(wanted.shape)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert (
        "pth-facebookresearch-sam-vit-h"
        in (package / "cvat" / "function" / "function.yaml").read_text()
    )


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_transformers_js_gets_three_masks(package, predictor, picture, prompt):
    folder = package / "transformers-js"
    encoder = session(folder / "onnx" / "vision_encoder.onnx")
    decoder = session(folder / "onnx" / "prompt_encoder_mask_decoder.onnx")
    embeddings, positions = encoder.run(None, {"pixel_values": normalised(picture)})
    points, labels = (np.array(value) for value in prompt)
    iou, masks = decoder.run(
        None,
        {
            "input_points": np.stack([points, points])[None].astype(np.float32),
            "input_labels": np.stack([labels, labels])[None].astype(np.int64),
            "image_embeddings": embeddings,
            "image_positional_embeddings": positions,
        },
    )
    assert (iou.shape, masks.shape) == ((1, 2, 3), (1, 2, 3, 256, 256))
    box = (labels >= 2).any()
    _, wanted_iou, wanted = predictor.predict(
        point_coords=None if box else points, point_labels=None if box else labels,
        box=points.reshape(4) if box else None, multimask_output=True, return_logits=True,
    )  # fmt: skip
    for row in (0, 1):
        assert np.abs(masks[0, row] - wanted).max() <= 1e-4 * np.abs(wanted).max()
        np.testing.assert_allclose(iou[0, row], wanted_iou, atol=1e-4)
    for name in ("config.json", "preprocessor_config.json", "processor_config.json"):
        assert (folder / name).is_file()


def test_padding_of_hugging_face_is_padding(package, predictor):
    decoder = session(package / "transformers-js" / "onnx" / "prompt_encoder_mask_decoder.onnx")
    embeddings = predictor.get_image_embedding().numpy()
    answers = []
    for padding in (-1, -10):
        feed = {
            "input_points": np.array([[[[400.0, 300.0], [7.0, 7.0]]]], np.float32),
            "input_labels": np.array([[[1, padding]]], np.int64),
            "image_embeddings": embeddings,
            "image_positional_embeddings": embeddings,
        }
        answers.append(decoder.run(None, feed)[1])
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("target", TARGETS)
def test_graphs_are_what_every_engine_reads(package, target):
    """Opset 17, the default domain, no weights outside."""
    files = sorted((package / target).rglob("*.onnx"))
    assert len(files) == 2
    for path in files:
        model = onnx.load(path, load_external_data=False)
        assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 17)}
        assert model.ir_version <= 8
        assert not any(t.data_location for t in model.graph.initializer)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"intensity": "min_max", "gamma": 0.7}, id="min_max", marks=pytest.mark.slow),
        pytest.param(
            {
                "intensity": "percentile", "percentiles": (0.5, 99.0),
                "pixel_mean": (0.0, 0.0, 0.0), "pixel_std": (255.0, 255.0, 255.0),
            },
            id="percentile", marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_model_of_256_pixels_works_behind_an_interface_of_1024(tmp_path, picture, settings):
    from samzoo.training.networks.graphs import TorchNetworks

    sam = tiny.make_sam(big_config(LITE, **settings))
    base = tiny.write_base(tmp_path / "base", sam)
    export(
        base, tmp_path / "package", targets=choose_targets(["anylabeling", "osam"]), name="cells"
    )
    model = Model(sam.config, TorchNetworks(sam))
    ours = model.embed(picture)
    folder = tmp_path / "package"
    (hwc,) = session(folder / "anylabeling" / "encoder.onnx").run(
        None, {"input_image": picture.astype(np.float32)}
    )
    (nchw,) = session(folder / "osam" / "encoder.onnx").run(None, {"x": normalised(picture)})
    for embeddings in (hwc, nchw):
        # Pillow rounds its filter's weights for uint8 images; float images it resizes as we do.
        values = np.asarray(ours.values)
        assert np.abs(embeddings - values).max() <= 0.02 * np.abs(values).max()
    points, labels = PROMPTS["points"]
    masks, iou, _ = session(folder / "anylabeling" / "decoder.onnx").run(
        None, decoder_feed(ours.values, (points, labels))
    )
    wanted, wanted_iou, _ = model.prompt(ours, points=[points], point_labels=[labels])
    # The tool adds a padding point, segment-anything's predictor does too.
    assert masks.shape == (1, 1, *SIZE)
    assert abs(iou[0, 0] - wanted_iou[0]) <= 1e-4
    assert ((masks[0, 0] > 0) != wanted[0]).mean() < 1e-4


@pytest.mark.parametrize("shape", [(684, 1024), (1024, 401), (1000, 999), (513, 1024)])
def test_the_encoder_resizes_as_pillow(shape):
    from PIL import Image

    from samzoo.training.networks.tool_graphs import ToolEncoder

    encoder = ToolEncoder(tiny.make_sam(big_config(LITE)))
    x = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    with torch.no_grad():
        found = encoder._resized(torch.from_numpy(x)[None, None])[0, 0].numpy()
    height, width = (max(1, int(side / 4 + 0.5)) for side in shape)
    assert found.shape == (height, width)
    wanted = np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.BILINEAR))
    exact = all(side % 4 == 0 for side in shape)
    # Otherwise Pillow's ratio is that of the rounded sides.
    assert np.abs(found - wanted).max() <= (1e-3 if exact else 40)


def test_another_grid_is_refused_with_a_reason(tmp_path):
    from samzoo.runtime.errors import InputError

    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("vit", ais=False)))
    with pytest.raises(InputError, match="target osam: its embeddings have a grid of 8"):
        export(base, tmp_path / "package", targets=choose_targets(["osam"]))
    assert not (tmp_path / "package").exists()
