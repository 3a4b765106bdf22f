"""``samzoo sum``: several adapters into one, which merges as any adapter does."""

import json
from pathlib import Path

import pytest
import tiny

from samzoo.runtime.formats.adapter import read_adapter
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import read_model_folder

GOLDENS = Path(__file__).parents[3] / "goldens"


@pytest.fixture
def adapters(run_here, seeded_base):
    """Two adapters over the seeded base."""
    for name in ("peft_qkv", "peft_all"):
        read = ("adapter", "read", GOLDENS / name, "--base", seeded_base, "-o", name)
        status, _, errors = run_here(*read)
        assert status == 0, errors
    return "peft_qkv", "peft_all"


def test_a_sum_is_an_adapter(run_here, adapters):
    status, out, _ = run_here("sum", *adapters, "--weights", "0.5", "0.25", "-o", "total", "--json")
    assert (status, json.loads(out)) == (0, {"adapter": "total", "method": "lora"})
    config, _ = read_adapter(Path("total"))
    assert [part["weight"] for part in config.source["sum_of"]] == [0.5, 0.25]
    assert run_here("sum", *adapters, "--weights", "1", "1", "-o", "total")[0] == 2
    assert run_here("sum", *adapters, "--weights", "1", "1", "-o", "total", "--force")[0] == 0


def test_a_sum_merges_without_torch(run_here, adapters, seeded_base, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert run_here("sum", *adapters, "--weights", "0.5", "0.5", "-o", "total")[0] == 0
    status, _, errors = run_here("merge", "total", "-o", "model")
    assert status == 0, errors
    expected = read_model_folder(seeded_base)[1]
    found = read_model_folder(Path("model"))[1]
    assert set(found) == set(expected)
    assert tiny.IMAGE_SIZE == ModelConfig.read(Path("model/config.json")).image_size


def test_wrong_uses_are_exit_2(run_here, adapters):
    for arguments, message in (
        (["peft_qkv", "peft_all"], "the following arguments are required: --weights"),
        (["peft_qkv", "--weights", "1"], "at least two adapters, found 1"),
        (["peft_qkv", "peft_all", "--weights", "1"], "expected 2 numbers"),
    ):
        status, out, errors = run_here("sum", *arguments, "-o", "x")
        assert (status, out) == (2, ""), arguments
        assert message in errors
    assert not Path("x").exists()


def test_all_adapters_that_cannot_be_used_are_told_at_once(run_here, adapters):
    words = ("sum", "gone", adapters[0], "lost", "--weights", 1, 1, 1, "-o", "total")
    status, out, errors = run_here(*words)
    assert (status, out) == (2, "")
    assert "2 adapters cannot be used:\n  gone" in errors
    assert "\n  lost" in errors
    assert not Path("total").exists()
