"""Checkpoints for other tools: loaded strictly, the same outputs, and back without a change."""

import json
import logging
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import (
    FormatError,
    InputError,
    MissingDependencyError,
    NotFoundError,
    OutputExistsError,
)
from samzoo.runtime.formats.architecture import LightDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.files import read_tensors
from samzoo.zoo.checkpoints.conversion import convert
from samzoo.zoo.checkpoints.writing import write_checkpoint

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

DECODERS = {
    "none": None,
    "light": LightDecoderConfig(channels=(8, 6, 4)),
    "unetr": UnetrDecoderConfig(features=(12, 10, 8, 6), upsampling="transposed"),
}


def make_base(folder, encoder="vit", ais="none", **preprocessing):
    import dataclasses

    config = tiny.make_config(encoder, ais=False, **preprocessing)
    architecture = dataclasses.replace(config.architecture, ais_decoder=DECODERS[ais])
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    return sam, tiny.write_base(folder, sam)


def weights(folder):
    return read_tensors(folder / "model.safetensors")


def assert_same_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


@torch.no_grad()
def test_segment_anything_loads_it_strictly_and_gives_the_same_masks(tmp_path):
    sam, base = make_base(tmp_path / "base")
    assert write_checkpoint(base, tmp_path / "sam.pth", to="segment-anything") == [
        tmp_path / "sam.pth"
    ]
    state = torch.load(tmp_path / "sam.pth", weights_only=True)
    original = tiny.make_original(tiny.make_sam(sam.config, seed=9))
    original.load_state_dict(state, strict=True)
    image = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1)) * 255
    embeddings = original.image_encoder(original.preprocess(image))
    torch.testing.assert_close(sam.embed(image), embeddings, rtol=1e-5, atol=1e-5)
    boxes = torch.tensor([[2.0, 4.0, 40.0, 60.0]])
    sparse, dense = original.prompt_encoder(points=None, boxes=boxes, masks=None)
    expected = original.mask_decoder(
        image_embeddings=embeddings,
        image_pe=original.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    found = sam.decode(embeddings, boxes=boxes, multimask_output=True)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["vit", "tiny_vit"])
@pytest.mark.parametrize("ais", DECODERS)
@pytest.mark.parametrize("target", ["segment-anything", "micro-sam", "huggingface"])
def test_what_was_written_comes_back(tmp_path, encoder, ais, target, caplog):
    sam, base = make_base(tmp_path / "base", encoder, ais)
    output = tmp_path / ("hf" if target == "huggingface" else "out.pt")
    if (encoder, target) == ("tiny_vit", "huggingface"):
        with pytest.raises(InputError, match="has a ViT encoder, but this model has a TinyViT"):
            write_checkpoint(base, output, to=target)
        assert not output.exists()
        return
    with caplog.at_level(logging.WARNING):
        write_checkpoint(base, output, to=target)
    kept = ais == "unetr" and target == "micro-sam"
    assert ("cannot hold its AIS decoder" in caplog.text) == (ais != "none" and not kept)
    back = convert(output, tmp_path / "back")
    expected = {n: v for n, v in weights(base).items() if kept or not n.startswith("ais_decoder.")}
    assert_same_weights(weights(back), expected)
    found = ModelConfig.read(back / "config.json").architecture
    assert found.ais_decoder == (DECODERS[ais] if kept else None)
    if target == "huggingface":  # the others say nothing about the heads of the mask decoder
        assert found.mask_decoder == sam.config.architecture.mask_decoder
    if encoder == "vit":
        assert found.image_encoder == sam.config.architecture.image_encoder


def test_micro_sams_file_has_its_two_state_dicts(tmp_path):
    _, base = make_base(tmp_path / "base", ais="unetr")
    write_checkpoint(base, tmp_path / "sam.pt", to="micro-sam")
    value = torch.load(tmp_path / "sam.pt", weights_only=True)
    assert [*value] == ["model_state", "decoder_state"]
    assert not any(name.startswith("ais_decoder.") for name in value["model_state"])
    assert "decoder.samplers.0.block.weight" in value["decoder_state"]


def test_micro_sams_decoder_can_go_into_a_file_of_its_own(tmp_path):
    _, base = make_base(tmp_path / "base", ais="unetr")
    sam, decoder = tmp_path / "sam.pt", tmp_path / "sam_decoder.pt"
    assert write_checkpoint(base, sam, to="micro-sam", decoder=decoder) == [sam, decoder]
    back = convert(sam, tmp_path / "back", decoder=decoder)
    assert_same_weights(weights(back), weights(base))


def test_mobile_sam_gets_the_head_that_its_network_has(tmp_path):
    sam, base = make_base(tmp_path / "base", "tiny_vit")
    assert sam.config.architecture.image_encoder.patch_kernel == 3
    write_checkpoint(base, tmp_path / "sam.pt", to="segment-anything")
    state = torch.load(tmp_path / "sam.pt", weights_only=True)
    assert state["image_encoder.head.weight"].shape == (1000, 24)
    assert state["image_encoder.norm_head.bias"].shape == (24,)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    _, base = make_base(tmp_path / "base")
    for name in ("a.pth", "b.pt"):
        write_checkpoint(base, tmp_path / name, to="segment-anything")
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_huggingface_folders_need_no_torch(tmp_path):
    make_base(tmp_path / "base")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from samzoo.zoo.checkpoints.writing import write_checkpoint\n"
        "write_checkpoint(Path('base'), Path('hf'), to='huggingface')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert sorted(os.listdir(tmp_path / "hf")) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "processor_config.json",
    ]


