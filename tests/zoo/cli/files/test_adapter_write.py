"""``samzoo adapter write``: adapters for other tools."""

import json
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parents[3] / "goldens"


@pytest.fixture
def adapter(run_here, seeded_base):
    """An adapter of ours, read from a folder of peft."""
    read = ("adapter", "read", GOLDENS / "peft_qkv", "--base", seeded_base, "-o", "adapter")
    status, _, errors = run_here(*read)
    assert status == 0, errors
    return "adapter"


@pytest.mark.torch
def test_a_file_for_micro_sam_says_how_it_is_loaded(run_here, adapter):
    pytest.importorskip("torch")
    status, out, errors = run_here(
        "adapter", "write", adapter, "--to", "micro-sam", "-o", "out.pt", "--json"
    )
    assert (status, json.loads(out)["output"]) == (0, "out.pt")
    assert json.loads(out)["peft_kwargs"] == {
        "peft_module": "LoRASurgery", "rank": 4, "update_matrices": ["q", "k", "v"],
    }  # fmt: skip
    assert "load it with micro_sam.util.get_sam_model" in errors


def test_a_folder_for_peft(run_here, adapter):
    assert run_here("adapter", "write", adapter, "--to", "peft", "-o", "peft")[0] == 0
    assert json.loads(Path("peft/adapter_config.json").read_text())["peft_type"] == "LORA"


def test_wrong_uses_are_exit_2_and_write_nothing(run_here, adapter, seeded_base):
    for arguments, message in (
        (("adapter",), "the following arguments are required: --to"),
        (("adapter", "--to", "huggingface"), "invalid choice: 'huggingface'"),
        (("gone", "--to", "peft"), "gone: no such file or folder"),
        ((seeded_base, "--to", "peft"), "is not an adapter folder of samzoo"),
        ((GOLDENS / "peft_qkv", "--to", "peft"), "is not an adapter folder of samzoo"),
    ):
        status, out, errors = run_here("adapter", "write", *arguments, "-o", "x")
        assert (status, out) == (2, "")
        assert message in errors
    assert not Path("x").exists()
