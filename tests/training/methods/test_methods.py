"""The table of methods, and those that choose weights without adding any."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.training import METHODS, get_method
from samzoo.training.methods.blocks import block_names, chosen_blocks
from samzoo.training.methods.counts import parameters_of

SMALL = {"rank": 2, "projection": 3}


def small(name, **given):
    """A method's hyperparameters, with small ranks."""
    defaults = to_json(get_method(name).defaults)
    return get_method(name).settings(
        {**{key: value for key, value in SMALL.items() if key in defaults}, **given}
    )


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown method 'LoRA'; known: freeze_encoder, lora, "):
        get_method("LoRA")


def test_the_table_holds_what_a_name_returns():
    for name, method in METHODS.items():
        assert get_method(name) is method
        assert method.settings({}) == method.defaults
    assert [name for name, method in METHODS.items() if method.frozen] == ["freeze_encoder"]
    assert [name for name, method in METHODS.items() if not method.folds] == ["adaptformer"]


def test_an_unknown_hyperparameter_lists_the_known_ones():
    with pytest.raises(
        FormatError, match="hyperparameters: unknown key 'alpha', allowed: blocks, "
    ):
        get_method("lora").settings({"alpha": 1}, where="run")
    with pytest.raises(FormatError, match="unknown key 'rank', allowed: none"):
        get_method("freeze_encoder").settings({"rank": 1})


def test_given_hyperparameters_replace_defaults_and_leave_the_table_alone():
    given = {"rank": 4}
    assert get_method("lora").settings(given).rank == 4
    assert get_method("lora").defaults.rank == 32
    assert given == {"rank": 4}


ALPHA = "alpha: found 'learnable', allowed: 'learned', a finite number"
NO_BLOCKS = r"blocks: found .*, allowed: null, a list of int, 'late'"
BLOCKS = r"blocks: allowed is null \(all blocks\), 'late', or a sorted list of different"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("full", {"blocks": []}, BLOCKS),
        ("attention", {"blocks": [1, 0]}, BLOCKS),
        ("bias", {"blocks": [1, 1]}, BLOCKS),
        ("layernorm", {"blocks": [-1]}, BLOCKS),
        ("late_full", {"blocks": [True]}, NO_BLOCKS),
        ("lora", {"blocks": 3}, NO_BLOCKS),
        ("late_lora", {"blocks": "last"}, NO_BLOCKS),
        (
            "lora",
            {"mask_decoder_rank": -1},
            "mask_decoder_rank: allowed is 0 to 1024, found -1",
        ),
        ("fact", {"rank": 0}, "hyperparameters.rank: allowed is 1 to 1024, found 0"),
        ("fact", {"dropout": 1.0}, "hyperparameters.dropout: allowed is 0 to below 1, found 1.0"),
        ("fact", {"dropout": float("nan")}, "hyperparameters.dropout: expected a finite number"),
        ("fact", {"shared": 1}, "hyperparameters.shared: expected bool, found 1"),
        ("fact", {"init": "zero"}, "init: found 'zero', allowed: 'reference', 'identity'"),
        ("fact", {"blocks": [0.5]}, NO_BLOCKS),
        ("ssf", {"init": None}, "init: found None, allowed: 'reference', 'identity'"),
        ("ssf", {"blocks": {}}, NO_BLOCKS),
        ("adaptformer", {"projection": 2000}, "hyperparameters.projection: allowed is 1 to 1024"),
        ("adaptformer", {"alpha": "learnable"}, ALPHA),
        ("adaptformer", {"alpha": float("inf")}, "alpha: found inf, allowed: 'learned', a fi"),
        (
            "adaptformer",
            {"dropout": -0.1},
            "dropout: allowed is 0 to below 1, found -0.1",
        ),
        ("adaptformer", {"init": 1}, "hyperparameters.init: found 1, allowed"),
        ("adaptformer", {"blocks": ["late"]}, NO_BLOCKS),
    ],
)
def test_hyperparameters_out_of_range_are_errors(name, given, message):
    with pytest.raises(FormatError, match=message):
        get_method(name).settings(given)


