"""``samzoo merge``: one adapter into a model; nothing half-written, no option without effect."""

import errno
import json
import os
from pathlib import Path


def test_merge_prints_its_folder_or_json(run_here, toy_adapters):
    adapter = toy_adapters.write()
    assert run_here("merge", adapter, "-o", "m") == (0, "m\n", "")
    status, _, errors = run_here("merge", adapter, "-o", "m")
    assert (status, "m: exists already" in errors) == (2, True)
    status, out, _ = run_here("merge", adapter, "-o", "m", "--force", "--json")
    assert status == 0
    config = json.loads(Path("m/config.json").read_text())
    assert json.loads(out) == {"model": "m", "weights_digest": config["weights_digest"]}


def test_merge_refuses_a_wrong_base(run_here, toy_adapters):
    wrong = toy_adapters.write(base_digest="sha256:other")
    moved = toy_adapters.write("moved", base_path="gone")
    for adapter, parts in (
        (wrong, ("is not that of the base that", "pass the right one with --base")),
        (moved, ("gone", "pass --base")),
        ("nothing", ("nothing", "no such file")),
    ):
        status, out, errors = run_here("merge", adapter, "-o", "m")
        assert (status, out, errors.count("\n")) == (2, "", 1)
        assert all(part in errors for part in parts), errors
    assert not Path("m").exists()


def test_merge_takes_one_adapter(run_here, toy_adapters):
    adapter = toy_adapters.write()
    status, out, errors = run_here("merge", adapter, adapter, "-o", "m")
    assert (status, out) == (2, "")
    assert "unrecognized arguments" in errors


def test_the_choice_of_qloras_base_is_refused_for_other_methods(run_here, toy_adapters):
    adapter = toy_adapters.write()
    status, out, errors = run_here("merge", adapter, "-o", "m", "--qlora-base", "dequantized")
    assert (status, out) == (2, "")
    assert errors == "samzoo: --qlora-base is for QLoRA adapters, found lora; omit it\n"
    assert not Path("m").exists()


def test_a_full_disk_while_merging_keeps_the_previous_model(run_here, toy_adapters, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    adapter = toy_adapters.write()
    run_here("merge", adapter, "-o", "m")
    before = {path.name: path.read_bytes() for path in Path("m").iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    status, out, errors = run_here("merge", adapter, "-o", "m", "--force")
    assert (status, out) == (3, "")
    assert "No space left on device" in errors
    assert {path.name: path.read_bytes() for path in Path("m").iterdir()} == before
    assert sorted(before) == ["config.json", "model.safetensors"]


def test_an_adapter_of_peft_leads_to_the_verb_that_reads_it(run_here):
    goldens = Path(__file__).parents[3] / "goldens"
    status, _, errors = run_here("merge", goldens / "peft_qkv", "-o", "model")
    assert status == 2
    assert "is the config of an adapter of Hugging Face's peft; make an adapter" in errors
    assert f"samzoo adapter read {goldens / 'peft_qkv'} --base BASE" in errors
