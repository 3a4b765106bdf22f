"""``samzoo adapter read``: adapters of other tools."""

import json
from pathlib import Path

from samzoo.runtime.formats.adapter import read_adapter

GOLDENS = Path(__file__).parents[3] / "goldens"


def test_an_adapter_is_written_and_what_was_found_is_told(run_here, seeded_base):
    status, out, errors = run_here(
        "adapter", "read", GOLDENS / "peft_qkv", "--base", seeded_base, "-o", "adapter", "--json"
    )
    result = json.loads(out)
    assert status == 0
    assert (result["adapter"], result["method"]) == ("adapter", "lora")
    assert result["hyperparameters"]["rank"] == 4
    assert "samzoo: method: lora" in errors
    assert "that of the base is used" in errors
    assert read_adapter(Path("adapter"))[0].method == "lora"


def test_wrong_uses_are_exit_2_and_write_nothing(run_here, seeded_base):
    peft = GOLDENS / "peft_qkv"
    for arguments, message in (
        ((peft,), "the following arguments are required: --base"),
        (("gone.pt", "--base", seeded_base), "gone.pt: no such file"),
        ((peft, "--base", seeded_base, "--alpha", 1), "which takes no --alpha"),
    ):
        status, out, errors = run_here("adapter", "read", *arguments, "-o", "x")
        assert (status, out) == (2, "")
        assert message in errors
    assert not Path("x").exists()
