"""LoRA: the network with factors against the network with merged weights."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.training import get_method
from samzoo.training.methods.layers import matrix_rows
from samzoo.training.methods.lora import LoraSettings, fold

TOLERANCE = 1e-5
"""Relative to the largest value; merging sums in float64 and rounds once, the network sums the
low-rank part in float32."""

MATRICES = (["q", "v"], ["q", "k", "v"], ["q", "k", "v", "proj", "mlp"])
LAYER = {"vit": "blocks.0.attn.qkv", "tiny_vit": "layers.1.blocks.0.attn.qkv"}


def hyperparameters(**given):
    return get_method("lora").settings({"rank": 3, "scale": 0.7, **given})


def with_lora(encoder, values):
    """A tiny SAM with LoRA attached; its encoder's factors are untouched."""
    sam = tiny.make_sam(tiny.make_config(encoder))
    get_method("lora").attach(sam.image_encoder, sam.config.architecture, values)
    return sam


def randomise_factors(sam):
    import torch

    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in sam.image_encoder.named_parameters():
            if ".lora_" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.3)


def factors_of(sam):
    return {n: p.detach().numpy() for n, p in sam.named_parameters() if ".lora_" in n}


def base_of(encoder):
    from samzoo.training.networks.sam import weights_of

    return weights_of(tiny.make_sam(tiny.make_config(encoder)))


def random_image():
    import torch

    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_a_fresh_adapter_changes_nothing(encoder):
    torch = pytest.importorskip("torch")
    values = hyperparameters(matrices=["q", "k", "v", "proj", "mlp"])
    sam = with_lora(encoder, values)
    with torch.no_grad():
        expected = tiny.make_sam(tiny.make_config(encoder)).embed(random_image())
        assert torch.equal(sam.embed(random_image()), expected)
    factors = factors_of(sam)
    assert all(not v.any() for n, v in factors.items() if ".lora_b." in n)
    assert all(v.all() for n, v in factors.items() if ".lora_a." in n)


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("matrices", MATRICES, ids="".join)
def test_merged_weights_give_the_output_of_the_unmerged_network(encoder, matrices):
    torch = pytest.importorskip("torch")
    from samzoo.training.networks.sam import load_weights

    values = hyperparameters(matrices=matrices)
    sam = with_lora(encoder, values)
    with torch.no_grad():
        plain = sam.embed(random_image())
        randomise_factors(sam)
        expected = sam.embed(random_image())
    assert float((expected - plain).abs().max()) > 0.1
    base = base_of(encoder)
    merged = fold(base, factors_of(sam), sam.config.architecture, values)
    other = tiny.make_sam(tiny.make_config(encoder), seed=1)
    load_weights(other, {**base, **merged}, where="merged")
    with torch.no_grad():
        found = other.embed(random_image())
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_the_wanted_layers_get_factors(encoder):
    pytest.importorskip("torch")
    sam = with_lora(encoder, hyperparameters(matrices=["k", "mlp"]))
    found = {name for name in factors_of(sam) if ".lora_a." in name}
    adapted = {"qkv": "k", "lin1": "lin1", "lin2": "lin2", "fc1": "fc1", "fc2": "fc2"}
    expected = {
        f"{layer}.lora_a.{adapted[layer.rpartition('.')[2]]}"
        for layer in (name.removesuffix(".weight") for name in base_of(encoder))
        if layer.startswith("image_encoder.") and layer.rpartition(".")[2] in adapted
    }
    assert found == expected


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_an_adapter_of_q_and_v_leaves_every_k_as_it_was(encoder):
    pytest.importorskip("torch")
    values = hyperparameters(matrices=["q", "v"])
    sam = with_lora(encoder, values)
    randomise_factors(sam)
    base = base_of(encoder)
    merged = fold(base, factors_of(sam), sam.config.architecture, values)
    assert merged
    config = sam.config.architecture.image_encoder
    for name, weight in merged.items():
        layer = name.removeprefix("image_encoder.").removesuffix(".weight")
        changed = (weight != base[name]).any(axis=1)
        assert not changed[matrix_rows(config, layer, "k", len(weight))].any()
        assert changed[matrix_rows(config, layer, "q", len(weight))].all()
        assert changed[matrix_rows(config, layer, "v", len(weight))].all()


@pytest.mark.torch
def test_only_the_factors_get_gradients():
    pytest.importorskip("torch")
    sam = with_lora("tiny_vit", hyperparameters())
    randomise_factors(sam)
    sam.embed(random_image()).square().sum().backward()
    for name, value in sam.image_encoder.named_parameters():
        assert (value.grad is not None) == (".lora_" in name), name


@pytest.mark.torch
def test_weights_keep_their_names_beside_the_factors():
    pytest.importorskip("torch")
    names = set(with_lora("vit", hyperparameters()).state_dict())
    assert set(base_of("vit")) <= names
    assert f"image_encoder.{LAYER['vit']}.lora_a.q" in names


