"""Factors of a change are found again from the rounded sum, and so is their number."""

import numpy as np
import pytest

from samzoo.runtime.errors import InputError
from samzoo.training.methods.low_rank import low_rank_factors, numerical_rank, rounding_norm
from samzoo.training.methods.mask_decoder_lora import unfold

SHAPES = [(256, 256), (2048, 256), (256, 2048), (4, 32), (32, 1)]


def changed(shape, rank, dtype=np.float32, size=0.01):
    """A weight, and the same with a change of a rank added and rounded."""
    rng = np.random.default_rng([*shape, rank])
    base = rng.standard_normal(shape).astype(dtype)
    delta = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    return base, (base + size * delta).astype(dtype), size * delta


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_rank_of_a_change_is_found_below_the_rounding(shape, dtype):
    for rank in (0, 1, min(4, *shape)):
        base, weight, _ = changed(shape, rank, dtype)
        delta = weight.astype(np.float64) - base
        noise = rounding_norm(weight)
        assert numerical_rank(delta, noise=noise) == rank
        error = delta - changed(shape, rank, dtype)[2]
        assert np.linalg.norm(error, 2) < noise


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_give_the_change_and_share_its_size(shape):
    rank = min(3, *shape)
    _, _, delta = changed(shape, rank)
    a, b = low_rank_factors(delta, 5)
    assert a.shape == (5, shape[1])
    assert b.shape == (shape[0], 5)
    np.testing.assert_allclose(b @ a, delta, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0), atol=1e-7)


def test_fewer_factors_are_the_nearest_change_of_their_rank():
    delta = np.diag([4.0, 2.0, 1.0])
    a, b = low_rank_factors(delta, 2)
    np.testing.assert_allclose(b @ a, np.diag([4.0, 2.0, 0.0]), atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.25, -2.0])
def test_unfolded_factors_give_the_stored_weight_and_the_rest_can_learn(scale):
    base, weight, _ = changed((64, 48), 2)
    fresh = np.random.default_rng(0).standard_normal((4, 48)).astype(np.float32)
    a, b = unfold(weight, base, fresh, scale=scale, where="w")
    np.testing.assert_allclose(base + scale * (b @ a), weight, atol=2e-6)
    np.testing.assert_array_equal(a[2:], fresh[2:])
    assert not b[:, 2:].any()


def test_a_layer_without_a_change_keeps_fresh_factors():
    base, _, _ = changed((6, 5), 0)
    fresh = np.ones((3, 5), np.float32)
    for scale in (1.0, 0.0):
        a, b = unfold(base, base, fresh, scale=scale, where="w")
        np.testing.assert_array_equal(a, fresh)
        assert not b.any()


def test_a_change_of_a_higher_rank_is_refused():
    base, weight, _ = changed((16, 16), 5)
    with pytest.raises(InputError, match="w: differs from the base's by a matrix of rank 5"):
        unfold(weight, base, np.ones((4, 16), np.float32), scale=1.0, where="w")
