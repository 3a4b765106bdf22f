"""The table of methods, and those that choose weights without adding any."""

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, InputError
from samzoo.training import METHODS, get_method


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(
        InputError, match="unknown method 'LoRA'; known: freeze_encoder, lora, full"
    ):
        get_method("LoRA")


def test_the_table_holds_what_a_name_returns():
    for name, method in METHODS.items():
        assert get_method(name) is method
        assert method.hyperparameters({}) == dict(method.defaults)
    assert [name for name, method in METHODS.items() if method.frozen] == ["freeze_encoder"]


def test_an_unknown_hyperparameter_lists_the_known_ones():
    with pytest.raises(FormatError, match="'alpha'; this method has: rank, matrices, scale"):
        get_method("lora").hyperparameters({"alpha": 1})
    with pytest.raises(FormatError, match="'rank'; this method has: none"):
        get_method("full").hyperparameters({"rank": 1})


def test_given_hyperparameters_replace_defaults_and_leave_the_table_alone():
    given = {"rank": 4}
    assert get_method("lora").hyperparameters(given)["rank"] == 4
    assert get_method("lora").defaults["rank"] == 32
    assert given == {"rank": 4}


@pytest.mark.torch
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_what_trains_in_the_encoder_and_that_all_decoders_do(name, encoder):
    pytest.importorskip("torch")
    sam = tiny.make_sam(tiny.make_config(encoder))
    before = {n for n, _ in sam.image_encoder.named_parameters()}
    method = get_method(name)
    method.attach(
        sam.image_encoder, sam.config.architecture, method.hyperparameters({"rank": 2})
        if name == "lora" else {},
    )  # fmt: skip
    trained = {n for n, p in sam.image_encoder.named_parameters() if p.requires_grad}
    if name == "full":
        assert trained == before
    elif name == "freeze_encoder":
        assert trained == set()
    else:
        assert trained
        assert not trained & before
    for part in (sam.prompt_encoder, sam.mask_decoder, sam.ais_decoder):
        assert all(p.requires_grad for p in part.parameters())


def test_selective_fold_replaces_weights_and_changes_no_input():
    base = {"image_encoder.a": np.zeros(3, np.float32), "image_encoder.b": np.ones(2, np.float32)}
    delta = {"image_encoder.a": np.arange(3, dtype=np.float32)}
    config = tiny.make_config().architecture
    merged = get_method("full").fold(base, delta, config, {})
    assert list(merged) == ["image_encoder.a"]
    np.testing.assert_array_equal(merged["image_encoder.a"], [0, 1, 2])
    assert not base["image_encoder.a"].any()
    assert get_method("freeze_encoder").fold(base, {}, config, {}) == {}


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
            {"image_encoder.a": np.zeros(3)}, delta, tiny.make_config().architecture, {}
        )
