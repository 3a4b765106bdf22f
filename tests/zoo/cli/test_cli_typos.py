"""A typo is told before torch is imported, which takes 10 s and more on a slow disk.

All typos of all verbs are made in one fresh process, which tells after each what it has imported.
"""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from samzoo.zoo.cli.parser import VERBS

HEAVY = ("torch", "lightning_fabric", "onnx", "bitsandbytes", "transformers", "segment_anything")

SCRIPT = f"""
import contextlib, io, json, sys
from samzoo.zoo.cli import main
HEAVY = {HEAVY!r}
rows = []
for words in json.load(sys.stdin):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        status = main(words)
    rows.append([status, errors.getvalue(), [n for n in HEAVY if n in sys.modules]])
json.dump(rows, sys.stdout)
"""

TRAIN = ["train", "--images", "images", "--labels", "labels", "--base", "base", "-o", "run"]
EVALUATE = ["evaluate", "--images", "images", "--labels", "labels", "--model", "package"]
SCORED = [*EVALUATE, "-o", "r.json"]

TYPOS = {
    "segment": [
        (["segment", "cells.tiff", "-o", "l.tif", "--model", "package"], "cells.tiff"),
        (["segment", "cells.tif", "-o", "l.tif", "--model", "pakage"], "pakage"),
        (["segment", "cells.tif", "-o", "l.tif", "--mode", "auto"], "--mode"),
        (["segment", "cells.tif", "-o", "l.jpg", "--model", "package"], "l.jpg"),
        (["segment", "cells.tif", "-o", "l.tif", "--outlines", "fiji"], "--outlines"),
        (["segment", "cells.tif", "-o", "l.tif", "--overlay-style", "outlines"], "--overlay-style"),
    ],
    "prompt": [
        (["prompt", "cells.tif", "-o", "l.tif"], "no prompt"),
        (["prompt", "cells.tif", "-o", "l.tif", "--prompts", "p.jsn"], "p.jsn"),
        (["prompt", "cells.tif", "-o", "l.tif", "--box", "1", "2", "3"], "--box"),
        (["prompt", "cells.tif", "--box", "1", "2", "3", "4"], "--output"),
        (["prompt", "cells.tif", "--labels", "l.tif", "--box", "1", "2", "3", "4"], "--add"),
        (["prompt", "cells.tif", "--labels", "lables/a.tif", "--delete", "1"], "lables/a.tif"),
    ],
    "embed": [
        (["embed", "cells.tif", "-o", "e.npz"], "e.npz"),
        (["embed", "cells.tif", "-o", "e.safetensors", "--model", "pakage"], "pakage"),
    ],
    "suggest": [
        (["suggest", "cells.tiff", "-o", "s.png", "--model", "package"], "cells.tiff"),
        (["suggest", "cells.tif", "-o", "s.jpg", "--model", "package"], "s.jpg"),
        (["suggest", "cells.tif", "-o", "s.png", "--model", "pakage"], "pakage"),
    ],
    "annotate": [
        (["annotate", "cells.tiff"], "cells.tiff"),
        (["annotate", "cells.tif", "-o", "a", "--model", "pakage"], "pakage"),
        (["annotate", "cells.tif", "-o", "cells.tif"], "cells.tif"),
        (["annotate", "cells.tif", "-o", "a", "--port", "99999"], "--port"),
    ],
    "list": [(["list", "--jsn"], "--jsn")],
    "show": [(["show", "pakage"], "pakage")],
    "pull": [(["pull", "pakage"], "pakage")],
    "use": [(["use", "pakage"], "pakage")],
    "verify": [(["verify", "pakage"], "pakage")],
    "remove": [(["remove", "pakage"], "pakage")],
    "gallery": [(["gallery", "pakage", "-o", "site"], "pakage")],
    "plan": [
        (["plan", "--base", "bas"], "bas"),
        (["plan", "--base", "base", "--method", "loar"], "unknown method 'loar'"),
        (["plan", "--base", "base", "--config", "labtop"], "labtop: neither a file nor a preset"),
        (["plan", "--base", "base", "--objects", "none"], "--objects"),
    ],
    "methods": [(["methods", "--arch", "vit_x"], "vit_x")],
    "train": [
        ([*TRAIN, "--method", "loar"], "unknown method 'loar'"),
        ([*TRAIN, "--config", "labtop"], "labtop: neither a file nor a preset"),
        ([*TRAIN, "--config", "typo.toml"], "typo.toml: unknown key 'epoch'"),
        ([*TRAIN, "--config", "rank.toml"], "hyperparameters.rank"),
        ([*TRAIN, "--config", "tasks.toml"], "tasks: found 'boks'"),
        ([*TRAIN, "--ais-decoder", "heavy"], "--ais-decoder"),
        ([*TRAIN, "--seed", "one"], "--seed"),
        ([*TRAIN, "--seed", "-1"], "seed"),
        ([*TRAIN, "--val-images", "images"], "--val-images and --val-labels belong together"),
        ([*TRAIN, "--resume"], "no run to resume"),
        ([*TRAIN, "--start", "adaptr"], "adaptr: holds no adapter to start from"),
        ([*TRAIN[:-1], "base"], "base: exists already"),
        ([*TRAIN[:6], "bas", "-o", "run"], "bas"),
        ([*TRAIN[:2], "imags", *TRAIN[3:]], "imags: no such file"),
        ([*TRAIN[:4], "lables", *TRAIN[5:]], "lables: no such file"),
        ([*TRAIN, "--val-images", "imags", "--val-labels", "labels"], "imags: no such file"),
    ],
    "evaluate": [
        ([*SCORED, "--tasks", "ais,boks"], "boks"),
        ([*EVALUATE, "-o", "r.csv"], "r.csv"),
        ([*SCORED[:2], "imags", *SCORED[3:]], "imags"),
        ([*SCORED, "--provider", "gpu"], "provider: found 'gpu'"),
        ([*SCORED, "--adapter", "b"], "adapter"),
    ],
    "merge": [
        (["merge", "adaptr", "-o", "m"], "adaptr"),
        (["merge", "adapter", "-o", "m", "--base", "bas"], "bas"),
        (["merge", "adapter", "-o", "m", "--verify", "cels.tif"], "cels.tif"),
        (["merge", "adapter", "-o", "m", "--verify", "cells.tif", "--base", "bas"], "bas"),
        (["merge", "adapter", "-o", "m", "--qlora-base", "original"], "QLoRA"),
        (["merge", "adapter", "-o", "base", "--verify", "cells.tif"], "base"),
    ],
    "sum": [
        (["sum", "adapter", "adaptr", "--weights", "1", "1", "-o", "s"], "adaptr"),
        (["sum", "adapter", "adapter", "--weights", "1", "-o", "s"], "weights"),
    ],
    "export": [
        (["export", "modl", "-o", "p"], "modl"),
        (["export", "base", "-o", "p", "--target", "microsam"], "microsam"),
        (["export", "base", "-o", "p", "--precision", "fp8"], "--precision"),
        (["export", "base", "-o", "package"], "package: exists already"),
        (["export", "adapter", "-o", "p", "--base", "bas"], "bas"),
        (["export", "base", "-o", "p", "--name", "My Model!"], "name"),
        (["export", "package", "-o", "p"], "holds no weights"),
        (["export", "base", "-o", "p", "--target", "qupath"], "target qupath"),
    ],
    "share": [
        (["share", "adaptr", "-o", "p"], "adaptr"),
        (["share", "adapter", "-o", "p", "--base", "bas"], "bas"),
        (["share", "adapter", "-o", "p", "--names", "a", "b"], "--names"),
        (["share", "adapter", "-o", "p", "--names", "My Model!"], "name"),
        (["share", "adapter", "-o", "p", "--name", "My Model!"], "name"),
        (["share", "adapter", "-o", "p", "--precision", "int8"], "int8"),
        (["share", "adapter", "-o", "p", "--over", "pakage"], "pakage"),
        (["share", "adapter", "-o", "p", "--add-to", "package"], "package"),
        (["share", "adapter", "-o", "package"], "package: exists already"),
    ],
    "card": [(["card", "pakage"], "pakage")],
    "index": [
        (["index", "pakage", "-o", "i.json"], "pakage"),
        (["index", "package", "-o", "i.jsn"], "i.jsn"),
    ],
    "publish": [
        (["publish", "package", "--to", "hugingface:a/b"], "hugingface"),
        (["publish", "pakage", "--to", "huggingface:a/b"], "pakage"),
        (["publish", "package", "--to", "huggingface:a/b", "--version", "1"], "--version"),
    ],
    "rebuild": [
        (["rebuild", "recipe.tml", "-o", "p"], "recipe.tml"),
        (["rebuild", "typo.toml", "-o", "p"], "typo.toml"),
    ],
    "study": [
        (["study", "stdy.toml", "-o", "s"], "stdy.toml"),
        (["study", "typo.toml", "-o", "s"], "typo.toml"),
    ],
    "convert": [
        (["convert", "sam.pht", "-o", "b"], "sam.pht"),
        (["convert", "cells.tif", "-o", "b"], "cells.tif"),
        (["convert", "sam.pth", "-o", "b", "--huggingface", "x"], "--huggingface"),
        (["convert", "adapter", "-o", "b"], "adapter"),
    ],
    "adapter read": [
        (["adapter", "read", "lora.pht", "--base", "base", "-o", "a"], "lora.pht"),
        (["adapter", "read", "cells.tif", "--base", "bas", "-o", "a"], "bas"),
        (["adapter", "read", "cells.tif", "--base", "base", "-o", "a"], "cells.tif"),
    ],
    "adapter write": [
        (["adapter", "write", "adaptr", "--to", "peft", "-o", "x"], "adaptr"),
        (["adapter", "write", "adapter", "--to", "peftt", "-o", "x"], "--to"),
        (["adapter", "write", "adapter", "--to", "micro-sam", "-o", "x"], ".pt"),
        (["adapter", "write", "adapter", "--to", "micro-sam", "-o", "x.pt", "--base", "bas"],
         "bas"),
    ],
    "doctor": [(["doctor", "--fix"], "--fix")],
}  # fmt: skip
"""By verb: command lines with one typo each, and what the message must name."""


