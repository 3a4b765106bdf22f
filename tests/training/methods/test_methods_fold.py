"""Every method: the network with the adapter against the network that it folds into."""

import dataclasses
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.training import get_method
from samzoo.training.methods import adaptformer, fact, ssf

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.networks.acting import dropout_acting  # noqa: E402
from samzoo.training.networks.sam import Sam, load_weights, weights_of  # noqa: E402

TOLERANCE = 1e-5
"""Relative to the largest value; folding sums in float64 and rounds once, the network sums what is
added in float32."""

GOLDENS = Path(__file__).parents[2] / "goldens" / "peft.npz"

CASES = {
    "lora": ("lora", {"rank": 3, "scale": 0.7, "blocks": [0]}),
    "lora k proj mlp": ("lora", {"rank": 3, "matrices": ["k", "proj", "mlp"]}),
    "late_lora": ("late_lora", {"rank": 3}),
    "adaptformer": ("adaptformer", {"projection": 3}),
    "adaptformer fixed": ("adaptformer", {"projection": 3, "alpha": 0.3, "blocks": "late"}),
    "adaptformer identity": ("adaptformer", {"projection": 3, "init": "identity"}),
    "ssf": ("ssf", {}),
    "ssf late": ("ssf", {"blocks": "late"}),
    "fact": ("fact", {"rank": 3}),
    "fact shared": ("fact", {"rank": 3, "shared": True}),
    "fact late": ("fact", {"rank": 3, "blocks": "late"}),
    "attention": ("attention", {}),
    "bias": ("bias", {"blocks": [0]}),
    "layernorm": ("layernorm", {}),
    "late_full": ("late_full", {}),
    "full": ("full", {}),
}


def attached(name, given, config=None, seed=0):
    """A tiny SAM with a method attached, and the method's hyperparameters."""
    sam = tiny.make_sam(config or tiny.make_config(), seed)
    method = get_method(name)
    values = method.settings(given)
    torch.manual_seed(0)
    method.attach(sam.image_encoder, sam.config.architecture, values)
    return sam, values


def perturb(sam):
    """Move everything that trains in the encoder, and return it by full name."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in sam.image_encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return delta_of(sam)


def delta_of(sam):
    """What an adapter stores of the encoder: what trains, and a fixed alpha of AdaptFormer."""
    parameters = dict(sam.named_parameters())
    trained = {name for name, value in parameters.items() if value.requires_grad}
    if any("adaptformer" in name for name in trained):
        trained |= {name for name in parameters if name.endswith(adaptformer.ALPHA)}
    return {
        name: value.detach().numpy().copy()
        for name, value in parameters.items()
        if name in trained and name.startswith("image_encoder.")
    }


def folded(name, values, config, delta, seed=0):
    """A new network with the base's weights and the delta folded in."""
    method = get_method(name)
    base = weights_of(tiny.make_sam(config, seed))
    after = method.extended(config.architecture, values)
    encoder = {n: v for n, v in base.items() if n.startswith("image_encoder.")}
    changed = method.fold(encoder, delta, after, values)
    assert all(value.dtype == np.float32 for value in changed.values())
    sam = Sam(dataclasses.replace(config, architecture=after)).eval()
    load_weights(sam, {**base, **changed}, where="folded")
    return sam


def embed(sam):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        return sam.embed(image)


def assert_close(found, expected):
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("case", CASES)
def test_folded_weights_give_the_output_of_the_network_in_training(case, encoder):
    name, given = CASES[case]
    config = tiny.make_config(encoder)
    sam, values = attached(name, given, config)
    delta = perturb(sam)
    expected = embed(sam)
    assert float((expected - embed(tiny.make_sam(config))).abs().max()) > 0.01
    assert_close(embed(folded(name, values, config, delta)), expected)


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
@pytest.mark.parametrize("name", ["ssf", "fact", "adaptformer"])
def test_identity_starts_at_the_base_and_reference_does_not(name, encoder):
    config = tiny.make_config(encoder)
    plain = embed(tiny.make_sam(config))
    for init, same in (("identity", True), ("reference", False)):
        sam, values = attached(name, {"init": init}, config)
        for network in (sam, folded(name, values, config, delta_of(sam))):
            assert torch.allclose(embed(network), plain, rtol=0, atol=1e-6) == same


