"""docs/publishing.md, each command of it, from training to a pull into another cache."""

import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import tiny
from fake_hub import FakeHub

from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cli import main

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "publishing.md").read_text(encoding="utf-8")

SHARED = "/shared/models"
"""The shared disk of the page."""

TEXTS = ("description", "intended_use", "limitations", "training_data", "authors")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch, seeded_base):
    """A folder as the page has it, with images of a few pixels and a hub on this computer."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for seed, name in enumerate(("train", "val", "test")):
        image, labels = tiny.make_cells((48, 64), seed, radius=5)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", labels.astype(np.uint8))
    rows = "\n".join(f"{name}.tif,{name},dish {name}" for name in ("train", "val", "test"))
    (tmp_path / "split.csv").write_text(f"file,split,group\n{rows}\n")
    (tmp_path / "quick.toml").write_text(tiny.QUICK)  # the page takes the preset for a laptop
    shutil.copytree(seeded_base, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAMZOO_INDEX", "")
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache-of-the-author"))
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield tmp_path


def run(line, capsys):
    """Run a line of the page as a shell would."""
    words = shlex.split(line)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        os.environ[name] = value
        return
    output = words[words.index(">") + 1] if ">" in words else None
    words = words[1 : words.index(">")] if output else words[1:]
    extra = ["--config", "quick.toml"] if words[0] == "train" else []
    status = main([*words, *extra])
    out, errors = capsys.readouterr()
    assert status == 0, (line, errors)
    if output:
        Path(output).write_text(out, encoding="utf-8")


def fill_in(path):
    """Do what the page asks for: fill in the texts, and add its own example."""
    text = path.read_text(encoding="utf-8")
    for name in TEXTS:
        text = text.replace(f'\n{name} = ""', f'\n{name} = "Text of {name}."')
    text = text.replace('\nlicense = ""', '\nlicense = "CC-BY-4.0"', 1)
    text = re.sub(r'(\[base\]\nname = )""', r'\1"LiteMedSAM"', text)
    path.write_text(text + "\n" + "".join(blocks("toml")), encoding="utf-8")


@pytest.mark.slow  # seconds, most of them for imports
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # by huggingface_hub
def test_every_command_of_the_page_works_up_to_a_pull_elsewhere(place, capsys, monkeypatch):
    for name in ("torch", "lightning_fabric", "onnx", "skimage", "huggingface_hub"):
        pytest.importorskip(name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    for block in blocks("sh"):
        if "samzoo pull hf:" in block:
            monkeypatch.setenv("SAMZOO_CACHE", str(place / "cache-elsewhere"))
            (place / "elsewhere").mkdir()
            shutil.copy(place / "images" / "test.tif", place / "elsewhere" / "image.tif")
            monkeypatch.chdir(place / "elsewhere")
        if "--from card.toml" in block:
            fill_in(place / "card.toml")
        for line in block.strip().split("\n"):
            run(line.replace(SHARED, str(place)), capsys)
    packages = list((place / "cache-elsewhere" / "models").iterdir())
    assert len(packages) == 2  # one of the hub, one of the index
    for package in packages:
        manifest = Manifest.read(package)
        assert manifest == Manifest.read(place / "my-model")
        card = (package / "README.md").read_text(encoding="utf-8")
        assert "Text of limitations." in card
        assert f"]({manifest.pictures[0].path})" in card
        assert (package / manifest.pictures[0].path).is_file()
    assert not (place / "cache-of-the-author" / "models").exists()


def test_the_page_is_about_commands_that_stand_in_a_line_of_their_own():
    lines = [line for block in blocks("sh") for line in block.strip().split("\n")]
    assert len(lines) > 12
    assert all(line.startswith(("samzoo ", "export ")) for line in lines)
