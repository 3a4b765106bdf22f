"""Merged models against the networks that their adapters were in training, all methods."""

import dataclasses
import zlib
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, MissingDependencyError
from samzoo.runtime.formats.adapter import AdapterConfig, read_adapter, write_adapter
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.files import read_tensors
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.training import METHODS
from samzoo.zoo import merge
from samzoo.zoo.merging.comparison import merge_differences
from samzoo.zoo.merging.merged_weights import QLORA_BASES

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-5
"""Relative; merging sums in float64 and rounds once, the networks add float32 products."""

QUANTIZED_TOLERANCE = 1e-4
"""Relative, against bitsandbytes' 4-bit layers."""


def random_like(name, shape, size=0.1):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return (rng.standard_normal(shape) * size).astype(np.float32)


def write_random_adapter(folder, base, name, **given):
    """An adapter of a method with random values, as if trained; returns its folder."""
    config, tensors = read_model_folder(base)
    method = METHODS[name]
    settings = method.resolved(method.settings(given), config.architecture)
    encoder = {
        n.removeprefix("image_encoder."): v.shape
        for n, v in tensors.items()
        if n.startswith("image_encoder.") and "running_" not in n and "num_batches" not in n
    }
    trained = method.trainable(encoder, config.architecture, settings)
    adapter: dict[str, Any] = {
        f"image_encoder.{n}": random_like(n, shape) + tensors.get(f"image_encoder.{n}", 0)
        for n, shape in trained.items()
    }
    adapter |= {
        n: v + random_like(n, v.shape, 0.01) if v.dtype == np.float32 else v
        for n, v in tensors.items()
        if not n.startswith("image_encoder.")
    }
    folder.mkdir()
    described = AdapterConfig(
        method=name, base_digest=config.weights_digest, base_path=str(base),
        architecture=method.extended(config.architecture, settings),
        preprocessing=config.preprocessing, ais=config.ais, hyperparameters=to_json(settings),
    )  # fmt: skip
    adapter = {n: np.asarray(v, np.float32 if v.dtype.kind == "f" else None) for n, v in
               adapter.items()}  # fmt: skip
    write_adapter(folder, described, adapter)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {
        encoder: tiny.write_base(folder / encoder, tiny.make_sam(tiny.make_config(encoder)))
        for encoder in tiny.ENCODERS
    }


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)


def small(name):
    """Hyperparameters that fit tiny networks."""
    given = {"rank": 3, "projection": 5, "matrices": ["q", "k", "v", "proj", "mlp"], "scale": 0.7}
    return {key: value for key, value in given.items() if hasattr(METHODS[name].defaults, key)}


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("name", METHODS)
def test_a_merged_model_gives_the_embeddings_of_its_adapter(
    bases, tmp_path, picture, name, encoder
):
    if METHODS[name].quantized is not None:
        pytest.importorskip("bitsandbytes")
    adapter = write_random_adapter(tmp_path / "adapter", bases[encoder], name, **small(name))
    merge(adapter, tmp_path / "model")
    found = merge_differences(adapter, tmp_path / "model", picture)
    quantized = METHODS[name].quantized is not None
    assert found[0].relative <= (QUANTIZED_TOLERANCE if quantized else TOLERANCE)
    assert len(found) == (2 if quantized else 1)
    changed = merge_differences(adapter, bases[encoder], picture)[0]
    assert (changed.relative > 1e-3) == (name != "freeze_encoder")


def test_factors_that_layers_share_are_merged(bases, tmp_path, picture):
    adapter = write_random_adapter(
        tmp_path / "adapter", bases["tiny_vit"], "fact", rank=3, shared=True
    )
    merge(adapter, tmp_path / "model")
    (found,) = merge_differences(adapter, tmp_path / "model", picture)
    assert found.relative <= TOLERANCE


@pytest.mark.parametrize("quantization", ["fp4", "nf4"])
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_each_qlora_base_gives_the_network_that_it_names(
    bases, tmp_path, picture, encoder, quantization
):
    pytest.importorskip("bitsandbytes")
    adapter = write_random_adapter(
        tmp_path / "adapter", bases[encoder], "qlora", rank=3, quantization=quantization
    )
    for choice in QLORA_BASES:
        near, far = (0, 1) if choice == "dequantized" else (1, 0)
        config = merge(adapter, tmp_path / choice, qlora_base=choice)
        assert config.source["merged_from"]["qlora_base"] == choice
        found = merge_differences(adapter, tmp_path / choice, picture)
        assert found[near].relative <= (QUANTIZED_TOLERANCE if near == 0 else TOLERANCE)
        assert found[far].relative > 0.01