@pytest.mark.parametrize("name", ["ssf", "fact"])
def test_an_untrained_identity_folds_to_the_base_exactly(name):
    config = tiny.make_config()
    sam, values = attached(name, {"init": "identity"}, config)
    base = weights_of(tiny.make_sam(config))
    for key, value in folded(name, values, config, delta_of(sam)).state_dict().items():
        np.testing.assert_array_equal(value.numpy(), base[key])


# -- q and v in TinyViT --------------------------------------------------------------------------


def attention_by_hand(attention, x, added):
    """TinyViT's attention head by head, with matrices of shape (dim, dim) added to W_q and W_v.

    A head has ``key`` rows of q, then of k, then of v, and then comes the next head; the rows of
    ``added`` are those of head 0, of head 1 and so on.
    """
    windows, tokens, dim = x.shape
    heads, key = attention.num_heads, dim // attention.num_heads
    normed = torch.nn.functional.layer_norm(x, (dim,), attention.norm.weight, attention.norm.bias)
    outputs = []
    for head in range(heads):
        parts = {}
        for place, matrix in enumerate("qkv"):
            start = head * 3 * key + place * key
            weight = attention.qkv.weight[start : start + key].clone()
            if matrix in added:
                weight = weight + added[matrix][head * key : (head + 1) * key]
            parts[matrix] = normed @ weight.T + attention.qkv.bias[start : start + key]
        scores = parts["q"] @ parts["k"].transpose(1, 2) / key**0.5
        scores = scores + attention.attention_biases[head][attention.attention_bias_idxs]
        outputs.append(scores.softmax(dim=-1) @ parts["v"])
    joined = torch.cat(outputs, dim=-1)
    assert joined.shape == (windows, tokens, dim)
    return joined @ attention.proj.weight.T + attention.proj.bias


