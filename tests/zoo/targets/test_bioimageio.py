"""BioImage.IO packages: the library's own test passes for each weight format, offline."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.model import Model
from samzoo.zoo import export
from samzoo.zoo.targets import choose_targets

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("bioimageio.core")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.onnx,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

CARD = {
    "authors": "Ada Lovelace and Alan Turing. See https://example.org.",
    "description": "Finds cells.",
    "limitations": "Only tiny ones.",
}
SCORES = {"msa": 0.5, "sa50": 0.6, "sa75": 0.55, "dice": 0.8}
METRICS = {
    "evaluations": [
        {"subject": "this model", "data": "cells", "split": "test", "scores": {"ais": SCORES}}
    ]
}


def make_sam(decoder="light", **preprocessing):
    config = tiny.make_config("vit", **preprocessing)
    if decoder != "light":
        ais = tiny.UNETR_DECODER if decoder == "unetr" else None
        architecture = dataclasses.replace(config.architecture, ais_decoder=ais)
        config = dataclasses.replace(config, architecture=architecture)
    config = dataclasses.replace(config, ais=AisParameters(min_size=7, distance_smoothing=1.25))
    return tiny.make_sam(config)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("BIOIMAGEIO_CACHE_PATH", str(tmp_path / "cache"))

    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("socket.socket.connect", refuse)


def write(tmp_path, sam):
    base = tiny.write_base(tmp_path / "base", sam)
    export(
        base, tmp_path / "package", name="tiny-cells", segments="cells",
        targets=choose_targets(["bioimageio"]),
        card=CARD, metrics=METRICS,
    )  # fmt: skip
    return tmp_path / "package" / "bioimageio"


def description(path):
    from bioimageio.spec import load_model_description

    return load_model_description(path, perform_io_checks=False)


@pytest.mark.parametrize(
    ("decoder", "preprocessing"),
    [
        pytest.param("light", {}, marks=pytest.mark.slow),
        ("unetr", {"intensity": "percentile", "percentiles": (0.5, 99.5), "gamma": 0.7}),
        pytest.param("light", {"scale": 1.5, "intensity": "min_max"}, marks=pytest.mark.slow),
    ],
)
def test_the_library_s_own_test_passes_for_every_weight_format(tmp_path, decoder, preprocessing):
    import bioimageio.core

    folder = write(tmp_path, make_sam(decoder, **preprocessing))
    files = sorted(folder.glob("*.zip"))
    assert [path.name for path in files] == ["tiny-cells-ais.zip", "tiny-cells-prompts.zip"]
    for path in files:
        for weights in ("onnx", "torchscript"):
            summary = bioimageio.core.test_model(path, weight_format=weights, devices=["cpu"])
            assert summary.status == "passed", summary.format()


def test_tensors_have_the_graph_s_names_in_its_order(tmp_path):
    """bioimageio.core binds them by position."""
    import onnxruntime

    for path in write(tmp_path, make_sam()).glob("*.zip"):
        model = description(path)
        with zipfile.ZipFile(path) as archive:
            graph = archive.read("weights.onnx")
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        assert [v.name for v in session.get_inputs()] == [t.id for t in model.inputs]
        assert [v.name for v in session.get_outputs()] == [t.id for t in model.outputs]
        assert not any(t.optional for t in model.inputs)


@pytest.mark.parametrize("scale", [None, 1.5, 0.5])
def test_it_computes_what_the_runtime_computes(tmp_path, scale):
    from samzoo.training.networks.bioimageio_graphs import AisPackage, PromptPackage, image_side
    from samzoo.training.networks.graphs import TorchNetworks

    sam = make_sam(scale=scale, intensity="min_max")
    model = Model(sam.config, TorchNetworks(sam))
    side = image_side(sam)
    image, _ = tiny.make_cells((side, side), seed=2)
    rgb = np.repeat(image.astype(np.float32)[None, None], 3, axis=1)
    embeddings = model.embed(image)
    with torch.no_grad():
        maps = AisPackage(sam)(torch.from_numpy(rgb)).numpy()[0]
        coords = np.full((1, 8, 2), 0, np.float32)
        labels = np.full((1, 8), -1, np.float32)
        coords[0, :3] = [[side * 0.3, side * 0.4], [side * 0.6, side * 0.5], [side * 0.2, 3]]
        labels[0, :3] = [1, 1, 0]
        low = np.zeros((1, 1, 32, 32), np.float32)
        masks, iou, _ = PromptPackage(sam)(
            *(torch.from_numpy(v) for v in (rgb, coords, labels, low, np.zeros(1, np.float32)))
        )
    # Pillow's filter in float32, added up in another order.
    assert np.abs(maps - model.ais_maps(embeddings)).max() < 2e-3
    wanted, scores, _ = model.prompt(
        embeddings, points=coords[:, :3], point_labels=labels[:, :3].astype(int)
    )
    assert abs(float(iou[0, 0]) - float(scores[0])) < 2e-3
    assert ((masks[0, 0].numpy() > 0) != wanted[0]).mean() < 5e-3


def test_the_description_is_made_from_the_manifest(tmp_path):
    folder = write(tmp_path, make_sam(scale=1.5))
    model = description(folder / "tiny-cells-ais.zip")
    assert model.name == "tiny-cells (automatic segmentation)"
    assert [author.name for author in model.authors] == ["Ada Lovelace", "Alan Turing"]
    assert model.description == "Finds cells."
    channels = model.outputs[0].axes[1].channel_names
    assert list(channels) == ["foreground", "center_distances", "boundary_distances"]
    samzoo = json.loads(json.dumps(model.config.model_dump()["samzoo"]))
    assert samzoo["postprocessing"]["id"] == "microsam_watershed"
    assert samzoo["postprocessing"]["kwargs"] == {
        "foreground_threshold": 0.5, "center_distance_threshold": 0.5,
        "boundary_distance_threshold": 0.5, "foreground_smoothing": 1.0,
        "distance_smoothing": 1.25, "min_size": 7,
    }  # fmt: skip
    with zipfile.ZipFile(folder / "tiny-cells-ais.zip") as archive:
        text = archive.read("README.md").decode()
    assert "# Validation" in text
    assert "ais 0.500" in text


def test_a_model_without_ais_decoder_has_prompts_only(tmp_path):
    folder = write(tmp_path, make_sam("none"))
    assert [path.name for path in folder.iterdir()] == ["tiny-cells-prompts.zip"]
