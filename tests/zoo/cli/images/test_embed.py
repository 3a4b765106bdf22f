"""``samzoo embed``: into a file or a store, by the adapter that is named."""

import json
from pathlib import Path

from samzoo.runtime import read_labels
from samzoo.zoo.cli import main


def test_embed_wants_a_file_or_a_store(two_discs, toy_package, capsys):
    assert main(["embed", "cells.tif", "--model", str(toy_package)]) == 2
    assert "give -o FILE.safetensors, or --store DIR" in capsys.readouterr().err


def test_embeddings_are_of_the_named_adapter(run_shared):
    model = ("--model", "shared")
    assert (
        run_shared("embed", "cells.tif", "-o", "e.safetensors", *model, "--adapter", "bright")[0]
        == 0
    )
    prompt = ("prompt", "e.safetensors", *model, "--box", 10, 10, 30, 30)
    assert run_shared(*prompt, "-o", "m.tif", "--adapter", "bright")[0] == 0
    assert read_labels(Path("m.tif")).max() == 1
    status, _, errors = run_shared(*prompt, "-o", "n.tif")
    assert status == 2
    assert "computed by the model sha256:bright, this is sha256:dark" in errors


def test_options_that_would_not_be_used_are_refused(run, image, tmp_path):
    file, store = tmp_path / "e.safetensors", tmp_path / "store"
    for arguments, message in (
        (("-o", file, "--channel", 7), "--channel: found 7, the image is grey"),
        (("-o", file, "--level", 1), "--level: found 1"),
        (("-o", file, "--series", 9), "--series: found 9"),
        (("-o", file, "--plane", 1), "--plane: plane 1 does not exist"),
        (("--store", store, "--force"), "--force replaces a file"),
        (("--store", store, "-o", file), "give either -o or --store"),
    ):
        status, out, errors = run("embed", image, *arguments)
        assert (status, out) == (2, "")
        assert message in errors
    assert not file.exists()
    assert not store.exists()


def test_files_and_stores_take_the_estimate(sized):
    for place, own in (
        (("-o", "e.safetensors"), ("-o", "own.safetensors")),
        (("--store", "s"), ("--store", "own")),
    ):
        status, out, err = sized("embed", "discs.tif", *place, "--diameter", "auto", "--json")
        assert (status, err) == (0, "samzoo: diameter 20 px (estimated), scale 0.5\n")
        found = json.loads(out)
        assert (found["used_diameter"], found["diameter_from"]) == (20.0, "estimated")
        at_own = json.loads(sized("embed", "discs.tif", *own, "--json")[1])
        assert found["tiles"] < at_own["tiles"]