@pytest.mark.parametrize(
    ("depth", "late"),
    [(1, [0]), (2, [1]), (12, [6, 7, 8, 9, 10, 11]), (24, [*range(18, 24)]), (3, [2])],
)
def test_the_late_blocks_are_the_last_half_but_at_most_six(depth, late):
    config = VitConfig(depth=depth, global_attn_indexes=())
    assert chosen_blocks(config, "late") == late
    assert chosen_blocks(config, None) == [*range(depth)]


def test_blocks_of_a_tiny_vit_are_those_with_attention():
    config = tiny.ENCODERS["tiny_vit"]
    assert block_names(config) == [
        "layers.1.blocks.0", "layers.2.blocks.0", "layers.2.blocks.1", "layers.3.blocks.0",
    ]  # fmt: skip
    assert chosen_blocks(config, "late") == [2, 3]
    assert chosen_blocks(config, (0, 3)) == [0, 3]


def test_a_block_that_the_encoder_lacks_is_an_error():
    method = get_method("late_full")
    with pytest.raises(FormatError, match="has blocks 0 to 1, found 2"):
        method.resolved(method.settings({"blocks": [0, 2]}), tiny.make_config().architecture)


def test_resolving_turns_late_into_indices_and_keeps_all_else():
    architecture = tiny.make_config().architecture
    late, lora, frozen = map(get_method, ("late_lora", "lora", "freeze_encoder"))
    expected = dataclasses.replace(late.defaults, blocks=(1,))
    assert late.resolved(late.defaults, architecture) == expected
    assert lora.resolved(lora.defaults, architecture) == lora.defaults
    assert frozen.resolved(frozen.defaults, architecture) == frozen.defaults


def attached(name, encoder, **given):
    """A tiny SAM with a method attached."""
    sam = tiny.make_sam(tiny.make_config(encoder))
    get_method(name).attach(sam.image_encoder, sam.config.architecture, small(name, **given))
    return sam


def trained_of(sam):
    return {n: tuple(p.shape) for n, p in sam.image_encoder.named_parameters() if p.requires_grad}


@pytest.mark.torch
@pytest.mark.parametrize("blocks", [None, "late", [0]], ids=str)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_what_trains_is_what_the_method_lists(name, encoder, blocks):
    pytest.importorskip("torch")
    if name.endswith("qlora"):
        pytest.importorskip("bitsandbytes")
    given = {"blocks": blocks} if hasattr(get_method(name).defaults, "blocks") else {}
    sam = attached(name, encoder, **given)
    architecture = sam.config.architecture
    own = parameters_of("image_encoder", architecture)
    assert trained_of(sam) == get_method(name).trainable(own, architecture, small(name, **given))
    for part in (sam.prompt_encoder, sam.mask_decoder, sam.ais_decoder):
        assert all(p.requires_grad for p in part.parameters())