def test_without_torch_a_file_is_not_begun(tmp_path, monkeypatch):
    _, base = make_base(tmp_path / "base")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"pip install '.*\[export\]'"):
        write_checkpoint(base, tmp_path / "sam.pth", to="segment-anything")
    assert os.listdir(tmp_path) == ["base"]


@pytest.mark.parametrize(
    ("preprocessing", "target", "told"),
    [
        ({}, "segment-anything", ""),
        ({"gamma": 0.5}, "huggingface", "gamma 0.5"),
        ({"scale": 2.0}, "segment-anything", "scale 2"),
        ({"intensity": "min_max"}, "segment-anything", "intensity min_max"),
        ({"intensity": "min_max"}, "micro-sam", ""),
        ({"pixel_mean": (0.0, 0.0, 0.0)}, "segment-anything", ""),  # folded
        ({"pixel_mean": (0.0, 0.0, 0.0)}, "huggingface", ""),
    ],
)
def test_what_the_file_cannot_say_is_told(tmp_path, caplog, preprocessing, target, told):
    _, base = make_base(tmp_path / "base", **preprocessing)
    output = tmp_path / ("hf" if target == "huggingface" else "out.pt")
    with caplog.at_level(logging.WARNING):
        write_checkpoint(base, output, to=target)
    size = "No registry builds this network, a ViT at 64 pixels"
    assert any(size in line for line in caplog.messages) == (target != "huggingface")
    found = [line for line in caplog.messages if size not in line]
    assert any(told in line for line in found) if told else not found


BAD_CALLS: dict[str, tuple[dict[str, Any], type[Exception] | None, str]] = {
    "suffix": ({"output": "sam.onnx"}, InputError, r"must end in \.pth or \.pt"),
    "target": ({"to": "keras"}, InputError, "found 'keras', allowed: segment-anything, micro-sam"),
    "no decoder": (
        {"to": "micro-sam", "decoder": "d.pt"}, InputError, "no AIS decoder of micro-sam's",
    ),
    "decoder for others": ({"decoder": "d.pt"}, InputError, "it needs to='micro-sam'"),
    "one file for both": (
        {"to": "micro-sam", "decoder": "sam.pth"}, InputError, "choose another name",
    ),
    "input": ({"output": "base/model.pt"}, None, ""),
    "a folder": ({"output": "folder.pt", "force": True}, InputError, "is a folder; give a file"),
    "exists": ({"output": "there.pt"}, OutputExistsError, "--force"),
    "over the input": (
        {"to": "huggingface", "output": "base", "force": True}, OutputExistsError, "the input",
    ),
    "no base": ({"source": "folder.pt"}, NotFoundError, "not the folder of a base or model"),
    "a file": ({"source": "there.pt"}, NotFoundError, "run samzoo convert on a checkpoint first"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_wrong_call_writes_nothing(tmp_path, name):
    make_base(tmp_path / "base")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "there.pt").write_bytes(b"mine")
    given, error, message = BAD_CALLS[name]
    options: dict[str, Any] = {
        "source": "base",
        "output": "sam.pth",
        "to": "segment-anything",
        **given,
    }
    for key in ("source", "output", "decoder"):
        if key in options:
            options[key] = tmp_path / options[key]
    before = sorted(tmp_path.rglob("*"))
    if error is None:
        write_checkpoint(**options)
        return
    with pytest.raises(error, match=message):
        write_checkpoint(**options)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.pt").read_bytes() == b"mine"


def test_a_damaged_base_is_refused(tmp_path):
    _, base = make_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    config["architecture"]["image_encoder"]["depth"] = 3
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(FormatError, match=r"lacks 'image_encoder\.blocks\.2"):
        write_checkpoint(base, tmp_path / "sam.pth", to="segment-anything")


def test_bottlenecks_that_do_not_fold_are_refused(tmp_path):
    _, base = make_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    config["architecture"]["image_encoder"]["adaptformer"] = {"projection": 4, "blocks": [1]}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"AdaptFormer's bottlenecks .* export the model to ONNX"):
        write_checkpoint(base, tmp_path / "sam.pth", to="segment-anything")
    assert os.listdir(tmp_path) == ["base"]


def test_the_command_line_reads_them(tmp_path, monkeypatch, capsys):
    from samzoo.zoo.cli import main

    monkeypatch.chdir(tmp_path)
    _, base = make_base(tmp_path / "base", ais="unetr")
    file, decoder = tmp_path / "sam.pt", tmp_path / "decoder.pt"
    assert write_checkpoint(base, file, to="micro-sam", decoder=decoder) == [file, decoder]
    assert main(["convert", "sam.pt", "-o", "back", "--decoder", "decoder.pt"]) == 0
    assert capsys.readouterr().out == "back\n"
    assert_same_weights(weights(tmp_path / "back"), weights(tmp_path / "base"))
