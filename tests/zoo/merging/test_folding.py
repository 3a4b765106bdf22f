"""Merging on toy weights, without torch: nothing lost, nothing wrong let in."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import (
    FormatError,
    InputError,
    NotFoundError,
    OutputExistsError,
    WrongBaseError,
)
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import AisParameters, ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.zoo import merge
from samzoo.zoo.merging.folding import merged

MERGE_TOLERANCE = 1e-6
"""Products are summed in float64 and rounded to float32 once."""


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_merge_of_zero_delta_returns_base_weights(toy_adapters):
    adapter = toy_adapters.write(tensors=toy_adapters.adapter_tensors(zero=True))
    _, weights = merged(adapter)
    for name, value in toy_adapters.tensors.items():
        if name.startswith("image_encoder."):
            np.testing.assert_array_equal(weights[name], value)


def test_merge_adds_the_scaled_product_to_the_rows_of_its_matrix(toy_adapters):
    tensors = toy_adapters.adapter_tensors(matrices=("v",))
    settings = {"rank": 4, "matrices": ["v"], "scale": 0.5}
    _, weights = merged(toy_adapters.write(tensors=tensors, hyperparameters=settings))
    name = "image_encoder.blocks.1.attn.qkv"
    delta = weights[f"{name}.weight"] - toy_adapters.tensors[f"{name}.weight"]
    expected = 0.5 * tensors[f"{name}.lora_b.v"] @ tensors[f"{name}.lora_a.v"]
    np.testing.assert_array_equal(delta[:12], 0)
    np.testing.assert_allclose(delta[12:], expected, atol=MERGE_TOLERANCE * 10)
    assert weights[f"{name}.weight"].dtype == np.float32


def test_merged_keeps_every_finetuned_tensor_and_every_name_of_the_base(toy_adapters):
    tensors = toy_adapters.adapter_tensors()
    _, weights = merged(toy_adapters.write(tensors=tensors))
    finetuned = {name for name in tensors if not name.startswith("image_encoder.")}
    assert set(weights) == set(toy_adapters.tensors) | finetuned
    assert {"mask_decoder.iou_token.weight", "ais_decoder.head.weight"} <= finetuned
    for name in finetuned:
        np.testing.assert_array_equal(weights[name], tensors[name])


@pytest.mark.parametrize("method", ["full", "freeze_encoder"])
def test_methods_without_factors_replace_whole_weights(toy_adapters, method):
    tensors = {k: v for k, v in toy_adapters.adapter_tensors().items() if ".lora_" not in k}
    changed = "image_encoder.blocks.0.attn.proj.weight"
    if method == "full":
        encoder = {n: v for n, v in toy_adapters.tensors.items() if n.startswith("image_encoder.")}
        tensors |= encoder | {changed: encoder[changed] * np.float32(2)}
    _, weights = merged(toy_adapters.write(tensors=tensors, method=method, hyperparameters={}))
    expected = tensors.get(changed, toy_adapters.tensors[changed])
    np.testing.assert_array_equal(weights[changed], expected)


def test_merge_writes_a_model_with_its_digest_and_where_it_came_from(toy_adapters, tmp_path):
    adapter = toy_adapters.write()
    config = merge(adapter, tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert ModelConfig.read(tmp_path / "model" / "config.json") == config
    tensors = read_tensors(tmp_path / "model" / "model.safetensors")
    assert weights_digest(tensors) == config.weights_digest
    assert config.preprocessing.gamma == 0.7
    assert config.source["merged_from"]["method"] == "lora"
    assert config.source["merged_from"]["base_digest"] == weights_digest(toy_adapters.tensors)
    assert config.source["base"] == {"name": "toy"}


def test_a_base_stored_as_float16_is_merged_in_float32(toy_adapters, tmp_path):
    halves = {name: value.astype(np.float16) for name, value in toy_adapters.tensors.items()}
    base = tiny.write_weights(tmp_path / "half", toy_adapters.config, halves)
    _, weights = merged(toy_adapters.write(base_digest=weights_digest(halves)), base=base)
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}


def test_a_base_that_has_moved_is_passed_and_asked_for(toy_adapters, tmp_path):
    adapter = toy_adapters.write(base_path=str(tmp_path / "gone"))
    with pytest.raises(NotFoundError, match=r"gone: the base of .*adapter is not there .*--base"):
        merged(adapter)
    with pytest.raises(NotFoundError, match=r"nothing: the base of .* check the path"):
        merged(adapter, base=tmp_path / "nothing")
    assert merged(adapter, base=toy_adapters.base)[1]


def test_a_wrong_base_is_refused_by_its_digest(toy_adapters, tmp_path):
    adapter = toy_adapters.write()
    other = {name: value + np.float32(1e-6) for name, value in toy_adapters.tensors.items()}
    base = tiny.write_weights(tmp_path / "other", toy_adapters.config, other)
    with pytest.raises(WrongBaseError, match=f"{weights_digest(other)} is not that of the base"):
        merge(adapter, tmp_path / "model", base=base)
    assert not (tmp_path / "model").exists()


def test_a_base_whose_files_do_not_belong_together_is_refused(toy_adapters, tmp_path):
    adapter = toy_adapters.write()
    other = {name: value + np.float32(1e-6) for name, value in toy_adapters.tensors.items()}
    write_tensors(toy_adapters.base / "model.safetensors", other, {})
    with pytest.raises(FormatError, match="the files do not belong together"):
        merge(adapter, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "dora"}, "unknown method 'dora'; known: freeze_encoder, lora, "),
        (
            {"hyperparameters": {"rank": 0}},
            "config.json: hyperparameters.rank: allowed is 1 to 1024",
        ),
        ({"hyperparameters": {"depth": 1}}, "config.json: hyperparameters: unknown key 'depth'"),
        ({"adapter_digest": "sha256:0"}, "adapter_digest is 'sha256:0', but"),
        ({"format": {"name": "samzoo-adapter", "version": 2}}, "format.version is 2"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"hyperparameters": {"rank": 5}}, r"expected shape \(5, 6\), found \(4, 6\)"),
        (
            {"architecture": to_json(Architecture(image_encoder=VitConfig(depth=3)))},
            "architecture.image_encoder is not that of its base",
        ),
    ],
)
def test_an_adapter_with_wrong_fields_is_refused(toy_adapters, tmp_path, changes, message):
    adapter = toy_adapters.write()
    edit(adapter / "adapter_config.json", **changes)
    with pytest.raises(InputError, match=message):
        merge(adapter, tmp_path / "model")
    assert not (tmp_path / "model").exists()


QKV = "image_encoder.blocks.0.attn.qkv"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_decoder.iou_token.weight": None}, "'mask_decoder.iou_token.weight': expected shape "
         r"\(2, 6\), found nothing"),
        ({"mask_decoder.iou_token.weight": np.zeros((3, 6), "f4")}, r"found shape \(3, 6\)"),
        ({"mask_decoder.extra": np.zeros(1, "f4")}, "'mask_decoder.extra' is not in the base"),
        ({"other": np.zeros(1, "f4")}, "adapter tensor 'other' is not in the base"),
        ({f"{QKV}.lora_b.q": None}, f"'{QKV}.lora_b.q': expected shape .6, 4., found nothing"),
        ({f"{QKV}.lora_a.v": None}, f"'{QKV}.lora_a.v': expected shape .4, 6., found nothing"),
        ({f"{QKV}.lora_a.q": np.zeros((4, 7), "f4")}, r"expected shape \(4, 6\), found \(4, 7\)"),
        ({f"{QKV}.lora_a.q": np.zeros((3, 6), "f4"), f"{QKV}.lora_b.q": np.zeros((6, 3), "f4")},
         r"lora_a.q': expected shape \(4, 6\), found \(3, 6\)"),
        ({"image_encoder.x.lora_a.q": np.zeros((4, 6), "f4"),
          "image_encoder.x.lora_b.q": np.zeros((6, 4), "f4")}, "x.lora_a.q': expected no such"),
        ({"image_encoder.pos_embed": np.zeros(1, "f4")}, "pos_embed': expected no such tensor"),
        ({f"{QKV}.lora_b.q": np.full((6, 4), np.nan, "f4")}, "lora_b.q' holds NaN"),
        ({f"{QKV}.lora_b.q": np.full((6, 4), 1e38, "f4"),
          f"{QKV}.lora_a.q": np.full((4, 6), 1e38, "f4")}, 
         "after merging: tensor .*qkv.weight' holds NaN or infinite"),
    ],
)  # fmt: skip
def test_an_adapter_with_wrong_tensors_is_refused(toy_adapters, tmp_path, changes, message):
    tensors = {**toy_adapters.adapter_tensors(), **changes}
    tensors = {name: value for name, value in tensors.items() if value is not None}
    adapter = toy_adapters.write(tensors=tensors)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FormatError, match=message):
        merge(adapter, tmp_path / "model")
    assert sorted(tmp_path.iterdir()) == before


def test_a_truncated_adapter_is_refused(toy_adapters):
    adapter = toy_adapters.write()
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FormatError, match="not a usable safetensors file"):
        merged(adapter)
    path.unlink()
    with pytest.raises(NotFoundError, match=r"adapter_model\.safetensors: no such file"):
        merged(adapter)


def test_merge_never_replaces_its_inputs(toy_adapters):
    adapter = toy_adapters.write()
    with pytest.raises(OutputExistsError, match="would replace the input"):
        merge(adapter, adapter, force=True)
    with pytest.raises(OutputExistsError, match="would replace the input"):
        merge(adapter, toy_adapters.base, base=toy_adapters.base, force=True)
    with pytest.raises(OutputExistsError, match="would replace the input"):
        merge(adapter, toy_adapters.base, force=True)
    assert read_tensors(toy_adapters.base / "model.safetensors")


def test_merging_loads_no_torch_and_no_onnxruntime(toy_adapters, tmp_path):
    adapter = toy_adapters.write()
    code = (
        "import sys\n"
        "from samzoo.zoo.cli import main\n"
        "status = main(['merge', sys.argv[1], '-o', sys.argv[2]])\n"
        "loaded = [name for name in ('torch', 'onnxruntime', 'onnx', 'scipy') "
        "if name in sys.modules]\n"
        "sys.exit(f'{status} {loaded}' if status or loaded else 0)\n"
    )
    command = [sys.executable, "-c", code, str(adapter), str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "model")


def test_the_written_file_holds_what_merging_in_memory_gives(toy_adapters, tmp_path):
    adapter = toy_adapters.write()
    config, weights = merged(adapter)
    assert merge(adapter, tmp_path / "model") == config
    found = read_tensors(tmp_path / "model" / "model.safetensors")
    assert sorted(found) == sorted(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value)


def test_merging_needs_the_memory_of_a_layer_and_not_of_the_model(tmp_path, rng):
    import tracemalloc

    from samzoo.runtime.formats.adapter import AdapterConfig, write_adapter

    architecture = Architecture(image_encoder=VitConfig(embed_dim=128, depth=24, num_heads=2))
    names = [f"image_encoder.blocks.{i}.attn.qkv" for i in range(24)]
    tensors = {f"{n}.weight": rng.standard_normal((384, 128)).astype("f4") for n in names}  # 4.7 MB
    base = tiny.write_weights(tmp_path / "base", ModelConfig(architecture=architecture), tensors)
    factors = {f"{n}.lora_a.{m}": np.ones((2, 128), "f4") for n in names for m in "qv"}
    factors |= {f"{n}.lora_b.{m}": np.ones((128, 2), "f4") for n in names for m in "qv"}
    (tmp_path / "adapter").mkdir()
    write_adapter(
        tmp_path / "adapter",
        AdapterConfig(
            method="lora", base_digest=weights_digest(tensors), base_path=str(base),
            architecture=architecture, preprocessing=Preprocessing(), ais=AisParameters(),
            hyperparameters={"rank": 2},
        ),
        factors,
    )  # fmt: skip
    merge(tmp_path / "adapter", tmp_path / "first")  # imports and caches
    tracemalloc.start()
    try:
        merge(tmp_path / "adapter", tmp_path / "model")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * tensors[f"{names[0]}.weight"].nbytes  # 2.4 MB


@pytest.mark.parametrize("qlora_base", ["original", "dequantized"])
def test_qlora_is_folded_into_the_base_that_was_asked_for(toy_adapters, tmp_path, qlora_base):
    from samzoo.runtime.formats.four_bit import dequantize, quantize

    settings = {"rank": 4, "matrices": ["q", "v"], "scale": 0.5, "quantization": "nf4"}
    tensors = toy_adapters.adapter_tensors()
    adapter = toy_adapters.write(tensors=tensors, method="qlora", hyperparameters=settings)
    config, weights = merged(adapter, qlora_base=qlora_base)
    assert config.source["merged_from"]["qlora_base"] == qlora_base
    for name, value in toy_adapters.tensors.items():
        if not name.startswith("image_encoder."):
            continue
        expected = value
        if qlora_base == "dequantized" and name.endswith("weight"):
            expected = dequantize(quantize(value, "nf4"))
        if name.endswith("qkv.weight"):
            layer = name.removesuffix(".weight")
            expected = expected.copy()
            for rows, m in ((slice(0, 6), "q"), (slice(12, 18), "v")):
                expected[rows] += (
                    0.5 * tensors[f"{layer}.lora_b.{m}"] @ tensors[f"{layer}.lora_a.{m}"]
                )
        np.testing.assert_allclose(weights[name], expected, atol=MERGE_TOLERANCE * 10)


def test_a_choice_without_effect_is_refused(toy_adapters, tmp_path):
    with pytest.raises(InputError, match="qlora_base is for QLoRA adapters, found lora; omit it"):
        merge(toy_adapters.write(), tmp_path / "model", qlora_base="original")
    assert not (tmp_path / "model").exists()


def test_an_unknown_qlora_base_is_refused(toy_adapters, tmp_path):
    with pytest.raises(InputError, match="qlora_base: found 'x', allowed: original, dequantized"):
        merge(toy_adapters.write(), tmp_path / "model", qlora_base="x")  # type: ignore[arg-type]
    assert not (tmp_path / "model").exists()