@pytest.mark.torch
@pytest.mark.parametrize(("encoder", "expected"), [
    ("vit", {
        "attention": "attn.qkv.weight attn.qkv.bias attn.proj.weight attn.proj.bias "
        "attn.rel_pos_h attn.rel_pos_w",
        "bias": "norm1.bias norm2.bias attn.qkv.bias attn.proj.bias mlp.lin1.bias mlp.lin2.bias",
        "layernorm": "norm1.weight norm1.bias norm2.weight norm2.bias",
    }),
    ("tiny_vit", {
        "attention": "attn.qkv.weight attn.qkv.bias attn.proj.weight attn.proj.bias "
        "attn.attention_biases",
        "bias": "attn.norm.bias mlp.norm.bias attn.qkv.bias attn.proj.bias mlp.fc1.bias "
        "mlp.fc2.bias",
        "layernorm": "attn.norm.weight attn.norm.bias mlp.norm.weight mlp.norm.bias",
    }),
])  # fmt: skip
def test_selective_methods_choose_these_weights_of_a_block(encoder, expected):
    pytest.importorskip("torch")
    blocks = block_names(tiny.ENCODERS[encoder])
    for name, weights in expected.items():
        wanted = {f"{block}.{weight}" for block in blocks for weight in weights.split()}
        assert set(trained_of(attached(name, encoder))) == wanted


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_full_trains_everything_and_with_blocks_these_alone(encoder):
    pytest.importorskip("torch")
    everything = {
        n for n, _ in tiny.make_sam(tiny.make_config(encoder)).image_encoder.named_parameters()
    }
    assert set(trained_of(attached("full", encoder))) == everything
    block = block_names(tiny.ENCODERS[encoder])[1]
    inside = {name for name in everything if name.startswith(f"{block}.")}
    assert set(trained_of(attached("full", encoder, blocks=[1]))) == inside
    assert set(trained_of(attached("late_full", encoder, blocks=[1]))) == inside
    outside = {n for n in everything if n.startswith(("neck", "patch_embed", "pos_embed"))}
    assert outside
    assert not outside & set(trained_of(attached("late_full", encoder, blocks=None)))


def test_selective_fold_replaces_weights_and_changes_no_input():
    base = {"image_encoder.a": np.zeros(3, np.float32), "image_encoder.b": np.ones(2, np.float32)}
    delta = {"image_encoder.a": np.arange(3, dtype=np.float32)}
    config = tiny.make_config().architecture
    merged = get_method("full").fold(base, delta, config, small("full"))
    assert list(merged) == ["image_encoder.a"]
    np.testing.assert_array_equal(merged["image_encoder.a"], [0, 1, 2])
    assert not base["image_encoder.a"].any()
    assert get_method("freeze_encoder").fold(base, {}, config, small("freeze_encoder")) == {}


@pytest.mark.parametrize(
    ("delta", "message"),
    [
        ({"image_encoder.c": np.zeros(3)}, r"'image_encoder.c' has shape \(3,\), .* has nothing"),
        ({"image_encoder.a": np.zeros(1)}, r"has shape \(1,\), the base has shape \(3,\)"),
    ],
)
def test_selective_fold_refuses_what_does_not_fit(delta, message):
    with pytest.raises(FormatError, match=message):
        get_method("full").fold(
            {"image_encoder.a": np.zeros(3)},
            delta,
            tiny.make_config().architecture,
            small("full"),
        )


def delta_case(name="bias"):
    """A base's encoder, and a delta of the right names and shapes."""
    architecture = tiny.make_config().architecture
    own = parameters_of("image_encoder", architecture)
    trained = get_method(name).trainable(own, architecture, small(name))
    base = {f"image_encoder.{n}": np.zeros(shape, np.float32) for n, shape in own.items()}
    delta = {f"image_encoder.{n}": np.ones(shape, np.float32) for n, shape in trained.items()}
    return base, delta, architecture


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.folds])
def test_a_delta_of_exactly_what_trains_passes(name):
    base, delta, architecture = delta_case(name)
    get_method(name).check_delta(base, delta, architecture, small(name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("image_encoder.blocks.0.norm1.bias"),
         r"norm1.bias': expected shape \(16,\), found nothing"),
        (lambda d: d.update({"image_encoder.neck.1.bias": np.ones(256)}),
         r"neck.1.bias': expected no such tensor, found \(256,\)"),
        (lambda d: d.update({"image_encoder.blocks.0.norm1.bias": np.ones(8)}),
         r"norm1.bias': expected shape \(16,\), found \(8,\)"),
    ],
)  # fmt: skip
def test_a_delta_of_anything_else_is_refused(change, message):
    base, delta, architecture = delta_case()
    change(delta)
    with pytest.raises(FormatError, match=message):
        get_method("bias").check_delta(base, delta, architecture, small("bias"))
