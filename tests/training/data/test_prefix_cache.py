"""What a frozen encoder computes: once, found again, computed again where damaged."""

import errno
import os
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.data import prefix_cache  # noqa: E402
from samzoo.training.data.prefix_cache import PrefixCache, cache_identity  # noqa: E402


class Encoder:
    """Counts how often it is asked."""

    def __init__(self, scale=1.0):
        self.count, self.scale = 0, scale

    def __call__(self):
        self.count += 1
        values = torch.randn(1, 256, 2, 2, generator=torch.Generator().manual_seed(self.count))
        return (self.scale * values).to(memory_format=torch.channels_last)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.mark.parametrize("memory", [0, 10**6])
def test_a_crop_is_encoded_once(tmp_path, encoder, memory):
    cache = PrefixCache(tmp_path, "sha256:abc", memory=memory)
    first, again = cache("a", encoder), cache("a", encoder)
    assert encoder.count == 1
    assert torch.equal(first, again)
    assert first.stride() == again.stride()
    assert first.dtype == torch.float32
    cache("b", encoder)
    assert encoder.count == 2


def test_values_in_memory_need_no_file_and_the_budget_holds(tmp_path, encoder):
    size = 2 * 256 * 2 * 2
    cache = PrefixCache(tmp_path, "sha256:abc", memory=2 * size)
    for name in "abc":
        cache(name, encoder)
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    for name in "abc":
        cache(name, encoder)
    assert encoder.count == 4  # the third did not fit


def test_what_it_gives_does_not_change_what_it_holds(tmp_path, encoder):
    cache = PrefixCache(tmp_path, "sha256:abc")
    first = cache("a", encoder)
    expected = first.clone()
    first.zero_()
    assert torch.equal(cache("a", encoder), expected)


def test_a_later_session_finds_what_an_earlier_one_computed(tmp_path, encoder):
    first = PrefixCache(tmp_path, "sha256:abc")("a", encoder)
    again = PrefixCache(tmp_path, "sha256:abc")("a", encoder)
    assert encoder.count == 1
    assert torch.equal(first, again)


def test_another_identity_starts_empty_and_removes_the_old_files(tmp_path, encoder):
    PrefixCache(tmp_path, "sha256:abc")("a", encoder)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    other = PrefixCache(tmp_path, "sha256:def")
    assert list(tmp_path.rglob("*.safetensors")) == []
    other("a", encoder)
    assert encoder.count == 2


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_a_damaged_file_is_computed_again(tmp_path, encoder, content):
    PrefixCache(tmp_path, "sha256:abc")("a", encoder)
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(content)
    PrefixCache(tmp_path, "sha256:abc")("a", encoder)
    assert encoder.count == 2


def test_a_full_disk_costs_time_and_nothing_else(tmp_path, encoder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    cache = PrefixCache(tmp_path, "sha256:abc", memory=0)
    cache("a", encoder)
    cache("a", encoder)
    assert encoder.count == 2
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_stored_values_are_as_exact_as_the_module_says(tmp_path, scale):
    exact = Encoder(scale)().numpy()
    found = PrefixCache(tmp_path, "sha256:abc")("a", Encoder(scale)).numpy()
    error = np.abs(found - exact)
    normal = np.abs(exact) >= prefix_cache.SMALLEST
    assert (error[normal] <= prefix_cache.RELATIVE_ERROR * np.abs(exact[normal])).all()
    assert (error <= np.maximum(2.0**-25, prefix_cache.RELATIVE_ERROR * np.abs(exact))).all()


@pytest.mark.parametrize("value", [7e4, float("inf"), float("nan")])
def test_values_that_float16_cannot_hold_are_stored_as_they_are(tmp_path, value):
    values = torch.tensor([[1.0001, value]])
    found = PrefixCache(tmp_path, "sha256:abc")("a", lambda: values)
    np.testing.assert_array_equal(found, values)


def test_the_identity_depends_on_every_part():
    parts: dict[str, Any] = {"base": "a", "data": "b", "preprocessing": "c"}
    others = [{**parts, name: "other"} for name in parts]
    assert len({cache_identity(each) for each in [parts, *others, {**parts, "seed": 1}]}) == 5
    assert cache_identity(parts) == cache_identity(dict(reversed(parts.items())))
