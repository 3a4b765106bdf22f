"""Regular expressions of strangers: real ones match as in peft, hostile ones never run."""

import re
import time

import pytest

from samzoo.zoo.exchange.layer_patterns import first_match, is_safe

LAYERS = (
    "vision_encoder.layers.0.attn.qkv", "vision_encoder.layers.11.attn.qkv",
    "vision_encoder.layers.1.mlp.lin1", "mask_decoder.transformer.layers.0.self_attn.q_proj",
    "qkv",
)  # fmt: skip

REAL = (
    "qkv", "attn.qkv", r"attn\.qkv", "^qkv",
    r"layers\.\d+\.attn\.qkv", r".*layers\.[01]\.mlp\.lin1",
    r"(?:vision_encoder|mask_decoder)\..*\.(qkv|q_proj)", r"vision_encoder\.layers\.1?1\..*",
    "layers.(0|1|2|3|4|5|6|7|8|9|10|11).attn.qkv", r"layers\.\d{2}\.attn\.qkv", r"[^.]+\.lin1",
)  # fmt: skip

HOSTILE = (
    "(a+)+$", "(a*)*", "(a|a)*b", "(.*.*)*x", ".*.*.*.*.*x", "(a|b)" * 12, "a?" * 30 + "a" * 30,
    "(?<=a)b", r"(a)\1", "(?P<n>a)", "a{99999}", "[", "(", ")", "*", "a**",
    "\\", "a" * 501, "(?i)a", "\n", "(a){2,}", "(a+)?+",
)  # fmt: skip


@pytest.mark.parametrize("pattern", REAL)
def test_patterns_of_real_configs_match_as_in_peft(pattern):
    assert is_safe(pattern)
    for layer in LAYERS:
        expected = re.match(rf"(.*\.)?({pattern})$", layer) is not None
        assert (first_match([pattern], layer) == pattern) == expected


def test_every_real_pattern_but_one_fits_some_layer():
    fitting = [p for p in REAL if any(first_match([p], layer) for layer in LAYERS)]
    assert len(fitting) == len(REAL)


def test_the_first_pattern_wins():
    assert first_match(["lin1", "qkv", "attn.qkv"], LAYERS[0]) == "qkv"
    assert first_match(["lin2"], LAYERS[0]) is None


@pytest.mark.parametrize("pattern", HOSTILE)
def test_patterns_that_could_take_forever_are_not_run(pattern):
    assert not is_safe(pattern)


def test_the_worst_allowed_pattern_is_fast():
    pattern = r".*.*.*x"
    assert is_safe(pattern)
    start = time.perf_counter()
    first_match([pattern], "a." * 60)
    assert time.perf_counter() - start < 5
