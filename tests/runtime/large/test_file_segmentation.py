"""A file of any size: which way it goes, and that every way gives the labels of the whole image."""

import csv
import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
import tifffile

from samzoo.runtime import (
    AisParameters,
    AmgParameters,
    InputError,
    Model,
    NotFoundError,
    load,
    merge_slices,
    segment_file,
)
from samzoo.runtime.errors import OutputExistsError
from samzoo.runtime.large import file_task
from samzoo.runtime.large.file_task import PIECEWISE, FileTask


@pytest.fixture
def model(toy_package):
    return load(toy_package)


@pytest.fixture
def image(discs, tmp_path, monkeypatch):
    """A file with two discs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", discs((100, 150), [(20, 20), (64, 96)], high=200))
    return tifffile.imread("cells.tif")


@pytest.fixture
def stack(discs, tmp_path, monkeypatch):
    """A rod through three of four slices, as a file."""
    monkeypatch.chdir(tmp_path)
    places = [[], [(20, 21)], [(20, 22), (40, 50)], [(20, 23)]]
    planes = np.stack([discs((60, 70), each) for each in places])
    tifffile.imwrite("stack.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    return planes


def test_a_small_image_goes_whole(model, image):
    done = segment_file(model, "cells.tif", "labels.tif")
    assert (done.objects, done.size, done.in_pieces) == (2, (100, 150), False)
    assert done.labels.name == "labels.tif"
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), model.segment(image))


def test_a_large_image_goes_in_pieces_with_the_same_labels_and_files(model, image, monkeypatch):
    segment_file(model, "cells.tif", "a.tif", table="a.csv", overlay="a.png")
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    done = segment_file(model, "cells.tif", "b.tif", table="b.csv", overlay="b.png")
    assert (done.objects, done.size, done.in_pieces, done.resumed) == (2, (100, 150), True, False)
    np.testing.assert_array_equal(tifffile.imread("b.tif"), tifffile.imread("a.tif"))
    with open("a.csv") as a, open("b.csv") as b:
        assert a.read() == b.read() != ""
    with open("a.png", "rb") as a, open("b.png", "rb") as b:
        assert a.read() == b.read() != b""


@pytest.mark.parametrize("name", PIECEWISE)
def test_each_piecewise_option_sends_a_file_to_pieces(name, image, tmp_path):
    task = FileTask(path=tmp_path / "cells.tif", output=tmp_path / "labels.tif")
    assert not task.in_pieces
    chosen: dict[str, Any] = {name: 0}
    assert dataclasses.replace(task, **chosen).in_pieces


def test_a_zarr_goes_in_pieces(model, image):
    pytest.importorskip("zarr")
    assert segment_file(model, "cells.tif", "cells.zarr").in_pieces
    done = segment_file(model, "cells.zarr", "labels.tif")
    assert (done.objects, done.in_pieces) == (2, True)
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), model.segment(image))


@pytest.mark.parametrize("whole", [2**24, 0])
def test_parameters_count_whole_and_in_pieces(whole, model, image, monkeypatch):
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", whole)
    strict = AisParameters(min_size=10**6)
    done = segment_file(model, "cells.tif", "a.tif", parameters=strict)
    assert done.objects == 0
    assert sum(note.startswith("no object was found") for note in done.notes) == 1
    with pytest.raises(InputError, match="parameters of the mode ais are AisParameters"):
        segment_file(model, "cells.tif", "b.tif", parameters=AmgParameters())


def test_a_volume_is_joined_and_frames_are_not(model, stack):
    done = segment_file(model, "stack.tif", "volume.tif", stack="volume")
    assert (done.objects, done.size) == (2, stack.shape)
    expected = merge_slices(np.stack([model.segment(plane) for plane in stack]))
    np.testing.assert_array_equal(tifffile.imread("volume.tif"), expected)
    assert (
        segment_file(model, "stack.tif", "thick.tif", stack="volume", min_z_extent=2).objects == 1
    )
    assert segment_file(model, "stack.tif", "frames.tif", stack="frames").objects == 4
    assert segment_file(model, "stack.tif", "plane.tif", plane=2).objects == 2


def test_an_interrupted_call_goes_on(model, image, monkeypatch):
    def stop(stage, done, total):
        if stage == "seeds":
            raise KeyboardInterrupt

    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 0)
    with pytest.raises(KeyboardInterrupt):
        segment_file(model, "cells.tif", "labels.tif", progress=stop)
    done = segment_file(model, "cells.tif", "labels.tif")
    assert (done.objects, done.resumed) == (2, True)


@pytest.mark.filterwarnings("ignore")
def test_workers_open_the_model_themselves(model, image):
    pytest.importorskip("distributed")
    segment_file(model, "cells.tif", "shared.tif", workers=1, table="t.csv")
    np.testing.assert_array_equal(tifffile.imread("shared.tif"), model.segment(image))
    with open("t.csv") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_workers_need_a_model_out_of_a_package(model, image):
    in_memory = Model(model.config, model.networks)
    assert segment_file(in_memory, "cells.tif", "a.tif", level=0).objects == 2
    with pytest.raises(InputError, match="was not opened from a package folder"):
        segment_file(in_memory, "cells.tif", "b.tif", workers=1)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"stack": "frames", "mode": "amg"}, "found 'amg'"),
    "series": ({"series": 1}, "found 1, the file has 1: 0 to 0"),
    "both": ({"workers": 1, "scheduler": "tcp://127.0.0.1:9"}, "not both"),
    "volume": ({"stack": "volume"}, "a stack needs several planes"),
    "plane": ({"stack": "frames", "plane": 0}, "--stack segments all planes"),
    "stack": ({"stack": "volumes"}, "found 'volumes', allowed are volume, frames"),
    "gap": ({"gap_closing": 1}, "slices of a volume"),
    "extent": ({"stack": "frames", "min_z_extent": 2}, "slices of a volume"),
    "overlay": ({"overlay": "o.jpg"}, r"overlays are written as \.png"),
    "table": ({"table": "t.txt"}, r"tables are written as \.csv"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(name, model, image, tmp_path):
    options, message = REFUSED[name]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        segment_file(model, "cells.tif", "labels.tif", **options)
    assert sorted(tmp_path.iterdir()) == before


def test_outputs_that_cannot_be_written_are_refused(model, image, monkeypatch):
    with pytest.raises(InputError, match="labels are written as"):
        segment_file(model, "cells.tif", "labels.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(file_task, "WHOLE_PIXELS", 0)
        with pytest.raises(InputError, match=r"labels of a large image are written as \.tif"):
            segment_file(model, "cells.tif", "labels.png")
    with pytest.raises(OutputExistsError, match="would replace the input"):
        segment_file(model, "cells.tif", "cells.tif", force=True)
    with pytest.raises(NotFoundError):
        segment_file(model, "none.tif", "labels.tif")


def test_an_existing_output_is_replaced_by_force_alone(model, image):
    segment_file(model, "cells.tif", "labels.tif")
    with pytest.raises(OutputExistsError, match="exists already"):
        segment_file(model, "cells.tif", "labels.tif")
    segment_file(model, "cells.tif", "labels.tif", force=True)


def test_a_stack_needs_a_choice(model, stack):
    with pytest.raises(InputError, match=r"one of 4 planes with --plane.*--stack volume"):
        segment_file(model, "stack.tif", "labels.tif")


def test_every_option_of_the_function_reaches_the_task():
    given = {
        name: parameter.default
        for name, parameter in inspect.signature(segment_file).parameters.items()
        if name not in ("model", "progress", "path", "output")
    }
    fields = {f.name: f.default for f in dataclasses.fields(FileTask) if f.name in given}
    assert fields == given
    assert len(dataclasses.fields(FileTask)) == len(given) + 2
