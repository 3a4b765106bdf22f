"""The adapter folder: what is written is read, and what does not belong together is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import FormatError, NotFoundError
from samzoo.runtime.formats.adapter import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    NEXT_CONFIG_FILE,
    AdapterConfig,
    adapter_tensors,
    is_adapter,
    read_adapter,
    write_adapter,
)
from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import write_tensors

TENSORS = {
    "mask_decoder.iou_token.weight": np.arange(6, dtype=np.float32).reshape(1, 6),
    "image_encoder.blocks.0.attn.qkv.lora_a.q": np.ones((2, 3), np.float32),
}
CONFIG = AdapterConfig(
    method="lora",
    hyperparameters={"rank": 2, "matrices": ["q"], "scale": 1.0},
    base_digest="sha256:base",
    base_path="somewhere",
    architecture=tiny.make_config("tiny_vit").architecture,
    preprocessing=Preprocessing(scale=2.0, gamma=0.7),
    ais=AisParameters(min_size=7),
    source={"training": {"seed": 0}},
)


@pytest.fixture
def folder(tmp_path):
    write_adapter(tmp_path, CONFIG, TENSORS)
    return tmp_path


def change_config(folder, **fields):
    value = json.loads((folder / ADAPTER_CONFIG_FILE).read_text())
    (folder / ADAPTER_CONFIG_FILE).write_text(json.dumps({**value, **fields}))


def test_what_is_written_is_read(folder):
    config, tensors = read_adapter(folder)
    assert config.adapter_digest == weights_digest(TENSORS)
    for field in ("method", "hyperparameters", "base_digest", "base_path", "architecture",
                  "preprocessing", "ais", "source"):  # fmt: skip
        assert getattr(config, field) == getattr(CONFIG, field)
    assert set(tensors) == set(TENSORS)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], value)


def test_a_folder_is_an_adapter_once_its_config_is_there(tmp_path, monkeypatch):
    from samzoo.runtime.formats import adapter

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapter, "write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            write_adapter(tmp_path, CONFIG, TENSORS)
    assert not is_adapter(tmp_path)
    write_adapter(tmp_path, CONFIG, TENSORS)
    assert is_adapter(tmp_path)


def test_weights_of_another_adapter_are_refused(folder):
    write_tensors(folder / ADAPTER_WEIGHTS_FILE, {n: v + 1 for n, v in TENSORS.items()}, {})
    with pytest.raises(FormatError, match=r"adapter_digest is .* do not belong together"):
        read_adapter(folder)


def test_a_crash_between_the_two_files_leaves_the_new_adapter(folder, tmp_path):
    """Before the weights are there the old one is whole, after that the new one."""
    newer = {name: value + 1 for name, value in TENSORS.items()}
    (other := tmp_path / "other").mkdir()
    write_adapter(other, replace(CONFIG, method="full"), newer)
    shutil.copy(other / ADAPTER_CONFIG_FILE, folder / NEXT_CONFIG_FILE)
    assert read_adapter(folder)[0].method == "lora"
    shutil.copy(other / ADAPTER_WEIGHTS_FILE, folder)
    config, tensors = read_adapter(folder)
    assert config.method == "full"
    np.testing.assert_array_equal(tensors[next(iter(newer))], newer[next(iter(newer))])
    write_adapter(folder, CONFIG, TENSORS)  # and the next one cleans up
    assert not (folder / NEXT_CONFIG_FILE).exists()
    assert read_adapter(folder)[0].method == "lora"


def test_a_newer_version_asks_for_an_upgrade(folder):
    change_config(folder, format={"name": "samzoo-adapter", "version": 2})
    with pytest.raises(FormatError, match=r"version is 2, .* reads up to 1; (update|run: pip)"):
        read_adapter(folder)


def test_another_format_is_refused(folder):
    change_config(folder, format={"name": "samzoo-model", "version": 1})
    with pytest.raises(FormatError, match="format: expected 'samzoo-adapter'"):
        read_adapter(folder)


def test_an_unknown_key_is_refused(folder):
    change_config(folder, extra=1)
    with pytest.raises(FormatError, match="unknown key 'extra'"):
        read_adapter(folder)


def test_values_that_are_not_finite_are_refused(folder):
    tensors = {n: np.full_like(v, np.nan) for n, v in TENSORS.items()}
    write_tensors(folder / ADAPTER_WEIGHTS_FILE, tensors, {})
    with pytest.raises(FormatError, match="NaN or infinite"):
        read_adapter(folder)


@pytest.mark.parametrize("name", [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE])
def test_a_missing_file_is_an_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(NotFoundError, match=name):
        read_adapter(folder)


def test_an_adapter_stores_the_delta_and_the_decoders():
    state = dict.fromkeys(
        (
            "image_encoder.a",
            "image_encoder.b",
            "prompt_encoder.c",
            "mask_decoder.d",
            "ais_decoder.e",
        )
    )
    kept = adapter_tensors(state, {"image_encoder.b"})
    assert set(kept) == set(state) - {"image_encoder.a"}
