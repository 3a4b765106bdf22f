"""``--adapter`` of the runtime's verbs, and ``export --shared-encoder``."""

import json
from pathlib import Path

import pytest
import tifffile

from samzoo.runtime import read_labels
from samzoo.zoo.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path, make_shared_package, discs):
    """Run a verb beside ``shared``, adapters of which only ``bright`` sees the image's discs."""
    monkeypatch.chdir(tmp_path)
    make_shared_package(tmp_path / "shared", gains={"dark": 0.5, "bright": 2.0})
    tifffile.imwrite("cells.tif", discs((64, 64), [(20, 20), (45, 40)], high=100))

    def run(*arguments):
        return main([str(argument) for argument in arguments]), *capsys.readouterr()

    return run


def test_segment_uses_the_named_adapter_and_the_first_by_default(run):
    common = ("segment", "cells.tif", "--model", "shared", "--json")
    status, out, _ = run(*common, "-o", "a.tif", "--adapter", "bright")
    assert (status, json.loads(out)["adapter"]) == (0, "bright")
    assert read_labels(Path("a.tif")).max() == 2
    status, out, _ = run(*common, "-o", "b.tif")
    assert (status, json.loads(out)["adapter"]) == (0, "dark")
    assert read_labels(Path("b.tif")).max() == 0


def test_embeddings_are_of_the_named_adapter(run):
    model = ("--model", "shared")
    assert run("embed", "cells.tif", "-o", "e.safetensors", *model, "--adapter", "bright")[0] == 0
    prompt = ("prompt", "e.safetensors", *model, "--box", 10, 10, 30, 30)
    assert run(*prompt, "-o", "m.tif", "--adapter", "bright")[0] == 0
    assert read_labels(Path("m.tif")).max() == 1
    status, _, errors = run(*prompt, "-o", "n.tif")
    assert status == 2
    assert "computed by the model sha256:bright, this is sha256:dark" in errors


def test_evaluate_scores_the_named_adapter(run, discs):
    truth = discs((64, 64), [(20, 20)], high=1) + discs((64, 64), [(45, 40)], high=2)
    tifffile.imwrite("truth.tif", truth)
    for name, score in (("bright", 1.0), ("dark", 0.0)):
        status, _, errors = run(
            "evaluate", "--images", "cells.tif", "--labels", "truth.tif", "--tasks", "ais",
            "--model", "shared", "--adapter", name, "-o", f"{name}.json",
        )  # fmt: skip
        assert status == 0, errors
        report = json.loads(Path(f"{name}.json").read_text())
        assert (report["adapter"], report["mean"]["ais"]["sa50"]) == (name, score)


def test_an_unknown_adapter_lists_the_known_ones(run):
    status, out, errors = run(
        "segment", "cells.tif", "-o", "a.tif", "--model", "shared", "--adapter", "x"
    )
    assert (status, out) == (2, "")
    assert errors == "samzoo: adapter: found 'x', this package has: dark, bright\n"
    assert not Path("a.tif").exists()


def test_the_default_model_takes_no_adapter(run):
    status, _, errors = run("segment", "cells.tif", "-o", "a.tif", "--adapter", "x")
    assert (status, errors) == (
        2, "samzoo: adapter: found 'x', this package holds one model only\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a", "b"], "found 2 of them: a package holds one model; with --shared-encoder it"),
        (["a", "--adapter-names", "x"], "found 1 of them: a package holds one model"),
        (["a", "b", "--shared-encoder", "--adapter-names", "x"], "expected 2 names, .* found 1"),
        (["a", "c/a", "--shared-encoder"], "two adapters are called 'a'; name them with"),
        (["shared", "--shared-encoder"], "holds no adapter_config.json; a shared encoder takes"),
    ],
)
def test_wrong_sources_of_a_shared_encoder_are_refused(run, options, message):
    import re

    status, out, errors = run("export", *options, "-o", "package")
    assert (status, out) == (2, "")
    assert re.search(message, errors)
    assert not Path("package").exists()


@pytest.mark.torch
@pytest.mark.onnx
def test_export_makes_a_package_of_adapters_by_their_folders_names(run, seeded_base):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    goldens = Path(__file__).parents[2] / "goldens"
    for name in ("peft_qkv", "peft_all"):
        assert run("convert", goldens / name, "--base", seeded_base, "-o", name)[0] == 0
    common = ("export", "peft_qkv", "peft_all", "--shared-encoder", "--base", seeded_base)
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
    assert run(*common, "-o", "named", "--adapter-names", "one", "two")[:2] == (0, "named\n")
    more = ("export", "peft_all", "--shared-encoder", "--add-to", "named", "-o", "more")
    assert run(*more, "--adapter-names", "three")[:2] == (0, "more\n")
    status, _, errors = run(
        "segment", "cells.tif", "-o", "m.tif", "--model", "more", "--adapter", "x"
    )
    assert (status, "this package has: one, two, three" in errors) == (2, True)
    status, _, errors = run(*more, "--force", "--precision", "fp16")
    assert (status, "are those of the package in --add-to" in errors) == (2, True)
    box = ("--box", 5, 5, 40, 40, "--model", "named", "--adapter", "two")
    assert run("prompt", "cells.tif", "-o", "m.tif", *box)[0] == 0