@pytest.fixture
def folder(tmp_path, monkeypatch, toy_adapters, make_package):
    """A working folder with one of everything, all of it tiny."""
    monkeypatch.chdir(tmp_path)
    toy_adapters.write()
    make_package(tmp_path / "package")
    tifffile.imwrite("cells.tif", np.zeros((64, 64), np.uint8))
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        value = 200 if name == "images" else 1
        tifffile.imwrite(f"{name}/a.tif", np.pad(np.full((20, 20), value, np.uint8), 22))
    for name, text in (
        ("typo", "epoch = 3"),
        ("rank", "[hyperparameters]\nrank = 0"),
        ("tasks", "validation_tasks = ['boks']"),
    ):
        (tmp_path / f"{name}.toml").write_text(text + "\n")
    return tmp_path


def test_every_verb_has_a_typo_of_its_own():
    assert list(TYPOS) == list(VERBS)


@pytest.mark.torch
@pytest.mark.onnx
def test_a_typo_is_told_before_anything_heavy_is_imported(folder):
    for package in ("torch", "onnx", "lightning_fabric"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"without {package} its absence is what is told")
    before = sorted(path.name for path in folder.rglob("*"))
    cases = [case for cases in TYPOS.values() for case in cases]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps([words for words, _ in cases]),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wrong = [
        (" ".join(words), status, errors, loaded)
        for (words, named), (status, errors, loaded) in zip(
            cases, json.loads(done.stdout), strict=True
        )
        if status != 2 or named not in errors or loaded
    ]
    assert not wrong, wrong[0]
    assert sorted(path.name for path in folder.rglob("*")) == before
