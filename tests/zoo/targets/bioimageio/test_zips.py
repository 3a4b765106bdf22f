"""The zips in bioimageio.core: its own test, blocks, other sizes, and samzoo's own answers."""

import dataclasses
import functools
import zipfile

import numpy as np
import pytest
import tiny
from bioimageio_zips import export_zips, make_sam

from samzoo.runtime import load
from samzoo.runtime.automatic.maps import decode_maps
from samzoo.runtime.engine.encoding import encode_tiles
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.model import Model

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
core = pytest.importorskip("bioimageio.core")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.onnx,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    # The library fills an array of bytes with NaN before it joins blocks.
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning"),
]

BLOCKS = 1e-4
"""Maps in 0..1 of bioimageio.core against samzoo's, tile by tile: float32 in another order. Found:
4e-6 on tiny random models, 2e-6 on the shipped one."""


@functools.lru_cache(maxsize=4)
def opened(path, weights):
    model = core.load_model_description(path, perform_io_checks=False)
    return core.create_prediction_pipeline(model, weights_format=weights, devices=["cpu"]), model


def predict(path, weights, inputs, *, in_blocks):
    from samzoo.zoo.targets.bioimageio.proof import predicted

    pipeline, model = opened(path, weights)
    return predicted(pipeline, model, inputs, in_blocks=in_blocks)


def blocks(length, side):
    """Where bioimageio.core's blocks start: the last one is moved to the image's end."""
    return [min(start, length - side) for start in range(0, length, side)]


def own_maps(model, image):
    """samzoo's maps of the windows that are bioimageio.core's blocks, later ones on top."""
    side, (height, width) = model.field, image.shape[:2]
    windows = [
        (y, x, y + side, x + side) for y in blocks(height, side) for x in blocks(width, side)
    ]
    tiles = [Tile(window, window) for window in windows]
    embeddings = encode_tiles(model.networks, model.config, image, tiles)
    return decode_maps(model.networks, model.config, embeddings)