def small_case(encoder="vit"):
    """A base with one layer, factors for q and v of it, and the architecture."""
    rng = np.random.default_rng(0)
    name = f"image_encoder.{LAYER[encoder]}"
    base = {f"{name}.weight": rng.normal(size=(24, 5)).astype(np.float32)}
    delta: dict[str, Any] = {}
    for matrix in "qv":
        delta[f"{name}.lora_a.{matrix}"] = rng.normal(size=(2, 5)).astype(np.float32)
        delta[f"{name}.lora_b.{matrix}"] = rng.normal(size=(8, 2)).astype(np.float32)
    return name, base, delta, tiny.make_config(encoder).architecture


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_fold_adds_scaled_products_to_the_rows_of_their_matrix(encoder):
    name, base, delta, architecture = small_case(encoder)
    merged = fold(base, delta, architecture, LoraSettings(scale=0.5))
    expected = base[f"{name}.weight"].astype(np.float64)
    # Two heads of four rows each: TinyViT has q, k, v of head 0, then of head 1.
    rows: dict[str, Any] = {
        "vit": {"q": range(8), "v": range(16, 24)},
        "tiny_vit": {"q": [0, 1, 2, 3, 12, 13, 14, 15], "v": [8, 9, 10, 11, 20, 21, 22, 23]},
    }
    for matrix, where in rows[encoder].items():
        a, b = (delta[f"{name}.lora_{kind}.{matrix}"].astype(np.float64) for kind in "ab")
        expected[list(where)] += 0.5 * b @ a
    assert list(merged) == [f"{name}.weight"]
    assert merged[f"{name}.weight"].dtype == np.float32
    np.testing.assert_array_equal(merged[f"{name}.weight"], expected.astype(np.float32))


def test_fold_changes_neither_base_nor_adapter():
    _, base, delta, architecture = small_case()
    before = [{n: v.copy() for n, v in tensors.items()} for tensors in (base, delta)]
    fold(base, delta, architecture, LoraSettings())
    for tensors, copies in zip((base, delta), before, strict=True):
        for name, value in tensors.items():
            np.testing.assert_array_equal(value, copies[name])


def test_fold_of_zero_factors_returns_the_base():
    name, base, delta, architecture = small_case()
    delta = {n: np.zeros_like(v) for n, v in delta.items()}
    merged = fold(base, delta, architecture, LoraSettings())
    np.testing.assert_array_equal(merged[f"{name}.weight"], base[f"{name}.weight"])


def test_fold_needs_no_torch(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from samzoo.training import get_method\n"
        "from samzoo.runtime.formats.architecture import Architecture\n"
        "from samzoo.runtime.formats.families.vit import VitConfig\n"
        "base = {'image_encoder.blocks.0.mlp.lin1.weight': np.ones((4, 2), np.float32)}\n"
        "delta = {'image_encoder.blocks.0.mlp.lin1.lora_a.lin1': np.ones((1, 2), np.float32),\n"
        "         'image_encoder.blocks.0.mlp.lin1.lora_b.lin1': np.ones((4, 1), np.float32)}\n"
        "lora = get_method('lora')\n"
        "merged = lora.fold(base, delta, Architecture(image_encoder=VitConfig()), "
        "lora.settings({'scale': 2.0}))\n"
        "print(merged['image_encoder.blocks.0.mlp.lin1.weight'].sum())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "24.0\n"), done.stderr


def broken(change):
    name, base, delta, architecture = small_case()
    change(name, base, delta)
    return base, delta, architecture, LoraSettings()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, b, d: d.pop(f"{n}.lora_b.q"), "lora_a.q' needs .*lora_b.q', not there"),
        (lambda n, b, d: d.pop(f"{n}.lora_a.v"), "lora_b.v' needs .*lora_a.v', not there"),
        (lambda n, b, d: b.clear(), "needs .*qkv.weight', not there"),
        (lambda n, b, d: d.update({f"{n}.lora_a.q": np.ones((2, 4))}), "do not fit"),
        (lambda n, b, d: d.update({f"{n}.lora_b.q": np.ones((24, 2))}), "do not fit"),
        (lambda n, b, d: d.update({f"{n}.lora_b.q": np.ones((8, 3))}), "do not fit"),
        (lambda n, b, d: d.update({f"{n}.lora_a.q": np.float32(1)}), "do not fit"),
        (lambda n, b, d: b.update({f"{n}.weight": np.ones((24, 5, 1, 1))}), "do not fit"),
        (lambda n, b, d: d.update({f"{n}.weight": np.ones((24, 5))}), "is no LoRA factor"),
        (lambda n, b, d: d.update({f"{n}.lora_c.q": np.ones((2, 5))}), "is no LoRA factor"),
        (lambda n, b, d: d.update({f"{n}.lora_a.qkv": np.ones((2, 5))}), "is no LoRA factor"),
        (lambda n, b, d: d.update({"neck.0.lora_a.q": np.ones((2, 5))}), "is no LoRA factor"),
    ],
)
def test_fold_refuses_what_does_not_fit(change, message):
    with pytest.raises(FormatError, match=message):
        fold(*broken(change))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 0}, r"run: hyperparameters\.rank: allowed is 1 to 1024, found 0"),
        ({"rank": 1025}, "rank: allowed is 1 to 1024, found 1025"),
        ({"rank": True}, "run: hyperparameters.rank: expected int, found True"),
        ({"rank": 4.0}, "rank: expected int, found 4.0"),
        ({"matrices": []}, "matrices: allowed is a list of q, k, v, proj, mlp"),
        ({"matrices": "q"}, "matrices: expected a list, found 'q'"),
        ({"matrices": ["q", "x"]}, r"matrices\[1\]: found 'x', allowed: 'q', 'k', 'v'"),
        ({"matrices": [["q"]]}, r"matrices\[0\]: found \['q'\], allowed: 'q'"),
        ({"scale": "1"}, "scale: expected float, found '1'"),
        ({"scale": True}, "scale: expected float, found True"),
        ({"scale": float("nan")}, "scale: expected a finite number"),
    ],
)
def test_hyperparameters_out_of_range_are_errors(given, message):
    with pytest.raises(FormatError, match=message):
        get_method("lora").settings(given, where="run")
