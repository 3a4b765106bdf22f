"""Which adapters can share an encoder is told by what their method declares."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.errors import InputError
from samzoo.training.methods import METHODS
from samzoo.zoo.packages.shareable import common_quantization, read_configs

SETTINGS = {"rank": 2, "matrices": ["q", "v"]}


@pytest.fixture
def planted(monkeypatch, seeded_base, tmp_path):
    """Plant a row made of another method's; returns an adapter of it."""

    def plant(like, settings=SETTINGS, **declared):
        row = dataclasses.replace(METHODS[like], **declared)
        monkeypatch.setitem(METHODS, "planted", row)
        return tiny.write_lora_adapter(
            tmp_path / f"planted-{like}", seeded_base, "planted", settings, seed=0
        )

    return plant


def test_a_new_method_with_factors_can_share_an_encoder(planted):
    adapters = {"a": planted("lora")}
    configs = read_configs(adapters)
    assert configs["a"].method == "planted"
    assert common_quantization(configs, adapters, "dequantized") is None


def test_a_new_method_without_factors_is_refused_and_is_not_listed(planted):
    adapters = {"a": planted("lora", factored=False)}
    with pytest.raises(InputError, match=r"found 'planted', .* late_lora, qlora, late_qlora\. "):
        read_configs(adapters)


def test_a_new_method_over_rounded_weights_needs_them(planted, seeded_base, tmp_path):
    adapters = {"a": planted("qlora", {**SETTINGS, "quantization": "nf4"})}
    assert common_quantization(read_configs(adapters), adapters, "dequantized") == "nf4"
    assert common_quantization(read_configs(adapters), adapters, "original") is None
    adapters["b"] = tiny.write_lora_adapter(
        tmp_path / "plain", seeded_base, "lora", SETTINGS, seed=1
    )
    with pytest.raises(InputError, match=r"the base's own weights, .* rounded to nf4"):
        common_quantization(read_configs(adapters), adapters, "dequantized")
