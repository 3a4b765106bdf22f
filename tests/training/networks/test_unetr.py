"""micro-sam's AIS decoder against torch-em's own outputs, and as a part of a model."""

from pathlib import Path

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.architecture import UnetrDecoderConfig
from samzoo.runtime.model import Model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

GOLDENS = Path(__file__).parents[2] / "goldens" / "unetr_decoder.npz"

TOLERANCE = 1e-5
"""Of values in 0..1: float32 sums in another order."""

UPSAMPLINGS = ("bilinear", "transposed")
SMALL = (16, 10, 6, 4)


def build(**options):
    from samzoo.training.networks.unetr import UnetrDecoder

    return UnetrDecoder(UnetrDecoderConfig(**options)).eval()


def random_decoder(shapes, seed=0):
    """The weights of the goldens; see ``make_checkpoint_goldens.py``."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name in sorted(shapes):
        noise = rng.standard_normal(shapes[name]).astype(np.float32)
        if name.endswith("num_batches_tracked"):
            tensors[name] = np.array(7, np.int64)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + np.abs(noise)
        elif name.endswith("weight"):
            fan_in = max(1, int(np.prod(shapes[name][1:])))
            tensors[name] = noise / np.float32(np.sqrt(fan_in)) + np.float32(len(shapes[name]) == 1)
        else:
            tensors[name] = np.float32(0.3) * noise
    return tensors


@torch.no_grad()
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("mode", ["running", "batch"])
def test_maps_equal_those_of_torch_em(upsampling, mode):
    with np.load(GOLDENS) as file:
        embedding, expected = file["embedding"], file[f"{upsampling}_{mode}"]
    decoder = build(upsampling=upsampling, batch_norm=mode)
    shapes = {name: tuple(value.shape) for name, value in decoder.state_dict().items()}
    tensors = random_decoder(shapes)
    decoder.load_state_dict({n: torch.from_numpy(np.array(v)) for n, v in tensors.items()})
    maps = decoder(torch.from_numpy(embedding)).numpy()
    assert expected.std() > 0.05
    np.testing.assert_allclose(maps, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("upsampling", "parameters"), [("transposed", 11_028_931), ("bilinear", 9_591_235)]
)
def test_parameters_are_as_many_as_micro_sams(upsampling, parameters):
    with torch.device("meta"):
        decoder = build(upsampling=upsampling)
    assert sum(value.numel() for value in decoder.parameters()) == parameters


@torch.no_grad()
def test_batch_statistics_are_those_of_torchs_training_mode():
    """Also with gradients off and in eval mode, as micro-sam's command line has them."""
    running, batch = (
        tiny.randomise(build(features=SMALL, batch_norm=mode)) for mode in ("running", "batch")
    )
    x = torch.randn(2, 256, 4, 3, generator=torch.Generator().manual_seed(0))
    found = batch.eval()(x)
    torch.testing.assert_close(found, running.train()(x), rtol=TOLERANCE, atol=TOLERANCE)
    assert not torch.allclose(found, tiny.randomise(running).eval()(x), atol=1e-3)


