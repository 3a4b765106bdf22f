"""A shelf of several models over one encoder, as it ships with samzoo."""

import numpy as np
import pytest
from conftest import write_toy_adapter_alone, write_toy_shared_package

from samzoo.zoo import load, resolve
from samzoo.zoo.cli import main
from samzoo.zoo.downloads import cache
from samzoo.zoo.hub.model_index import write_index
from samzoo.zoo.packages import shelf as module
from samzoo.zoo.packages.encoder_package import bring_encoder, find_encoder
from samzoo.zoo.packages.shelf import find_shipped, shipped


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A shelf with ``toys``, which has the encoder, and ``bright`` over it."""
    monkeypatch.setenv("SAMZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SAMZOO_INDEX", raising=False)
    root = tmp_path / "shelf"
    write_toy_shared_package(root / "toys", gains={"dark": 0.5, "bright": 2.0})
    write_toy_adapter_alone(root / "bright", root / "toys", "bright")
    monkeypatch.setattr(module, "_root", lambda: root)
    return root


def test_each_model_has_its_own_name(shelf):
    assert [listed.name for listed in shipped()] == ["bright", "toys"]
    assert resolve("bright") == find_shipped("bright") == shelf / "bright"
    assert find_shipped("dark") is None


def test_a_name_opens_the_model_over_the_encoder_of_the_other(shelf, discs):
    image = discs((64, 64), [(20, 20), (45, 40)], high=100)
    expected = load("toys")
    expected.use("bright")
    np.testing.assert_array_equal(load("bright").segment(image), expected.segment(image))
    assert load("bright").segment(image).max() == 2


def test_a_package_elsewhere_finds_the_shipped_encoder_and_pulls_nothing(shelf, tmp_path):
    alone = write_toy_adapter_alone(tmp_path / "far/other", shelf / "toys", "dark")
    assert find_encoder(alone) == shelf / "toys"
    assert bring_encoder(alone, pull=pytest.fail) == shelf / "toys"


def test_the_command_line_lists_them_and_segments_by_name(shelf, image_file, capsys):
    assert main(["list"]) == 0
    rows = [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:]]
    assert rows == ["bright", "toys", "toys", "toys"]  # with its two adapters
    assert main(["segment", str(image_file), "-o", "labels.tif", "--model", "bright"]) == 0
    assert main(["pull", "bright"]) == 2
    assert "needs no pull" in capsys.readouterr().err


def test_samzoos_own_index_brings_further_models_without_their_encoder(
    shelf, image_file, tmp_path, capsys
):
    write_toy_adapter_alone(tmp_path / "web/faint", shelf / "toys", "dark")
    write_index([tmp_path / "web/faint"], shelf / "index.json")
    assert main(["list"]) == 0
    assert "not downloaded" in capsys.readouterr().out
    assert main(["pull", "faint"]) == 0
    (pulled,) = cache.cached()
    assert not (pulled.folder / "onnx").exists()
    assert main(["segment", str(image_file), "-o", "l.tif", "--model", "faint"]) == 0
    assert main(["use", "faint"]) == 0
    assert main(["remove", "faint"]) == 0


@pytest.fixture
def image_file(tmp_path, monkeypatch, discs):
    import tifffile

    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", discs((64, 64), [(20, 20)], high=100))
    return tmp_path / "cells.tif"
