"""4-bit quantization against bitsandbytes 0.50.2, through ``goldens/four_bit.npz``."""

from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, ShapeError
from samzoo.runtime.formats import four_bit as quantization
from samzoo.runtime.formats.four_bit import (
    LEVELS,
    QUANTIZATIONS,
    dequantize,
    dynamic_levels,
    quantize,
)

GOLDENS = Path(__file__).parents[2] / "goldens" / "four_bit.npz"
NAMES = ("whole", "short_rows", "rest", "odd", "one", "nested")

OFFSET_TOLERANCE = 1e-6
"""Relative; bitsandbytes sums the mean of the scales in float32, we in float64. Everything else is
equal to the last bit."""


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS) as file:
        return dict(file)


def test_the_levels_of_the_scales_are_those_of_bitsandbytes(goldens):
    np.testing.assert_array_equal(dynamic_levels(), goldens["levels"])


def test_scales_are_rounded_as_the_kernel_does(goldens):
    codes, absmax = quantization._round_scales(goldens["scales"])
    np.testing.assert_array_equal(codes, goldens["scale_codes"])
    np.testing.assert_array_equal(absmax, goldens["scale_absmax"])
    # The nearest level would be another code for a few: this golden does hold such ties.
    scaled = goldens["scales"] / np.repeat(absmax, 256)[: len(codes)]
    nearest = np.abs(scaled[:, None] - goldens["levels"]).argmin(axis=1)
    assert 0 < (nearest != codes).sum() < 30


@pytest.mark.parametrize("kind", QUANTIZATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_codes_and_scales_are_those_of_bitsandbytes(goldens, name, kind):
    found = quantize(goldens[f"{name}/weight"], kind)
    state = f"{name}/{kind}/state"
    np.testing.assert_array_equal(found.packed, goldens[f"{name}/{kind}/packed"].reshape(-1))
    np.testing.assert_array_equal(found.absmax, goldens[f"{state}/absmax"])
    np.testing.assert_array_equal(found.nested_levels, goldens[f"{state}/nested_quant_map"])
    np.testing.assert_array_equal(np.array(LEVELS[kind], np.float32), goldens[f"{state}/quant_map"])
    np.testing.assert_allclose(
        found.nested_absmax, goldens[f"{state}/nested_absmax"], rtol=OFFSET_TOLERANCE
    )


@pytest.mark.parametrize("kind", QUANTIZATIONS)
@pytest.mark.parametrize("name", NAMES[:-1])
def test_dequantized_weights_are_those_of_bitsandbytes(goldens, name, kind):
    weight, expected = goldens[f"{name}/weight"], goldens[f"{name}/{kind}/dequantized"]
    found = dequantize(quantize(weight, kind))
    assert found.shape == weight.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=OFFSET_TOLERANCE, atol=0)
    if weight.size > 64:  # rounded, but near: 0.12 and 0.09 for normal values
        error = np.linalg.norm(found - weight) / np.linalg.norm(weight)
        assert 0.05 < error < 0.15


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_zeros_stay_zero(kind):
    assert not dequantize(quantize(np.zeros((6, 40), np.float32), kind)).any()


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_chunks_do_not_change_the_result(monkeypatch, kind):
    weight = np.random.default_rng(0).standard_normal((37, 41)).astype(np.float32)
    expected = quantize(weight, kind)
    monkeypatch.setattr(quantization, "_CHUNK", 128)
    found = quantize(weight, kind)
    np.testing.assert_array_equal(found.packed, expected.packed)
    np.testing.assert_array_equal(found.scales, expected.scales)
    monkeypatch.setattr(quantization, "_CHUNK", 1)
    np.testing.assert_array_equal(dequantize(found), dequantize(expected))


def test_what_cannot_be_quantized_is_refused():
    with pytest.raises(FormatError, match="quantization: found 'int4', allowed: fp4, nf4"):
        quantize(np.ones((2, 2), np.float32), "int4")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"shape \(0, 3\) has no values"):
        quantize(np.ones((0, 3), np.float32), "fp4")
