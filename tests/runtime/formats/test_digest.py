"""The weights digest: equal for equal tensors, different for anything else."""

from typing import Any

import numpy as np
import pytest

from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import read_tensors, write_tensors

TENSORS: dict[str, Any] = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float16),
}


def test_the_digest_is_the_documented_one():
    import hashlib

    expected = hashlib.sha256(b"w\0float32\x002,1\0" + bytes(8)).hexdigest()
    assert weights_digest({"w": np.zeros((2, 1), np.float32)}) == f"sha256:{expected}"


def test_order_memory_layout_byte_order_and_container_do_not_matter(tmp_path):
    digest = weights_digest(TENSORS)
    assert weights_digest(dict(reversed(TENSORS.items()))) == digest
    assert weights_digest({**TENSORS, "b": np.asfortranarray(TENSORS["b"])}) == digest
    assert weights_digest({**TENSORS, "b": TENSORS["b"].astype(">f4")}) == digest
    write_tensors(tmp_path / "w.safetensors", TENSORS, {"any": "thing"})
    assert weights_digest(read_tensors(tmp_path / "w.safetensors")) == digest


@pytest.mark.parametrize(
    "changed",
    [
        {"c": TENSORS["b"], "a": TENSORS["a"], "empty": TENSORS["empty"]},
        {**TENSORS, "b": TENSORS["b"].reshape(3, 2)},
        {**TENSORS, "b": TENSORS["b"].astype(np.float64)},
        {**TENSORS, "b": TENSORS["b"] + np.float32(1e-6)},
        {**TENSORS, "a": np.array([3], np.int64)},
        {**TENSORS, "empty": np.zeros((0, 5), np.float16)},
        {"b": TENSORS["b"], "a": TENSORS["a"]},
    ],
)
def test_any_other_name_shape_type_or_value_changes_the_digest(changed):
    assert weights_digest(changed) != weights_digest(TENSORS)
