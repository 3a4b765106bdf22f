"""``samzoo rebuild``: a model from its recipe, on from where it stopped."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import tiny
from tiny_recipe import recipe_text, write_files_csv

from samzoo.zoo.cli import main
from samzoo.zoo.cli.making import rebuild as module

WORDS = ("rebuild", "recipe.toml", "-o", "built", "--data", ".")


@pytest.fixture
def folder(tmp_path, monkeypatch, seeded_base):
    """A working folder with a recipe, its base and its images."""
    monkeypatch.chdir(tmp_path)
    for kind in ("images", "labels"):
        (tmp_path / "cells" / kind).mkdir(parents=True)
    for seed, name in enumerate("abc"):
        image, labels = tiny.make_cells((48, 64), seed, radius=5)
        tifffile.imwrite(tmp_path / f"cells/images/{name}.tif", image)
        tifffile.imwrite(tmp_path / f"cells/labels/{name}.tif", labels.astype(np.uint8))
    shutil.copytree(seeded_base, tmp_path / "base")
    (tmp_path / "recipe.toml").write_text(recipe_text(seeded_base, "cells"))
    write_files_csv(tmp_path, "cells", tmp_path / "files.csv")
    return tmp_path


@pytest.fixture
def asked(folder, monkeypatch, toy_package):
    """Replaces the verbs: each only writes what the next one looks for."""
    words_of = []

    def run(words):
        words_of.append(words)
        work = folder / "built.work"
        if words[0] == "train":
            resumed = "--resume" in words
            shutil.rmtree(work / "run", ignore_errors=True)
            tiny.write_lora_adapter(  # one that was stopped has an adapter, too
                work / "run", folder / "base", "lora", {"rank": 2}, seed=0,
                source={"training": {"finished": resumed}},
            )  # fmt: skip
            (work / "run/checkpoints").mkdir()
            (work / "run/checkpoints/last.safetensors").write_text("")
            if not resumed:
                raise KeyboardInterrupt
        elif words[0] == "share":
            shutil.copytree(toy_package, work / "package")
        elif words[0] == "evaluate":
            (work / "report.json").write_text("{}")

    monkeypatch.setattr(module, "_run", run)
    return words_of


def test_it_goes_on_where_it_stopped_and_does_nothing_twice(folder, asked, capsys):
    assert main(WORDS) == 130
    assert not (folder / "built").exists()
    assert main([*WORDS, "--json"]) == 0
    assert [words[0] for words in asked] == ["train", "train", "share", "evaluate", "card"]
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in json.loads(out)["commands"]] == [
        "train", "share", "evaluate", "card",
    ]  # fmt: skip
    assert "samzoo: samzoo evaluate --images" in err
    assert "built.work can be deleted" in err
    assert (folder / "built/samzoo.json").is_file()
    assert main(WORDS) == 2
    assert "built: exists already; pass --force" in capsys.readouterr().err
    assert main([*WORDS, "--force"]) == 0
    assert asked[5:] == [asked[4]]  # the card alone, which takes no time


def test_a_changed_recipe_or_base_is_refused(folder, asked, capsys):
    assert main(WORDS) == 130
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 1", "seed = 2"))
    assert main(WORDS) == 2
    assert "another recipe, or another version of it" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("sha256:", "sha256:0"))
    assert main([*WORDS, "--work", "other"]) == 2
    assert "the recipe was made with" in capsys.readouterr().err
    assert len(asked) == 1


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.onnx
def test_the_package_that_is_made_again_verifies(folder):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    assert main(WORDS) == 0
    assert main(["verify", "built"]) == 0
    manifest = json.loads((folder / "built/samzoo.json").read_text())
    assert manifest["name"] == "cells"
    assert manifest["metrics"]["evaluations"][0]["data"] == "tiny cells"
    assert [each["name"] for each in manifest["adapters"]] == ["cells"]
