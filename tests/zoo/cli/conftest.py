"""Verbs run as on the command line: with the toy model, with none, and with a shared package."""

import numpy as np
import pytest
import tifffile

from samzoo.zoo.cli import main

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]


@pytest.fixture
def run(capsys, toy_package):
    """Run a verb with the toy model; returns exit code, stdout and stderr."""

    def run(*arguments, model=True):
        given = [str(argument) for argument in arguments]
        given += ["--model", str(toy_package)] if model else []
        status = main(given)
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def run_here(capsys, monkeypatch, tmp_path):
    """Run a verb in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return main([str(argument) for argument in arguments]), *capsys.readouterr()

    return run


@pytest.fixture
def run_shared(run_here, tmp_path, make_shared_package, discs):
    """Run a verb beside ``shared``, adapters of which only ``bright`` sees the image's discs."""
    make_shared_package(tmp_path / "shared", gains={"dark": 0.5, "bright": 2.0})
    tifffile.imwrite("cells.tif", discs((64, 64), [(20, 20), (45, 40)], high=100))
    return run_here


@pytest.fixture
def image(tmp_path, discs):
    """The file of an image with four discs."""
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, discs((120, 128), CENTERS))
    return path


@pytest.fixture
def two_discs(tmp_path, monkeypatch, discs):
    """A working folder with an image of two discs."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", discs((100, 150), [(20, 20), (64, 96)], high=200))
    return tmp_path


@pytest.fixture
def stack(discs):
    """A bright rod through slices 1 to 4, which moves, and a blob in one of them."""
    planes = [discs((60, 70), []) for _ in range(6)]
    for z in range(1, 5):
        planes[z] = np.maximum(planes[z], discs((60, 70), [(20, 20 + z)]))
    planes[3] = np.maximum(planes[3], discs((60, 70), [(40, 50)]))
    return np.stack(planes)


@pytest.fixture
def sized(run_here, tmp_path, make_package, toy_config, discs):
    """A folder with a model of objects of 10 pixels and an image of 16 discs of 20 pixels."""
    make_package(tmp_path / "sized", config=toy_config(object_diameter=10.0))
    centers = [(y, x) for y in range(30, 190, 45) for x in range(30, 190, 45)]
    tifffile.imwrite("discs.tif", discs((200, 200), centers, 10.0))
    return lambda *words: run_here(*words, "--model", "sized")