def test_the_reference_export_loses_what_ours_keeps(bases, tmp_path, picture):
    """The known-wrong way: factors onto the original base, everything else from the base too.

    Source: micro-sam 1.8.14, ``util.export_custom_qlora_model``.
    """
    pytest.importorskip("bitsandbytes")
    adapter = write_random_adapter(tmp_path / "adapter", bases["vit"], "qlora", rank=3)
    base_config, base = read_model_folder(bases["vit"])
    config, tensors = read_adapter(adapter)
    finetuned = {n for n in tensors if not n.startswith("image_encoder.")}
    merge(adapter, tmp_path / "ours")
    merge(adapter, tmp_path / "original", qlora_base="original")
    lossy = {**read_tensors(tmp_path / "original" / "model.safetensors")}
    lossy |= {name: base[name] for name in finetuned if name in base}
    wrong = tiny.write_weights(
        tmp_path / "wrong",
        dataclasses.replace(base_config, architecture=config.architecture),
        lossy,
    )

    def kept(folder):
        found = read_tensors(folder / "model.safetensors")
        return {n for n in finetuned if np.array_equal(found[n], tensors[n])}

    changed = {n for n in finetuned if not np.array_equal(tensors[n], base[n])}
    assert {n for n in changed if n.startswith("mask_decoder.")}
    assert kept(tmp_path / "ours") == finetuned
    assert not kept(wrong) & changed
    assert merge_differences(adapter, tmp_path / "ours", picture)[0].relative <= QUANTIZED_TOLERANCE
    assert merge_differences(adapter, wrong, picture)[0].relative > 0.01


def test_the_command_line_verifies_and_says_what_did_not_fold(bases, tmp_path, picture, capsys):
    import tifffile

    from samzoo.zoo.cli import main

    tifffile.imwrite(tmp_path / "a.tif", picture)
    adapter = write_random_adapter(
        tmp_path / "adapter", bases["vit"], "adaptformer", **small("adaptformer")
    )
    command = ["merge", str(adapter), "-o", str(tmp_path / "model"), "--verify"]
    assert main([*command, str(tmp_path / "a.tif")]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'model'}\n"
    assert "samzoo: adaptformer does not fold: its tensors are extra weights of the model" in err
    assert "samzoo: largest difference from the adapter's network: " in err
    assert main(["merge", str(adapter), "-o", str(tmp_path / "b"), "--verify", "none.tif"]) == 2
    assert not (tmp_path / "b").exists()


def test_a_model_with_extra_weights_loads_as_its_config_says(bases, tmp_path):
    from samzoo.training import load_sam

    adapter = write_random_adapter(
        tmp_path / "adapter", bases["vit"], "adaptformer", **small("adaptformer")
    )
    config = merge(adapter, tmp_path / "model")
    assert config.architecture.image_encoder.adaptformer is not None
    names = set(load_sam(tmp_path / "model").state_dict())
    assert any(name.endswith("mlp.adaptformer_alpha") for name in names)
    assert set(read_adapter(adapter)[1]) <= names


def test_verifying_without_bitsandbytes_is_refused_before_the_merge(
    bases, tmp_path, picture, monkeypatch
):
    import sys

    from samzoo.zoo.merging.comparison import require_packages

    adapter = write_random_adapter(tmp_path / "adapter", bases["vit"], "qlora", rank=3)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delitem(sys.modules, "samzoo.training.methods.four_bit_layers", raising=False)
    with pytest.raises(MissingDependencyError, match="qlora"):
        require_packages(adapter)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_trained_qlora_adapter_merges_into_what_it_was_trained_as(
    bases, tmp_path, picture, precision
):
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("lightning_fabric")
    from samzoo.training import Annotated, TrainConfig
    from samzoo.training.fit.loop import train

    pictures = [tiny.make_cells((64, 64), seed) for seed in (0, 1)]
    cells = [Annotated(image, labels, "cells") for image, labels in pictures]
    config = TrainConfig(
        epochs=1, steps_per_epoch=2, precision=precision, ais_decoder=tiny.AIS_DECODER,
        hyperparameters={"rank": 2}, learning_rate=1e-2, n_objects=2, n_sub_iteration=1,
        search_ais=False, validation_tasks=("ais",),
    )  # fmt: skip
    train(
        base=bases["tiny_vit"], train_data=cells[:1], val_data=cells[1:], method="qlora",
        config=config, output=tmp_path / "run",
    )  # fmt: skip
    _, tensors = read_adapter(tmp_path / "run")
    factors = {n: v for n, v in tensors.items() if n.startswith("image_encoder.")}
    assert {v.dtype for v in factors.values()} == {np.dtype(np.float32)}
    assert any(v.any() for n, v in factors.items() if ".lora_b." in n)
    merge(tmp_path / "run", tmp_path / "model")
    found = merge_differences(tmp_path / "run", tmp_path / "model", picture)
    assert found[0].relative <= QUANTIZED_TOLERANCE
    assert found[1].relative > 0.01


@pytest.mark.parametrize("problem", ["missing", "unknown", "shape"])
def test_an_adapter_without_its_whole_ais_decoder_is_refused(bases, tmp_path, problem):
    adapter = write_random_adapter(tmp_path / "adapter", bases["vit"], "bias")
    config, tensors = read_adapter(adapter)
    name = next(n for n in sorted(tensors) if n.startswith("ais_decoder."))
    value = tensors.pop(name)
    if problem == "shape":
        tensors[name] = np.concatenate([value, value])
    elif problem == "unknown":
        tensors |= {name: value, "ais_decoder.other": value}
    write_adapter(adapter, config, tensors)
    with pytest.raises(FormatError, match=r"adapter tensor 'ais_decoder\."):
        merge(adapter, tmp_path / "model")
    assert not (tmp_path / "model").exists()
