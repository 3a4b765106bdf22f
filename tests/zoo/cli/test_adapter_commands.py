"""The verbs ``convert`` and ``merge`` with adapters of other tools, and with several."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.adapter import read_adapter
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.zoo.cli import main

GOLDENS = Path(__file__).parents[2] / "goldens"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a verb in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return main([str(argument) for argument in arguments]), *capsys.readouterr()

    return run


@pytest.fixture
def adapter(run, seeded_base):
    """An adapter of ours, read from a folder of peft."""
    status, _, errors = run("convert", GOLDENS / "peft_qkv", "--base", seeded_base, "-o", "adapter")
    assert status == 0, errors
    return Path("adapter")


def test_convert_with_a_base_writes_an_adapter_and_says_what_it_found(run, seeded_base):
    status, out, errors = run(
        "convert", GOLDENS / "peft_qkv", "--base", seeded_base, "-o", "adapter", "--json"
    )
    result = json.loads(out)
    assert status == 0
    assert (result["adapter"], result["method"]) == ("adapter", "lora")
    assert result["hyperparameters"]["rank"] == 4
    assert "samzoo: method: lora" in errors
    assert "that of the base is used" in errors
    assert read_adapter(Path("adapter"))[0].method == "lora"


def test_convert_writes_an_adapter_for_other_tools(run, adapter):
    pytest.importorskip("torch")
    status, out, errors = run("convert", adapter, "--to", "micro-sam", "-o", "out.pt", "--json")
    assert (status, json.loads(out)["output"]) == (0, "out.pt")
    assert json.loads(out)["peft_kwargs"] == {
        "peft_module": "LoRASurgery", "rank": 4, "update_matrices": ["q", "k", "v"],
    }  # fmt: skip
    assert "load it with micro_sam.util.get_sam_model" in errors
    assert run("convert", adapter, "--to", "peft", "-o", "peft")[0] == 0
    assert json.loads(Path("peft/adapter_config.json").read_text())["peft_type"] == "LORA"


def test_convert_resizes_a_base(run, seeded_base):
    assert run("convert", seeded_base, "--image-size", "40", "-o", "small")[:2] == (0, "small\n")
    assert ModelConfig.read(Path("small/config.json")).image_size == 40


def test_merge_of_several_writes_a_model_or_an_adapter(run, adapter, seeded_base):
    assert run("convert", GOLDENS / "peft_all", "--base", seeded_base, "-o", "b")[0] == 0
    weights = ("--weights", "0.5", "0.25")
    assert run("merge", adapter, "b", *weights, "-o", "model")[:2] == (0, "model\n")
    status, out, _ = run("merge", adapter, "b", *weights, "--as-adapter", "-o", "sum", "--json")
    assert (status, json.loads(out)["adapter"]) == (0, "sum")
    assert run("merge", "sum", "-o", "again")[0] == 0
    one, two = read_model_folder(Path("model"))[1], read_model_folder(Path("again"))[1]
    assert all(np.array_equal(one[name], two[name]) for name in one)


WRONG: dict[str, tuple[list[Any], str]] = {
    "not an adapter": (["b.pt", "--to", "peft", "-o", "x"], "is no adapter folder of samzoo"),
    "no base": ([GOLDENS / "peft_qkv", "-o", "x"], "pass it with --base"),
    "no target": (["adapter", "-o", "x"], "is an adapter; convert it with --to micro-sam or peft"),
    "model format": (["adapter", "--to", "huggingface", "-o", "x"], "or merge it"),
    "option": (["adapter", "--to", "peft", "--alpha", "1", "-o", "x"], "--alpha is for reading"),
    "decoder": (["adapter", "--to", "peft", "--decoder", "d", "-o", "x"], "--decoder is for model"),
    "missing file": (["gone.pt", "--base", "BASE", "-o", "x"], "gone.pt: no such file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_uses_of_convert_are_exit_2_and_write_nothing(run, adapter, seeded_base, kind):
    arguments, message = WRONG[kind]
    given = [seeded_base if argument == "BASE" else argument for argument in arguments]
    status, out, errors = run("convert", *given)
    assert (status, out) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert not Path("x").exists()


def test_wrong_uses_of_merge_are_exit_2(run, adapter):
    for arguments, message in (
        (["adapter", "adapter", "-o", "x"], "2 adapters need --weights"),
        (["adapter", "--weights", "1", "-o", "x"], "at least two adapters, found 1"),
        (["adapter", "--as-adapter", "-o", "x"], "1 adapters need --weights"),
        (["adapter", "adapter", "--weights", "1", "-o", "x"], "expected 2 numbers"),
        (["adapter", "adapter", "--weights", "1", "1", "--verify", "i.png", "-o", "x"],
         "--verify takes one adapter"),
    ):  # fmt: skip
        status, out, errors = run("merge", *arguments)
        assert (status, out) == (2, ""), arguments
        assert message in errors
    assert not Path("x").exists()


def test_a_merged_sum_needs_no_torch(run, adapter, seeded_base, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    arguments = (adapter, adapter, "--weights", "0.5", "0.5", "-o", "model")
    status, _, errors = run("merge", *arguments)
    assert status == 0, errors
    expected = read_model_folder(seeded_base)[1]
    found = read_model_folder(Path("model"))[1]
    assert set(found) == set(expected)
    assert tiny.IMAGE_SIZE == ModelConfig.read(Path("model/config.json")).image_size