def cells(side, dtype=np.uint16):
    """An RGB image that is no multiple of a block along either side."""
    grey, _ = tiny.make_cells((2 * side + side // 3, side + side // 2), seed=4)
    rgb = np.stack([grey, grey[::-1], grey.max() - grey], axis=-1)
    return rgb if dtype == np.uint8 else rgb.astype(dtype) * 120 + 900


def as_tensor(image):
    return np.moveaxis(image, -1, 0)[None]


@pytest.mark.parametrize("purpose", [pytest.param("ais", marks=pytest.mark.slow), "prompts"])
def test_the_library_s_own_test_passes_for_both_weight_formats(zips, purpose):
    summary = core.test_model(zips[purpose], devices=["cpu"])
    assert summary.status == "passed", summary.format()
    warnings = [w for detail in summary.details for w in detail.warnings]
    serious = [w.msg for w in warnings if "all elements agree" not in w.msg]
    # What a manifest cannot know: a name on GitHub. The tiny base declares no licence.
    assert [m for m in serious if "maintainers" not in m] == [
        "Needs to be filled for FAIR compliance"
    ]


@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
def test_blocks_of_a_larger_image_are_samzoo_s_own_maps(package, zips, weights):
    image = cells(load(package).field)
    found = predict(zips["ais"], weights, {"image": as_tensor(image)}, in_blocks=True)
    assert found["ais_maps"].shape == (1, 3, *image.shape[:2])
    assert np.abs(found["ais_maps"][0] - own_maps(load(package), image)).max() < BLOCKS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decoder", "preprocessing", "precision"),
    [
        ("light", {"intensity": "none"}, "fp32"),
        ("light", {"intensity": "none"}, "fp16"),
        ("unetr", {"intensity": "min_max"}, "int8"),
        ("light", {"intensity": "none", "scale": 1.5}, "int8"),
        ("light", {"intensity": "min_max", "scale": 0.75}, "fp16"),
        ("unetr", {"intensity": "percentile", "percentiles": (2.0, 90.0), "scale": 2.0}, "fp32"),
    ],
)
def test_blocks_of_every_kind_of_package(tmp_path, decoder, preprocessing, precision):
    """The zips compute in float32, whatever the package's precision."""
    from samzoo.training.networks.graphs import TorchNetworks

    sam = make_sam(decoder, **preprocessing)
    package = export_zips(tmp_path, sam, precision=precision)
    model = Model(sam.config, TorchNetworks(sam))
    image = cells(model.field, np.uint8)
    expected = own_maps(model, image)
    for weights in ("onnx", "torchscript"):
        path = package / "bioimageio" / "tiny-cells-ais.zip"
        found = predict(path, weights, {"image": as_tensor(image)}, in_blocks=True)
        assert np.abs(found["ais_maps"][0] - expected).max() < BLOCKS


@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
@pytest.mark.parametrize(
    ("shape", "in_blocks"),
    [
        ((1, 3, 60, 60), False),  # larger, at once
        ((2, 3, 42, 42), False),  # two at once
        ((1, 3, 30, 30), True),  # smaller than a block
        ((1, 3, 21, 84), True),  # as many pixels as a block
        ((1, 1, 42, 42), True),  # grey
    ],
)
def test_sizes_that_do_not_fit_are_refused(zips, weights, shape, in_blocks):
    image = np.random.default_rng(0).random(shape, np.float32)
    with pytest.raises(Exception, match=r"(?i)dimensions|shape|size"):
        predict(zips["ais"], weights, {"image": image}, in_blocks=in_blocks)


def prompts(zips, side):
    model = core.load_model_description(zips["prompts"], perform_io_checks=False)
    return model, {
        "image": as_tensor(cells(side)[:side, :side]),
        "point_coords": np.array([[[side * 0.3, side * 0.4], [3, 3], *[[0, 0]] * 6]], np.float32),
        "point_labels": np.array([[1, 0, *[-1] * 6]], np.float32),
        "mask_input": np.zeros((1, 1, 32, 32), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }


@pytest.mark.parametrize("weights", ["onnx", "torchscript"])
@pytest.mark.parametrize("in_blocks", [True, False])
def test_a_prompted_mask_is_binary_and_samzoo_s_own(package, zips, weights, in_blocks):
    model = load(package)
    _, given = prompts(zips, model.field)
    found = predict(zips["prompts"], weights, given, in_blocks=in_blocks)
    assert found["masks"].dtype == np.uint8
    assert set(np.unique(found["masks"])) <= {0, 1}
    embeddings = model.embed(np.moveaxis(given["image"][0], 0, -1))
    masks, scores, low_res = model.prompt(
        embeddings, points=given["point_coords"][:, :2], point_labels=[[1, 0]]
    )
    assert (found["masks"][0, 0] != masks[0]).mean() < 1e-3
    assert abs(float(found["iou_predictions"][0, 0] - scores[0])) < 1e-4
    assert np.abs(found["low_res_masks"] - low_res).max() < 1e-3 * np.abs(low_res).max()


def test_prompts_in_a_larger_image_are_refused(package, zips):
    """Each block would need prompts of its own."""
    _, given = prompts(zips, load(package).field)
    given["image"] = as_tensor(cells(load(package).field))
    with pytest.raises(ValueError, match="number of blocks"):
        predict(zips["prompts"], "onnx", given, in_blocks=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A model that takes 8-bit intensities as they are, without a scale."""
    return export_zips(tmp_path_factory.mktemp("plain"), make_sam(intensity="none"))


def test_images_of_a_batch_come_back_one_by_one(plain):
    """An output's batch axis of fixed size would silently keep the last image alone."""
    image = cells(64, np.uint8)
    batch = np.concatenate([as_tensor(image[:64, :64]), as_tensor(image[-64:, -64:])])
    path = plain / "bioimageio" / "tiny-cells-ais.zip"
    found = predict(path, "onnx", {"image": batch}, in_blocks=True)["ais_maps"]
    for index, window in enumerate((image[:64, :64], image[-64:, -64:])):
        assert np.abs(found[index] - own_maps(load(plain), window)).max() < BLOCKS


def test_a_model_without_stretching_says_that_it_takes_8_bits(plain):
    model = core.load_model_description(
        plain / "bioimageio" / "tiny-cells-ais.zip", perform_io_checks=False
    )
    image = model.inputs[0]
    assert image.data.range == (0.0, 255.0)
    assert [each.id for each in image.preprocessing] == ["ensure_dtype"]


def test_tensors_have_the_graph_s_names_in_its_order(zips):
    """bioimageio.core binds them by position."""
    import onnxruntime

    for path in zips.values():
        model = core.load_model_description(path, perform_io_checks=False)
        with zipfile.ZipFile(path) as archive:
            graph = archive.read("weights.onnx")
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        assert [v.name for v in session.get_inputs()] == [t.id for t in model.inputs]
        assert [v.name for v in session.get_outputs()] == [t.id for t in model.outputs]
        assert not any(t.optional for t in model.inputs)


@pytest.mark.parametrize("intensity", ["none", "min_max"])
@pytest.mark.parametrize("scale", [None, 1.5, 0.5])
def test_a_tile_is_what_the_runtime_computes(scale, intensity):
    from samzoo.training.networks.bioimageio_graphs import AisPackage, image_side
    from samzoo.training.networks.graphs import TorchNetworks
    from samzoo.zoo.targets.bioimageio.tensors import fed

    sam = make_sam(scale=scale, intensity=intensity)
    model = Model(sam.config, TorchNetworks(sam))
    side = image_side(sam)
    image = cells(side, np.uint8)[:side, :side]
    given = fed(as_tensor(image), sam.config.preprocessing)
    with torch.no_grad():
        maps = AisPackage(sam)(torch.from_numpy(given)).numpy()[0]
    assert np.abs(maps - model.ais_maps(model.embed(image))).max() < BLOCKS


@pytest.mark.slow
def test_a_model_without_ais_decoder_has_prompts_only(tmp_path):
    package = export_zips(tmp_path, make_sam("none"))
    names = [path.name for path in (package / "bioimageio").iterdir()]
    assert names == ["tiny-cells-prompts.zip"]
    assert dataclasses.asdict(load(package).config.architecture)["ais_decoder"] is None
