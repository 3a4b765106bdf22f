"""A base or model folder: both of its files, checked against each other."""

from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.files import write_tensors
from samzoo.runtime.formats.folders import open_model_folder, read_model_folder

TENSORS: dict[str, Any] = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), np.float16)}


@pytest.mark.parametrize("read", [read_model_folder, open_model_folder])
def test_config_and_weights_are_read_and_belong_together(tmp_path, read):
    folder = tiny.write_weights(tmp_path / "model", tiny.make_config(), TENSORS)
    config, tensors = read(folder)
    assert config.architecture == tiny.make_config().architecture
    assert sorted(tensors) == sorted(TENSORS)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], value)
        assert tensors[name].dtype == value.dtype
    write_tensors(folder / "model.safetensors", {"a": TENSORS["a"]}, {})
    with pytest.raises(FormatError, match=r"config\.json: weights_digest is .* do not belong"):
        read(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(NotFoundError, match=r"model\.safetensors: no such file"):
        read(folder)
