"""Embeddings of a frozen encoder: computed once, found again, recomputed where damaged."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import Preprocessing

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.data.embedding_cache import EmbeddingCache, cache_identity  # noqa: E402
from samzoo.training.data.reading import Crop  # noqa: E402


class Encoder:
    """Counts how often it is asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, crop):
        self.count += 1
        seed = hash(crop.key) % 2**31
        values = torch.randn(1, 256, 2, 2, generator=torch.Generator().manual_seed(seed))
        return values.to(memory_format=torch.channels_last)


@pytest.fixture
def encoder():
    return Encoder()


def crop(*key):
    empty = np.zeros((2, 2), np.int32)
    return Crop(np.zeros((2, 2, 3)), empty, np.zeros((3, 2, 2), np.float32), key)


def test_a_crop_is_encoded_once(tmp_path, encoder):
    cache = EmbeddingCache(tmp_path, "sha256:abc", encoder)
    first = cache(crop(0, 1, 2, 3))
    again = cache(crop(0, 1, 2, 3))
    assert encoder.count == 1
    assert torch.equal(first, again)
    assert first.stride() == again.stride()
    assert first.dtype == torch.float32
    cache(crop(0, 1, 2, 4))
    assert encoder.count == 2


def test_a_later_session_finds_what_an_earlier_one_computed(tmp_path, encoder):
    first = EmbeddingCache(tmp_path, "sha256:abc", encoder)(crop(0, 0, 0, 0))
    again = EmbeddingCache(tmp_path, "sha256:abc", encoder)(crop(0, 0, 0, 0))
    assert encoder.count == 1
    assert torch.equal(first, again)


def test_another_identity_starts_empty_and_removes_the_old_files(tmp_path, encoder):
    EmbeddingCache(tmp_path, "sha256:abc", encoder)(crop(0, 0, 0, 0))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    other = EmbeddingCache(tmp_path, "sha256:def", encoder)
    assert list(tmp_path.rglob("*.safetensors")) == []
    other(crop(0, 0, 0, 0))
    assert encoder.count == 2


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_damaged_file_is_computed_again(tmp_path, encoder, content):
    cache = EmbeddingCache(tmp_path, "sha256:abc", encoder)
    expected = cache(crop(0, 0, 0, 0))
    (path,) = tmp_path.rglob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert torch.equal(cache(crop(0, 0, 0, 0)), expected)
    assert encoder.count == 2
    assert path.read_bytes() == whole


def test_the_identity_changes_with_base_delta_data_and_preprocessing():
    identities = {
        cache_identity("base", "delta", "data", Preprocessing()),
        cache_identity("other", "delta", "data", Preprocessing()),
        cache_identity("base", "other", "data", Preprocessing()),
        cache_identity("base", "delta", "other", Preprocessing()),
        cache_identity("base", "delta", "data", Preprocessing(gamma=0.5)),
    }
    assert len(identities) == 5
    assert all(identity.startswith("sha256:") for identity in identities)