@torch.no_grad()
def test_statistics_of_the_batch_leave_the_stored_ones_alone():
    decoder = tiny.randomise(build(features=SMALL, batch_norm="batch"))
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    decoder.train()(torch.randn(1, 256, 4, 4))
    assert all(torch.equal(before[name], value) for name, value in decoder.state_dict().items())


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("mode", ["running", "batch"])
def test_every_weight_learns(upsampling, mode):
    decoder = tiny.randomise(build(features=SMALL, upsampling=upsampling, batch_norm=mode))
    maps = decoder(torch.randn(1, 256, 4, 4, generator=torch.Generator().manual_seed(0)))
    (maps**2).mean().backward()
    still = [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before a norm is taken off again by the norm.
    normed = "block.1.block.bias" if mode == "batch" else "nothing"
    assert [name for name in still if not name.endswith(normed)] == []


@pytest.mark.parametrize("mode", ["running", "batch"])
def test_a_model_segments_with_it(mode):
    import dataclasses

    from samzoo.training.networks.graphs import AisGraph, TorchNetworks

    config = tiny.make_config()
    decoder = UnetrDecoderConfig(features=SMALL, batch_norm=mode)
    architecture = dataclasses.replace(config.architecture, ais_decoder=decoder)
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    model = Model(sam.config, TorchNetworks(sam))
    image, _ = tiny.make_cells((60, 64))
    embeddings = model.embed(image)
    maps = model.ais_maps(embeddings)
    with torch.no_grad():
        expected = AisGraph(sam)(torch.from_numpy(embeddings.values))
    assert expected.shape == (1, 3, 16 * 8, 16 * 8)
    # The maps have twice the side of the encoder's input; resized as micro-sam resizes them.
    resized = torch.nn.functional.interpolate(expected, (64, 64), mode="bilinear")[0, :, :60]
    np.testing.assert_allclose(maps, resized.numpy(), rtol=TOLERANCE, atol=TOLERANCE)
    assert model.segment(embeddings).shape == (60, 64)


@pytest.mark.onnx
@pytest.mark.filterwarnings("ignore")  # the tracing exporter's own
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("mode", ["running", "batch"])
def test_the_exported_graph_computes_the_same(tmp_path, upsampling, mode):
    pytest.importorskip("onnx")
    import onnxruntime

    decoder = tiny.randomise(build(features=SMALL, upsampling=upsampling, batch_norm=mode))
    x = torch.randn(1, 256, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(decoder, (x,), tmp_path / "a.onnx", dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, decoder(x).numpy(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("mode", ["running", "batch"])
def test_it_trains_and_becomes_part_of_the_adapter(tmp_path, mode):
    pytest.importorskip("lightning_fabric")
    from samzoo.training import TrainConfig, read_adapter, train
    from samzoo.training.data.annotated import Annotated

    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("vit", ais=False)))
    pairs = [tiny.make_cells((64, 64), seed) for seed in (0, 1)]
    cells = [Annotated(image, labels, "cells") for image, labels in pairs]
    decoder = UnetrDecoderConfig(features=SMALL, batch_norm=mode)
    config = TrainConfig(
        epochs=1, steps_per_epoch=2, n_objects=2, n_sub_iteration=1, ais_decoder=decoder,
        ais_learning_rate=1e-2, validation_tasks=("ais",), search_ais=False,
    )  # fmt: skip
    train(
        base=base, method="freeze_encoder", config=config, output=tmp_path / "run",
        train_data=cells[:1], val_data=cells[1:],
    )  # fmt: skip
    adapter, tensors = read_adapter(tmp_path / "run")
    assert adapter.architecture.ais_decoder == decoder
    fresh = build(features=SMALL).state_dict()
    assert {f"ais_decoder.{name}" for name in fresh} == {
        name for name in tensors if name.startswith("ais_decoder.")
    }


def trained_statistics(tmp_path, base, decoder):
    """Running statistics of the first BatchNorm after two steps."""
    from samzoo.training import TrainConfig, read_adapter, train
    from samzoo.training.data.annotated import Annotated

    pairs = [tiny.make_cells((64, 64), seed) for seed in (0, 1)]
    cells = [Annotated(image, labels, "cells") for image, labels in pairs]
    config = TrainConfig(
        epochs=1, steps_per_epoch=2, n_objects=2, n_sub_iteration=1, ais_decoder=decoder,
        validation_tasks=("ais",), search_ais=False,
    )  # fmt: skip
    train(
        base=base, method="freeze_encoder", config=config, output=tmp_path / "run",
        train_data=cells[:1], val_data=cells[1:],
    )  # fmt: skip
    return statistics(read_adapter(tmp_path / "run")[1])


def statistics(tensors):
    prefix = "ais_decoder.deconv1.block.2."
    return np.stack([tensors[f"{prefix}running_mean"], tensors[f"{prefix}running_var"]])


def test_a_fresh_decoder_learns_its_batch_norms_statistics(tmp_path):
    pytest.importorskip("lightning_fabric")
    base = tiny.write_base(tmp_path / "base", tiny.make_sam(tiny.make_config("vit", ais=False)))
    found = trained_statistics(tmp_path, base, UnetrDecoderConfig(features=SMALL))
    mean, variance = found
    assert np.isfinite(found).all()
    assert np.abs(mean).min() > 0  # they start at zero and one
    assert np.abs(variance - 1).min() > 0


def test_a_published_decoder_keeps_its_batch_norms_statistics(tmp_path):
    pytest.importorskip("lightning_fabric")
    import dataclasses

    config = tiny.make_config("vit")
    decoder = UnetrDecoderConfig(features=SMALL)
    architecture = dataclasses.replace(config.architecture, ais_decoder=decoder)
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    base = tiny.write_base(tmp_path / "base", sam)
    published = statistics({name: value.numpy() for name, value in sam.state_dict().items()})
    found = trained_statistics(tmp_path, base, UnetrDecoderConfig(features=SMALL))
    np.testing.assert_array_equal(found, published)
