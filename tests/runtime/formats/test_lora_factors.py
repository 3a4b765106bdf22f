"""Factor files: what onnxruntime wrote is read, what does not fit is refused with one message."""

import numpy as np
import pytest

from samzoo.runtime.errors import FormatError, StorageError
from samzoo.runtime.formats.lora_factors import factor_names, read_factors

ACCEPTED = {
    "a.qkv.lora_a": (6, None), "a.qkv.lora_b": (None, 18),
    "b.lin1.lora_a": (6, None), "b.lin1.lora_b": (None, 24),
}  # fmt: skip


def pair(layer="a.qkv", *, inputs=6, outputs=18, rank=3, seed=0):
    rng = np.random.default_rng(seed)
    a, b = factor_names(layer)
    return {
        a: rng.standard_normal((inputs, rank)).astype(np.float32),
        b: rng.standard_normal((rank, outputs)).astype(np.float32),
    }


def read(data):
    return read_factors(data, ACCEPTED, where="file")


def test_factors_are_read_as_they_were_written(make_factor_file):
    factors = {**pair(), **pair("b.lin1", outputs=24, rank=5, seed=1)}
    found = read(make_factor_file(factors))
    assert found.keys() == factors.keys()
    for name, value in factors.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.float32


def test_layers_may_be_left_out(make_factor_file):
    assert read(make_factor_file(pair())).keys() == {"a.qkv.lora_a", "a.qkv.lora_b"}


def test_nothing_is_left_in_the_temporary_folder(make_factor_file, tmp_path, monkeypatch):
    data, folder = make_factor_file(pair()), tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    read(data)
    assert list(folder.iterdir()) == []


def test_no_room_for_the_temporary_file_is_a_storage_error(make_factor_file, tmp_path, monkeypatch):
    data = make_factor_file(pair())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="file: could not be read through a temporary file"):
        read(data)


@pytest.mark.parametrize("data", [b"", b"x", b"garbage" * 100, bytes(4096)])
def test_bytes_that_are_no_adapter_are_refused(data, capfd):
    with pytest.raises(FormatError, match="file: not an adapter file of onnxruntime"):
        read(data)
    assert capfd.readouterr() == ("", "")


def test_truncated_and_changed_files_never_crash(make_factor_file):
    data = make_factor_file(pair())
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
        for _ in range(rng.integers(1, 4)):
            if changed:
                changed[rng.integers(len(changed))] = rng.integers(256)
        try:
            read(bytes(changed))
        except FormatError:
            refused += 1
    assert refused > 50


WRONG = {
    "unknown layer": (pair("c.qkv"), r"'c.qkv.lora_a' is no input of this encoder"),
    "other width": (
        pair(outputs=24),
        r"a\.qkv\.lora_b: found the shape \(3, 24\), the encoder takes \(rank, 18\)",
    ),
    "other input": (pair(inputs=7), r"a\.qkv\.lora_a: found the shape \(7, 3\)"),
    "one axis": (
        {**pair(), "a.qkv.lora_a": np.ones(6, np.float32)}, r"found the shape \(6,\)"
    ),
    "no partner": (
        {"a.qkv.lora_a": pair()["a.qkv.lora_a"]}, r"a\.qkv\.lora_a: its partner is missing"
    ),
    "two ranks": (
        {**pair(), "a.qkv.lora_b": pair(rank=2)["a.qkv.lora_b"]},
        r"a\.qkv: found the ranks 3 and 2, allowed is one rank from 1 to 4096",
    ),
    "rank above the limit": (pair(rank=4097), "found the ranks 4097 and 4097"),
    "not a number": (
        {**pair(), "a.qkv.lora_b": np.full((3, 18), np.nan, np.float32)},
        r"a\.qkv\.lora_b: holds values that are not finite",
    ),
    "infinite": (
        {**pair(), "a.qkv.lora_a": np.full((6, 3), np.inf, np.float32)}, "not finite"
    ),
    "float64": (
        {name: value.astype(np.float64) for name, value in pair().items()},
        r"expected tensor\(float\) or tensor\(float16\) in all factors, found tensor\(double\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("factors", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_the_encoder_is_refused(make_factor_file, factors, message):
    with pytest.raises(FormatError, match=f"^file: .*{message}") as caught:
        read(make_factor_file(factors))
    assert "\n" not in str(caught.value)