@pytest.mark.parametrize("name", ["lora", "fact"])
@pytest.mark.parametrize("block", ["layers.1.blocks.0", "layers.2.blocks.1", "layers.3.blocks.0"])
def test_q_and_v_of_a_tiny_vit_are_the_rows_of_its_heads(name, block):
    sam, _ = attached(name, {"rank": 2}, tiny.make_config("tiny_vit"))
    perturb(sam)
    attention = sam.image_encoder.get_submodule(f"{block}.attn")
    qkv = attention.qkv
    if name == "lora":
        added = {m: qkv.lora_b[m] @ qkv.lora_a[m] for m in "qv"}
    else:
        added = {m: qkv.fact_v @ qkv.fact_s[m] @ qkv.fact_u for m in "qv"}
    side = sam.config.architecture.image_encoder.window_sizes[int(block.split(".")[1])]
    x = torch.randn(2, side**2, qkv.in_features, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_close(attention(x), attention_by_hand(attention, x, added))
        wrong = attention_by_hand(attention, x, {})
        assert float((attention(x) - wrong).abs().max()) > 0.01


# -- micro-sam -----------------------------------------------------------------------------------

GOLDEN_CASES = {
    "lora": ("lora", {"rank": 3}),
    "lora_all": ("lora", {"rank": 3, "matrices": ["q", "k", "v", "mlp"]}),
    "late_lora": ("late_lora", {"rank": 3}),
    "fact": ("fact", {"rank": 3}),
    "ssf": ("ssf", {}),
    "adaptformer": ("adaptformer", {"projection": 5}),
    "adaptformer_fixed": ("adaptformer", {"projection": 5, "alpha": 0.5}),
    "attention": ("attention", {}),
    "bias": ("bias", {}),
    "layernorm": ("layernorm", {}),
    "late_full": ("late_full", {}),
}

GOLDEN_CONFIG = tiny.make_config()
GOLDEN_CONFIG = dataclasses.replace(
    GOLDEN_CONFIG,
    architecture=dataclasses.replace(
        GOLDEN_CONFIG.architecture,
        image_encoder=dataclasses.replace(
            GOLDEN_CONFIG.architecture.image_encoder,
            image_size=32, patch_size=8, embed_dim=48, depth=4, num_heads=4, mlp_ratio=2.0,
            window_size=3, global_attn_indexes=(1, 3),
        ),
    ),
)  # fmt: skip


def seeded(name, shape):
    """The weights of a tensor, as ``goldens/make_peft_goldens.py`` makes them."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = 2.0 * rng.random(shape) - 1.0
    if len(shape) > 1:
        values *= (3.0 / np.prod(shape[1:])) ** 0.5
    elif name.endswith(("weight", "ssf_scale", "adaptformer_alpha")):
        values = 1.0 + 0.5 * values
    else:
        values *= 0.5
    return values.astype(np.float32)


def seeded_encoder(encoder, *, alpha_is_fixed=False):
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            if not (alpha_is_fixed and name.endswith("adaptformer_alpha")):
                value.copy_(torch.from_numpy(seeded(name, tuple(value.shape))))
    return encoder


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_every_method_computes_and_trains_what_micro_sam_does(case):
    goldens = np.load(GOLDENS)
    name, given = GOLDEN_CASES[case]
    sam, values = attached(name, given, GOLDEN_CONFIG)
    encoder = seeded_encoder(sam.image_encoder, alpha_is_fixed=case == "adaptformer_fixed")
    trained = sorted(n for n, p in encoder.named_parameters() if p.requires_grad)
    assert trained == json.loads(str(goldens[f"{case}_trained"]))
    image, expected = (torch.from_numpy(goldens[key]) for key in ("image", case))
    with torch.no_grad():
        np.testing.assert_array_equal(image.numpy(), seeded("image", (1, 3, 32, 32)))
        assert_close(encoder(image)[0], expected)

        # The same from the folded weights.
        base = Sam(GOLDEN_CONFIG).eval()
        seeded_encoder(base.image_encoder)
        weights = {n: v for n, v in weights_of(base).items() if n.startswith("image_encoder.")}
        after = get_method(name).extended(GOLDEN_CONFIG.architecture, values)
        changed = get_method(name).fold(weights, delta_of(sam), after, values)
        other = Sam(dataclasses.replace(GOLDEN_CONFIG, architecture=after)).eval()
        load_weights(other, {**weights_of(base), **changed}, where="folded")
        assert_close(other.image_encoder(image)[0], expected)


# -- details of single methods -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fact", "adaptformer"])
def test_dropout_acts_in_training_only(name):
    sam, _ = attached(name, {"dropout": 0.5})
    perturb(sam)
    still = embed(sam)
    assert torch.equal(embed(sam), still)
    with dropout_acting(sam.image_encoder):
        first, second = embed(sam), embed(sam)
    assert not torch.equal(first, second)
    assert torch.equal(embed(sam), still)


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_shared_factors_are_one_tensor_a_width(encoder):
    sam, _ = attached("fact", {"rank": 2, "shared": True}, tiny.make_config(encoder))
    outer = [n for n, _ in sam.image_encoder.named_parameters() if n.endswith("fact_u")]
    first = {"vit": ["blocks.0"], "tiny_vit": ["layers.1.blocks.0", "layers.2.blocks.0",
                                               "layers.3.blocks.0"]}  # fmt: skip
    assert outer == [f"{block}.attn.qkv.fact_u" for block in first[encoder]]


def test_the_reference_starts_as_the_released_code_does():
    sam, _ = attached("ssf", {})
    delta = delta_of(sam)
    scales = np.concatenate([v for n, v in delta.items() if n.endswith("ssf_scale")])
    shifts = np.concatenate([v for n, v in delta.items() if n.endswith("ssf_shift")])
    for values, mean in ((scales, 1.0), (shifts, 0.0)):
        # Standard errors of mean and deviation times four, for so many values.
        assert abs(values.mean() - mean) < 4 * 0.2 / len(values) ** 0.5
        assert abs(values.std() - 0.2) < 4 * 0.2 / (2 * len(values)) ** 0.5
    delta = delta_of(attached("adaptformer", {})[0])
    for name, value in delta.items():
        zero = "adaptformer_up" in name or name.endswith("down.bias")
        assert value.any() != zero, name
        if name.endswith(adaptformer.ALPHA):
            np.testing.assert_array_equal(value, [1.0])
        if name.endswith("down.weight"):  # Kaiming-uniform with a = sqrt(5): 1 / sqrt(inputs)
            assert 0.8 / 16**0.5 < np.abs(value).max() <= 1 / 16**0.5
    for name, value in delta_of(attached("fact", {})[0]).items():
        bound = 1 / value.shape[1] ** 0.5
        assert 0.8 * bound < np.abs(value).max() <= bound, name


def test_a_base_with_bypasses_is_refused_by_adaptformer_and_taken_by_lora():
    config = tiny.make_config()
    sam, values = attached("adaptformer", {"projection": 3}, config)
    after = folded("adaptformer", values, config, perturb(sam)).config
    with pytest.raises(FormatError, match="has AdaptFormer bypasses already"):
        attached("adaptformer", {}, after)
    other, values = attached("lora", {"rank": 2}, after)
    delta = perturb(other)
    assert_close(embed(folded("lora", values, after, delta)), embed(other))


def fact_case(**given):
    sam, values = attached("fact", {"rank": 2, **given})
    base = weights_of(tiny.make_sam())
    return base, delta_of(sam), sam.config.architecture, values


QKV = "image_encoder.blocks.0.attn.qkv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b, d: d.pop(f"{QKV}.fact_u"), "fact_s.q' needs .*fact_u', not there"),
        (lambda b, d: d.pop(f"{QKV}.fact_v"), "fact_s.q' needs .*fact_v', not there"),
        (lambda b, d: (d.pop(f"{QKV}.fact_s.q"), d.pop(f"{QKV}.fact_s.v")), "needs .*fact_s.q'"),
        (lambda b, d: b.pop(f"{QKV}.weight"), "needs .*qkv.weight', not there"),
        (lambda b, d: d.update({f"{QKV}.fact_u": np.ones((2, 4))}), "do not fit"),
        (lambda b, d: d.update({f"{QKV}.fact_v": np.ones((48, 2))}), "do not fit"),
        (lambda b, d: d.update({f"{QKV}.fact_s.q": np.ones((2, 3))}), "do not fit"),
        (lambda b, d: d.update({f"{QKV}.fact_s.q": np.float32(1)}), "do not fit"),
        (lambda b, d: d.update({f"{QKV}.fact_s.k": np.ones((2, 2))}), "is no FacT factor"),
        (lambda b, d: d.update({"image_encoder.neck.0.fact_u": np.ones((2, 2))}), "no FacT factor"),
    ],
)
def test_fact_refuses_what_does_not_fit(change, message):
    base, delta, architecture, values = fact_case()
    change(base, delta)
    with pytest.raises(FormatError, match=message):
        fact.fold(base, delta, architecture, values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b, d: d.pop(f"{QKV}.ssf_scale"), "ssf_shift' needs .*ssf_scale', not there"),
        (lambda b, d: d.pop(f"{QKV}.ssf_shift"), "ssf_scale' needs .*ssf_shift', not there"),
        (lambda b, d: b.pop(f"{QKV}.bias"), "needs .*qkv.bias', not there"),
        (lambda b, d: d.update({f"{QKV}.ssf_scale": np.ones(3)}), r"has shape \(3,\), the layer"),
        (lambda b, d: d.update({f"{QKV}.weight": np.ones(3)}), "is no scale or shift"),
    ],
)
def test_ssf_refuses_what_does_not_fit(change, message):
    sam, values = attached("ssf", {})
    base, delta = weights_of(tiny.make_sam()), delta_of(sam)
    change(base, delta)
    with pytest.raises(FormatError, match=message):
        ssf.fold(base, delta, sam.config.architecture, values)


MLP = "image_encoder.blocks.0.mlp"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop(f"{MLP}.adaptformer_alpha"), r"expected \(1,\), found nothing"),
        (lambda d: d.update({f"{MLP}.adaptformer_up.bias": np.ones(3)}), r"expected \(16,\), fou"),
        (lambda d: d.update({f"{MLP}.lin1.weight": np.ones(3)}), "expected nothing, found"),
    ],
)
def test_adaptformer_refuses_what_does_not_fit(change, message):
    sam, values = attached("adaptformer", {"projection": 3})
    base, delta = weights_of(tiny.make_sam()), delta_of(sam)
    after = adaptformer.extended(sam.config.architecture, values)
    change(delta)
    with pytest.raises(FormatError, match=message):
        adaptformer.keep(base, delta, after, values)
    with pytest.raises(FormatError, match="not the bypasses that the adapter's hyperparameters"):
        adaptformer.keep(base, delta, sam.config.architecture, values)
