"""``samzoo convert``: checkpoints, and bases of another size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.zoo import write_checkpoint

GOLDENS = Path(__file__).parents[3] / "goldens"


def test_a_base_is_resized(run_here, seeded_base):
    convert = ("convert", seeded_base, "--image-size", "40", "-o", "small")
    assert run_here(*convert)[:2] == (0, "small\n")
    assert ModelConfig.read(Path("small/config.json")).image_size == 40


@pytest.mark.torch
def test_a_checkpoint_is_converted_and_resized_at_once(run_here, seeded_base):
    pytest.importorskip("torch")
    write_checkpoint(seeded_base, Path("sam.pth"), to="segment-anything")
    assert run_here("convert", "sam.pth", "--image-size", "40", "-o", "small")[0] == 0
    assert run_here("convert", "sam.pth", "-o", "base")[0] == 0
    assert run_here("convert", "base", "--image-size", "40", "-o", "again")[0] == 0
    (one, first), (two, second) = map(read_model_folder, (Path("small"), Path("again")))
    assert one == two
    assert all(np.array_equal(first[name], second[name]) for name in first)


WRONG: dict[str, tuple[list[Any], str]] = {
    "a base": (["BASE"], "is a base or model already; resize it with --image-size"),
    "name": (["BASE", "--image-size", "40", "--name", "x"], "--name: describes the weights"),
    "decoder": (["BASE", "--image-size", "40", "--decoder", "d"], "a base holds its AIS decoder"),
    "key": (["BASE", "--image-size", "40", "--key", "ema"], "a base is one; omit --key"),
    "size": (["BASE", "--image-size", "41"], "expected a multiple of"),
    "peft": ([GOLDENS / "peft_qkv"], "is an adapter, not a checkpoint; read it with: samzoo adap"),
    "factors of peft": (
        [GOLDENS / "peft_qkv" / "adapter_model.safetensors"],
        "has tensors of an adapter that is not merged",
    ),
    "missing": (["gone.pt"], "gone.pt: no such file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_become_a_base_is_refused(run_here, seeded_base, kind):
    arguments, message = WRONG[kind]
    given = [seeded_base if argument == "BASE" else argument for argument in arguments]
    status, out, errors = run_here("convert", *given, "-o", "x")
    assert (status, out) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert not Path("x").exists()


def test_an_adapter_is_no_checkpoint(run_here, toy_adapters):
    status, _, errors = run_here("convert", toy_adapters.write(), "-o", "x")
    assert (status, "write it for another tool with samzoo adapter write" in errors) == (2, True)


@pytest.mark.torch
def test_a_key_chooses_one_of_two_sams(run_here, seeded_base):
    torch = pytest.importorskip("torch")
    write_checkpoint(seeded_base, Path("sam.pth"), to="segment-anything")
    state = torch.load("sam.pth", weights_only=True)
    second = {name: value + 1 for name, value in state.items()}
    torch.save({"model": state, "model_ema": second}, "two.pth")
    status, _, errors = run_here("convert", "two.pth", "-o", "x")
    assert (status, "two.pth: holds 2 SAMs, under 'model', 'model_ema'" in errors) == (2, True)
    assert not Path("x").exists()
    assert run_here("convert", "two.pth", "--key", "model_ema", "-o", "base")[0] == 0
    _, tensors = read_model_folder(Path("base"))
    name = "mask_decoder.iou_token.weight"
    np.testing.assert_array_equal(tensors[name], second[name].numpy())
