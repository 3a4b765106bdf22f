"""``samzoo share``: adapters over one encoder, added to a package, or alone."""

import json
import re
from pathlib import Path

import pytest

GOLDENS = Path(__file__).parents[3] / "goldens"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a", "b", "--names", "x"], "expected 2 names, .* found 1"),
        (["a", "c/a"], "two adapters are called 'a'; name them with --names"),
        (["shared"], "holds no adapter_config.json; a shared encoder takes"),
        (["a", "b"], r"2 adapters cannot be used:\n  a: .*\n  b: "),
        (["a", "--qlora-base", "original"], "--qlora-base is for adapters, but a is not one"),
        (["a", "--over", "shared", "--precision", "fp16"], "--over uses the encoder as it is"),
        (["a", "--over", "shared", "--add-to", "shared"], "--over uses the encoder as it is"),
        (["a", "--add-to", "shared", "--name", "x"], "are those of the package in --add-to"),
    ],
)
def test_what_cannot_be_shared_is_refused(run_shared, options, message):
    status, out, errors = run_shared("share", *options, "-o", "package")
    assert (status, out) == (2, "")
    assert re.search(message, errors)
    assert not Path("package").exists()


@pytest.mark.torch
@pytest.mark.onnx
def test_a_package_has_adapters_by_their_folders_names(run_shared, seeded_base):
    run = run_shared
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    for name in ("peft_qkv", "peft_all"):
        read = ("adapter", "read", GOLDENS / name, "--base", seeded_base, "-o", name)
        assert run(*read)[0] == 0
    common = ("share", "peft_qkv", "peft_all", "--base", seeded_base)
    status, out, errors = run(*common, "-o", "package", "--json")
    assert (status, errors) == (0, "")
    result = json.loads(out)
    assert result["adapters"] == ["peft_qkv", "peft_all"]
    assert "adapters/peft_all/lora.onnx_adapter" in result["files"]
    status, out, _ = run("show", "package")
    assert "Adapters over one encoder" in out
    status, out, errors = run(*common, "-o", "package")
    assert status == 2
    assert "package" in errors
    assert run(*common, "-o", "named", "--names", "one", "two")[:2] == (0, "named\n")
    more = ("share", "peft_all", "--add-to", "named", "-o", "more")
    assert run(*more, "--names", "three")[:2] == (0, "more\n")
    status, _, errors = run(
        "segment", "cells.tif", "-o", "m.tif", "--model", "more", "--adapter", "x"
    )
    assert (status, "this package has: one, two, three" in errors) == (2, True)
    status, _, errors = run(*more, "--force", "--precision", "fp16")
    assert (status, "are those of the package in --add-to" in errors) == (2, True)
    box = ("--box", 5, 5, 40, 40, "--model", "named", "--adapter", "two")
    assert run("prompt", "cells.tif", "-o", "m.tif", *box)[0] == 0
